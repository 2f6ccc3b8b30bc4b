"""MongoDB as an engine of the suite, wherever there is a server: `CROSSFADE_TEST_MONGODB`."""

import re
from decimal import Decimal
from uuid import uuid4

import pymongo

from crossfade.model.store_documents import Items, MongoCollection
from crossfade.store.mongo_database import MongoDatabase
from crossfade.store.mongo_documents import MongoStore, open_mongo_store
from tests.contract.store.layouts import Kind, Layout


class MongoBackend:
    """A database of this test's own on a replica set."""

    holds_nul = True

    def __init__(self, server: str) -> None:
        place, _, query = server.partition("?")
        self.name = f"crossfade_test_{uuid4().hex[:12]}"
        self.url = f"{place.rstrip('/')}/{self.name}{f'?{query}' if query else ''}"
        self._opened: list[MongoDatabase] = []
        self._by_migration: dict[str, MongoDatabase] = {}

    def database(self, migration: str = "shop") -> MongoDatabase:
        """See `Backend.database`."""
        if migration not in self._by_migration:
            self._by_migration[migration] = self._database(migration)
        return self._by_migration[migration]

    async def open(
        self, layout: Layout, *, migration: str = "shop", entity: str = ""
    ) -> MongoStore:
        """See `Backend.open`."""
        return await self._store(layout, entity or layout.table, self.database(migration))

    async def other_node(self, layout: Layout) -> MongoStore:
        """See `Backend.other_node`."""
        return await self._store(layout, layout.table, self.other_database())

    def other_database(self) -> MongoDatabase:
        """See `Backend.other_database`."""
        return self._database("shop")

    def clear(self) -> None:
        """See `Backend.clear`."""
        with pymongo.MongoClient[dict[str, object]](self.url) as client:
            client.drop_database(self.name)

    async def close(self) -> None:
        """See `Backend.close`."""
        for database in self._opened:
            await database.close()
        self.clear()

    async def _store(self, layout: Layout, entity: str, database: MongoDatabase) -> MongoStore:
        """A collection whose key is unique, as the service itself would have made it."""
        with pymongo.MongoClient[dict[str, object]](self.url) as client:
            collection = client[self.name][_plain(layout.table)]
            collection.create_index([(name, 1) for name in layout.key], unique=True)
            for columns in layout.unique:
                there = {name: {"$gt": ""} for name in columns}
                collection.create_index(
                    [(name, 1) for name in columns], unique=True, partialFilterExpression=there
                )
        return await open_mongo_store(self._description(layout), entity=entity, database=database)

    def _description(self, layout: Layout) -> MongoCollection:
        types = {column.name: column.kind for column in layout.columns}
        return MongoCollection(
            self.url,
            _plain(layout.table),
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

    def _database(self, migration: str) -> MongoDatabase:
        database = MongoDatabase(self.url, migration=migration)
        self._opened.append(database)
        return database


def _plain(name: str) -> str:
    """A collection may not be called just anything."""
    return re.sub(r"\W", "_", name)


def _items(child: Layout) -> Items:
    """A document needs no fields that point to its own key."""
    own = [column.name for column in child.columns if column.name not in child.parent]
    return Items(key=tuple(name for name in child.key if name in own), fields=tuple(own))
