"""Which tables and columns of two databases may be the same thing, by their names; pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """One table as far as a draft needs it."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    """The primary key."""


@dataclass(frozen=True, slots=True)
class EntityDraft:
    """Two tables that may hold the same entity."""

    name: str
    legacy: Table
    new: Table
    columns: tuple[tuple[str, str], ...]
    """Pairs of columns, legacy's first, in legacy's order."""

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
    by_name = {_singular(table.name): table for table in new}
    drafts = []
    for table in legacy:
        name = _singular(table.name)
        partner = by_name.get(name)
        if partner is None or not name or len(table.key) != len(partner.key) or not table.key:
            continue
        columns = _pair_columns(name, table, partner)
        drafts.append(EntityDraft(name, table, partner, columns))
    return drafts


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
    letters = _letters(name)
    if letters.endswith("ies"):
        return f"{letters[:-3]}y"
    return letters[:-1] if letters.endswith("s") and not letters.endswith("ss") else letters


def _column(entity: str, name: str) -> str:
    """`CustomerId` of a customer is `id`."""
    letters = _letters(name)
    return letters.removeprefix(entity) or letters


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
