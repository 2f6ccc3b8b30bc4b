"""Make room inside one transaction: old values that would clash are parked until all are put.

What is parked is NULL where the column allows it, else a value that nobody has. It is gone again
before the transaction ends, so nobody ever sees it.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from crossfade.model.entity_graph import Reference
from crossfade.model.key import Key, RecordName
from crossfade.store.base import PutStatus, Record
from crossfade.store.sql_binding import BoundBatch, BoundRows
from crossfade.store.sql_dialect import ColumnFacts, Cursor, Raw, Row, Violation, ViolationError
from crossfade.store.sql_links import SchemaLinks
from crossfade.store.sql_parts import StoreParts
from crossfade.store.sql_pointing import RowsThatPoint
from crossfade.store.sql_reading import TableReading

_TRIES_MAX = 100
_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Parking:
    """Parks values of the records of one transaction."""

    def __init__(
        self, schema: SchemaLinks, points: RowsThatPoint, group: str, names: Collection[RecordName]
    ) -> None:
        self._schema = schema
        self._points = points
        self._names = names
        self._tables = {
            table.name
            for entity in dict.fromkeys(name.entity for name in names)
            for table in schema.of(entity, group).tables
        }

    def park(self, cursor: Cursor, parts: StoreParts, key: Key, batch: BoundBatch | None) -> None:
        """Park what the record's rows have and shall not keep; None: they shall go.

        Raises:
            ViolationError: a value that must be unique can be no other one for a moment, or
                records point to it that are not put, too: the engine would change them.

        """
        main = parts.reading.main
        groups = batch.groups if batch is not None else ()
        self._park_rows(cursor, main, main.rows_with(cursor, main.table.key, [key]), groups)
        for name, child in parts.reading.children.items():
            if batch is not None and name not in batch.children:
                continue
            wanted = batch.children[name].groups if batch is not None else ()
            rows = child.rows_with(cursor, child.table.parent, [key])
            self._park_rows(cursor, child, rows, wanted)

    def without_pointers(self, parts: StoreParts, record: Record) -> Record:
        """The record without what it may point to later: it is put so first."""
        result = self._without(parts.reading.main, record)
        for name, child in parts.reading.children.items():
            if isinstance(result.get(name), list | tuple):
                result[name] = [self._without(child, dict(row)) for row in result[name]]
        return result

    def _without(self, table: TableReading, record: Record) -> Record:
        names = [name for _, name in self._pointers(table) if name in record]
        return {**record, **dict.fromkeys(names)}

    def _pointers(self, table: TableReading) -> Iterator[tuple[Reference, str]]:
        """The columns that may be NULL of foreign keys to tables of the transaction."""
        linked = self._schema.table(table.table.name)
        nullable = {column.name for column in table.table.columns if column.nullable}
        for reference in linked.references if linked else ():
            if reference.table in self._tables:
                for name in reference.columns:
                    if name in nullable and name not in table.table.identity:
                        yield reference, name

    def _park_rows(
        self,
        cursor: Cursor,
        table: TableReading,
        rows: Sequence[Row],
        groups: Sequence[BoundRows],
    ) -> None:
        wanted = {
            identity: dict(zip(shape.inserted, row, strict=False))
            for shape, identities, bound in groups
            for identity, row in zip(identities, bound, strict=True)
        }
        for row in rows:
            identity = table.identity_of(row)
            there = dict(zip(table.names, row, strict=True))
            parked = self._parked(cursor, table, there, wanted.get(identity))
            if parked:
                if not self._points.renamed_by(table).isdisjoint(parked):
                    self._points.check_gone(
                        cursor, table, table.table.identity, [identity], self._names
                    )
                statement = table.statements.update(tuple(parked))
                given = (*identity, *parked.values())
                cursor.execute(statement.sql, statement.parameters(given))

    def _parked(
        self, cursor: Cursor, table: TableReading, there: Record, wanted: Record | None
    ) -> dict[str, Raw]:
        """Columns of one row, and what they hold for the moment."""
        leaves = {
            name
            for name, value in there.items()
            if wanted is None or (name in wanted and wanted[name] != value)
        }
        parked: dict[str, Raw] = {
            name: None
            for _, name in self._pointers(table)
            if name in leaves and there[name] is not None
        }
        for unique in table.table.unique:
            # Only what the record gives a value again: other columns are the service's own.
            free = [name for name in unique if name in leaves and name not in table.table.identity]
            if not free or not parked.keys().isdisjoint(free):
                continue
            if any(there.get(name, 0) is None for name in unique):
                continue
            parked |= _other_value(cursor, table, free, there)
        # In the table's order, so that few statements are kept.
        return {name: parked[name] for name in table.names if name in parked}


def _other_value(
    cursor: Cursor, table: TableReading, free: Sequence[str], there: Record
) -> dict[str, Raw]:
    columns = [column for column in table.table.only(free) if not column.generated]
    for column in columns:
        if column.nullable:
            return {column.name: None}
    for column in columns:
        for value in _candidates(there[column.name]):
            if _is_unused(cursor, table, column, value):
                return {column.name: value}
    listed = ", ".join(f"{table.table.name}.{name}" for name in free)
    raise ViolationError(
        Violation(PutStatus.REFUSED, f"must be unique and can be no other one meanwhile: {listed}")
    )


def _is_unused(cursor: Cursor, table: TableReading, column: ColumnFacts, value: Raw) -> bool:
    statement = table.statements.first_with((column.name,), (column.name,))
    cursor.execute(statement.sql, statement.parameters((value,)))
    return not cursor.fetchall()


def _candidates(value: Raw) -> Iterator[Raw]:
    """Values of the same type and length, near to one that the column holds."""
    for kind, other in _OTHERS:
        if isinstance(value, kind):
            yield from (other(value, number) for number in range(1, _TRIES_MAX))
            return


def _text(number: int, length: int) -> str:
    digits = _LETTERS[number % 36] + _LETTERS[number // 36 % 36]
    return f"{digits}{'~' * length}"[: max(1, length)]


def _stepped(value: Any, number: int) -> Raw:  # noqa: ANN401 - any number
    step = number // 2 + 1
    return value + step if number % 2 else value - step


_OTHERS: tuple[tuple[tuple[type, ...], Callable[[Any, int], Raw]], ...] = (
    ((bool,), lambda value, _: not value),
    ((int, float, Decimal), _stepped),
    ((date,), lambda value, number: value + timedelta(days=number)),
    ((str,), lambda value, number: _text(number, len(value))),
    ((bytes,), lambda value, number: _text(number, len(value)).encode()),
)
"""By the type of what a column holds: another value of it; the first type that fits counts."""
