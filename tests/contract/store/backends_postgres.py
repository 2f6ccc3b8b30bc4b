"""PostgreSQL as an engine of the suite, on a real server."""

from collections.abc import Mapping
from typing import ClassVar

from tests.contract.store.backends_sql import SqlBackend
from tests.contract.store.layouts import Kind
from tests.servers import run_postgres


class PostgresBackend(SqlBackend):
    """PostgreSQL, in a database of this test's own."""

    types: ClassVar[Mapping[Kind, str]] = {
        Kind.WHOLE: "bigint",
        Kind.TEXT: 'text COLLATE "C"',
        Kind.NUMBER: "double precision",
        Kind.DECIMAL: "numeric",
        Kind.BYTES: "bytea",
    }
    holds_nul = False

    def clear(self) -> None:
        """See `Backend.clear`."""
        self.run("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")

    def run(self, *statements: str) -> None:
        """Run statements as the service itself would."""
        run_postgres(self.url, "SET client_min_messages = warning", *statements)
