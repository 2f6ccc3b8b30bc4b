"""A store that is put into in two ways, in bulk and row by row, and what came of it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from crossfade.model.key import Key
from crossfade.model.store_description import SqlTable
from crossfade.store import sql_bulk
from crossfade.store.base import BatchResult, Fence, PutStatus, Record
from crossfade.store.sql import SqlDatabases, SqlStore, open_sql_store
from tests.contract.store.postgres_stores import FENCE, opened_store, run


@dataclass
class Ways:
    """The same table in one database, put into in two ways."""

    store: SqlStore
    url: str

    async def bulk(
        self, records: Sequence[tuple[Key, Record]], fence: Fence = FENCE
    ) -> BatchResult:
        """Put in bulk; fails where the batch silently goes the ordinary way."""
        went: list[int] = []
        ordinary = self.store._putting.put  # noqa: SLF001 - to see which way is taken

        def seen(*arguments: Any) -> BatchResult:  # noqa: ANN401 - passed on
            went.append(1)
            return ordinary(*arguments)

        self.store._putting.put = seen  # type: ignore[assignment, method-assign]  # noqa: SLF001 - a look inside
        try:
            result = await self.store.put_many(records, fence)
        finally:
            self.store._putting.put = ordinary  # type: ignore[method-assign]  # noqa: SLF001 - a look inside
        assert not went
        return result

    async def singly(self, records: Sequence[tuple[Key, Record]], fence: Fence = FENCE) -> None:
        """Put the ordinary way."""
        few = sql_bulk.ROWS_MIN - 1
        for start in range(0, len(records), few):
            result = await self.store.put_many(records[start : start + few], fence)
            assert result.result.status is PutStatus.OK, result.result.reason

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """What is there, as the server writes it."""
        quoted = table.replace('"', '""')
        rows = f'SELECT t::text, t.ctid::text FROM "{quoted}" t ORDER BY 1'  # noqa: S608 - quoted
        return run(self.url, rows)

    def content(self, table: str) -> list[str]:
        """The same without the places of the rows."""
        return [row[0] for row in self.rows(table)]

    def clear(self, table: str) -> None:
        """Forget rows and fences."""
        quoted = table.replace('"', '""')
        run(self.url, f'TRUNCATE "{quoted}", crossfade_fence CASCADE')

    def tokens(self) -> dict[str, int]:
        """The fence's tokens by key."""
        return dict(run(self.url, "SELECT key, token FROM crossfade_fence"))


@asynccontextmanager
async def ways(url: str, *statements: str, table: str, **how: Any) -> AsyncIterator[Ways]:  # noqa: ANN401 - any kind of value
    """A store of a table that is made first."""
    run(url, *statements)
    async with opened_store(SqlTable(url, table, key=how.pop("key", "id"), **how)) as store:
        yield Ways(store, url)


def records_of(
    count: int, make: Callable[[int], Record], first: int = 1
) -> list[tuple[Key, Record]]:
    """Records of the keys from `first` on."""
    return [((number,), make(number)) for number in range(first, first + count)]


@asynccontextmanager
async def opened_as(url: str) -> AsyncIterator[SqlStore]:
    """A store of a role that prepares nothing."""
    databases = SqlDatabases("shop")
    try:
        database = databases.at(url)
        yield await open_sql_store(
            SqlTable(url, "notes", key="id"), entity="thing", database=database
        )
    finally:
        await databases.close()
