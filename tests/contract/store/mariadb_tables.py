"""Tables of a test's own in a real MariaDB, opened as a node opens them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from crossfade.model.store_description import SqlTable
from crossfade.store.base import Fence, StoreEpoch
from crossfade.store.sql import SqlDatabase, SqlDatabases, SqlOptions, SqlStore, open_sql_store
from tests.servers import mariadb_connection, run_mariadb

FENCE = Fence(5, 3)
EPOCH = StoreEpoch("ledger-1", 1, 3)
QUICK = SqlOptions(busy_seconds_max=1.0, call_seconds_max=20.0)
"""One second is the shortest wait for a lock that the server knows."""


@asynccontextmanager
async def opened(url: str, options: SqlOptions | None = None) -> AsyncIterator[SqlDatabase]:
    """The database of that URL, prepared and at epoch 3."""
    databases = SqlDatabases("shop", options)
    try:
        database = databases.at(url)
        await database.prepare()
        await database.raise_epoch(EPOCH)
        yield database
    finally:
        await databases.close()


async def store_of(database: SqlDatabase, table: str, *key: str, **rest: Any) -> SqlStore:  # noqa: ANN401 - any kind of value
    """A store of a table that exists."""
    described = SqlTable(database.url, table, key=key or "id", **rest)
    return await open_sql_store(described, entity="things", database=database)


def make(url: str, name: str, *columns: str, options: str = "") -> None:
    """Make a table as the service would."""
    run_mariadb(url, f"CREATE TABLE `{name}` ({', '.join(columns)}) {options}")


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    """What the service itself would read."""
    connection = mariadb_connection(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET time_zone = '+00:00'")
            cursor.execute(query)
            return list(cursor.fetchall())
    finally:
        connection.close()


async def held(store: SqlStore, record: Mapping[str, Any], key: int = 1) -> Any:  # noqa: ANN401 - any kind of value
    """The status of a put, and the values of those columns as they are read."""
    result = await store.put((key,), dict(record), FENCE)
    found = await store.read((key,))
    return result.status, None if found is None else {name: found[name] for name in record}
