"""PostgreSQL: its connections, transactions and SQL; all that a store must know of it."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Column, ColumnElement, Table, Text, cast, collate
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.dialects.postgresql.base import PGCompiler, PGDialect
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.dml import Insert

from crossfade.errors import (
    ConfigurationError,
    CrossfadeError,
    NoDatabaseError,
    StoreUnreachableError,
)
from crossfade.model.store_description import without_secrets
from crossfade.store.postgres_catalogue import address_of, addresses, table_facts
from crossfade.store.postgres_connection import (
    PostgresConnection,
    is_alive,
    open_connection,
    read_tolerantly,
)
from crossfade.store.postgres_errors import (
    ERRORS,
    Places,
    connect_failure_of,
    failure_of,
    is_refused_commit,
    is_unreadable,
    violation_of,
)
from crossfade.store.postgres_sequences import move_past
from crossfade.store.postgres_survey import PostgresSurvey, our_table
from crossfade.store.sql_dialect import Connection, Cursor, TableFacts, Violation
from crossfade.store.sql_options import SqlOptions
from crossfade.store.sql_survey import OURS, TableSurvey
from crossfade.store.sql_upsert import raised_on_conflict

_BEGIN_PUTS = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_BEGIN_READS = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_VALUES = ") VALUES ("


class _Compiler(PGCompiler):
    """Writes SQL as psycopg takes it; an identity column takes the values that it is given."""

    def visit_insert(self, insert_stmt: Any, *arguments: Any, **keywords: Any) -> str:  # noqa: ANN401 - what SQLAlchemy gives
        text: str = super().visit_insert(  # type: ignore[no-untyped-call] # SQLAlchemy has no types for it
            insert_stmt, *arguments, **keywords
        )
        # The last one: a column's name may contain those words.
        names, found, values = text.rpartition(_VALUES)
        return f"{names}) OVERRIDING SYSTEM VALUE VALUES ({values}" if found else text


class _Dialect(PGDialect):
    statement_compiler = _Compiler


class PostgresDialect:
    """One PostgreSQL database."""

    def __init__(self, url: str, options: SqlOptions) -> None:
        """Open nothing.

        Raises:
            ConfigurationError: no URL that libpq understands.

        """
        self._place = _place_of(url)
        self._options = options
        self._was_there = False
        self._places: Places = {}
        self.name = without_secrets(url).partition("?")[0]
        self.compiler: Dialect = _Dialect(paramstyle="format")  # type: ignore[no-untyped-call] # SQLAlchemy has no types for it
        self.errors = ERRORS
        self.puts_at_once = options.writer_connections_max
        self._role = str(self._place.get("user", ""))
        self._survey = PostgresSurvey(self.compiler.identifier_preparer)

    def connect(self, *, for_puts: bool) -> PostgresConnection:
        """See `SqlDialect.connect`."""
        try:
            connection = open_connection(self._place, self._options, for_puts=for_puts)
        except psycopg.Error as error:
            failure = (
                self.failure(error) if error.sqlstate else connect_failure_of(error, self.name)
            )
            if self._was_there and isinstance(failure, NoDatabaseError):
                raise StoreUnreachableError(str(failure)) from error
            raise failure from error
        self._was_there = True
        self._role = connection.info.user
        return connection

    def is_current(self, connection: Connection) -> bool:
        """See `SqlDialect.is_current`."""
        return isinstance(connection, psycopg.Connection) and is_alive(connection)

    def begin(self, connection: Connection, *, for_puts: bool) -> None:
        """See `SqlDialect.begin`."""
        try:
            connection.cursor().execute(_BEGIN_PUTS if for_puts else _BEGIN_READS)
        except psycopg.errors.FeatureNotSupported as error:
            raise psycopg.errors.ReadOnlySqlTransaction("a standby takes no writes") from error

    def commit(self, connection: Connection) -> None:
        """See `SqlDialect.commit`."""
        cursor = connection.cursor()
        cursor.execute("COMMIT")
        if isinstance(cursor, psycopg.Cursor) and cursor.statusmessage != "COMMIT":
            raise psycopg.errors.InFailedSqlTransaction("COMMIT was answered by ROLLBACK")

    def roll_back(self, connection: Connection) -> None:
        """See `SqlDialect.roll_back`."""
        if not isinstance(connection, psycopg.Connection) or connection.closed:
            return
        if connection.info.transaction_status != pq.TransactionStatus.IDLE:
            with suppress(psycopg.Error):
                connection.cursor().execute("ROLLBACK")

    def refused_commit(self, error: Exception) -> bool:
        """See `SqlDialect.refused_commit`: the server said that it undid the transaction."""
        return is_refused_commit(error)

    def violation(self, error: Exception) -> Violation | None:
        """See `SqlDialect.violation`."""
        return violation_of(error, self._places)

    def failure(self, error: Exception) -> CrossfadeError:
        """See `SqlDialect.failure`."""
        return failure_of(error, self.name, self._role)

    def repairs_reading(self, connection: Connection, error: Exception) -> bool:
        """See `SqlDialect.repairs_reading`: dates beyond Python's years, text that is no UTF-8."""
        if not isinstance(connection, psycopg.Connection) or not is_unreadable(error):
            return False
        read_tolerantly(connection)
        return True

    def tables(self, cursor: Cursor) -> Mapping[str, bool]:
        """See `SqlDialect.tables`; outside the search path a table is `schema.table`."""
        return {name: address.is_view for name, address in addresses(cursor).items()}

    def table_facts(self, cursor: Cursor, table: str) -> TableFacts:
        """See `SqlDialect.table_facts`."""
        return table_facts(cursor, address_of(cursor, table, self.name), table, self._places)

    def defer_constraints(self, cursor: Cursor) -> None:
        """See `SqlDialect.defer_constraints`: those that were declared DEFERRABLE."""
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")

    def kept_all(self, cursor: Cursor, rows: int) -> bool:
        """See `SqlDialect.kept_all`: a row that keeps a higher token is not counted."""
        return cursor.rowcount == rows

    def keep_out(self, cursor: Cursor, tables: Sequence[str]) -> None:
        """See `SqlDialect.keep_out`."""
        quote = self.compiler.identifier_preparer.quote_identifier
        listed = ", ".join(quote(table) for table in tables)
        cursor.execute(f"LOCK TABLE {listed} IN ACCESS EXCLUSIVE MODE")

    def move_sequences(self, cursor: Cursor, table: str) -> None:
        """See `SqlDialect.move_sequences`."""
        address = address_of(cursor, table, self.name)
        move_past(cursor, address, self.compiler.identifier_preparer)

    def survey(self, cursor: Cursor, table: str) -> TableSurvey:
        """See `Surveying.survey`."""
        return self._survey.table(cursor, address_of(cursor, table, self.name))

    def missing_rights(self, cursor: Cursor, table: str) -> Sequence[str]:
        """See `Surveying.missing_rights`."""
        address = our_table(cursor, table) if table in OURS else None
        address = address or address_of(cursor, table, self.name)
        return tuple(self._survey.missing(cursor, address))

    def grants(self, cursor: Cursor, tables: Sequence[str], role: str) -> Sequence[str]:
        """See `Surveying.grants`."""
        found = [address_of(cursor, table, self.name) for table in tables]
        return tuple(self._survey.grants(cursor, found, role))

    def rows_estimate(self, cursor: Cursor, table: str) -> int | None:
        """See `Estimating.rows_estimate`."""
        return self._survey.rows(cursor, address_of(cursor, table, self.name))

    def in_binary_order(self, column: Column[Any]) -> ColumnElement[Any]:
        """See `SqlDialect.in_binary_order`."""
        return collate(cast(column, Text), "C")

    def keep_higher_token(self, fences: Table) -> Insert:
        """See `SqlDialect.keep_higher_token`."""
        return raised_on_conflict(insert(fences), fences)


def postgres_dialect(url: str, options: SqlOptions) -> PostgresDialect:
    """The dialect for a URL; opens nothing.

    Raises:
        ConfigurationError: no URL of a PostgreSQL database.

    """
    return PostgresDialect(url, options)


def _place_of(url: str) -> dict[str, Any]:
    scheme, _, rest = url.partition("://")
    if scheme.partition("+")[2] not in {"", "psycopg"}:
        raise ConfigurationError(
            f"{without_secrets(url)!r} names a driver that is not used here. "
            f"Write postgresql://user@host:5432/database."
        )
    try:
        place = dict(conninfo_to_dict(f"postgresql://{rest}"))
    except psycopg.Error:
        # Its words may repeat the password.
        raise ConfigurationError(
            f"{without_secrets(url)!r} is no URL that PostgreSQL reads. Write special characters "
            f"as %20: postgresql://user:password@host:5432/database."
        ) from None
    if not place.get("dbname"):
        raise ConfigurationError(
            f"{without_secrets(url)!r} names no database. "
            f"Write postgresql://user@host:5432/database."
        )
    return place
