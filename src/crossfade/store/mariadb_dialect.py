"""MariaDB and MySQL: connections, transactions and SQL; all that a store must know of them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any
from typing import cast as cast_type

from sqlalchemy import (
    BinaryExpression,
    Column,
    ColumnElement,
    Table,
    Tuple,
    and_,
    cast,
    func,
    or_,
)
from sqlalchemy.dialects.mysql import BINARY, CHAR, insert
from sqlalchemy.dialects.mysql.base import MySQLCompiler, MySQLDialect
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import IdentifierPreparer
from sqlalchemy.sql.dml import Insert

from crossfade.errors import ConfigurationError, CrossfadeError
from crossfade.model.store_description import without_secrets
from crossfade.store.mariadb_catalogue import (
    facts_of,
    indexes_of,
    sequences_of,
    tables_of,
)
from crossfade.store.mariadb_connection import ExactCursor, MariaDbConnection
from crossfade.store.mariadb_errors import (
    ERRORS,
    denied,
    failure_of,
    is_refused_commit,
    violation_of,
)
from crossfade.store.mariadb_survey import MariaDbSurvey
from crossfade.store.sql_dialect import Connection, Cursor, TableFacts, Violation
from crossfade.store.sql_options import SqlOptions
from crossfade.store.sql_survey import TableSurvey

_CONNECT_SECONDS_MAX = 10.0
_START_SECONDS_MAX = 10.0
"""How long a transaction waits for the answer to its first statement."""

_MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION"
"""Values that do not fit are errors; 0 is 0 in an AUTO_INCREMENT column; a backslash escapes.

Dates such as 0000-00-00 are taken where the column takes them: services have such rows.
"""

_URL_OPTIONS = frozenset(
    {"charset", "unix_socket", "ssl_ca", "ssl_cert", "ssl_key", "ssl_verify_identity"}
)
_HINT = "Write mariadb://user:password@host:3306/database."


class _Compiler(MySQLCompiler):
    """Compares composite keys part by part: for tuples the server would not use the index."""

    def visit_binary(  # type: ignore[override] # narrower than SQLAlchemy's own types
        self,
        binary: BinaryExpression[Any],
        **options: Any,  # noqa: ANN401 - as SQLAlchemy has it
    ) -> str:
        """A comparison of two tuples as one of their parts; anything else as it is."""
        if isinstance(binary.left, Tuple) and binary.operator in {operators.gt, operators.le}:
            left, right = list(binary.left.clauses), list(binary.right.clauses)
            apart = _compared(left, right, above=binary.operator is operators.gt)
            return f"({self.process(apart, **options)})"
        text: str = super().visit_binary(binary, **options)  # type: ignore[no-untyped-call] # SQLAlchemy has no types for it
        return text


class _CompilerDialect(MySQLDialect):
    statement_compiler = _Compiler
    supports_statement_cache = True


class MariaDbDialect:
    """One database of one server."""

    def __init__(self, url: URL, options: SqlOptions) -> None:
        self._url = url
        self._options = options
        self._keys: dict[tuple[str, str], tuple[str, ...]] = {}
        place = url.query.get("unix_socket") or f"{url.host or 'localhost'}:{url.port or 3306}"
        self.name = f"mariadb://{place}/{url.database}"
        self.compiler: Dialect = _CompilerDialect()
        self.errors = ERRORS
        self.puts_at_once = options.writer_connections_max
        self._quote = IdentifierPreparer(
            self.compiler, initial_quote="`", escape_quote="`"
        ).quote_identifier
        self._survey = MariaDbSurvey(self._quote)

    def connect(self, *, for_puts: bool) -> Connection:
        """See `SqlDialect.connect`."""
        options = self._options
        try:
            made = MariaDbConnection(
                self._session(for_puts=for_puts),
                **_address(self._url),
                connect_timeout=min(_CONNECT_SECONDS_MAX, options.call_seconds_max),
                read_timeout=options.call_seconds_max if for_puts else options.check_seconds_max,
                write_timeout=options.call_seconds_max,
                local_infile=for_puts,
            )
        except ERRORS as error:
            raise failure_of(error, self.name) from error
        except (RuntimeError, OSError) as error:
            # No package for the way to prove a password, or no file for TLS.
            raise ConfigurationError(
                f"the database {self.name} cannot be connected to: {error}. Check the URL; "
                f"for caching_sha2_password run pip install cryptography."
            ) from error
        return cast_type("Connection", made)

    def is_current(self, connection: Connection) -> bool:
        """See `SqlDialect.is_current`: open, and the server did not say good-bye."""
        return _ours(connection).is_quiet

    def begin(self, connection: Connection, *, for_puts: bool) -> None:
        """See `SqlDialect.begin`; connects anew where the connection was lost meanwhile."""
        snapshot = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
        _ours(connection).start(
            "START TRANSACTION READ WRITE" if for_puts else snapshot,
            min(_START_SECONDS_MAX, self._options.call_seconds_max),
        )

    def commit(self, connection: Connection) -> None:
        """See `SqlDialect.commit`."""
        _ours(connection).end("COMMIT")

    def roll_back(self, connection: Connection) -> None:
        """See `SqlDialect.roll_back`: what cannot be undone in words is cut off.

        A transaction that stayed open would be committed by the next one that starts here.
        """
        ours = _ours(connection)
        try:
            ours.end("ROLLBACK")
        except ERRORS:
            ours.abort()

    def refused_commit(self, error: Exception) -> bool:
        """See `SqlDialect.refused_commit`."""
        return is_refused_commit(error)

    def violation(self, error: Exception) -> Violation | None:
        """See `SqlDialect.violation`."""
        return violation_of(error, self._keys)

    def failure(self, error: Exception) -> CrossfadeError:
        """See `SqlDialect.failure`."""
        return failure_of(error, self.name)

    def repairs_reading(self, connection: Connection, error: Exception) -> bool:
        """See `SqlDialect.repairs_reading`: text always is text here."""
        del connection, error
        return False

    def tables(self, cursor: Cursor) -> Mapping[str, bool]:
        """See `SqlDialect.tables`."""
        return tables_of(cursor)

    def table_facts(self, cursor: Cursor, table: str) -> TableFacts:
        """See `SqlDialect.table_facts`.

        Raises:
            ConfigurationError: the table's engine has no transactions.

        """
        facts = facts_of(cursor, table)
        for name, (columns, is_unique) in indexes_of(cursor, table).items():
            if is_unique:
                self._keys[table, name] = columns
        return facts

    def defer_constraints(self, cursor: Cursor) -> None:
        """See `SqlDialect.defer_constraints`: these engines check every row at once."""

    def move_sequences(self, cursor: Cursor, table: str) -> None:
        """See `SqlDialect.move_sequences`.

        InnoDB by itself moves an AUTO_INCREMENT past every number that a row gets.
        """
        for column, sequence in sequences_of(cursor, table):
            cursor.execute(f"SELECT increment FROM {sequence}")  # noqa: S608 - quoted names
            row = cursor.fetchone()
            last = "MIN" if row is not None and int(row[0]) < 0 else "MAX"
            for number in self._last(cursor, table, column, last):
                # Never moved back: the server leaves a sequence alone that is beyond.
                cursor.execute(f"SELECT SETVAL({sequence}, %s, 1)", (number,))

    def in_binary_order(self, column: Column[Any]) -> ColumnElement[Any]:
        """See `SqlDialect.in_binary_order`: the bytes of UTF-8 are ordered as code points are."""
        return cast(cast(column, CHAR(charset="utf8mb4")), BINARY)

    def keep_higher_token(self, fences: Table) -> Insert:
        """See `SqlDialect.keep_higher_token`."""
        statement = insert(fences)
        given, kept = statement.inserted, fences.c
        is_raised = given.token >= kept.token
        # Assigned in this order, and each sees those before it: so the token comes last.
        return statement.on_duplicate_key_update(
            [
                (name, func.if_(is_raised, given[name], kept[name]))
                for name in ("authority_digest", "mirror_digest", "token")
            ]
        )

    def kept_all(self, cursor: Cursor, rows: int) -> bool:
        """See `SqlDialect.kept_all`: where no row was there before."""
        del rows
        return cast_type(ExactCursor, cursor).duplicates == 0

    def keep_out(self, cursor: Cursor, tables: Sequence[str]) -> None:
        """See `SqlDialect.keep_out`; what was done before is committed by it."""
        listed = ", ".join(f"{self._quote(table)} WRITE" for table in tables)
        connection = cast_type(MariaDbConnection, cast_type(ExactCursor, cursor).connection)
        connection.lock_tables(f"LOCK TABLES {listed}")

    def survey(self, cursor: Cursor, table: str) -> TableSurvey:
        """See `Surveying.survey`."""
        return self._survey.table(cursor, table)

    def missing_rights(self, cursor: Cursor, table: str) -> Sequence[str]:
        """See `Surveying.missing_rights`."""
        return tuple(self._survey.missing(cursor, table))

    def grants(self, cursor: Cursor, tables: Sequence[str], role: str) -> Sequence[str]:
        """See `Surveying.grants`."""
        return tuple(self._survey.grants(cursor, tables, role))

    def rows_estimate(self, cursor: Cursor, table: str) -> int | None:
        """See `Estimating.rows_estimate`."""
        return self._survey.rows(cursor, table)

    def check_visible(self, cursor: Cursor, table: str) -> None:
        """See `Hiding.check_visible`."""
        try:
            cursor.execute(f"SELECT 1 FROM {self._quote(table)} WHERE FALSE")  # noqa: S608 - quoted
            cursor.fetchall()
        except ERRORS as error:
            if denied(error):
                raise

    def _last(self, cursor: Cursor, table: str, column: str, function: str) -> list[int]:
        """The highest or lowest number of a column, if it has any."""
        names = [self._quote(name) for name in (column, table)]
        cursor.execute(f"SELECT {function}({names[0]}) FROM {names[1]}")  # noqa: S608 - quoted
        row = cursor.fetchone()
        return [] if row is None or row[0] is None else [int(row[0])]

    def _session(self, *, for_puts: bool) -> list[str]:
        """What a connection is told first."""
        seconds = max(1, math.ceil(self._options.busy_seconds_max))
        isolation = "READ COMMITTED" if for_puts else "REPEATABLE READ"
        settings = (
            f"SET SESSION sql_mode = '{_MODE}', time_zone = '+00:00', sql_auto_is_null = 0,"
            f" innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds},"
            f" default_storage_engine = InnoDB, sql_safe_updates = 0, sql_big_selects = 1,"
            f" foreign_key_checks = {int(self._options.foreign_keys)}, unique_checks = 1"
        )
        return [
            settings,
            f"SET SESSION TRANSACTION ISOLATION LEVEL {isolation}",
        ]


def mariadb_dialect(url: str, options: SqlOptions) -> MariaDbDialect:
    """The dialect for a URL; opens nothing.

    Raises:
        ConfigurationError: no URL of a MariaDB or MySQL database.

    """
    try:
        parsed = make_url(url)
        port = parsed.port
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError(
            f"{without_secrets(url)!r} is no database URL. {_HINT}"
        ) from error
    if not parsed.database or (port is not None and not 0 < port < 2**16):
        raise ConfigurationError(f"{without_secrets(url)!r} names no database. {_HINT}")
    if parsed.drivername.partition("+")[2] not in {"", "pymysql"}:
        raise ConfigurationError(
            f"{without_secrets(url)!r} names a driver that is not used here. {_HINT}"
        )
    for name, value in parsed.query.items():
        if name not in _URL_OPTIONS or not isinstance(value, str):
            raise ConfigurationError(
                f"{without_secrets(url)!r} has an option {name!r}. "
                f"Use only {', '.join(sorted(_URL_OPTIONS))}, each once."
            )
    return MariaDbDialect(parsed, options)


def _ours(connection: Connection) -> MariaDbConnection:
    return cast_type(MariaDbConnection, connection)


def _address(url: URL) -> dict[str, Any]:
    """Where to connect, and as whom, in PyMySQL's words."""
    options: dict[str, Any] = {
        "host": url.host or "localhost",
        "port": url.port or 3306,
        "user": url.username,
        "password": url.password or "",
        "database": url.database,
    }
    options.update({name: value for name, value in url.query.items() if name != "charset"})
    return options


def _compared(
    left: Sequence[ColumnElement[Any]], right: Sequence[ColumnElement[Any]], *, above: bool
) -> ColumnElement[bool]:
    """Whether one tuple is above the other, or not above it, as the server's indexes like it."""
    first, bound = left[0], right[0]
    if len(left) == 1:
        return first > bound if above else first <= bound
    rest = and_(first == bound, _compared(left[1:], right[1:], above=above))
    return or_(first > bound if above else first < bound, rest)
