"""The engines that the suite runs on; a class each, a server is asked for only by its own runs."""

import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Protocol

import pytest

from crossfade.model.key import Key
from crossfade.store.base import FencedDatabase, Record, Store
from crossfade.store.memory import MemoryDatabase, MemoryDisk, MemoryTable
from crossfade.store.memory_store import MemoryStore
from tests.contract.store.backends_mariadb import MariaDbBackend
from tests.contract.store.backends_mongo import MongoBackend
from tests.contract.store.backends_postgres import PostgresBackend
from tests.contract.store.backends_redis import RedisBackend
from tests.contract.store.backends_sql import SqlBackend
from tests.contract.store.layouts import Kind, Layout

MONGODB = os.environ.get("CROSSFADE_TEST_MONGODB", "")
"""A replica set, `mongodb://host:27017/?replicaSet=name`."""


class ReadableStore(Store, Protocol):
    """A store that also says what a read would give."""

    def as_read(self, key: Key, record: Record) -> Record:
        """The record as a read gives it after a put."""


class Backend(Protocol):
    """One engine with one empty database."""

    @property
    def holds_nul(self) -> bool:
        """Whether text may contain the character NUL."""

    def database(self, migration: str = "shop") -> FencedDatabase:
        """The database as that migration sees it; the same object each time."""

    async def open(
        self, layout: Layout, *, migration: str = "shop", entity: str = ""
    ) -> ReadableStore:
        """A store of that table, which is made where it is missing."""

    async def other_node(self, layout: Layout) -> ReadableStore:
        """The same store as another process would open it."""

    def other_database(self) -> FencedDatabase:
        """The same database as another process would open it."""

    def clear(self) -> None:
        """Make the database an empty one; nothing of it is open."""

    async def close(self) -> None:
        """Give everything back."""


class MemoryBackend:
    """The memory twin."""

    holds_nul = True

    def __init__(self) -> None:
        self._disk = MemoryDisk()
        self._databases: dict[str, MemoryDatabase] = {}

    def database(self, migration: str = "shop") -> MemoryDatabase:
        """See `Backend.database`."""
        if migration not in self._databases:
            self._databases[migration] = MemoryDatabase(self._disk, migration=migration)
        return self._databases[migration]

    async def open(
        self, layout: Layout, *, migration: str = "shop", entity: str = ""
    ) -> MemoryStore:
        """See `Backend.open`."""
        table = _memory_table(layout)
        return MemoryStore(self.database(migration), entity or layout.table, table)

    async def other_node(self, layout: Layout) -> MemoryStore:
        """See `Backend.other_node`."""
        return MemoryStore(self.other_database(), layout.table, _memory_table(layout))

    def other_database(self) -> MemoryDatabase:
        """See `Backend.other_database`."""
        return MemoryDatabase(self._disk, migration="shop")

    def clear(self) -> None:
        """See `Backend.clear`."""

    async def close(self) -> None:
        """See `Backend.close`."""


class SqliteBackend(SqlBackend):
    """SQLite, in a file, as a service of the user's would have it."""

    types: ClassVar[Mapping[Kind, str]] = {
        Kind.WHOLE: "INTEGER",
        Kind.TEXT: "TEXT",
        Kind.NUMBER: "REAL",
        Kind.DECIMAL: "DECIMAL(38, 12)",
        Kind.BYTES: "BLOB",
    }

    def __init__(self, folder: Path) -> None:
        self.path = folder / "service.db"
        super().__init__(str(self.path))
        self.clear()

    def clear(self) -> None:
        """See `Backend.clear`."""
        for name in ("service.db", "service.db-wal", "service.db-journal"):
            self.path.with_name(name).unlink(missing_ok=True)
        self.path.touch()

    def run(self, *statements: str) -> None:
        """Run statements as the service itself would."""
        connection = sqlite3.connect(self.path)
        try:
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        finally:
            connection.close()


def _sqlite(request: pytest.FixtureRequest) -> SqliteBackend:
    return SqliteBackend(request.getfixturevalue("tmp_path"))


def _postgres(request: pytest.FixtureRequest) -> PostgresBackend:
    return PostgresBackend(request.getfixturevalue("postgres_url"))


def _mariadb(request: pytest.FixtureRequest) -> MariaDbBackend:
    return MariaDbBackend(request.getfixturevalue("mariadb_url"))


def _mongodb(request: pytest.FixtureRequest) -> MongoBackend:
    del request
    return MongoBackend(MONGODB)


def _redis(request: pytest.FixtureRequest) -> RedisBackend:
    return RedisBackend(request.getfixturevalue("redis_url"))


BACKENDS: dict[str, Callable[[pytest.FixtureRequest], Backend]] = {
    "memory": lambda _: MemoryBackend(),
    "sqlite": _sqlite,
    "postgres": _postgres,
    "mariadb": _mariadb,
    "redis": _redis,
    # No MongoDB can be had where this project is built: the suite runs where somebody names one.
    **({"mongodb": _mongodb} if MONGODB else {}),
}
"""Engine to what makes it; another engine is one more class and one more line."""

DOCUMENTS = frozenset({"constraints", "child rows", "scalars only"})
"""What tables have and documents have not: values that must be unique and foreign keys; children
that are rows with the parent's key in them; columns that hold no list and no mapping."""

DIGESTS = frozenset({"digests"})
"""What a database must compute by itself."""

LACKS: dict[str, frozenset[str]] = {
    "memory": DIGESTS,
    "redis": DOCUMENTS | DIGESTS,
    "mongodb": DOCUMENTS | DIGESTS,
}
"""Engine to the traits that it lacks: tests that ask for one (`asks`) are not selected for it."""


def _memory_table(layout: Layout) -> MemoryTable:
    return MemoryTable(
        name=layout.table,
        key=layout.key,
        columns={column.name: layout.defaults.get(column.name) for column in layout.columns},
        children={name: _memory_table(child) for name, child in layout.children.items()},
        parent=layout.parent,
        unique=layout.unique,
        references=layout.references,
    )
