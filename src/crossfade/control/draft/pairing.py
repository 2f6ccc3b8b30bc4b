"""Which tables and columns of two databases may be the same thing, by their names; pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from crossfade.control.doctor.column_values import same_values
from crossfade.store.sql_dialect import ColumnFacts


@dataclass(frozen=True, slots=True)
class Table:
    """One table as far as a draft needs it."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    """The primary key."""
    facts: tuple[ColumnFacts, ...] = ()
    """What the database says of each column."""
    parents: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Tables that its rows point to by their key, and the columns that do."""

    def column(self, name: str) -> ColumnFacts | None:
        """What is known of a column."""
        return next((one for one in self.facts if one.name == name), None)


@dataclass(frozen=True, slots=True)
class EntityDraft:
    """Two tables that may hold the same entity."""

    name: str
    legacy: Table
    new: Table
    columns: tuple[tuple[str, str], ...]
    """Pairs of columns, legacy's first, in legacy's order."""
    legacy_children: tuple[Table, ...] = ()
    """Tables of legacy that point to it, and may belong to it."""
    new_children: tuple[Table, ...] = ()
    """The same of new."""

    @property
    def converted(self) -> tuple[tuple[str, str], ...]:
        """Pairs whose values have to be converted, or may have to."""
        return tuple(
            (mine, theirs)
            for mine, theirs in self.columns
            if not _are_same(self.legacy.column(mine), self.new.column(theirs))
        )

    @property
    def renames_only(self) -> bool:
        """Whether both tables have the same columns, but for their names."""
        return not (self.legacy_alone or self.new_alone or self.converted)

    @property
    def legacy_alone(self) -> tuple[str, ...]:
        """Columns of legacy without a partner."""
        paired = {legacy for legacy, _ in self.columns}
        return tuple(name for name in self.legacy.columns if name not in paired)

    @property
    def new_alone(self) -> tuple[str, ...]:
        """Columns of new without a partner."""
        paired = {new for _, new in self.columns}
        return tuple(name for name in self.new.columns if name not in paired)


def pair_tables(legacy: Sequence[Table], new: Sequence[Table]) -> list[EntityDraft]:
    """The tables of equal names, whatever their case, plural and underscores; keys must pair."""
    by_name = {_singular(table.name): table for table in reversed(new)}
    drafts: dict[str, EntityDraft] = {}
    for table in legacy:
        name = _singular(table.name)
        partner = by_name.get(name)
        if partner is None or not name or name in drafts or not _same_keys(table, partner):
            continue
        drafts[name] = EntityDraft(
            name,
            table,
            partner,
            _pair_columns(name, table, partner),
            _children(table, legacy),
            _children(partner, new),
        )
    return list(drafts.values())


def _same_keys(table: Table, partner: Table) -> bool:
    if len(table.key) != len(partner.key) or not table.key:
        return False
    pairs = zip(table.key, partner.key, strict=True)
    kinds = [(table.column(mine), partner.column(theirs)) for mine, theirs in pairs]
    return all(one is None or two is None or one.key_kind is two.key_kind for one, two in kinds)


def _are_same(one: ColumnFacts | None, other: ColumnFacts | None) -> bool:
    return one is not None and other is not None and same_values(one, other)


def _children(table: Table, others: Sequence[Table]) -> tuple[Table, ...]:
    """Tables whose rows are told apart only within a row of this one."""
    return tuple(
        other
        for other in others
        for parent, columns in other.parents
        if parent == table.name
        and other is not table
        and len(other.key) > len(columns)
        and set(columns).issubset(other.key)
    )


def _pair_columns(entity: str, legacy: Table, new: Table) -> tuple[tuple[str, str], ...]:
    pairs = dict(zip(legacy.key, new.key, strict=True))
    taken = set(pairs.values())
    by_name = {_column(entity, name): name for name in new.columns if name not in taken}
    for name in legacy.columns:
        partner = by_name.get(_column(entity, name))
        if name not in pairs and partner is not None:
            pairs[name] = partner
    return tuple((name, pairs[name]) for name in legacy.columns if name in pairs)


def _singular(name: str) -> str:
    letters = _letters(name.rpartition(".")[2])
    # An entity begins with a letter.
    letters = letters if not letters[:1].isdigit() else f"table{letters}"
    if letters.endswith("ies"):
        return f"{letters[:-3]}y"
    return letters[:-1] if letters.endswith("s") and not letters.endswith("ss") else letters


def _column(entity: str, name: str) -> str:
    """`CustomerId` of a customer is `id`."""
    letters = _letters(name)
    return letters.removeprefix(entity) or letters


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
