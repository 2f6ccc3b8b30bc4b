"""After a put met a value that must be unique: who has that value?"""

from collections.abc import Collection, Iterator, Sequence

from crossfade.model.key import Key
from crossfade.store.sql_binding import BoundBatch, BoundRows
from crossfade.store.sql_dialect import Cursor, Raw, Row
from crossfade.store.sql_reading import SqlReading, TableReading


def other_key(
    cursor: Cursor,
    reading: SqlReading,
    place: str,
    batch: BoundBatch,
    but: Collection[Key] = (),
) -> Key | None:
    """Another record's key that has a value of the batch; None where nobody has it any more.

    Not one of `but`, whose values are parked while they are put together with the batch.

    `place` is the engine's `table.column, table.column`, compared with the catalogue's names
    rather than taken apart, since a name may contain anything.
    """
    main = reading.main
    for owner in _owners(cursor, main, batch.groups, main.table.key, place):
        if owner not in batch.records and owner not in but:
            return owner
    for name, children in batch.children.items():
        child = reading.children[name]
        for owner in _owners(cursor, child, children.groups, child.table.parent, place):
            if owner not in batch.records and owner not in but:
                return owner
    return None


def same_values(
    cursor: Cursor, reading: SqlReading, place: str, first: BoundBatch, second: BoundBatch
) -> bool:
    """Whether two batches want the same value in columns that must be unique together."""
    ours = set(_wanted_at(cursor, reading, place, first))
    return bool(ours.intersection(_wanted_at(cursor, reading, place, second)))


def _wanted_at(
    cursor: Cursor, reading: SqlReading, place: str, batch: BoundBatch
) -> Iterator[tuple[str, Row]]:
    tables = [(reading.main, batch.groups)]
    tables += [(reading.children[name], kids.groups) for name, kids in batch.children.items()]
    for table, groups in tables:
        for unique in table.table.unique:
            if not _is_place(table, unique, place):
                continue
            for values in _wanted_values(cursor, table, groups):
                wanted = tuple(values.get(name) for name in unique)
                if None not in wanted:
                    yield table.table.name, wanted


def _is_place(table: TableReading, unique: tuple[str, ...], place: str) -> bool:
    return ", ".join(f"{table.table.name}.{name}" for name in unique) == place


def _owners(
    cursor: Cursor,
    table: TableReading,
    groups: Sequence[BoundRows],
    answer: tuple[str, ...],
    place: str,
) -> Iterator[Key]:
    for unique in table.table.unique:
        if not _is_place(table, unique, place) or not set(unique).issubset(table.names):
            continue
        statement = table.statements.first_with(unique, answer)
        for values in _wanted_values(cursor, table, groups):
            wanted = tuple(values.get(name) for name in unique)
            if None not in wanted:
                cursor.execute(statement.sql, statement.parameters(wanted))
                yield from cursor.fetchall()


def _wanted_values(
    cursor: Cursor, table: TableReading, groups: Sequence[BoundRows]
) -> Iterator[dict[str, Raw]]:
    """Each row as the put would have left it: what it names, over what was there."""
    for shape, identities, rows in groups:
        for identity, row in zip(identities, rows, strict=True):
            found = _existing(cursor, table, identity)
            if found is None:
                yield dict(zip(shape.inserted, row + shape.defaults, strict=True))
            else:
                named = dict(zip(shape.inserted, row, strict=False))
                yield {**dict(zip(table.names, found, strict=True)), **named}


def _existing(cursor: Cursor, table: TableReading, identity: Row) -> Row | None:
    found = table.rows_with(cursor, table.table.identity, [identity])
    return next((row for row in found if table.identity_of(row) == identity), None)
