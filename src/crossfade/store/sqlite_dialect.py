"""SQLite: its connections, transactions, catalogue and SQL; all that a store must know of it."""

import os
import sqlite3
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Column, ColumnElement, Table, collate
from sqlalchemy.dialects.sqlite import dialect as sqlite_compiler
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Dialect, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.sql.compiler import IdentifierPreparer
from sqlalchemy.sql.dml import Insert

from crossfade.errors import (
    ConfigurationError,
    CrossfadeError,
    NoDatabaseError,
    StoreUnreachableError,
)
from crossfade.model.store_description import without_secrets
from crossfade.store.sql_dialect import (
    ColumnFacts,
    Connection,
    Cursor,
    ForeignKey,
    TableFacts,
    Violation,
)
from crossfade.store.sql_options import SqlOptions
from crossfade.store.sql_survey import LinkSurvey, TableSurvey
from crossfade.store.sql_upsert import raised_on_conflict
from crossfade.store.sqlite_digest import register_digests
from crossfade.store.sqlite_errors import (
    ERRORS,
    failure_of,
    is_refused_commit,
    is_undecodable,
    violation_of,
)
from crossfade.store.sqlite_values import sqlite_values

_TOLERANT_TEXT = partial(str, encoding="utf-8", errors="surrogateescape")
"""Reads text that is not UTF-8 as lone surrogates; no store takes it, so the row is reported."""


class SqliteConnection(sqlite3.Connection):
    """A connection that knows which file it opened."""

    file: tuple[int, int] = (0, 0)
    """Device and inode."""


class SqliteDialect:
    """One SQLite file. It must exist: a migration never creates a service's database."""

    def __init__(self, path: Path, options: SqlOptions) -> None:
        self._path = path.absolute()
        self._options = options
        self._was_there = False
        self.name = str(path)
        self.compiler: Dialect = sqlite_compiler()
        self.errors = ERRORS
        self.puts_at_once = 1
        self._quote = IdentifierPreparer(self.compiler).quote_identifier

    def connect(self, *, for_puts: bool) -> Connection:
        """See `SqlDialect.connect`."""
        file = self._file()
        uri = f"file:{quote(str(self._path))}?mode=rw"
        try:
            connection = sqlite3.connect(
                uri,
                uri=True,
                timeout=self._options.busy_seconds_max,
                isolation_level=None,
                check_same_thread=False,
                factory=SqliteConnection,
                cached_statements=256,
            )
        except sqlite3.Error as error:
            raise failure_of(error, self.name) from error
        try:
            # A copy that the ledger calls clean must survive a power failure.
            connection.execute("PRAGMA synchronous = FULL")
            register_digests(connection)
            if self._options.foreign_keys:
                connection.execute("PRAGMA foreign_keys = ON")
        except sqlite3.Error as error:
            connection.close()
            raise failure_of(error, self.name) from error
        if for_puts:
            connection.text_factory = _TOLERANT_TEXT
        connection.file = file
        return connection

    def is_current(self, connection: Connection) -> bool:
        """See `SqlDialect.is_current`: a restored or replaced file is another one."""
        return isinstance(connection, SqliteConnection) and connection.file == self._file()

    def begin(self, connection: Connection, *, for_puts: bool) -> None:
        """See `SqlDialect.begin`."""
        connection.cursor().execute("BEGIN IMMEDIATE" if for_puts else "BEGIN DEFERRED")

    def commit(self, connection: Connection) -> None:
        """See `SqlDialect.commit`."""
        connection.cursor().execute("COMMIT")

    def roll_back(self, connection: Connection) -> None:
        """See `SqlDialect.roll_back`: SQLite may have ended the transaction by itself."""
        with suppress(sqlite3.Error):
            connection.cursor().execute("ROLLBACK")

    def refused_commit(self, error: Exception) -> bool:
        """See `SqlDialect.refused_commit`: a lock or a constraint, but no failure of the disk."""
        return is_refused_commit(error)

    def violation(self, error: Exception) -> Violation | None:
        """See `SqlDialect.violation`."""
        return violation_of(error)

    def failure(self, error: Exception) -> CrossfadeError:
        """See `SqlDialect.failure`."""
        return failure_of(error, self.name)

    def repairs_reading(self, connection: Connection, error: Exception) -> bool:
        """See `SqlDialect.repairs_reading`: slower, so only once such a row was met."""
        if not isinstance(connection, sqlite3.Connection) or not is_undecodable(error):
            return False
        connection.text_factory = _TOLERANT_TEXT
        return True

    def tables(self, cursor: Cursor) -> Mapping[str, bool]:
        """See `SqlDialect.tables`."""
        cursor.execute("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view')")
        return {
            name: kind == "view"
            for name, kind in cursor.fetchall()
            if not name.startswith(("sqlite_", "crossfade_"))
        }

    def table_facts(self, cursor: Cursor, table: str) -> TableFacts:
        """See `SqlDialect.table_facts`."""
        strict = _is_strict(cursor, table)
        cursor.execute("SELECT * FROM pragma_table_xinfo(?)", (table,))
        rows = [row for row in cursor.fetchall() if row[6] != _HIDDEN]
        keyed = sorted((row[5], row[1]) for row in rows if row[5])
        primary_key = tuple(name for _, name in keyed)
        indexes = self._indexes(cursor, table)
        columns = tuple(self._column(cursor, table, row, strict=strict) for row in rows)
        unique = [names for names, is_unique in indexes if is_unique]
        indexed = [names for names, _ in indexes]
        if primary_key and primary_key not in unique:
            # INTEGER PRIMARY KEY is the row's own number and has no index.
            unique.append(primary_key)
            indexed.append(primary_key)
            columns = tuple(_never_null(column, primary_key) for column in columns)
        return TableFacts(
            table,
            columns,
            primary_key,
            tuple(unique),
            tuple(indexed),
            self._foreign_keys(cursor, table) if self._options.foreign_keys else (),
        )

    def defer_constraints(self, cursor: Cursor) -> None:
        """See `SqlDialect.defer_constraints`: every foreign key, whatever its definition says."""
        cursor.execute("PRAGMA defer_foreign_keys = ON")

    def move_sequences(self, cursor: Cursor, table: str) -> None:
        """See `SqlDialect.move_sequences`: SQLite looks at the highest row number by itself."""

    def survey(self, cursor: Cursor, table: str) -> TableSurvey:
        """See `Surveying.survey`."""
        cursor.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,)
        )
        triggers = tuple(name for (name,) in cursor.fetchall())
        links = {
            key.columns: LinkSurvey("a foreign key", deferrable=True)
            for key in self._foreign_keys(cursor, table)
        }
        return TableSurvey(triggers, links)

    def missing_rights(self, cursor: Cursor, table: str) -> Sequence[str]:
        """See `Surveying.missing_rights`: who may write the file may write every table."""
        del cursor, table
        return ()

    def grants(self, cursor: Cursor, tables: Sequence[str], role: str) -> Sequence[str]:
        """See `Surveying.grants`."""
        del cursor, tables
        return (
            f"-- SQLite has no rights of its own: the file {self.name} and its folder must be",
            f"-- readable and writable for the user of the system that runs crossfade ({role}?).",
        )

    def in_binary_order(self, column: Column[Any]) -> ColumnElement[Any]:
        """See `SqlDialect.in_binary_order`."""
        return collate(column, "BINARY")

    def keep_higher_token(self, fences: Table) -> Insert:
        """See `SqlDialect.keep_higher_token`."""
        return raised_on_conflict(insert(fences), fences)

    def kept_all(self, cursor: Cursor, rows: int) -> bool:
        """See `SqlDialect.kept_all`."""
        return cursor.rowcount == rows

    def keep_out(self, cursor: Cursor, tables: Sequence[str]) -> None:
        """See `SqlDialect.keep_out`: whoever puts has the database for itself."""

    def _file(self) -> tuple[int, int]:
        try:
            status = os.stat(self._path)  # noqa: PTH116 - on every transaction, so the fast one
        except FileNotFoundError as error:
            if self._was_there:
                raise StoreUnreachableError(
                    f"the database file {self.name} is gone. Put it back, or stop the migration."
                ) from error
            raise NoDatabaseError(
                f"there is no database file {self.name}. Check the path in the definition."
            ) from error
        except OSError as error:
            raise StoreUnreachableError(
                f"the database {self.name} cannot be reached: {error.strerror}. Check the path."
            ) from error
        if not stat.S_ISREG(status.st_mode):
            raise ConfigurationError(f"{self.name} is no file. Name an SQLite database file.")
        self._was_there = True
        return status.st_dev, status.st_ino

    def _indexes(self, cursor: Cursor, table: str) -> list[tuple[tuple[str, ...], bool]]:
        """Columns of each index over whole columns and all rows, and whether it is unique."""
        cursor.execute('SELECT name, "unique", partial FROM pragma_index_list(?)', (table,))
        found = []
        for name, is_unique, partial_index in cursor.fetchall():
            cursor.execute(
                "SELECT name FROM pragma_index_xinfo(?) WHERE key = 1 ORDER BY seqno", (name,)
            )
            columns = tuple(row[0] for row in cursor.fetchall())
            if None not in columns:
                found.append((columns, bool(is_unique) and not partial_index))
        return found

    def _foreign_keys(self, cursor: Cursor, table: str) -> tuple[ForeignKey, ...]:
        cursor.execute(
            'SELECT id, "table", "from", "to", on_delete FROM pragma_foreign_key_list(?)'
            " ORDER BY id, seq",
            (table,),
        )
        found = []
        for _, group in groupby(cursor.fetchall(), key=itemgetter(0)):
            rows = list(group)
            referred = tuple(row[3] for row in rows)
            if None in referred:
                # Without names the primary key is meant.
                referred = self._primary_key(cursor, rows[0][1])
            cascades = rows[0][4] not in {"NO ACTION", "RESTRICT"}
            columns = tuple(row[2] for row in rows)
            found.append(ForeignKey(columns, rows[0][1], referred, cascades))
        return tuple(found)

    def _primary_key(self, cursor: Cursor, table: str) -> tuple[str, ...]:
        cursor.execute("SELECT name FROM pragma_table_xinfo(?) WHERE pk > 0 ORDER BY pk", (table,))
        return tuple(row[0] for row in cursor.fetchall())

    def _column(
        self, cursor: Cursor, table: str, row: tuple[Any, ...], *, strict: bool
    ) -> ColumnFacts:
        _, name, declared, not_null, default, _, hidden = row
        values = sqlite_values(declared, strict=strict)
        return ColumnFacts(
            name=name,
            declared=declared,
            nullable=not not_null,
            has_default=default is not None,
            generated=hidden in _GENERATED,
            values=values,
            key_kind=values.key_kind,
            binary_order=self._is_binary(cursor, table, name),
        )

    def _is_binary(self, cursor: Cursor, table: str, column: str) -> bool:
        """Whether the column tells apart what only its code points tell apart.

        SQLite does not list a column's collation. A UNION takes that of its first part, so four
        texts that any built-in collation but BINARY finds equal are put through one. In a UTF-16
        database even BINARY does not order by code point.
        """
        cursor.execute("PRAGMA encoding")
        if cursor.fetchone()[0] != "UTF-8":
            return False
        quoted_column, quoted_table = self._quote(column), self._quote(table)
        cursor.execute(
            f"SELECT count(*) FROM (SELECT {quoted_column} FROM {quoted_table} WHERE 0"  # noqa: S608
            " UNION SELECT 'a' UNION SELECT 'A' UNION SELECT 'a ' UNION SELECT 'ä')"
        )
        distinct: int = cursor.fetchone()[0]
        return distinct == _DISTINCT_TEXTS


_DISTINCT_TEXTS = 4
_STRICT_SINCE = (3, 37)
_HIDDEN = 1
"""`hidden` of a column that virtual tables do not show."""
_GENERATED = frozenset({2, 3})
"""`hidden` of virtual and stored generated columns."""


def _is_strict(cursor: Cursor, table: str) -> bool:
    if sqlite3.sqlite_version_info < _STRICT_SINCE:
        return False
    cursor.execute("SELECT strict FROM pragma_table_list WHERE name = ?", (table,))
    row = cursor.fetchone()
    return row is not None and bool(row[0])


def sqlite_dialect(url: str, options: SqlOptions) -> SqliteDialect:
    """The dialect for a URL; opens nothing.

    Raises:
        ConfigurationError: no URL of an SQLite file.

    """
    return SqliteDialect(_path_of(url), options)


def _path_of(url: str) -> Path:
    if "://" not in url:
        path = url
    else:
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise ConfigurationError(
                f"{without_secrets(url)!r} is no database URL. Write sqlite:///path/to/file.db."
            ) from error
        if parsed.get_backend_name() != "sqlite":
            raise ConfigurationError(
                f"{without_secrets(url)!r} is of another engine. Write sqlite:///path/to/file.db."
            )
        path = parsed.database or ""
    if path in {"", ":memory:"} or "\0" in path or path.startswith("file:"):
        raise ConfigurationError(
            f"{without_secrets(url)!r} names no database file. Write sqlite:///path/to/file.db."
        )
    return Path(path)


def _never_null(column: ColumnFacts, primary_key: tuple[str, ...]) -> ColumnFacts:
    if column.name not in primary_key:
        return column
    return ColumnFacts(
        name=column.name,
        declared=column.declared,
        nullable=False,
        has_default=True,
        generated=column.generated,
        values=column.values,
        key_kind=column.key_kind,
        binary_order=column.binary_order,
    )
