"""From a description and the database's catalogue to a table that a store can work on."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from crossfade.errors import ConfigurationError
from crossfade.model.store_description import SqlTable
from crossfade.store.sql_dialect import (
    CannotHoldError,
    ColumnFacts,
    KeyKind,
    Raw,
    TableFacts,
)
from crossfade.store.table_shape import ColumnShape, TableShape


@dataclass(frozen=True, slots=True)
class StoreTable:
    """One table as a store uses it; a child is found by `parent`, told apart by `identity`."""

    name: str
    columns: tuple[ColumnFacts, ...]
    """Those that records have, in the table's order."""
    key: tuple[str, ...]
    parent: tuple[str, ...]
    defaults: Mapping[str, Raw]
    unique: tuple[tuple[str, ...], ...]
    unproved: tuple[str, ...]
    """What the schema does not promise of the key, so that the rows must show it."""
    parent_indexed: bool
    children: Mapping[str, "StoreTable"]
    address: tuple[str | None, str] = (None, "")
    """Schema, if a statement must name it, and table; an empty table is `name`."""

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns that name one row: the key, for a child the parent's key before it."""
        return self.parent + tuple(name for name in self.key if name not in self.parent)

    @property
    def ordered(self) -> bool:
        """Whether keys are ordered, and equal, as in Python."""
        return all(
            column.key_kind is KeyKind.WHOLE
            or (column.key_kind is KeyKind.TEXT and column.binary_order)
            for column in self.only(self.key)
        )

    def only(self, names: Sequence[str]) -> tuple[ColumnFacts, ...]:
        """The columns of these names, in that order."""
        by_name = {column.name: column for column in self.columns}
        return tuple(by_name[name] for name in names)

    def positions(self, names: Sequence[str]) -> tuple[int, ...]:
        """Where the columns of these names are in a row."""
        order = {column.name: index for index, column in enumerate(self.columns)}
        return tuple(order[name] for name in names)

    def shape(self) -> TableShape:
        """The table as `doctor` shows it."""
        return TableShape(
            table=self.name,
            columns=tuple(
                ColumnShape(
                    name=column.name,
                    type=column.declared,
                    nullable=column.nullable,
                    has_default=column.has_default or column.name in self.defaults,
                    generated=column.generated,
                )
                for column in self.columns
            ),
            key=self.key,
            ordered=self.ordered,
            parent=self.parent,
            parent_indexed=self.parent_indexed,
            children={name: child.shape() for name, child in self.children.items()},
        )


NOT_UNIQUE = "the key may occur twice"
NOT_NEVER_NULL = "the key may be NULL"


def store_table(
    description: SqlTable, facts: TableFacts, children: Mapping[str, TableFacts]
) -> StoreTable:
    """The table and its children, checked against the catalogue.

    Raises:
        ConfigurationError: the description does not fit the database; names what would.

    """
    if not description.key_columns:
        raise ConfigurationError(f"table {facts.name!r} needs key=. {_primary_key_hint(facts)}")
    table = _checked(description, facts)
    described = description.children or {}
    clashes = sorted({column.name for column in table.columns}.intersection(described))
    if clashes:
        raise ConfigurationError(
            f"table {facts.name!r} has a column {clashes[0]!r}. Give the child another name."
        )
    checked = {name: _checked(child, children[name]) for name, child in described.items()}
    for child in checked.values():
        _check_pointing(child, table)
    return StoreTable(
        name=table.name,
        columns=table.columns,
        key=table.key,
        parent=(),
        defaults=table.defaults,
        unique=table.unique,
        unproved=table.unproved,
        parent_indexed=True,
        children=checked,
        address=table.address,
    )


def find_table(wanted: str, tables: Mapping[str, bool], database: str) -> None:
    """Refuse a table that does not exist, and a view.

    Raises:
        ConfigurationError: names the table that was probably meant.

    """
    if wanted not in tables:
        raise ConfigurationError(
            f"there is no table {wanted!r} in {database}. {_nearest(wanted, tables)}"
        )
    if tables[wanted]:
        raise ConfigurationError(
            f"{wanted!r} in {database} is a view and cannot be written. Name the table behind it."
        )


def _checked(description: SqlTable, facts: TableFacts) -> StoreTable:
    key = description.key_columns or facts.primary_key
    if not key:
        raise ConfigurationError(f"table {facts.name!r} has no primary key. Give key=.")
    columns = _chosen_columns(description, facts, key)
    for name in key if not description.parent else ():
        _check_key_column(facts, name)
    unproved = _unproved(facts, key, description.parent_columns)
    return StoreTable(
        name=facts.name,
        columns=columns,
        key=key,
        parent=description.parent_columns,
        defaults=_raw_defaults(description, columns),
        unique=facts.unique,
        unproved=unproved,
        parent_indexed=_is_indexed(facts, description.parent_columns),
        children={},
        address=(facts.schema, facts.table or facts.name),
    )


def _chosen_columns(
    description: SqlTable, facts: TableFacts, key: tuple[str, ...]
) -> tuple[ColumnFacts, ...]:
    needed = (*key, *description.parent_columns)
    for name in (*needed, *(description.columns or ()), *description.defaults):
        _existing(facts, name)
    chosen = None if description.columns is None else {*needed, *description.columns}
    columns = tuple(column for column in facts.columns if chosen is None or column.name in chosen)
    if any(column.name == "" for column in columns):
        raise ConfigurationError(
            f"table {facts.name!r} has a column without a name. Give the others as columns=."
        )
    return columns


def _existing(facts: TableFacts, name: str) -> ColumnFacts:
    column = facts.column(name)
    if column is None:
        names = [column.name for column in facts.columns]
        raise ConfigurationError(
            f"table {facts.name!r} has no column {name!r}. {_nearest(name, names)}"
        )
    return column


def _check_key_column(facts: TableFacts, name: str) -> None:
    column = _existing(facts, name)
    if column.key_kind is None:
        raise ConfigurationError(
            f"column {name!r} of table {facts.name!r} is {column.declared}: a key is a whole "
            f"number or text. {_primary_key_hint(facts)}"
        )


def _unproved(facts: TableFacts, key: tuple[str, ...], parent: tuple[str, ...]) -> tuple[str, ...]:
    """What the schema does not promise of the columns that name a row."""
    names = set(key).union(parent)
    proved = any(names.issuperset(unique) for unique in facts.unique)
    unproved = [] if proved else [NOT_UNIQUE]
    if any(_existing(facts, name).nullable for name in key):
        unproved.append(NOT_NEVER_NULL)
    return tuple(unproved)


def _raw_defaults(description: SqlTable, columns: Iterable[ColumnFacts]) -> dict[str, Raw]:
    by_name = {column.name: column for column in columns}
    raw = {}
    for name, value in description.defaults.items():
        column = by_name.get(name)
        if column is None:
            raise ConfigurationError(
                f"defaults= of table {description.table!r} names {name!r}, which columns= leaves "
                f"out. Add it to columns=."
            )
        try:
            raw[name] = column.values.to_raw(value)
        except CannotHoldError as error:
            raise ConfigurationError(
                f"defaults= of table {description.table!r}: column {name!r} cannot hold its "
                f"value: {error}. Give another one."
            ) from error
    return raw


def _check_pointing(child: StoreTable, table: StoreTable) -> None:
    if len(child.parent) != len(table.key):
        raise ConfigurationError(
            f"parent= of table {child.name!r} has {len(child.parent)} column(s), the key of "
            f"{table.name!r} {len(table.key)}. Name as many, in the same order."
        )
    pairs = zip(child.only(child.parent), table.only(table.key), strict=True)
    for mine, theirs in pairs:
        if mine.key_kind is not theirs.key_kind:
            raise ConfigurationError(
                f"column {mine.name!r} of table {child.name!r} is {mine.declared}, but the key "
                f"column {theirs.name!r} of {table.name!r} is {theirs.declared}. "
                f"Make both the same."
            )


def _is_indexed(facts: TableFacts, parent: tuple[str, ...]) -> bool:
    return not parent or any(set(index[: len(parent)]) == set(parent) for index in facts.indexed)


def _nearest(wanted: str, names: Iterable[str]) -> str:
    lowered = {name.lower(): name for name in sorted(names)}
    close = difflib.get_close_matches(wanted.lower(), lowered, n=1)
    if close:
        return f"Did you mean {lowered[close[0]]!r}?"
    shown = ", ".join(sorted(lowered.values())[:8])
    return f"There are: {shown}." if shown else "There are none."


def _primary_key_hint(facts: TableFacts) -> str:
    if not facts.primary_key:
        return "It has no primary key; name columns that are unique together."
    return f"Its primary key is {', '.join(facts.primary_key)}."
