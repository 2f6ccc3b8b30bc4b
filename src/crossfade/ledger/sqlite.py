"""The SQLite ledger: the embedded default, one file, one node."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from crossfade.ledger.handover import HandoverQueue
from crossfade.ledger.lock import NodeLock, take_node_lock
from crossfade.ledger.nodes import SINGLE, Nodes
from crossfade.ledger.query_file import load_queries
from crossfade.ledger.rows import LedgerIdentity, Rows, RowsQueries
from crossfade.ledger.schema_files import check_is_ledger, upgrade
from crossfade.ledger.sqlite_file import (
    FILE_MODE,
    WatchedFiles,
    become_durable,
    check_plain_file,
    connect,
    make_names_durable,
    make_private_file,
    remove_files,
    unavailable,
)
from crossfade.ledger.sqlite_options import SqliteLedgerOptions
from crossfade.ledger.sqlite_reader import SqliteReader, open_reader
from crossfade.ledger.sqlite_rows import SqliteRows
from crossfade.ledger.sqlite_writer import SqliteWriter
from crossfade.ledger.unused import is_unused
from crossfade.model.migration_state import MigrationState
from crossfade.observability.events import LedgerFailed
from crossfade.observability.hooks import Hooks
from crossfade.seams.clock import Clock
from crossfade.seams.randomness import Randomness

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class OpenedFiles:
    """What a ledger holds of the operating system while it is open."""

    writing: sqlite3.Connection
    reader: SqliteReader
    watched: WatchedFiles
    lock: NodeLock
    path: Path
    made_here: bool
    """Whether this very opening made the file."""


class SqliteLedger:
    """A ledger in one file; callers may come from several event loops and threads."""

    def __init__(self, files: OpenedFiles, options: SqliteLedgerOptions, hooks: Hooks) -> None:
        self._reader = files.reader
        self._lock = files.lock
        self._hooks = hooks
        self.queue = HandoverQueue(options.queue_max)
        """Its counters tell how full it was."""
        self._closed = False
        self._path = files.path
        self._made_here = files.made_here
        self._discard = False
        self._identity = files.reader.identity
        self._migration = files.reader.migration
        self._writer = SqliteWriter(
            files.writing,
            files.watched,
            options,
            committed=self._publish,
            failed=self._note_failure,
        )
        self._writer.start()

    @property
    def identity(self) -> LedgerIdentity:
        """See `Ledger.identity`."""
        return self._identity

    @property
    def migration(self) -> MigrationState:
        """See `Ledger.migration`."""
        return self._migration

    @property
    def nodes(self) -> Nodes:
        """See `OpenedLedger.nodes`: one node per SQLite ledger."""
        return SINGLE

    @property
    def writer(self) -> SqliteWriter:
        """The writer, for its counters."""
        return self._writer

    async def transact(self, transition: Callable[[Rows], Result]) -> Result:
        """See `Ledger.transact`."""
        return await self.queue.carry(transition, self._writer.hand_over)

    def look(self, query: Callable[[RowsQueries], Result]) -> Result:
        """See `Ledger.look`."""
        return self._reader.look(query)

    async def close(self) -> None:
        """See `Ledger.close`; may be repeated."""
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def tell() -> None:
            if self._discard:
                remove_files(self._path)
            self._lock.release()
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_resolve, ended)

        # The reader goes first: the last connection folds the log into the file.
        self._reader.close()
        self._writer.close(tell)
        await ended

    async def discard_unused(self) -> None:
        """Close; a ledger that this opening made, and that holds nothing yet, is removed again.

        Crash under way: it stays, as empty as it was.
        """
        self._discard = self._made_here and self.look(is_unused)
        await self.close()

    def _publish(self, rows: SqliteRows) -> None:
        """The writer has committed: from now on everybody sees this state."""
        self._identity = rows.identity()
        self._migration = rows.migration()

    def _note_failure(self, reason: str) -> None:
        self._hooks.emit(LedgerFailed(reason=reason))


def open_ledger(
    path: Path,
    *,
    clock: Clock,
    randomness: Randomness,
    hooks: Hooks | None = None,
    options: SqliteLedgerOptions | None = None,
) -> SqliteLedger:
    """Open the ledger in a file, or make a new one, as its one node.

    Crash here: a file that is empty or a whole ledger; the next opening goes on from either.

    Raises:
        LockedError: another node owns it.
        LedgerVersionError: a newer release wrote it.
        ConfigurationError: the file is no ledger, a link, or cannot be made.
        LedgerUnavailableError: the file cannot be read or written.

    """
    options = options or SqliteLedgerOptions()
    path = path.absolute()
    check_plain_file(path)
    with unavailable(path):
        _refuse_other_files(path, options)
        made_here = make_private_file(path)
        lock = take_node_lock(path, clock.now())
        try:
            files = replace(_open_files(path, lock, options, randomness), made_here=made_here)
            return SqliteLedger(files, options, hooks or Hooks())
        except BaseException:
            lock.release()
            raise


def _refuse_other_files(path: Path, options: SqliteLedgerOptions) -> None:
    """Look before anything is made or locked beside a file that is somebody else's."""
    if path.exists():
        queries = load_queries()
        connection = connect(path, queries, options.busy_seconds_max, write=False)
        with closing(connection):
            check_is_ledger(connection, queries, path)


def _open_files(
    path: Path, lock: NodeLock, options: SqliteLedgerOptions, randomness: Randomness
) -> OpenedFiles:
    queries = load_queries()
    writing = connect(path, queries, options.busy_seconds_max, write=True)
    try:
        number = check_is_ledger(writing, queries, path)
        path.chmod(FILE_MODE)
        become_durable(writing, queries)
        upgrade(writing, queries, number, randomness)
        reader = open_reader(path, options)
    except BaseException:
        writing.close()
        raise
    watched = WatchedFiles(path)
    watched.missing()
    # The names of the file and of its log must outlive a power cut, as their content does.
    make_names_durable(path.parent)
    return OpenedFiles(writing, reader, watched, lock, path, made_here=False)


def _resolve(ended: "asyncio.Future[None]") -> None:
    if not ended.done():
        ended.set_result(None)
