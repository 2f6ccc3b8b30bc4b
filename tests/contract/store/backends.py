"""The engines that the suite runs on; another engine is one more class here."""

import sqlite3
from pathlib import Path
from typing import Any, Protocol

from crossfade.model.key import Key
from crossfade.model.store_description import SqlTable
from crossfade.store.base import FencedDatabase, Record, Store
from crossfade.store.memory import MemoryDatabase, MemoryDisk, MemoryTable
from crossfade.store.memory_store import MemoryStore
from crossfade.store.sql import SqlDatabase, SqlDatabases, open_sql_store
from tests.contract.store.layouts import Kind, Layout


class ReadableStore(Store, Protocol):
    """A store that also says what a read would give."""

    def as_read(self, key: Key, record: Record) -> Record:
        """The record as a read gives it after a put."""


class Backend(Protocol):
    """One engine with one empty database."""

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

    async def close(self) -> None:
        """Give everything back."""


class MemoryBackend:
    """The memory twin."""

    def __init__(self, _: Path) -> None:
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

    async def close(self) -> None:
        """See `Backend.close`."""


class SqliteBackend:
    """SQLite, in a file, as a service of the user's would have it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "service.db"
        sqlite3.connect(self.path).close()
        self.path.touch()
        self._opened: list[SqlDatabases] = []
        self._by_migration: dict[str, SqlDatabases] = {}

    def database(self, migration: str = "shop") -> SqlDatabase:
        """See `Backend.database`."""
        if migration not in self._by_migration:
            self._by_migration[migration] = SqlDatabases(migration)
            self._opened.append(self._by_migration[migration])
        return self._by_migration[migration].at(str(self.path))

    async def open(
        self, layout: Layout, *, migration: str = "shop", entity: str = ""
    ) -> ReadableStore:
        """See `Backend.open`."""
        self.run(*_statements(layout))
        description = _description(str(self.path), layout)
        return await open_sql_store(
            description, entity=entity or layout.table, database=self.database(migration)
        )

    async def other_node(self, layout: Layout) -> ReadableStore:
        """See `Backend.other_node`."""
        self.run(*_statements(layout))
        description = _description(str(self.path), layout)
        database = self.other_database()
        return await open_sql_store(description, entity=layout.table, database=database)

    def other_database(self) -> SqlDatabase:
        """See `Backend.other_database`."""
        databases = SqlDatabases("shop")
        self._opened.append(databases)
        return databases.at(str(self.path))

    async def close(self) -> None:
        """See `Backend.close`."""
        for databases in self._opened:
            await databases.close()

    def run(self, *statements: str) -> None:
        """Run statements as the service itself would."""
        connection = sqlite3.connect(self.path)
        try:
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        finally:
            connection.close()


BACKENDS: dict[str, Any] = {"memory": MemoryBackend, "sqlite": SqliteBackend}

_SQLITE_TYPES = {
    Kind.WHOLE: "INTEGER",
    Kind.TEXT: "TEXT",
    Kind.NUMBER: "REAL",
    Kind.DECIMAL: "DECIMAL(38, 12)",
    Kind.BYTES: "BLOB",
}


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


def _description(url: str, layout: Layout) -> SqlTable:
    return SqlTable(
        url,
        layout.table,
        key=layout.key,
        children={name: _description(url, child) for name, child in layout.children.items()},
        parent=layout.parent or None,
        defaults=layout.defaults,
    )


def _statements(layout: Layout) -> list[str]:
    lines = [
        f"{_quoted(column.name)} {_SQLITE_TYPES[column.kind]}"
        f"{'' if column.nullable else ' NOT NULL'}"
        for column in layout.columns
    ]
    lines.append(f"PRIMARY KEY ({_listed(layout.key)})")
    lines += [f"UNIQUE ({_listed(columns)})" for columns in layout.unique]
    lines += [
        f"FOREIGN KEY ({_quoted(column)}) REFERENCES {_quoted(table)}"
        for column, table in layout.references.items()
    ]
    made = f"CREATE TABLE IF NOT EXISTS {_quoted(layout.table)} ({', '.join(lines)})"
    children = [line for child in layout.children.values() for line in _statements(child)]
    return [made, *children]


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
