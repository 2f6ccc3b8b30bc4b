"""From records to rows as the database will store them; refuses what it cannot hold exactly."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from crossfade.model.key import Key, KeyPart
from crossfade.store.base import Record
from crossfade.store.sql_dialect import CannotHoldError, ColumnFacts, KeyKind, Raw, Row
from crossfade.store.sql_statements import row_getter
from crossfade.store.sql_tables import StoreTable

SHAPES_KEPT_MAX = 256
"""Sets of named columns that are remembered for a table."""

_TYPES_OF_KEYS = {
    KeyKind.WHOLE: frozenset({int}),
    KeyKind.TEXT: frozenset({str}),
    KeyKind.EITHER: frozenset({int, str}),
}


@dataclass(frozen=True, eq=False, slots=True)
class RowShape:
    """Which columns a record names, and what follows from that; equal only to itself."""

    names: tuple[str, ...]
    """The named columns without those of the identity, in the table's order."""
    binders: tuple[tuple[str, frozenset[type], Callable[[object], Raw]], ...]
    """For each: its name, the types that need no conversion, the conversion."""
    named_identity: tuple[tuple[int, ColumnFacts], ...]
    """Identity columns that the record names too, by their place in the identity."""
    children: tuple[str, ...]
    current: Callable[[Row], Row]
    """From a whole row of the table to the values of `names`."""
    inserted: tuple[str, ...]
    """Columns of an insert: identity, names, defaults."""
    defaults: Row


class BoundRow(NamedTuple):
    """One row as it shall be; a tuple, since there is one for every row copied."""

    identity: Row
    values: Row
    shape: RowShape


class BoundRecord(NamedTuple):
    """One record as it shall be; children that it does not name are left alone."""

    key: Key
    text: str
    """The key as the fence has it."""
    row: BoundRow
    children: Mapping[str, Sequence[BoundRow]]


_NO_CHILDREN: Mapping[str, Sequence[BoundRow]] = {}


class RecordBinder:
    """Binds the records of one table, and through it those of its children."""

    def __init__(self, table: StoreTable) -> None:
        self._table = table
        self._key = table.only(table.key)
        self._key_types = tuple(
            _TYPES_OF_KEYS[column.key_kind or KeyKind.EITHER] for column in self._key
        )
        self._children = {name: RecordBinder(child) for name, child in table.children.items()}
        self._child_key = tuple(name for name in table.key if name not in table.parent)
        self._shapes: dict[tuple[str, ...], RowShape] = {}

    def check_key(self, key: Key) -> None:
        """Refuse a key that the key columns would not give back as it is.

        Raises:
            CannotHoldError: no row can have that key.

        """
        self._check_key_types(key)
        for part, column in zip(key, self._key, strict=True):
            _bound(column, part)

    def bind(self, key: Key, record: Record) -> BoundRecord:
        """The record as rows; what the driver refuses by itself is left to it.

        Raises:
            CannotHoldError: the table cannot hold it; says why without a value.

        """
        self._check_key_types(key)
        row = self._bind_row(key, record)
        children: Mapping[str, Sequence[BoundRow]] = _NO_CHILDREN
        if row.shape.children:
            children = {
                name: self._children[name].bind_children(name, key, record[name])
                for name in row.shape.children
            }
        return BoundRecord(key, key_text(key), row, children)

    def bind_children(self, name: str, parent: Key, records: object) -> Sequence[BoundRow]:
        """The rows of one parent's children; raises as `bind` does."""
        if not isinstance(records, list | tuple):
            raise CannotHoldError(f"{name!r} must be a list of records")
        rows: dict[Row, BoundRow] = {}
        for record in records:
            if not isinstance(record, Mapping):
                raise CannotHoldError(f"{name!r} must be a list of records")
            identity = parent + self._own_key(name, record)
            rows[identity] = self._bind_row(identity, record)
        if len(rows) != len(records):
            raise CannotHoldError(f"two of {name!r} have the same key")
        return list(rows.values())

    def values_of(self, row: BoundRow) -> dict[str, Raw]:
        """The row's values by column, identity and defaults included."""
        values = (*row.identity, *row.values, *row.shape.defaults)
        return dict(zip(row.shape.inserted, values, strict=True))

    def as_read(self, row: BoundRow) -> Record:
        """The columns that the row names, and its identity, as a read gives them.

        Raises:
            CannotHoldError: the driver would refuse a value.

        """
        raw = self.values_of(row)
        named = self._table.only((*self._table.identity, *row.shape.names))
        return {
            column.name: column.values.from_raw(_bound(column, raw[column.name]))
            for column in named
        }

    def all_as_read(self, rows: Sequence[BoundRow]) -> list[Record]:
        """The same of children, in the order of a read."""
        places = [self._table.identity.index(name) for name in self._table.key]
        key_of = row_getter(places)
        ordered = sorted(rows, key=lambda row: [rank(part) for part in key_of(row.identity)])
        return [self.as_read(row) for row in ordered]

    def child(self, name: str) -> "RecordBinder":
        """The binder of a child's records."""
        return self._children[name]

    def _check_key_types(self, key: Key) -> None:
        if len(key) != len(self._key_types):
            raise CannotHoldError(
                f"the key has {len(key)} part(s), the table's key {len(self._key)}"
            )
        for place, types in enumerate(self._key_types):
            if type(key[place]) not in types:
                kind = self._key[place].key_kind or KeyKind.EITHER
                raise CannotHoldError(
                    f"the key column {self._key[place].name!r} holds {kind.value}"
                )

    def _own_key(self, name: str, record: Mapping[str, Any]) -> Row:
        parts = []
        for column in self._table.only(self._child_key):
            if record.get(column.name) is None:
                raise CannotHoldError(f"one of {name!r} has no {column.name!r}, which is its key")
            parts.append(_bound(column, record[column.name]))
        return tuple(parts)

    def _bind_row(self, identity: Row, record: Mapping[str, Any]) -> BoundRow:
        names = tuple(record)
        shape = self._shapes.get(names)
        if shape is None:
            shape = self._remember(names)
        values = []
        for name, plain, to_raw in shape.binders:
            value = record[name]
            if type(value) in plain:
                values.append(value)
                continue
            try:
                values.append(to_raw(value))
            except CannotHoldError as error:
                raise CannotHoldError(f"column {name!r}: {error}") from error
        for place, column in shape.named_identity:
            value = record[column.name]
            part = identity[place]
            if type(value) is type(part) and value == part:
                continue
            if not _same(_bound(column, value), part):
                raise CannotHoldError(f"column {column.name!r} differs from the record's key")
        return BoundRow(identity, tuple(values), shape)

    def _remember(self, names: tuple[str, ...]) -> RowShape:
        shape = self._shape(names)
        if len(self._shapes) >= SHAPES_KEPT_MAX:
            self._shapes.clear()
        self._shapes[names] = shape
        return shape

    def _shape(self, names: tuple[str, ...]) -> RowShape:
        table = self._table
        columns = {column.name: column for column in table.columns}
        for name in names:
            if name not in columns and name not in self._children:
                raise CannotHoldError(f"the table has no column {name!r}")
            if name in columns and columns[name].generated:
                raise CannotHoldError(f"column {name!r} is computed by the database")
        values = tuple(name for name in columns if name in names and name not in table.identity)
        defaults = tuple(
            name for name in table.defaults if name not in values and name not in table.identity
        )
        return RowShape(
            names=values,
            binders=tuple(
                (name, columns[name].values.plain, columns[name].values.to_raw) for name in values
            ),
            named_identity=tuple(
                (place, columns[name])
                for place, name in enumerate(table.identity)
                if name in names
            ),
            children=tuple(name for name in names if name in self._children),
            current=row_getter(table.positions(values)),
            inserted=table.identity + values + defaults,
            defaults=tuple(table.defaults[name] for name in defaults),
        )


def key_text(key: Key) -> str:
    """What `encode_key` makes of the key, several times as fast: there is one for every row."""
    return f"[{','.join([_part_text(part) for part in key])}]"


def _part_text(part: KeyPart) -> str:
    return repr(part) if type(part) is int else encode_basestring(str(part))


def same_row(left: Row, right: Row) -> bool:
    """Whether two rows are equal in values and in storage: 1 is not 1.0."""
    return left == right and list(map(type, left)) == list(map(type, right))


def rank(raw: Raw) -> tuple[int, Raw]:
    """Orders values of several types as SQLite does: NULL, numbers, text, bytes."""
    if raw is None:
        return (0, 0)
    if isinstance(raw, str):
        return (2, raw)
    return (3, raw) if isinstance(raw, bytes) else (1, raw)


def _bound(column: ColumnFacts, value: object) -> Raw:
    try:
        return column.values.to_raw(value)
    except CannotHoldError as error:
        raise CannotHoldError(f"column {column.name!r}: {error}") from error


def _same(left: Raw, right: Raw) -> bool:
    return type(left) is type(right) and bool(left == right)
