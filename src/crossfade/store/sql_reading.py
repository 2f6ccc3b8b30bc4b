"""Reads records of one table and its children inside a snapshot: a few statements, not N+1."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter

from crossfade.errors import StoreError
from crossfade.model.key import Key, KeyPart, KeyRange
from crossfade.store.base import Record
from crossfade.store.sql_binding import rank
from crossfade.store.sql_dialect import Cursor, KeyKind, Raw, Row, SqlDialect
from crossfade.store.sql_statements import Statement, TableStatements, in_batches, row_getter
from crossfade.store.sql_survey import Estimating
from crossfade.store.sql_tables import StoreTable

WHOLE_MIN = -(2**63)
WHOLE_MAX = 2**64 - 1
"""Bounds of the keys of any engine; MariaDB has unsigned ones."""

_TYPES_READ: Mapping[KeyKind, tuple[type, ...]] = {
    KeyKind.WHOLE: (int,),
    KeyKind.TEXT: (str,),
    KeyKind.EITHER: (int, str),
}


class TableReading:
    """Statements and conversions of one table; stateless, so that many threads may share it."""

    def __init__(self, table: StoreTable, dialect: SqlDialect) -> None:
        self.table = table
        self.statements = TableStatements(table, dialect)
        self.key_of = row_getter(table.positions(table.key))
        self.parent_of = row_getter(table.positions(table.parent))
        self.identity_of = row_getter(table.positions(table.identity))
        self._names = tuple(column.name for column in table.columns)
        self._converted = [
            (column.name, column.values.from_raw)
            for column in table.columns
            if not column.values.reads_as_stored
        ]

    def record(self, row: Row) -> Record:
        """A row as a record."""
        record = dict(zip(self._names, row, strict=True))
        for name, from_raw in self._converted:
            record[name] = from_raw(record[name])
        return record

    def records(self, rows: Sequence[Row]) -> list[Record]:
        """Rows as records."""
        names = self._names
        records = [dict(zip(names, row)) for row in rows]  # noqa: B905 - a digest may follow
        for name, from_raw in self._converted:
            for record in records:
                record[name] = from_raw(record[name])
        return records

    def rows_with(self, cursor: Cursor, names: tuple[str, ...], keys: Sequence[Row]) -> list[Row]:
        """The rows that have one of these tuples of values in these columns."""
        rows: list[Row] = []
        for batch in in_batches(keys, len(names)):
            statement = self.statements.rows_with(names, len(batch))
            flat = tuple([part for key in batch for part in key])
            cursor.execute(statement.sql, statement.parameters(flat))
            rows.extend(cursor.fetchall())
        return rows

    @property
    def names(self) -> tuple[str, ...]:
        """The table's columns, in the order of a row."""
        return self._names


class SqlReading:
    """Everything that a store reads."""

    def __init__(self, table: StoreTable, dialect: SqlDialect) -> None:
        self.main = TableReading(table, dialect)
        self._dialect = dialect
        self.children = {
            name: TableReading(child, dialect) for name, child in table.children.items()
        }
        self._table = table
        self._kinds = [
            (column.name, _TYPES_READ[column.key_kind or KeyKind.EITHER], column.bound)
            for column in table.only(table.key)
        ]

    def read(self, cursor: Cursor, key: Key) -> Record | None:
        """The whole record of a key that the key columns can hold, or None."""
        rows = self.main.rows_with(cursor, self._table.key, [key])
        exact = [row for row in rows if self.main.key_of(row) == key]
        if not exact:
            return None
        if len(exact) > 1:
            raise StoreError(
                f"two rows of table {self._table.name!r} have the same key. Make it unique."
            )
        record = self.main.record(exact[0])
        for name, child in self.children.items():
            rows = child.rows_with(cursor, child.table.parent, [key])
            record[name] = _grouped(child, rows).get(key, [])
        return record

    def read_range(
        self, cursor: Cursor, range_: KeyRange, rows_max: int
    ) -> list[tuple[Key, Record]]:
        """The first records of a range, with the children of all of them."""
        rows = self._first(cursor, self.main.names, range_, rows_max)
        keys = self._keys(map(self.main.key_of, rows))
        records = self.main.records(rows)
        if keys and self.children:
            covered = KeyRange(range_.lower, keys[-1])
            for name, child in self.children.items():
                groups = _grouped(child, self._children_in(cursor, child, covered))
                for key, record in zip(keys, records, strict=True):
                    record[name] = groups.get(key, [])
        return list(zip(keys, records, strict=True))

    def keys_in_range(self, cursor: Cursor, range_: KeyRange, rows_max: int) -> list[Key]:
        """The first keys of a range."""
        return self._keys(self._first(cursor, self._table.key, range_, rows_max))

    def key_after(self, cursor: Cursor, lower: Key | None, rows: int) -> Key | None:
        """The `rows`-th key above `lower`."""
        statement = self.main.statements.key_after(bounded=lower is not None)
        return self._one_key(cursor, statement, (*self._bound(lower), max(rows, 1) - 1))

    def last_key(self, cursor: Cursor) -> Key | None:
        """The highest key."""
        return self._one_key(cursor, self.main.statements.last_key(), ())

    def estimate(self, cursor: Cursor) -> int:
        """About how many rows there are: what the planner thinks, else counted."""
        dialect = self._dialect
        known = None
        if isinstance(dialect, Estimating):
            known = dialect.rows_estimate(cursor, self._table.name)
        return self.count(cursor) if known is None else known

    def count(self, cursor: Cursor) -> int:
        """How many rows there are."""
        cursor.execute(self.main.statements.count().sql)
        return int(cursor.fetchone()[0])

    def _first(
        self, cursor: Cursor, answer: tuple[str, ...], range_: KeyRange, rows_max: int
    ) -> list[Row]:
        statement = self.main.statements.in_range(self._table.key, answer, f"{_bounds(range_)}n")
        given = (*self._bound(range_.lower), *self._bound(range_.upper), rows_max)
        cursor.execute(statement.sql, statement.parameters(given))
        return cursor.fetchall()

    def _children_in(self, cursor: Cursor, child: TableReading, range_: KeyRange) -> list[Row]:
        parent = child.table.parent
        statement = child.statements.in_range(parent, child.names, _bounds(range_))
        given = (*self._bound(range_.lower), *self._bound(range_.upper))
        cursor.execute(statement.sql, statement.parameters(given))
        return cursor.fetchall()

    def _one_key(self, cursor: Cursor, statement: Statement, given: Row) -> Key | None:
        cursor.execute(statement.sql, statement.parameters(given))
        row = cursor.fetchone()
        return None if row is None else self._keys([row])[0]

    def _bound(self, key: Key | None) -> Key:
        """The values of a bound; a bound that no key can be is the caller's mistake."""
        if key is None:
            return ()
        if len(key) != len(self._kinds):
            raise StoreError(
                f"a key of table {self._table.name!r} has {len(self._kinds)} part(s)."
            )
        bound: list[KeyPart] = []
        for part, (name, types, up_to) in zip(key, self._kinds, strict=True):
            # A key of the other side may bound a range here that this column could not hold.
            if type(part) not in types or not _can_bound(part):
                raise StoreError(f"a {type(part).__name__} cannot bound the column {name!r}.")
            bound.append(part if up_to is None else up_to(part))
        return tuple(bound)

    def _keys(self, rows: Iterable[Row]) -> list[Key]:
        keys = list(rows)
        for place, (name, types, _) in enumerate(self._kinds):
            if not set(map(type, map(itemgetter(place), keys))).issubset(types):
                raise StoreError(
                    f"the key column {name!r} of table {self._table.name!r} holds something else "
                    f"than the {' or '.join(kind.__name__ for kind in types)} of a key, or NULL. "
                    f"Correct those rows first."
                )
            if str in types and not _is_text("".join(map(str, (key[place] for key in keys)))):
                raise StoreError(
                    f"the key column {name!r} of table {self._table.name!r} holds text that is "
                    f"not UTF-8. Correct those rows first."
                )
        return keys


def _bounds(range_: KeyRange) -> str:
    lower = "" if range_.lower is None else "l"
    return lower if range_.upper is None else f"{lower}u"


def _grouped(child: TableReading, rows: Iterable[Row]) -> dict[Row, list[Record]]:
    """The children's records by their parent's key, each group by ascending key of the child."""
    groups: dict[Row, list[Row]] = defaultdict(list)
    for row in rows:
        groups[child.parent_of(row)].append(row)
    return {
        parent: [child.record(row) for row in sorted(group, key=lambda row: _rank(child, row))]
        for parent, group in groups.items()
    }


def _rank(child: TableReading, row: Row) -> tuple[tuple[int, Raw], ...]:
    return tuple([rank(part) for part in child.key_of(row)])


def _can_bound(part: object) -> bool:
    if isinstance(part, int):
        return WHOLE_MIN <= part <= WHOLE_MAX
    return _is_text(str(part))


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
