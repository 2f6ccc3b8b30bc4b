"""Which entity's rows point to which entity's rows, and in what order they are copied."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reference:
    """Columns of a table whose values must be those of a row elsewhere."""

    columns: tuple[str, ...]
    table: str
    """The table that they point to, maybe the same one."""
    referred: tuple[str, ...]
    """The columns there, in the same order."""
    cascades: bool = False
    """Whether deleting the row there changes rows here (CASCADE, SET NULL, SET DEFAULT)."""
    optional: bool = False
    """Whether the columns may be NULL, so that a row can be there before what it points to."""


@dataclass(frozen=True, slots=True)
class LinkedTable:
    """One table of an entity, and where its rows point to."""

    name: str
    owner: tuple[str, ...]
    """The columns that hold the entity's key, in its order: of a child those of its parent."""
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class EntityLinks:
    """The tables of one entity on one side; an aggregate's children belong to its entity."""

    entity: str
    place: str
    """The database; foreign keys never leave it."""
    tables: tuple[LinkedTable, ...]


@dataclass(frozen=True, slots=True)
class EntityGraph:
    """The entities of one side by their foreign keys."""

    order: tuple[str, ...]
    """Parents before children; entities of one cycle, and strangers, as they were declared."""
    parents: Mapping[str, frozenset[str]]
    """To which other entities the rows of an entity point."""
    cycles: tuple[tuple[str, ...], ...]
    """Entities that point to one another, directly or by way of others."""
    self_referring: frozenset[str]
    """Entities whose rows point to rows of the same entity."""


def entity_graph(declared: Sequence[str], links: Iterable[EntityLinks]) -> EntityGraph:
    """The graph of a side.

    Args:
        declared: every entity, in the order of their declaration.
        links: of the entities whose stores know theirs; the others point nowhere.

    """
    known = [one for one in links if one.entity in declared]
    owners = {(one.place, table.name): one.entity for one in known for table in one.tables}
    parents: dict[str, set[str]] = {name: set() for name in declared}
    self_referring = set()
    for one in known:
        for table in one.tables:
            for reference in table.references:
                parent = owners.get((one.place, reference.table))
                if parent == one.entity and reference.columns != table.owner:
                    self_referring.add(one.entity)
                elif parent is not None and parent != one.entity:
                    parents[one.entity].add(parent)
    above = {name: _above(name, parents) for name in declared}
    return EntityGraph(
        order=_in_order(declared, above),
        parents={name: frozenset(found) for name, found in parents.items()},
        cycles=_cycles(declared, above),
        self_referring=frozenset(self_referring),
    )


def parents_first(parents: Sequence[Sequence[int]]) -> list[int]:
    """An order of rows in which those come first that others point to; a cycle begins anywhere.

    Args:
        parents: for each row the places of the rows that it points to.

    """
    placed: list[int] = []
    seen = [False] * len(parents)
    for start in range(len(parents)):
        waiting = [(start, False)]
        while waiting:
            row, parents_placed = waiting.pop()
            if parents_placed:
                placed.append(row)
            elif not seen[row]:
                seen[row] = True
                waiting.append((row, True))
                waiting.extend((parent, False) for parent in parents[row])
    return placed


def _above(name: str, parents: Mapping[str, set[str]]) -> set[str]:
    """Everything that an entity points to, also by way of others."""
    found: set[str] = set()
    waiting = list(parents[name])
    while waiting:
        parent = waiting.pop()
        if parent not in found:
            found.add(parent)
            waiting.extend(parents[parent])
    return found


def _in_order(declared: Sequence[str], above: Mapping[str, set[str]]) -> tuple[str, ...]:
    placed: list[str] = []
    left = list(declared)
    while left:
        # In a cycle nobody comes first: what points back is not waited for.
        ready = next(
            name
            for name in left
            if all(parent in placed or name in above[parent] for parent in above[name] - {name})
        )
        placed.append(ready)
        left.remove(ready)
    return tuple(placed)


def _cycles(declared: Sequence[str], above: Mapping[str, set[str]]) -> tuple[tuple[str, ...], ...]:
    found = {
        tuple(other for other in declared if other == name or _mutual(name, other, above)): None
        for name in declared
        if name in above[name]
    }
    return tuple(found)


def _mutual(name: str, other: str, above: Mapping[str, set[str]]) -> bool:
    return other in above[name] and name in above[other]
