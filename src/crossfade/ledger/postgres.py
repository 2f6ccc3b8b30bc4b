"""The PostgreSQL ledger: one database, several processes."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

import psycopg

from crossfade.errors import ConfigurationError
from crossfade.ledger.handover import HandoverQueue
from crossfade.ledger.postgres_batch import Committed, PostgresBatch, route_lock
from crossfade.ledger.postgres_nodes import PostgresNodes
from crossfade.ledger.postgres_options import PostgresLedgerOptions
from crossfade.ledger.postgres_place import PostgresPlace
from crossfade.ledger.postgres_reader import PostgresReader
from crossfade.ledger.postgres_route import Route
from crossfade.ledger.postgres_schema import upgrade_postgres
from crossfade.ledger.postgres_session import PostgresSession, open_session, schema_of, translated
from crossfade.ledger.postgres_view import PostgresView
from crossfade.ledger.postgres_writer import PostgresWriter
from crossfade.ledger.rows import LedgerIdentity, Rows, RowsQueries
from crossfade.ledger.unused import is_unused
from crossfade.model.migration_state import MigrationState
from crossfade.observability.events import LedgerFailed
from crossfade.observability.hooks import Hooks
from crossfade.seams.clock import Clock
from crossfade.seams.randomness import Randomness

Result = TypeVar("Result")


class PostgresLedger:
    """A ledger that several processes share; callers may come from any loop and thread."""

    def __init__(  # noqa: PLR0913 - wired once, by `open_postgres_ledger`
        self,
        *,
        place: PostgresPlace,
        schema: str,
        writing: PostgresSession,
        reader: PostgresReader,
        nodes: PostgresNodes,
        route: Route,
        clock: Clock,
        options: PostgresLedgerOptions,
        hooks: Hooks,
        writer_name: str,
        made_here: bool,
    ) -> None:
        self.place = place
        self.schema = schema
        self._nodes = nodes
        self._reader = reader
        self._route = route
        self._clock = clock
        self._options = options
        self._hooks = hooks
        self._writer_name = writer_name
        self._made_here = made_here
        self._process = os.getpid()
        self._identity = reader.identity
        self.queue = HandoverQueue(options.queue_max)
        """Its counters tell how full it was."""
        self._closed = False
        self._discard = False
        self._server: tuple[object, ...] | None = None
        self._writer = PostgresWriter(
            session=writing,
            batch=PostgresBatch(writing, schema, writer_name, options),
            writer=writer_name,
            connect=self._connect,
            clock=clock,
            options=options,
            committed=self._publish,
            failed=self._note_failure,
        )
        self._writer.start()
        nodes.start()

    @property
    def identity(self) -> LedgerIdentity:
        """See `Ledger.identity`."""
        return self._identity

    @property
    def migration(self) -> MigrationState:
        """See `Ledger.migration`: as it was a moment ago, at most `route_seconds`; else asked for.

        Raises:
            LedgerUnavailableError: it is too old, and the server does not answer: another process
                may have changed the authority since.

        """
        return self._route.usable(self._clock.monotonic()) or self._nodes.refresh()

    @property
    def nodes(self) -> PostgresNodes:
        """See `OpenedLedger.nodes`."""
        return self._nodes

    @property
    def writer(self) -> PostgresWriter:
        """The writer, for its counters."""
        return self._writer

    @property
    def route_lock(self) -> int:
        """The advisory lock that users' transactions share."""
        return route_lock(self.schema)

    async def transact(self, transition: Callable[[Rows], Result]) -> Result:
        """See `Ledger.transact`."""
        self._check_process()
        return await self.queue.carry(transition, self._writer.hand_over)

    def look(self, query: Callable[[RowsQueries], Result]) -> Result:
        """See `Ledger.look`; asks the server each time, and blocks its thread meanwhile."""
        self._check_process()
        return self._reader.look(query)

    def lives_in(self, connection: "psycopg.Connection[object]") -> bool:
        """Whether a user's connection is to the very database that the ledger is in.

        Raises:
            psycopg.Error: the user's connection fails.

        """
        return self._reader.server_of(connection) == self.server

    @property
    def server(self) -> tuple[object, ...]:
        """Which server, and which of its databases, holds the ledger; asked for once."""
        if self._server is None:
            self._server = self._reader.server()
        return self._server

    async def close(self) -> None:
        """See `Ledger.close`; may be repeated."""
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def tell(session: PostgresSession | None) -> None:
            self._nodes.stop()
            self._reader.close()
            if session is not None:
                with suppress(psycopg.Error):
                    self._leave(session)
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_resolve, ended)

        self._writer.close(tell)
        await ended

    async def discard_unused(self) -> None:
        """Close; a ledger that this opening made, and that nobody uses yet, is removed again."""
        self._discard = self._made_here
        await self.close()

    def _leave(self, session: PostgresSession) -> None:
        """The last words of the writer: give back what is not needed any more."""
        session.run("begin_write")
        session.run("lock_alone", self.route_lock)
        session.one("lock_ledger")
        last = int(session.one("last_number")[0])
        self._writer.give_back(session, last)
        session.run("forget_commits", self._writer_name)
        unused = self._discard and is_unused(PostgresView(session))
        if unused and not session.all("list_nodes"):
            session.run("drop_ledger")
            session.run("drop_sequence")
        session.run("commit")

    def _connect(self) -> PostgresSession:
        return open_session(self.place, self._options, "writer", self.schema)

    def _publish(self, committed: Committed) -> None:
        """The writer has committed: from now on everybody here sees this state."""
        self._route.committed(committed.state, committed.number)
        if committed.identity is not None:
            self._identity = committed.identity

    def _check_process(self) -> None:
        """Threads do not survive a fork: a copy would wait for ever, or share a connection."""
        if os.getpid() != self._process:
            raise ConfigurationError(
                "the ledger was opened before this process was forked. Open it in each process."
            )

    def _note_failure(self, reason: str) -> None:
        self._hooks.emit(LedgerFailed(reason=reason))


def open_postgres_ledger(
    place: PostgresPlace,
    *,
    clock: Clock,
    randomness: Randomness,
    node: str | None = None,
    hooks: Hooks | None = None,
    options: PostgresLedgerOptions | None = None,
) -> PostgresLedger:
    """Open a ledger on PostgreSQL, or make one; any number of processes may.

    Args:
        place: the database and schema.
        clock: monotonic time.
        randomness: what the identity of a new ledger is made of.
        node: this process's name in intents and leases; a new one where it is left out.
        hooks: who is told when the ledger cannot commit.
        options: limits.

    Raises:
        ConfigurationError: the database, the user or a right is missing.
        LedgerVersionError: a newer release wrote it.
        LedgerUnavailableError: the server does not answer.

    """
    options, name = options or PostgresLedgerOptions(), node or randomness.identifier()
    with translated(place.shown):
        writing = open_session(place, options, "writer")
        try:
            schema = schema_of(writing, place)
            made_here = upgrade_postgres(writing, schema, randomness)
            reader = PostgresReader(place, schema, options, clock)
            route = Route(options.route_seconds, options.dead_seconds / 2)
            short = replace(options, statement_seconds_max=options.connect_seconds_max)
            asker = PostgresReader(place, schema, short, clock)
            nodes = PostgresNodes(
                place=place, schema=schema, name=name, registration=randomness.identifier(),
                route=route, asker=asker, clock=clock, options=short,
            )  # fmt: skip
            nodes.register(writing)
            # Only now: a change of authority waits for registered processes.
            route.saw(reader.seen())
        except BaseException:
            writing.close()
            raise
    return PostgresLedger(
        place=place, schema=schema, writing=writing, reader=reader, nodes=nodes, route=route,
        clock=clock, options=options, hooks=hooks or Hooks(), made_here=made_here,
        writer_name=f"{name} {randomness.identifier()}",
    )  # fmt: skip


def _resolve(ended: "asyncio.Future[None]") -> None:
    if not ended.done():
        ended.set_result(None)
