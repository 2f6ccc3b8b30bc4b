"""After a put met a value that must be unique: who has that value?"""

from collections.abc import Iterator, Sequence

from crossfade.model.key import Key
from crossfade.store.sql_binding import BoundRecord, BoundRow, RecordBinder
from crossfade.store.sql_dialect import Cursor, Raw
from crossfade.store.sql_reading import SqlReading, TableReading


def other_key(
    cursor: Cursor, reading: SqlReading, binder: RecordBinder, place: str, bound: BoundRecord
) -> Key | None:
    """Another record's key that has a value of `bound`; None where nobody has it any more.

    `place` is the engine's `table.column, table.column`, compared with the catalogue's names
    rather than taken apart, since a name may contain anything.
    """
    main = reading.main
    for owner in _owners(cursor, main, binder, [bound.row], main.table.key, place):
        if owner != bound.key:
            return owner
    for name, rows in bound.children.items():
        child = reading.children[name]
        pointing = child.table.parent
        for owner in _owners(cursor, child, binder.child(name), rows, pointing, place):
            if owner != bound.key:
                return owner
    return None


def _owners(
    cursor: Cursor,
    table: TableReading,
    binder: RecordBinder,
    rows: Sequence[BoundRow],
    answer: tuple[str, ...],
    place: str,
) -> Iterator[Key]:
    for unique in table.table.unique:
        violated = ", ".join(f"{table.table.name}.{name}" for name in unique) == place
        if not violated or not set(unique).issubset(table.names):
            continue
        for row in rows:
            values = _wanted_values(cursor, table, binder, row)
            wanted = tuple(values.get(name) for name in unique)
            if None not in wanted:
                statement = table.statements.first_with(unique, answer)
                cursor.execute(statement.sql, statement.parameters(wanted))
                yield from cursor.fetchall()


def _wanted_values(
    cursor: Cursor, table: TableReading, binder: RecordBinder, row: BoundRow
) -> dict[str, Raw]:
    """The row as the put would have left it: what it names, over what was there."""
    values: dict[str, Raw] = {}
    for found in table.rows_with(cursor, table.table.identity, [row.identity]):
        if table.identity_of(found) == row.identity:
            values = dict(zip(table.names, found, strict=True))
    named = binder.values_of(row)
    if values:
        for name in row.shape.inserted[len(row.identity) + len(row.values) :]:
            named.pop(name)
    return {**values, **named}
