"""One try of one group commit on PostgreSQL: run the transitions, write their rows, commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import psycopg

from crossfade.ledger.handover import Handover
from crossfade.ledger.postgres_flush import ChangedUnderneathError, Statement
from crossfade.ledger.postgres_options import PostgresLedgerOptions
from crossfade.ledger.postgres_rows import MissedError, NeedsQuietError, PostgresRows
from crossfade.ledger.postgres_session import PostgresSession
from crossfade.ledger.row_text import entity_of_row, migration_of_row
from crossfade.ledger.row_writer import UnwritableRowError
from crossfade.ledger.rows import LedgerIdentity
from crossfade.model.migration_state import MigrationState

ADVISORY_ROUTE = 0x78664C47 << 32
"""The advisory lock that users' transactions share while they rely on the migration's row; the
low half tells ledgers in one database apart."""

_MISSES_MAX = 4
"""Fetches for one transition before it reads by itself."""


class CommitUnknownError(Exception):
    """Nobody has said what became of the commit."""

    def __init__(self, committed: "Committed") -> None:
        super().__init__("the answer to a commit was lost")
        self.committed = committed
        """What it was, if it took place."""


def route_lock(schema: str) -> int:
    """The number of a ledger's advisory lock."""
    return ADVISORY_ROUTE | crc32(schema.encode())


def route_channel(schema: str) -> str:
    """The channel on which processes are told that the migration's row has changed."""
    return f"crossfade_route_{crc32(schema.encode()):08x}"


@dataclass(frozen=True, slots=True)
class Committed:
    """A group commit that took place."""

    state: MigrationState
    number: int
    """Which change of the migration's row this is."""
    identity: LedgerIdentity | None
    """The ledger's identity, where it was read or changed."""


class PostgresBatch:
    """Tries group commits over one session at a time; used by the writer thread alone."""

    def __init__(
        self, session: PostgresSession, schema: str, writer: str, options: PostgresLedgerOptions
    ) -> None:
        self.rows = PostgresRows(session)
        self._session = session
        self._lock = route_lock(schema)
        self._channel = route_channel(schema)
        self._writer = writer
        self._options = options
        self._version = 0
        """The ledger's version as this writer left it; 0: everything is read anew."""
        self._state = MigrationState()
        self._number = 0

    def attempt(
        self, session: PostgresSession, batch: Sequence[Handover], number: int, *, alone: bool
    ) -> Committed:
        """Run and commit a batch; afterwards each handover has its result or its error.

        Args:
            session: the connection; nothing is begun on it.
            batch: the transitions, in order.
            number: the number of this try among this writer's, for whoever must find out what
                became of it.
            alone: keep users' transactions out, since the migration's row may change.

        Raises:
            NeedsQuietError: it does change; try again alone.
            ChangedUnderneathError: a key's row was changed meanwhile; try again.
            UnwritableRowError: some transition wrote what no row can hold.
            CommitUnknownError: the answer to the commit was lost.
            psycopg.Error: nothing was committed.

        """
        self._session = session
        try:
            self._begin(len(batch), alone=alone)
            mark = self.rows.numbers.mark()
            try:
                self._run(batch)
            except NeedsQuietError:
                # It is run again at once: nobody has seen what it was given.
                self.rows.numbers.back_to(mark)
                raise
            committed = self._write(number)
        except BaseException:
            self.forget()
            session.give_up()
            raise
        try:
            session.commit()
        except psycopg.Error as error:
            self.forget()
            raise CommitUnknownError(committed) from error
        self._version += 1
        self._state, self._number = committed.state, committed.number
        return committed

    def give_back(self, session: PostgresSession, last: int) -> None:
        """Give back numbers that were taken and not used; the caller has kept everybody out."""
        self.rows.numbers.begin(session, last, 0)
        self.rows.numbers.give_back(last)

    def forget(self) -> None:
        """Read everything anew: the batch was rolled back, or may have been."""
        self.rows.forget()
        self._version = 0

    def _begin(self, transitions: int, *, alone: bool) -> None:
        """Take the ledger's lock; read what has changed since this writer had it."""
        known = (self._version,)
        statements: list[Statement] = [("begin_write", ())]
        if alone:
            statements += [
                ("lock_wait", (_milliseconds(self._options.quiet_seconds),)),
                ("lock_alone", (self._lock,)),
                ("lock_wait", (_milliseconds(self._options.lock_seconds_max),)),
            ]
        statements += [
            ("lock_ledger", ()),
            ("last_number", ()),
            ("changed_migration", known),
            ("changed_entities", known),
            ("changed_chunks", known),
            ("lock_wait", (_milliseconds(self._options.blocked_seconds),)),
        ]
        answered = self._session.together(statements)
        locked, last, migration, entities, chunks = (one.rows for one in answered[-6:-1])
        changed = bool(migration)
        self.rows.begin(self._session, changed=changed, alone=alone)
        self.rows.numbers.begin(self._session, last[0][0], 3 * transitions)
        if changed:
            ((state, self._number),) = migration
            self._state = migration_of_row((state,))
            self.rows.fill(self._state, map(entity_of_row, entities), dict(chunks))
        self._version = locked[0][0]

    def _run(self, batch: Sequence[Handover]) -> None:
        """Run every transition, in order; the rows that they miss are fetched for all at once."""
        done, misses = 0, 0
        complete: set[int] = set()
        while done < len(batch):
            at_once = misses >= _MISSES_MAX
            if self._apply(batch[done], at_once=at_once):
                done, misses = done + 1, 0
                continue
            misses = misses + 1 if self.rows.misses else _MISSES_MAX
            for later in range(done + 1, len(batch)):
                if later not in complete and not self._rehearse(batch[later]):
                    complete.add(later)
            self.rows.fetch_missed()

    def _apply(self, handover: Handover, *, at_once: bool) -> bool:
        """Run one transition; False: it has missed rows, and nothing has happened.

        What it raises is its caller's affair; our own errors, and the driver's, are not.
        """
        handover.error = None
        self.rows.begin_transition(at_once=at_once)
        try:
            handover.result = handover.transition(self.rows)
        except MissedError:
            self.rows.retract()
            return False
        except (psycopg.Error, UnwritableRowError, NeedsQuietError, ChangedUnderneathError):
            raise
        except BaseException as error:  # noqa: BLE001 - raised again at the caller
            self.rows.discard()
            handover.error = error
        else:
            self.rows.accept()
        return True

    def _rehearse(self, handover: Handover) -> bool:
        """Find out what a transition will read; whether it missed anything. Leaves no trace."""
        self.rows.begin_transition(at_once=False)
        before = self.rows.misses
        try:
            handover.transition(self.rows)
        except psycopg.Error:
            raise
        except BaseException:  # noqa: BLE001, S110 - it will run again, and raise again
            pass
        finally:
            self.rows.retract()
        return self.rows.misses > before

    def _write(self, number: int) -> Committed:
        state = self.rows.migration()
        moved = state != self._state
        further: list[Statement] = [
            ("raise_version", ()),
            ("note_commit", (self._writer, number)),
            ("migration_number", ()),
        ]
        if moved:
            further.append(("tell_route", (self._channel,)))
        answered = self.rows.write_batch(further)
        ((migration_number,),) = answered[2].rows
        return Committed(state, migration_number, self.rows.known_identity())


def _milliseconds(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
