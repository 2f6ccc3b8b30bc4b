"""The processes on one PostgreSQL ledger: each shows that it lives and what it routes by."""

import math
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from crossfade.errors import LedgerUnavailableError
from crossfade.ledger.nodes import NodeSeen
from crossfade.ledger.postgres_batch import route_channel
from crossfade.ledger.postgres_options import PostgresLedgerOptions
from crossfade.ledger.postgres_place import PostgresPlace
from crossfade.ledger.postgres_reader import PostgresReader
from crossfade.ledger.postgres_route import Route, Seen
from crossfade.ledger.postgres_session import PostgresSession, Row, open_session
from crossfade.ledger.row_text import migration_of_row
from crossfade.model.migration_state import MigrationState
from crossfade.seams.clock import Clock

_STOP_SECONDS_MAX = 5.0
"""How long the end of the ledger waits for the thread that shows that we live."""

_GONE_SECONDS, _GONE_MAX = 0.2, 1000
"""How long, and of how many, it is remembered that a process is not there."""

_AGAIN_SECONDS = 0.25
"""Pause before another connection is tried."""


@dataclass(frozen=True, slots=True)
class _Beat:
    """How far another process's heart had come, and since when it has not moved."""

    registration: str
    beat: int
    since: float


class PostgresNodes:
    """This process's place among the others (`Nodes`), and the thread that keeps it.

    The thread reads the migration's row every `poll_seconds` and when it is told that it has
    changed, says by which one this process routes from then on, and finds those dead whose beat
    has not moved for `dead_seconds` of its own clock: their rows are removed, so that a process
    that only stood still finds out before it routes anything again.
    """

    works = False

    def __init__(  # noqa: PLR0913 - wired once, when the ledger is opened
        self,
        *,
        place: PostgresPlace,
        schema: str,
        name: str,
        registration: str,
        route: Route,
        asker: PostgresReader,
        clock: Clock,
        options: PostgresLedgerOptions,
    ) -> None:
        self.name: str | None = name
        self._node = name
        self._registration = registration
        self._place = place
        self._schema = schema
        self._route = route
        self._asker = asker
        """A connection of its own: what it reads must be no older than the question."""
        self._clock = clock
        self._options = options
        self._untracked: Callable[[], bool] = _nothing
        self._serving = False
        self._forsaken: list[Callable[[], None]] = []
        self._beats: dict[str, _Beat] = {}
        self._living: frozenset[str] = frozenset()
        self._told: tuple[int, int, int] | None = None
        self._beat_at = 0.0
        self._gone: dict[str, float] = {}
        """Processes that were not registered when somebody asked, and when that was."""
        self._stopping = threading.Event()
        self._registering = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="crossfade nodes", daemon=True)

    # ---- for this process

    def start(self) -> None:
        """Begin to show that this process lives."""
        self._thread.start()

    def stop(self) -> None:
        """Leave: nobody waits for this process from now on."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS_MAX)

    def tell(
        self, *, untracked: Callable[[], bool], forsaken: Callable[[], None], serving: bool = True
    ) -> None:
        """See `Nodes.tell`."""
        self._untracked = untracked
        self._serving = serving
        self._forsaken.append(forsaken)
        # Whoever is told that this process is up must find it among the others.
        self._asker.ask(self._beat)

    def register(self, session: PostgresSession) -> None:
        """Take a place among the others, before anything is routed."""
        began = self._clock.monotonic()
        session.run("bury_node", self._node, self._registration, False)  # noqa: FBT003 - a value
        session.run(
            "register_node", self._node, self._registration, self._clock.now().timestamp(),
            0, int(self._untracked()), int(self._serving), self._options.route_seconds,
        )  # fmt: skip
        self._route.alive(began)

    def refresh(self) -> MigrationState:
        """The migration's row, read now; requests may be routed by it.

        Raises:
            LedgerUnavailableError: the server does not answer, or the ledger has gone back.

        """
        began = self._clock.monotonic()
        if not self._route.is_shown_alive(began):
            self._asker.ask(self._beat)
        seen = self._read()
        if seen.number < self._route.seen.number:
            # Changed under way, by this process; or the ledger went back.
            seen = self._read()
        newest = self._route.seen
        if seen.number < newest.number:
            raise LedgerUnavailableError(
                "the ledger is older than it was: it was restored under running processes. Stop "
                "them all, then start them again."
            )
        return newest.state

    def _read(self) -> Seen:
        seen, there = self._asker.route(self._node, self._registration)
        if not there:
            self._come_back()
            seen, _ = self._asker.route(self._node, self._registration)
        self._route.saw(seen)
        return seen

    # ---- about the others

    def is_elsewhere(self, node: str) -> bool:
        """See `Nodes.is_elsewhere`.

        One that was not there at the last look may have come since: who has begun something was
        registered before, so that only a look that is made now can tell that it is gone.
        """
        if node == self._node:
            return False
        now = self._clock.monotonic()
        if node in self._living or now - self._gone.get(node, -math.inf) < _GONE_SECONDS:
            return node in self._living
        try:
            there = any(one.node == node for one in self.others())
        except LedgerUnavailableError:
            return True
        if not there:
            self._gone = {node: now, **dict(list(self._gone.items())[-_GONE_MAX:])}
        return there

    def dead(self) -> int:
        """See `Nodes.dead`."""
        return int(self._asker.ask(lambda session: session.one("count_dead"))[0])

    def others(self) -> Sequence[NodeSeen]:
        """See `Nodes.others`."""
        rows = self._asker.ask(lambda session: session.all("list_nodes"))
        return [_seen(row) for row in rows if row[0] != self._node]

    # ---- the thread

    def _run(self) -> None:
        session: PostgresSession | None = None
        while not self._stopping.is_set():
            try:
                if session is None or not session.usable:
                    session = self._connected()
                self._look_around(session)
                self._wait_for_news(session)
            except Exception:  # noqa: BLE001 - the thread must outlive whatever happens
                # The route gets old by itself, and whoever needs it asks, and is told why.
                if session is not None:
                    session.close()
                session = None
                self._stopping.wait(_AGAIN_SECONDS)
        if session is not None and session.usable:
            with suppress(psycopg.Error):
                self._leave(session)
            session.close()
        self._asker.close()

    def _leave(self, session: PostgresSession) -> None:
        session.run("leave_work", self._node, self._registration)
        if self._untracked():
            session.run("bury_node", self._node, self._registration, True)  # noqa: FBT003 - a value
        session.run("remove_node", self._node, self._registration)

    def _connected(self) -> PostgresSession:
        session = open_session(self._place, self._options, "nodes", self._schema)
        # A beat that a crash of the server forgets is one that nobody has seen.
        session.run("setting", "synchronous_commit", "off")
        session.listen(route_channel(self._schema))
        return session

    def _wait_for_news(self, session: PostgresSession) -> None:
        for _ in session.connection.notifies(timeout=self._options.poll_seconds, stop_after=1):
            break

    def _look_around(self, session: PostgresSession) -> None:
        """Read the row, say that it was read, and once in a while look at the others."""
        began = self._clock.monotonic()
        state, number, there = session.one("get_route", self._node, self._registration)
        if not there:
            self._come_back()
            return
        self._route.saw(Seen(migration_of_row((state,)), number, began))
        due = began - self._beat_at >= self._options.beat_seconds
        if due or self._told != self._shown():
            self._beat(session)
        if due:
            self._beat_at = began
            self._look_at_others(session)

    def _beat(self, session: PostgresSession) -> None:
        """Show that this process lives, and by which row it routes."""
        began = self._clock.monotonic()
        shown = self._shown()
        if session.run("beat_node", *shown, self._node, self._registration):
            self._told = shown
            self._route.alive(began)
        else:
            self._told = None

    def _shown(self) -> tuple[int, int, int]:
        """By which row this process routes, whether untracked writes are open, if it serves."""
        number = self._route.seen.number
        # In this order: a write that was planned by an older row is counted by now.
        untracked = self._untracked()
        return number, int(untracked), int(self._serving)

    def _look_at_others(self, session: PostgresSession) -> None:
        now = self._clock.monotonic()
        beats: dict[str, _Beat] = {}
        for row in session.all("list_nodes"):
            node, registration, beat = row[0], row[1], row[3]
            known = self._beats.get(node)
            if known is None or (known.registration, known.beat) != (registration, beat):
                known = _Beat(registration, beat, now)
            if node == self._node or now - known.since < self._options.dead_seconds:
                beats[node] = known
            elif not session.run("evict_node", node, registration, beat):
                beats[node] = _Beat(registration, beat, now)
        self._beats = beats
        self._living = frozenset(beats) - {self._node}
        session.run("claim_work", self._node, self._registration)
        self.works = bool(session.one("holds_work", self._node, self._registration)[0])

    def _come_back(self) -> None:
        """The others took this process for dead: all it had begun is theirs; then begin anew."""
        with self._registering:
            _, there = self._asker.route(self._node, self._registration)
            if there:
                return
            self.works = False
            for forsaken in self._forsaken:
                forsaken()
            self._asker.ask(self.register)


def _seen(row: Row) -> NodeSeen:
    (node, _, started, _, seen, untracked, serving, route_seconds, number) = row
    return NodeSeen(
        node=node,
        started=started,
        behind=seen < number,
        untracked=untracked == 1,
        serving=serving == 1,
        route_seconds=route_seconds,
    )


def _nothing() -> bool:
    return False
