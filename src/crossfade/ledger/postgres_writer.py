"""The one writer thread of a process on a PostgreSQL ledger: groups, tries again, finds out."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from crossfade.errors import (
    ConfigurationError,
    CrossfadeError,
    LedgerError,
    LedgerUnavailableError,
)
from crossfade.ledger.handover import Handover, finish_all, give_error
from crossfade.ledger.postgres_batch import Committed, CommitUnknownError, PostgresBatch
from crossfade.ledger.postgres_flush import ChangedUnderneathError
from crossfade.ledger.postgres_options import PostgresLedgerOptions
from crossfade.ledger.postgres_rows import NeedsQuietError
from crossfade.ledger.postgres_session import CANNOT_WAIT, PostgresSession, told
from crossfade.ledger.row_writer import UnwritableRowError
from crossfade.seams.clock import Clock

_CLOSED = "the ledger is closed. Open it again to go on."
_TRIES_MAX = 5
"""Tries of a group whose rows change underneath; then each transition comes alone."""
_APART_SECONDS_MAX = 0.5
_APART_SECONDS = 0.05
"""Pause between two tries of a transition that is blocked, and of a lost connection."""


@dataclass(slots=True)
class _Parked:
    """A transition that met a lock of a user's transaction: tried again apart from the others."""

    handover: Handover
    until: float
    """Monotonic seconds after which its caller is told."""
    due: float = 0.0
    pause: float = _APART_SECONDS


class PostgresWriter:
    """Owns the writing connection; every method but `_run` and what it calls is for callers.

    `connect` opens a session; `committed` is called by the thread after each commit, with what
    was committed; `failed` on one caller's event loop after a batch
    that was not made durable.
    """

    def __init__(  # noqa: PLR0913 - wired once, by the ledger
        self,
        *,
        session: PostgresSession,
        batch: PostgresBatch,
        writer: str,
        connect: Callable[[], PostgresSession],
        clock: Clock,
        options: PostgresLedgerOptions,
        committed: Callable[[Committed], None],
        failed: Callable[[str], None],
    ) -> None:
        self._session = session
        self._batch = batch
        self._writer = writer
        self._connect = connect
        self._clock = clock
        self._options = options
        self._committed = committed
        self._failed = failed
        self._queue: list[Handover] = []
        self._parked: list[_Parked] = []
        self._number = 0
        self._unknown = 0
        """The try whose outcome nobody knows yet, 0 where there is none."""
        self._closing = False
        self._ended: Callable[[PostgresSession | None], None] = lambda _: None
        self._idle = False
        self._wake = threading.Condition(threading.Lock())
        self._thread = threading.Thread(target=self._run, name="crossfade ledger", daemon=True)
        self.batches = 0
        """How many group commits took place."""
        self.transitions = 0
        """How many transitions ran in them."""

    def start(self) -> None:
        """Begin to take transitions."""
        self._thread.start()

    def hand_over(self, handover: Handover) -> None:
        """Queue a transition; bounded by the callers, who wait for a place first."""
        with self._wake:
            if self._closing:
                raise LedgerUnavailableError(_CLOSED)
            self._queue.append(handover)
            if self._idle:
                self._idle = False
                self._wake.notify()

    def close(self, ended: Callable[[PostgresSession | None], None]) -> None:
        """Take nothing more; what is queued is still committed, then the thread calls `ended`."""
        with self._wake:
            self._ended = ended
            self._closing = True
            self._wake.notify()

    def give_back(self, session: PostgresSession, last: int) -> None:
        """For `ended`: give back numbers that were taken and not used."""
        self._batch.give_back(session, last)

    # ---- the thread

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            if not batch and not self._parked:
                break
            self._guarded(batch)
            self._try_parked()
        session = self._session if self._session.usable and not self._unknown else None
        self._ended(session)
        self._session.close()

    def _next_batch(self) -> list[Handover]:
        """What has queued up; empty when closing, or when something parked is due."""
        with self._wake:
            while not self._queue and not self._closing:
                self._idle = True
                if not self._wake.wait(_APART_SECONDS if self._parked else None) and self._parked:
                    break
            self._idle = False
            batch = self._queue[: self._options.batch_max]
            self._queue = self._queue[self._options.batch_max :]
            return batch

    def _guarded(self, batch: Sequence[Handover]) -> None:
        """Commit a batch and tell its callers, but for those that are blocked: they are parked."""
        if not batch:
            return
        try:
            self._try_group(batch)
        except UnwritableRowError as error:
            if len(batch) > 1:
                self._apart(batch)
                return
            self._fail(batch, self._not_written(error))
        except CANNOT_WAIT:
            if len(batch) > 1:
                self._apart(batch)
            else:
                until = self._clock.monotonic() + self._options.blocked_seconds_max
                self._parked.append(_Parked(batch[0], until))
            return
        except Exception as error:  # noqa: BLE001 - told to the callers; the thread goes on
            self._fail(batch, self._not_written(error))
        finish_all(batch)

    def _apart(self, batch: Sequence[Handover]) -> None:
        """One of them fails or is blocked: each by itself, so that no other is told, or waits.

        Nothing of the group was committed, and transitions are deterministic: it is as if each
        had come alone.
        """
        for handover in batch:
            self._guarded([handover])

    def _try_parked(self) -> None:
        """Try those again that were blocked; a caller that has gone meanwhile is not served."""
        parked, self._parked = self._parked, []
        for one in parked:
            now = self._clock.monotonic()
            if now < one.due and not self._closing:
                self._parked.append(one)
                continue
            late = now >= one.until
            if not one.handover.outcome.cancelled():
                try:
                    self._try_group([one.handover])
                except CANNOT_WAIT as error:
                    if not late:
                        # Each try keeps other processes waiting for the ledger's lock.
                        one.pause = min(2 * one.pause, _APART_SECONDS_MAX)
                        one.due = self._clock.monotonic() + one.pause
                        self._parked.append(one)
                        continue
                    self._fail([one.handover], _blocked(error))
                except Exception as error:  # noqa: BLE001 - told to the caller
                    self._fail([one.handover], self._not_written(error))
            finish_all([one.handover])

    def _try_group(self, batch: Sequence[Handover]) -> None:
        """Try until nobody comes in between; raises what only others can mend."""
        if self._unknown:
            # Before anything else is run, find out what became of the last commit.
            self._find_out(0.0)
        alone, tries = False, 0
        while True:
            try:
                return self._try_once(batch, alone=alone)
            except NeedsQuietError:
                alone = True
                continue
            except ChangedUnderneathError as error:
                failure: psycopg.Error = psycopg.errors.SerializationFailure("rows keep changing")
                failure.__cause__ = error
            except psycopg.Error as error:
                # An idle connection may have been closed long ago: once more on a new one.
                if self._session.usable or tries:
                    raise
                failure = error
            tries += 1
            if tries >= _TRIES_MAX:
                raise failure

    def _try_once(self, batch: Sequence[Handover], *, alone: bool) -> None:
        """One try, to its end: also of a commit whose answer was lost."""
        if not self._session.usable:
            self._session = self._connect()
        self._number += 1
        try:
            committed = self._batch.attempt(self._session, batch, self._number, alone=alone)
        except CommitUnknownError as error:
            self._unknown = self._number
            if not self._find_out(self._options.outcome_seconds_max):
                self._session.close()
                raise psycopg.OperationalError("the connection was lost in a commit") from error
            committed = error.committed
        self.batches += 1
        self.transitions += len(batch)
        self._committed(committed)

    # ---- a commit of unknown outcome

    def _find_out(self, seconds_max: float) -> bool:
        """Whether the commit of unknown outcome took place.

        The group wrote its number in the same transaction. The ledger's row is locked until that
        transaction has ended, so whoever gets the lock reads what became of it.

        Raises:
            LedgerUnavailableError: not known in time; nothing else is run until it is.

        """
        until = self._clock.monotonic() + seconds_max
        self._session.close()
        while True:
            try:
                self._session = self._connect()
                took_place = self._look_up()
            except (psycopg.Error, CrossfadeError) as error:
                self._session.close()
                if self._clock.monotonic() < until and not self._closing:
                    self._pause()
                    continue
                raise LedgerUnavailableError(
                    f"the ledger does not say whether a commit took place: {told(error)}. It may "
                    "have; nothing more is written until the server answers."
                ) from error
            self._unknown = 0
            return took_place

    def _look_up(self) -> bool:
        session = self._session
        session.run("begin_write")
        session.one("lock_ledger")
        row = session.one("committed_batch", self._writer)
        session.run("rollback")
        return row is not None and row[0] == self._unknown

    def _pause(self) -> None:
        with self._wake:
            self._wake.wait_for(lambda: self._closing, _APART_SECONDS)

    # ---- failures

    def _not_written(self, error: Exception) -> CrossfadeError:
        if isinstance(error, CrossfadeError):
            return error
        if isinstance(error, UnwritableRowError):
            return LedgerError(f"{error} Nothing was written.")
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            failure: CrossfadeError = ConfigurationError(
                f"the ledger {self._session.name} cannot be written: {told(error)}. Let its "
                "owner grant that."
            )
        else:
            failure = LedgerUnavailableError(
                f"the ledger {self._session.name} cannot be written: {told(error)}. Nothing was "
                "committed; writes are accepted again when the server answers."
            )
        failure.__cause__ = error
        return failure

    def _fail(self, batch: Sequence[Handover], error: CrossfadeError) -> None:
        give_error(batch, error)
        if batch:
            with suppress(RuntimeError):
                batch[0].loop.call_soon_threadsafe(self._failed, str(error))


def _blocked(error: psycopg.Error) -> LedgerUnavailableError:
    failure = LedgerUnavailableError(
        "transactions of the application hold what the ledger must change, for longer than it "
        "waits. Nothing was committed; let them end, then try again."
    )
    failure.__cause__ = error
    return failure
