"""PostgreSQL databases as a service would leave them, and stores in them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from crossfade.model.store_description import SqlTable
from crossfade.store.base import Fence, StoreEpoch
from crossfade.store.sql import SqlDatabase, SqlDatabases, SqlOptions, SqlStore, open_sql_store

FENCE = Fence(token=5, epoch=1)


def run(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements as the service itself would; the rows of the last one."""
    rows: list[tuple[Any, ...]] = []
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
            rows = cursor.fetchall() if cursor.description else []
    return rows


@asynccontextmanager
async def opened_database(
    url: str, options: SqlOptions | None = None
) -> AsyncIterator[SqlDatabase]:
    """The database, prepared and at epoch 1."""
    databases = SqlDatabases("shop", options)
    try:
        database = databases.at(url)
        await database.prepare()
        await database.raise_epoch(StoreEpoch("ledger-1", 1, 1))
        yield database
    finally:
        await databases.close()


@asynccontextmanager
async def opened_store(
    description: SqlTable, options: SqlOptions | None = None
) -> AsyncIterator[SqlStore]:
    """A store in such a database."""
    async with opened_database(description.url, options) as database:
        yield await open_sql_store(description, entity="thing", database=database)
