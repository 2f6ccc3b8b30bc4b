"""The one writer thread of a SQLite ledger: runs what is queued up, commits it as one group."""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from crossfade.errors import LedgerError, LedgerUnavailableError
from crossfade.ledger.handover import Handover, finish_all, give_error
from crossfade.ledger.query_file import load_queries
from crossfade.ledger.row_writer import UnwritableRowError
from crossfade.ledger.sqlite_file import WatchedFiles
from crossfade.ledger.sqlite_options import SqliteLedgerOptions
from crossfade.ledger.sqlite_rows import SqliteRows

_CERTAINLY_NOT_COMMITTED = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY}
"""Errors of COMMIT that come before the commit record is whole on the disk."""

_KIND_OF_ERROR = 0xFF
"""The low byte of an SQLite error code names the kind of error."""


class SqliteWriter:
    """Owns the writing connection; every method but `_run` and what it calls is for callers.

    `committed` is called by the thread after each commit, with the rows; `failed` on one caller's
    event loop after each batch that was not made durable, with the reason and the number of
    transitions.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        files: WatchedFiles,
        options: SqliteLedgerOptions,
        *,
        committed: Callable[[SqliteRows], None],
        failed: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._queries = load_queries()
        self._files = files
        self._options = options
        self._committed = committed
        self._rows = SqliteRows(connection, self._queries)
        self._data_version = 0
        self._failed = failed
        self._refusal: str | None = None
        self._queue: list[Handover] = []
        self._closing = False
        self._ended: Callable[[], None] = lambda: None
        self._idle = False
        self._wake = threading.Condition(threading.Lock())
        self._thread = threading.Thread(target=self._run, name="crossfade ledger", daemon=True)
        self.batches = 0
        """How many group commits were tried."""
        self.transitions = 0
        """How many transitions ran in them."""

    def start(self) -> None:
        """Begin to take transitions."""
        self._thread.start()

    @property
    def refusal(self) -> str | None:
        """Why the writer refuses everything until the ledger is opened anew, or None."""
        return self._refusal

    def hand_over(self, handover: Handover) -> None:
        """Queue a transition; bounded by the callers, who wait for a place first."""
        with self._wake:
            if self._closing:
                raise LedgerUnavailableError("the ledger is closed. Open it again to go on.")
            self._queue.append(handover)
            if self._idle:
                self._idle = False
                self._wake.notify()

    def close(self, ended: Callable[[], None]) -> None:
        """Take nothing more; what is queued is still committed, then the thread calls `ended`."""
        with self._wake:
            self._ended = ended
            self._closing = True
            self._wake.notify()

    # ---- the thread

    def _run(self) -> None:
        while batch := self._next_batch():
            self.batches += 1
            self.transitions += len(batch)
            try:
                self._commit(batch)
            except Exception as error:  # noqa: BLE001 - the thread must outlive its own mistakes
                self._refuse(batch, f"the ledger's writer failed ({error!r})")
            finish_all(batch)
        self._connection.close()
        self._ended()

    def _next_batch(self) -> list[Handover]:
        """What has queued up, at most `batch_max`; empty when closing and nothing is left."""
        with self._wake:
            while not self._queue and not self._closing:
                self._idle = True
                self._wake.wait()
            self._idle = False
            batch = self._queue[: self._options.batch_max]
            self._queue = self._queue[self._options.batch_max :]
            return batch

    def _commit(self, batch: Sequence[Handover]) -> None:
        """Run and commit a batch; afterwards each handover has its result or its error."""
        if self._refusal is not None:
            self._fail(batch, LedgerUnavailableError(self._refusal))
            return
        try:
            self._begin()
            for handover in batch:
                self._apply(handover)
            self._rows.write_batch()
        except sqlite3.Error as error:
            self._roll_back()
            self._fail(batch, _not_written(error))
            return
        except UnwritableRowError as error:
            self._roll_back()
            self._commit_singly(batch, error)
            return
        self._make_durable(batch)

    def _begin(self) -> None:
        self._connection.execute(self._queries["begin_write"])
        (version,) = self._connection.execute(self._queries["data_version"]).fetchone()
        self._rows.begin(
            changed_by_others=version != self._data_version,
            rows_max=self._options.rows_remembered_max,
        )
        self._data_version = version

    def _apply(self, handover: Handover) -> None:
        """Run one transition; what it raises is its caller's affair, errors of SQLite are not."""
        handover.error = None
        try:
            handover.result = handover.transition(self._rows)
        except (sqlite3.Error, UnwritableRowError):
            raise
        except BaseException as error:  # noqa: BLE001 - raised again at the caller
            self._rows.discard()
            handover.error = error
        else:
            self._rows.accept()

    def _commit_singly(self, batch: Sequence[Handover], error: UnwritableRowError) -> None:
        """Some transition wrote what has no place in a row: find it, so that only it fails.

        Transitions are deterministic and the first attempt was rolled back, so that running them
        again, each in its own commit, is as if each had come alone.
        """
        if len(batch) > 1:
            for handover in batch:
                self._commit([handover])
        else:
            give_error(batch, LedgerError(f"{error} Nothing was written."))

    def _make_durable(self, batch: Sequence[Handover]) -> None:
        try:
            self._connection.execute(self._queries["commit"])
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & _KIND_OF_ERROR
            if code not in _CERTAINLY_NOT_COMMITTED:
                # The commit record may or may not be found by whoever opens the ledger next.
                self._refuse(batch, f"a commit of unknown outcome ({error})")
            else:
                self._fail(batch, _not_written(error))
            self._roll_back()
            return
        missing = self._files.missing()
        if missing is not None:
            self._refuse(batch, f"{missing} was deleted or replaced while it was in use")
            return
        self._committed(self._rows)

    def _roll_back(self) -> None:
        self._rows.forget()
        if self._connection.in_transaction:
            try:
                self._connection.execute(self._queries["rollback"])
            except sqlite3.Error as error:
                self._refuse((), f"a transaction could not be rolled back ({error})")

    def _refuse(self, batch: Sequence[Handover], reason: str) -> None:
        """Accept nothing more: what is in the file is not known to be what callers were told."""
        self._refusal = (
            f"the ledger refuses all writes after {reason}. Stop this node, look at the disk, "
            "then start it again."
        )
        self._fail(batch, LedgerUnavailableError(self._refusal))

    def _fail(self, batch: Sequence[Handover], error: LedgerUnavailableError) -> None:
        give_error(batch, error)
        if batch:
            with suppress(RuntimeError):
                loop = batch[0].loop
                loop.call_soon_threadsafe(self._failed, str(error))


def _not_written(error: sqlite3.Error) -> LedgerUnavailableError:
    failure = LedgerUnavailableError(
        f"the ledger cannot be written: {error}. Nothing was committed; "
        "writes are accepted again when the disk has space and nobody locks the file."
    )
    failure.__cause__ = error
    return failure
