"""Redis as an engine of the suite: a real server, a prefix of this test's own."""

from decimal import Decimal
from uuid import uuid4

import redis

from crossfade.model.store_documents import Items, RedisDocuments
from crossfade.store.redis_database import RedisDatabase
from crossfade.store.redis_documents import RedisStore, open_redis_store
from tests.contract.store.layouts import Kind, Layout


class RedisBackend:
    """Redis; what a table has by its schema, the description of the documents says here."""

    holds_nul = True

    def __init__(self, url: str) -> None:
        self.url = url
        self.prefix = f"test-{uuid4().hex[:12]}"
        self._opened: list[RedisDatabase] = []
        self._by_migration: dict[str, RedisDatabase] = {}

    def database(self, migration: str = "shop") -> RedisDatabase:
        """See `Backend.database`."""
        if migration not in self._by_migration:
            self._by_migration[migration] = self._database(migration)
        return self._by_migration[migration]

    async def open(
        self, layout: Layout, *, migration: str = "shop", entity: str = ""
    ) -> RedisStore:
        """See `Backend.open`."""
        database = self.database(migration)
        return await open_redis_store(
            self.description(layout), entity=entity or layout.table, database=database
        )

    async def other_node(self, layout: Layout) -> RedisStore:
        """See `Backend.other_node`."""
        return await open_redis_store(
            self.description(layout), entity=layout.table, database=self.other_database()
        )

    def other_database(self) -> RedisDatabase:
        """See `Backend.other_database`."""
        return self._database("shop")

    def clear(self) -> None:
        """See `Backend.clear`."""
        with redis.Redis.from_url(self.url) as client:
            for key in client.scan_iter(f"*{self.prefix}*"):
                client.delete(key)

    async def close(self) -> None:
        """See `Backend.close`."""
        for database in self._opened:
            await database.close()
        self.clear()

    def description(self, layout: Layout) -> RedisDocuments:
        """Documents that hold what a row of the layout holds."""
        types = {column.name: column.kind for column in layout.columns}
        places = ":".join(f"{{{name}}}" for name in layout.key)
        table = layout.table.replace("{", "(")
        return RedisDocuments(
            self.url,
            f"{self.prefix}:{table}:{places}",
            key={name: int if types[name] is Kind.WHOLE else str for name in layout.key},
            fields=tuple(types),
            items={name: _items(child) for name, child in layout.children.items()},
            types={
                name: {Kind.DECIMAL: Decimal, Kind.BYTES: bytes}[kind]
                for name, kind in types.items()
                if kind in {Kind.DECIMAL, Kind.BYTES}
            },
            defaults=layout.defaults,
        )

    def _database(self, migration: str) -> RedisDatabase:
        database = RedisDatabase(self.url, migration=f"{self.prefix}-{migration}")
        self._opened.append(database)
        return database


def _items(child: Layout) -> Items:
    """A document needs no fields that point to its own key."""
    own = [column.name for column in child.columns if column.name not in child.parent]
    return Items(key=tuple(name for name in child.key if name in own), fields=tuple(own))
