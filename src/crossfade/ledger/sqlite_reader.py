"""Looking at a SQLite ledger: one snapshot at a time, never blocked by the writer."""

import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from crossfade.errors import ConfigurationError, LedgerUnavailableError
from crossfade.ledger.query_file import load_queries
from crossfade.ledger.rows import LedgerIdentity, RowsQueries
from crossfade.ledger.schema_files import check_is_ledger
from crossfade.ledger.sqlite_file import check_plain_file, connect, unavailable
from crossfade.ledger.sqlite_options import SqliteLedgerOptions
from crossfade.ledger.sqlite_view import SqliteView
from crossfade.model.migration_state import MigrationState

Result = TypeVar("Result")


class SqliteReader:
    """Looks at a ledger's committed rows; any number of threads and processes may do so."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, queries: Mapping[str, str]
    ) -> None:
        self._path = path
        self._connection = connection
        self._queries = queries
        self._view = SqliteView(connection, queries)
        self._data_version = 0
        self._closed = False
        self._lock = threading.RLock()
        self._looking = False
        """Whether the thread that holds the lock has a snapshot."""

    @property
    def identity(self) -> LedgerIdentity:
        """Which ledger this is."""
        return self.look(lambda rows: rows.identity())

    @property
    def migration(self) -> MigrationState:
        """The migration's row as last committed."""
        return self.look(lambda rows: rows.migration())

    @property
    def sequence(self) -> int:
        """The highest sequence number of a committed transition."""
        return self.look(lambda _: self._view.sequence())

    def look(self, query: Callable[[RowsQueries], Result]) -> Result:
        """See `Ledger.look`; waits for other looks of this process, never for the writer.

        A look inside a look sees the same snapshot.
        """
        with self._lock:
            if self._looking:
                return query(self._view)
            if self._closed:
                raise LedgerUnavailableError("the ledger is closed. Open it again to go on.")
            with unavailable(self._path):
                self._begin()
                self._looking = True
                try:
                    return query(self._view)
                finally:
                    self._looking = False
                    self._connection.execute(self._queries["rollback"])

    def close(self) -> None:
        """Give the file back; may be repeated."""
        with self._lock:
            self._closed = True
            self._connection.close()

    def _begin(self) -> None:
        """Fix one snapshot; rows that were remembered count only while nobody has committed."""
        self._connection.execute(self._queries["begin_read"])
        (version,) = self._connection.execute(self._queries["data_version"]).fetchone()
        if version != self._data_version:
            self._data_version = version
            self._view.forget()


def open_reader(path: Path, options: SqliteLedgerOptions | None = None) -> SqliteReader:
    """Open a ledger for looking only, whether or not a node has it open.

    Raises:
        ConfigurationError: there is no such file, or it is no ledger.
        LedgerVersionError: a newer release wrote it.
        LedgerUnavailableError: the file cannot be read.

    """
    options = options or SqliteLedgerOptions()
    path = path.absolute()
    check_plain_file(path)
    if not path.exists():
        raise ConfigurationError(
            f"there is no ledger {path} yet. Run `crossfade up`, it makes the ledger; or correct "
            "where the settings say that it is."
        )
    queries = load_queries()
    with unavailable(path):
        connection = connect(path, queries, options.busy_seconds_max, write=False)
        try:
            number = check_is_ledger(connection, queries, path)
        except BaseException:
            connection.close()
            raise
    if number == 0:
        connection.close()
        raise ConfigurationError(
            f"the ledger {path} is empty. Start `crossfade up` once; it makes the ledger."
        )
    return SqliteReader(path, connection, queries)
