"""Which engines have a bulk way, and what of them makes it."""

from functools import partial

from crossfade.store.sql_binding import RecordBinder
from crossfade.store.sql_bulk import SqlBulk
from crossfade.store.sql_database import SqlDatabase
from crossfade.store.sql_reading import SqlReading


def sql_bulk(
    database: SqlDatabase, reading: SqlReading, binder: RecordBinder, entity: str
) -> SqlBulk | None:
    """The bulk way of a store; None where the ordinary one sends many rows at a time already.

    SQLite has no trips to a server, and rows for MariaDB travel in statements of many rows.
    """
    if database.dialect.compiler.name != "postgresql":
        return None
    # The driver is an extra, loaded only by a definition that names its engine.
    from crossfade.store.postgres_bulk import PostgresBulk  # noqa: PLC0415 - the driver is an extra

    table = reading.main.table
    referred = partial(database.points.renamed_by, reading.main)
    names = (database.fences.migration, entity)
    bulk = PostgresBulk(database.dialect, table, names, referred)
    return SqlBulk(table, binder, database.fences, bulk)
