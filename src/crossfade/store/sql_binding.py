"""From records to rows as the database will store them; refuses what it cannot hold exactly.

A batch is bound column by column where its records name the same columns with values that need
no conversion, which is nearly always; else row by row.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from crossfade.model.key import Key
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
    """Which columns a record names, and what follows from that."""

    names: tuple[str, ...]
    """The named columns without those of the identity, in the table's order."""
    named_identity: tuple[str, ...]
    """Columns of the identity that the record names too."""
    children: tuple[str, ...]
    inserted: tuple[str, ...]
    """The columns of a bound row, identity first, then those of the defaults."""
    defaults: Row
    given: Callable[[Mapping[str, Any]], Row]
    """From a record to the values of `names`."""
    current: Callable[[Row], Row]
    """From a whole row of the table to a bound row."""


class BoundRows(NamedTuple):
    """Rows of one shape as they shall be."""

    shape: RowShape
    identities: Sequence[Row]
    rows: Sequence[Row]
    """The identity, then the values of the shape's names."""


class BoundChildren(NamedTuple):
    """The children of one name; those of parents that do not name them are left alone."""

    parents: Sequence[Key]
    groups: Sequence[BoundRows]


class BoundBatch(NamedTuple):
    """Records as they shall be."""

    records: Mapping[Key, Record]
    texts: Sequence[str]
    """The keys as the fence has them, in the order of the records."""
    groups: Sequence[BoundRows]
    children: Mapping[str, BoundChildren]


class RecordBinder:
    """Binds records of one table and of its children."""

    def __init__(self, table: StoreTable) -> None:
        self._table = table
        self._key = table.only(table.key)
        # A part that its column might change is looked at one by one.
        kinds = [
            _TYPES_OF_KEYS[column.key_kind or KeyKind.EITHER] & column.values.plain
            for column in self._key
        ]
        self._key_types = frozenset(product(*kinds))
        self._rows = RowBinder(table)
        self._children = {name: RowBinder(child) for name, child in table.children.items()}

    def bind(self, records: Mapping[Key, Record]) -> BoundBatch:
        """The records as rows; what the driver refuses by itself is left to it.

        Raises:
            CannotHoldError: the table cannot hold one of them; says why without a value.

        """
        keys = list(records)
        for key in keys:
            if tuple(map(type, key)) not in self._key_types:
                self.check_key(key)
        groups = self._rows.bind(keys, list(records.values()))
        children = {
            name: self._bind_children(name, records)
            for name in self._children
            if any(name in group.shape.children for group in groups)
        }
        return BoundBatch(records, list(map(key_text, keys)), groups, children)

    def shape_of(self, names: tuple[str, ...]) -> RowShape:
        """What follows from the columns that a record names.

        Raises:
            CannotHoldError: there is no such column, or the database computes it.

        """
        return self._rows.shape_of(names)

    def check_key(self, key: Key) -> None:
        """Refuse a key that the key columns would not give back as it is.

        Raises:
            CannotHoldError: no row can have that key.

        """
        if len(key) != len(self._key):
            raise CannotHoldError(
                f"the key has {len(key)} part(s), the table's key {len(self._key)}"
            )
        for part, column in zip(key, self._key, strict=True):
            kind = column.key_kind or KeyKind.EITHER
            if type(part) not in _TYPES_OF_KEYS[kind]:
                raise CannotHoldError(f"the key column {column.name!r} holds {kind.value}")
            raw = _bound(column, part)
            if type(raw) is not type(part) or raw != part:
                raise CannotHoldError(f"the key column {column.name!r} would change the key")

    def as_read(self, key: Key, record: Record) -> Record:
        """The columns that the record names, and its key, as a read gives them after a put.

        Raises:
            CannotHoldError: a put would be refused for the same reason.

        """
        self.check_key(key)
        batch = self.bind({key: record})
        result = self._rows.as_read(batch.groups)[0]
        for name, children in batch.children.items():
            result[name] = self._children[name].as_read(children.groups)
        return result

    def _bind_children(self, name: str, records: Mapping[Key, Record]) -> BoundChildren:
        parents = [key for key, record in records.items() if name in record]
        identities: list[Row] = []
        children: list[Mapping[str, Any]] = []
        for parent in parents:
            listed = records[parent][name]
            if not isinstance(listed, list | tuple):
                raise CannotHoldError(f"{name!r} must be a list of records")
            for child in listed:
                if not isinstance(child, Mapping):
                    raise CannotHoldError(f"{name!r} must be a list of records")
                identities.append(parent + self._children[name].own_key(child))
            children.extend(listed)
        if len(set(identities)) != len(identities):
            raise CannotHoldError(f"two of {name!r} have the same key")
        return BoundChildren(parents, self._children[name].bind(identities, children))


class RowBinder:
    """Binds the rows of one table."""

    def __init__(self, table: StoreTable) -> None:
        self._table = table
        self._own_key = table.only([name for name in table.key if name not in table.parent])
        self._shapes: dict[tuple[str, ...], RowShape] = {}

    def own_key(self, record: Mapping[str, Any]) -> Row:
        """A child's key without the columns that its parent gives; raises as `bind` does."""
        parts = []
        for column in self._own_key:
            value = record.get(column.name)
            if value is None:
                raise CannotHoldError(f"a child has no {column.name!r}, which is its key")
            parts.append(value if type(value) in column.values.plain else _bound(column, value))
        return tuple(parts)

    def bind(
        self, identities: Sequence[Row], records: Sequence[Mapping[str, Any]]
    ) -> Sequence[BoundRows]:
        """The records as rows of those identities, grouped by what they name."""
        names = set(map(tuple, records))
        if len(names) == 1:
            return [self._bind_group(self.shape_of(*names), identities, records)]
        groups: dict[RowShape, tuple[list[Row], list[Mapping[str, Any]]]] = defaultdict(
            lambda: ([], [])
        )
        for identity, record in zip(identities, records, strict=True):
            grouped = groups[self.shape_of(tuple(record))]
            grouped[0].append(identity)
            grouped[1].append(record)
        return [self._bind_group(shape, *grouped) for shape, grouped in groups.items()]

    def as_read(self, groups: Sequence[BoundRows]) -> list[Record]:
        """The columns that are named, and the identity, as a read gives them, in its order."""
        places = [self._table.identity.index(name) for name in self._table.key]
        found = [
            ([rank(identity[place]) for place in places], self._record(group.shape, row))
            for group in groups
            for identity, row in zip(group.identities, group.rows, strict=True)
        ]
        return [record for _, record in sorted(found, key=lambda pair: pair[0])]

    def _record(self, shape: RowShape, row: Row) -> Record:
        columns = self._table.only(shape.inserted[: len(row)])
        # What was plain is bound now: also what the driver would refuse by itself.
        return {
            column.name: column.values.from_raw(
                _bound(column, raw) if type(raw) in column.values.plain else raw
            )
            for column, raw in zip(columns, row, strict=True)
        }

    def _bind_group(
        self, shape: RowShape, identities: Sequence[Row], records: Sequence[Mapping[str, Any]]
    ) -> BoundRows:
        values: Sequence[Row] = list(map(shape.given, records))
        by_column = list(zip(*values, strict=True))
        converted = False
        for place, column in enumerate(self._table.only(shape.names) if by_column else ()):
            given = by_column[place]
            if not set(map(type, given)) <= column.values.plain:
                by_column[place] = tuple([_bound(column, value) for value in given])
                converted = True
        if converted:
            values = list(zip(*by_column, strict=True))
        for name in shape.named_identity:
            self._check_identity(name, identities, [record[name] for record in records])
        rows = [identity + row for identity, row in zip(identities, values, strict=True)]
        return BoundRows(shape, identities, rows)

    def _check_identity(
        self, name: str, identities: Sequence[Row], given: Sequence[object]
    ) -> None:
        place = self._table.identity.index(name)
        expected = [identity[place] for identity in identities]
        if given == expected and set(map(type, given)) == set(map(type, expected)):
            return
        column = self._table.only([name])[0]
        for value, part in zip(given, expected, strict=True):
            raw = _bound(column, value)
            if type(raw) is not type(part) or raw != part:
                raise CannotHoldError(f"column {name!r} differs from the record's key")

    def shape_of(self, names: tuple[str, ...]) -> RowShape:
        """See `RecordBinder.shape_of`."""
        shape = self._shapes.get(names)
        if shape is None:
            shape = self._make_shape(names)
            if len(self._shapes) >= SHAPES_KEPT_MAX:
                self._shapes.clear()
            self._shapes[names] = shape
        return shape

    def _make_shape(self, names: tuple[str, ...]) -> RowShape:
        table = self._table
        columns = {column.name: column for column in table.columns}
        for name in names:
            if name not in columns and name not in table.children:
                raise CannotHoldError(f"the table has no column {name!r}")
            if name in columns and columns[name].generated:
                raise CannotHoldError(f"column {name!r} is computed by the database")
        own = [name for name in columns if name not in table.identity]
        values = tuple(name for name in own if name in names)
        defaults = tuple(name for name in own if name in table.defaults and name not in names)
        return RowShape(
            names=values,
            named_identity=tuple(name for name in table.identity if name in names),
            children=tuple(name for name in table.children if name in names),
            inserted=table.identity + values + defaults,
            defaults=tuple(table.defaults[name] for name in defaults),
            given=row_getter(values),
            current=row_getter(table.positions(table.identity + values)),
        )


def key_text(key: Key) -> str:
    """What `encode_key` makes of the key, several times as fast: there is one for every row."""
    if len(key) == 1 and type(key[0]) is int:
        return f"[{key[0]}]"
    texts = [repr(part) if type(part) is int else encode_basestring(str(part)) for part in key]
    return f"[{','.join(texts)}]"


def same_row(left: Row, right: Row) -> bool:
    """Whether two rows are equal in values and in storage: 1 is not 1.0."""
    return left == right and [*map(type, left)] == [*map(type, right)]


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
