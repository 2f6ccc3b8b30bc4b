"""What every SQL engine of the suite does alike: tables from layouts, databases of migrations."""

from collections.abc import Mapping
from typing import ClassVar

from crossfade.model.store_description import SqlTable
from crossfade.store.sql import SqlDatabase, SqlDatabases, SqlStore, open_sql_store
from tests.contract.store.layouts import Column, Kind, Layout


class SqlBackend:
    """An engine by its URL; a subclass says how its types and names are written."""

    types: ClassVar[Mapping[Kind, str]]
    holds_nul: bool = True

    def __init__(self, url: str) -> None:
        self.url = url
        self._opened: list[SqlDatabases] = []
        self._by_migration: dict[str, SqlDatabases] = {}

    def database(self, migration: str = "shop") -> SqlDatabase:
        """See `Backend.database`."""
        if migration not in self._by_migration:
            self._by_migration[migration] = SqlDatabases(migration)
            self._opened.append(self._by_migration[migration])
        return self._by_migration[migration].at(self.url)

    async def open(self, layout: Layout, *, migration: str = "shop", entity: str = "") -> SqlStore:
        """See `Backend.open`."""
        self.run(*self._statements(layout))
        description = _description(self.url, layout)
        return await open_sql_store(
            description, entity=entity or layout.table, database=self.database(migration)
        )

    async def other_node(self, layout: Layout) -> SqlStore:
        """See `Backend.other_node`."""
        self.run(*self._statements(layout))
        description = _description(self.url, layout)
        database = self.other_database()
        return await open_sql_store(description, entity=layout.table, database=database)

    def other_database(self) -> SqlDatabase:
        """See `Backend.other_database`."""
        databases = SqlDatabases("shop")
        self._opened.append(databases)
        return databases.at(self.url)

    def clear(self) -> None:
        """See `Backend.clear`."""
        raise NotImplementedError

    async def close(self) -> None:
        """See `Backend.close`."""
        for databases in self._opened:
            await databases.close()

    def run(self, *statements: str) -> None:
        """Run statements as the service itself would."""
        raise NotImplementedError

    def column_type(self, layout: Layout, column: Column) -> str:
        """The type of a column, in the engine's words."""
        del layout
        return self.types[column.kind]

    def quoted(self, name: str) -> str:
        """A name as it stands in a statement."""
        doubled = name.replace('"', '""')
        return f'"{doubled}"'

    def _statements(self, layout: Layout) -> list[str]:
        lines = [
            f"{self.quoted(column.name)} {self.column_type(layout, column)}"
            f"{'' if column.nullable else ' NOT NULL'}"
            for column in layout.columns
        ]
        lines.append(f"PRIMARY KEY ({self._listed(layout.key)})")
        lines += [f"UNIQUE ({self._listed(columns)})" for columns in layout.unique]
        # The suite's tables that others point to have one key column, which is called id.
        lines += [
            f"FOREIGN KEY ({self.quoted(column)}) REFERENCES {self.quoted(table)} (id)"
            for column, table in layout.references.items()
        ]
        made = f"CREATE TABLE IF NOT EXISTS {self.quoted(layout.table)} ({', '.join(lines)})"
        children = [line for child in layout.children.values() for line in self._statements(child)]
        return [made, *children]

    def _listed(self, names: tuple[str, ...]) -> str:
        return ", ".join(map(self.quoted, names))


def _description(url: str, layout: Layout) -> SqlTable:
    return SqlTable(
        url,
        layout.table,
        key=layout.key,
        children={name: _description(url, child) for name, child in layout.children.items()},
        parent=layout.parent or None,
        defaults=layout.defaults,
    )
