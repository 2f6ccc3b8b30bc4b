"""Compare the tables of both sides, column by column, as the mapping joins them; pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from crossfade.control.doctor.column_values import what_does_not_fit
from crossfade.control.doctor.findings import Finding, Verdict, problem, warning
from crossfade.control.doctor.probing import Path, Probe, becomes_null, columns_of
from crossfade.model.entity import Entity
from crossfade.model.side import Side
from crossfade.store.sql_cures import change_type, make_index, take_null
from crossfade.store.sql_dialect import ColumnFacts, SqlDialect
from crossfade.store.sql_tables import StoreTable

NAMED_MAX = 6
"""Columns that one finding names; the others are counted."""

_WIDER = {"smallint": "bigint", "integer": "bigint", "real": "double precision"}
"""What PostgreSQL has above a type; text is above every bounded one."""


@dataclass(frozen=True, slots=True)
class SideTable:
    """One entity's table on one side, and what was asked of it beside the catalogue."""

    table: StoreTable
    dialect: SqlDialect
    same: Mapping[str, frozenset[str]]
    """Text columns of keys and unique sets to what the database does not tell apart in them."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """An entity, one direction of it, and what its mapping made of a record."""

    entity: Entity
    side: Side
    """Where records come from."""
    given: SideTable
    taking: SideTable
    probe: Probe

    @property
    def what(self) -> str:
        """How findings are headed."""
        return f"{self.entity.name} to {self.side.other}"

    def here(self, path: Path) -> str:
        """A column of the side that records come from, as it is told."""
        return f"{self.side}.{_name(path)}"

    def there(self, path: Path) -> str:
        """A column of the side that takes them."""
        return f"{self.side.other}.{_name(path)}"


def compare_tables(comparison: Comparison, *, was_tried: bool) -> list[Finding]:
    """Everything that one side may hold and the other may refuse; no value is told.

    Args:
        comparison: both tables and what goes where.
        was_tried: whether the mapping was tried on real records, which tell columns better.

    """
    findings = [] if was_tried else list(_columns(comparison))
    return [
        *findings,
        *_types(comparison),
        *_nulls(comparison),
        *_uniques(comparison),
        *_equalities(comparison),
    ]


def _columns(one: Comparison) -> Iterator[Finding]:
    """Columns that the mapping lacks or invents, seen on a made-up record."""
    mapped, table = one.probe.mapped, one.taking.table
    rows = [(table, mapped, ())] + [
        (child, row, child.parent)
        for name, child in table.children.items()
        for row in mapped.get(name) or []
        if isinstance(row, dict)
    ]
    there = one.side.other
    for part, row, filled_in in rows:
        known = {column.name: column for column in part.columns}
        for name in sorted(row.keys() - known.keys() - part.children.keys()):
            yield problem(
                one.what,
                f"{there} has no column {name} in {part.name}: leave it out, or correct its name",
            )
        for name in sorted(name for name in row if name in known and known[name].generated):
            yield problem(
                one.what, f"{there} computes {name} of {part.name} by itself: leave it out"
            )
        needed = {name for name, column in known.items() if _is_needed(part, column)}
        for name in sorted(needed - row.keys() - set(filled_in)):
            yield problem(
                one.what,
                f"{there} needs the column {name} of {part.name}: map it, or give defaults=",
            )


def _is_needed(table: StoreTable, column: ColumnFacts) -> bool:
    optional = column.nullable or column.has_default or column.generated
    return not (optional or column.name in table.defaults) or column.name in table.key


def _types(one: Comparison) -> Iterator[Finding]:
    """Values that a column can hold and the column that they are copied to cannot."""
    given, taking = columns_of(one.given.table), columns_of(one.taking.table)
    found, cures = [], []
    for there, here in one.probe.carried.items():
        if here not in given or there not in taking or taking[there].generated:
            continue
        misfits = what_does_not_fit(given[here], taking[there])
        if not misfits:
            continue
        types = f"{given[here].declared or 'any'} -> {taking[there].declared}"
        found.append(f"{one.here(here)} ({types}): {', '.join(misfits)}")
        cures.append(_wider(one.taking, there, taking[there]))
    if found:
        yield _warned(
            one.what,
            f"{one.side.other} cannot hold everything that {one.side} can: {_listed(found)}. "
            "A row that has such a value is quarantined: widen the column, or change the mapping",
            cures,
            one.taking,
        )


def _wider(taking: SideTable, path: Path, column: ColumnFacts) -> str:
    declared = _WIDER.get(column.declared)
    if declared is None and column.declared.startswith("character"):
        declared = "text"
    table = _part(taking.table, path)
    return "" if declared is None else change_type(taking.dialect, table, path[1], declared)


def _nulls(one: Comparison) -> Iterator[Finding]:
    """NULLs that one side may hold and the other refuses, or the mapping cannot take."""
    given, taking = columns_of(one.given.table), columns_of(one.taking.table)
    refused, raising, cures = [], [], []
    for here, column in given.items():
        part = _part(one.given.table, here)
        if not column.nullable or column.generated or here[1] in (*part.key, *part.parent):
            continue
        nulls = becomes_null(one.entity, one.side, one.probe, here)
        if nulls is None:
            raising.append(one.here(here))
            continue
        for there in sorted(nulls):
            if there in taking and not taking[there].nullable:
                refused.append(f"{one.there(there)} where {one.here(here)} is NULL")
                cures.append(
                    take_null(one.taking.dialect, _part(one.taking.table, there), there[1])
                )
    if refused:
        yield _warned(
            one.what,
            f"must not be NULL: {_listed(refused)}. Such rows are quarantined: give another "
            "value in the mapping, or let the column be NULL",
            cures,
            one.taking,
        )
    if raising:
        yield _warned(
            one.what,
            f"the mapping raises where one of these is NULL, which the table allows: "
            f"{_listed(raising)}. Such rows are quarantined: take care of None in the mapping",
        )


def _uniques(one: Comparison) -> Iterator[Finding]:
    """Columns that must be unique where records go to, and need not where they come from."""
    table = one.taking.table
    for columns in table.unique:
        if set(table.key).issubset(columns):
            continue
        origins = [one.probe.carried.get(("", column)) for column in columns]
        own = [path[1] for path in origins if path is not None and not path[0]]
        if len(own) == len(columns):
            promised = (*one.given.table.unique, one.given.table.key)
            if any(set(own).issuperset(unique) for unique in promised):
                continue
            cure = [make_index(one.given.dialect, one.given.table, own, unique=True)]
        else:
            cure = []
        names = ", ".join(one.there(("", column)) for column in columns)
        yield _warned(
            one.what,
            f"{names} must be unique, and {one.side} does not promise it: the second row with a "
            f"value stays dirty and is quarantined. Make it unique on {one.side} too, or drop "
            f"the constraint on {one.side.other}",
            cure,
            one.given,
        )


def _equalities(one: Comparison) -> Iterator[Finding]:
    """Texts that are two where records come from, and one where they must be unique."""
    for column, same in one.taking.same.items():
        origin = one.probe.carried.get(("", column))
        if origin is None or origin[0]:
            continue
        lost = same - one.given.same.get(origin[1], frozenset())
        if lost:
            yield _warned(
                one.what,
                f"{one.there(('', column))} must be unique and does not tell apart "
                f"{' and '.join(sorted(lost))}, as {one.here(origin)} does: of two such keys "
                "or values the second is quarantined. Give the column an exact collation",
            )


def _warned(
    what: str, message: str, cures: Sequence[str] = (), place: SideTable | None = None
) -> Finding:
    """A warning, with the statements that would mend it, and the database that they are for."""
    ddl = "\n".join(dict.fromkeys(cure for cure in cures if cure))
    if not ddl or place is None:
        return warning(what, message)
    return Finding(what, Verdict.WARNING, message, ddl=f"-- {place.dialect.name}\n{ddl}")


def _part(table: StoreTable, path: Path) -> StoreTable:
    return table.children[path[0]] if path[0] else table


def _name(path: Path) -> str:
    return f"{path[0]}.{path[1]}" if path[0] else path[1]


def _listed(found: Sequence[str]) -> str:
    more = len(found) - NAMED_MAX
    shown = "; ".join(found[:NAMED_MAX])
    return f"{shown}; and {more} more" if more > 0 else shown
