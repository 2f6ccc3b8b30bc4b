"""SQLite files as a service would leave them, for the tests of this folder."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from crossfade.model.store_description import SqlTable
from crossfade.store.base import Fence, StoreEpoch
from crossfade.store.sql import SqlDatabase, SqlDatabases, SqlOptions, SqlStore, open_sql_store

FENCE = Fence(token=5, epoch=1)


def run(path: Path, *statements: str) -> list[Any]:
    """Run statements as the service itself would; the rows of the last one."""
    connection = sqlite3.connect(path)
    try:
        rows: list[Any] = []
        for statement in statements:
            rows = connection.execute(statement).fetchall()
        connection.commit()
        return rows
    finally:
        connection.close()


@asynccontextmanager
async def opened_database(
    path: Path, options: SqlOptions | None = None
) -> AsyncIterator[SqlDatabase]:
    """The database, prepared and at epoch 1."""
    databases = SqlDatabases("shop", options)
    try:
        database = databases.at(str(path))
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
    async with opened_database(Path(description.url), options) as database:
        yield await open_sql_store(description, entity="thing", database=database)
