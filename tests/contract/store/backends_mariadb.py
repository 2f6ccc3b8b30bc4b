"""MariaDB as an engine of the suite, on a real server."""

from collections.abc import Mapping
from typing import ClassVar

from tests.contract.store.backends_sql import SqlBackend
from tests.contract.store.layouts import Column, Kind, Layout
from tests.servers import mariadb_connection, run_mariadb


class MariaDbBackend(SqlBackend):
    """MariaDB, in a database of this test's own."""

    types: ClassVar[Mapping[Kind, str]] = {
        Kind.WHOLE: "bigint",
        Kind.TEXT: "longtext COLLATE utf8mb4_nopad_bin",
        Kind.NUMBER: "double",
        Kind.DECIMAL: "decimal(38, 12)",
        Kind.BYTES: "longblob",
    }

    def clear(self) -> None:
        """See `Backend.clear`."""
        connection = mariadb_connection(self.url)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SHOW TABLES")
                tables = [name for (name,) in cursor.fetchall()]
        finally:
            connection.close()
        self.run("SET foreign_key_checks = 0", *(f"DROP TABLE {self.quoted(t)}" for t in tables))

    def run(self, *statements: str) -> None:
        """Run statements as the service itself would."""
        run_mariadb(self.url, *statements)

    def column_type(self, layout: Layout, column: Column) -> str:
        """The type of a column; an index takes no text without a bound."""
        indexed = {*layout.key, *layout.parent, *(name for one in layout.unique for name in one)}
        if column.kind is Kind.TEXT and column.name in indexed:
            return "varchar(100) COLLATE utf8mb4_nopad_bin"
        return super().column_type(layout, column)

    def quoted(self, name: str) -> str:
        """A name as it stands in a statement."""
        doubled = name.replace("`", "``")
        return f"`{doubled}`"
