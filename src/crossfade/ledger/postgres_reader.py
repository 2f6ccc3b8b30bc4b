"""Looking at a ledger on PostgreSQL: one snapshot at a time, never blocked by writers."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg.rows import tuple_row

from crossfade.errors import ConfigurationError, LedgerUnavailableError
from crossfade.ledger.postgres_options import PostgresLedgerOptions
from crossfade.ledger.postgres_place import PostgresPlace
from crossfade.ledger.postgres_route import Seen
from crossfade.ledger.postgres_schema import schema_number
from crossfade.ledger.postgres_session import (
    PostgresSession,
    load_queries,
    open_session,
    schema_of,
    translated,
)
from crossfade.ledger.postgres_view import PostgresView
from crossfade.ledger.row_text import migration_of_row
from crossfade.ledger.rows import LedgerIdentity, RowsQueries
from crossfade.model.migration_state import MigrationState
from crossfade.seams.clock import Clock

Result = TypeVar("Result")

_CLOSED = "the ledger is closed. Open it again to go on."
_AGAIN_SECONDS = 0.5
"""After a failed connection nobody waits for another one for so long."""


class PostgresReader:
    """Looks at committed rows through one connection, which it opens anew when it is lost."""

    def __init__(
        self, place: PostgresPlace, schema: str, options: PostgresLedgerOptions, clock: Clock
    ) -> None:
        self._place = place
        self._schema = schema
        self._options = options
        self._clock = clock
        self._session: PostgresSession | None = None
        self._view: PostgresView | None = None
        self._lock = threading.RLock()
        self._looking = False
        """Whether the thread that holds the lock has a snapshot."""
        self._closed = False
        self._not_before = 0.0

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
        """The highest number that was ever taken."""
        return int(self.ask(lambda session: session.one("last_number"))[0])

    def look(self, query: Callable[[RowsQueries], Result]) -> Result:
        """See `Ledger.look`; waits for other looks of this process, never for a writer.

        A look inside a look sees the same snapshot.
        """
        with self._lock:
            if self._looking and self._view is not None:
                return query(self._view)
            return self.ask(lambda session: self._look(session, query))

    def ask(self, question: Callable[[PostgresSession], Result]) -> Result:
        """Ask something of the server; once more on a new connection where the old one is gone.

        Raises:
            LedgerUnavailableError: closed, or the server does not answer.

        """
        with self._lock, translated(self._place.shown):
            fresh = self._session is None or not self._session.usable
            session = self._connected()
            try:
                return question(session)
            except psycopg.Error:
                session.give_up()
                if fresh or session.usable:
                    raise
            return question(self._connected())

    def seen(self) -> Seen:
        """The migration's row, read now."""
        return self.route("", "")[0]

    def route(self, node: str, registration: str) -> tuple[Seen, bool]:
        """The migration's row, read now, and whether a process is still registered."""
        began = self._clock.monotonic()
        state, number, there = self.ask(
            lambda session: session.one("get_route", node, registration)
        )
        return Seen(migration_of_row((state,)), number, began), there

    def server(self) -> tuple[object, ...]:
        """Which server, and which of its databases, this is."""
        found: tuple[object, ...] = self.ask(lambda session: session.one("place"))
        return found

    def server_of(self, connection: "psycopg.Connection[Any]") -> tuple[object, ...] | None:
        """The same of a user's connection."""
        cursor = psycopg.Cursor(connection, row_factory=tuple_row)
        return cursor.execute(load_queries(self._schema)["place"]).fetchone()

    def close(self) -> None:
        """Give the connection back; may be repeated."""
        with self._lock:
            self._closed = True
            if self._session is not None:
                self._session.close()

    def _look(self, session: PostgresSession, query: Callable[[RowsQueries], Result]) -> Result:
        view = self._view
        if view is None or not view.reads(session):
            view = self._view = PostgresView(session)
        view.forget()
        session.run("begin_read")
        self._looking = True
        try:
            return query(view)
        finally:
            self._looking = False
            with suppress(psycopg.Error):
                session.run("rollback")

    def _connected(self) -> PostgresSession:
        if self._closed:
            raise LedgerUnavailableError(_CLOSED)
        if self._session is not None and self._session.usable:
            return self._session
        if self._clock.monotonic() < self._not_before:
            raise LedgerUnavailableError(
                f"the ledger {self._place.shown} did not answer a moment ago. See whether the "
                "server runs."
            )
        try:
            self._session = open_session(self._place, self._options, "reader", self._schema)
        except LedgerUnavailableError:
            self._not_before = self._clock.monotonic() + _AGAIN_SECONDS
            raise
        return self._session


def open_postgres_reader(
    place: PostgresPlace, clock: Clock, options: PostgresLedgerOptions | None = None
) -> PostgresReader:
    """Open a ledger for looking only, beside the processes that use it.

    Raises:
        ConfigurationError: there is no ledger there.
        LedgerVersionError: a newer release wrote it.
        LedgerUnavailableError: the server does not answer.

    """
    options = options or PostgresLedgerOptions()
    schema = ledger_schema(place, options)
    if schema is None:
        raise ConfigurationError(
            f"there is no ledger in {place.shown} yet. Run `crossfade up`, it makes the ledger; "
            "or correct where the settings say that it is."
        )
    return PostgresReader(place, schema, options, clock)


def ledger_schema(place: PostgresPlace, options: PostgresLedgerOptions) -> str | None:
    """The schema that holds a ledger there, or None where there is none; raises like a reader."""
    session = open_session(place, options, "reader")
    try:
        with translated(place.shown):
            return schema_of(session, place) if schema_number(session) else None
    finally:
        session.close()
