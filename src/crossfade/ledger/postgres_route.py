"""What requests are routed by: the migration's row as it was read a moment ago."""

import math
import threading
from dataclasses import dataclass

from crossfade.model.migration_state import MigrationState


@dataclass(frozen=True, slots=True)
class Seen:
    """The migration's row, which change of it this is, and when reading it began."""

    state: MigrationState
    number: int
    at: float
    """Seconds on this process's own monotonic clock, taken before the row was asked for."""


class Route:
    """The newest row that this process has seen; any thread may look and tell."""

    def __init__(self, seconds_max: float, alive_seconds_max: float) -> None:
        """Begin with nothing seen.

        Args:
            seconds_max: how old a row may be that requests are routed by.
            alive_seconds_max: how long ago this process may have shown that it lives: far less
                than after how long the others take it for dead, and wait for it no more.

        """
        self._seen = Seen(MigrationState(), 0, -math.inf)
        self._alive_at = -math.inf
        self._seconds_max = seconds_max
        self._alive_seconds_max = alive_seconds_max
        self._lock = threading.Lock()

    @property
    def seen(self) -> Seen:
        """The newest row, however old it is."""
        return self._seen

    def saw(self, seen: Seen) -> None:
        """The row was read; what is older than the newest one changes nothing."""
        with self._lock:
            known = self._seen
            if (seen.number, seen.at) > (known.number, known.at):
                self._seen = seen

    def committed(self, state: MigrationState, number: int) -> None:
        """This process has changed the row; that says nothing about whether it counts as alive."""
        with self._lock:
            known = self._seen
            if number > known.number:
                self._seen = Seen(state, number, known.at)

    def alive(self, at: float) -> None:
        """The others were shown that this process lives; `at`: before they were told."""
        self._alive_at = max(self._alive_at, at)

    def is_shown_alive(self, now: float) -> bool:
        """Whether nobody can have taken this process for dead."""
        return now - self._alive_at < self._alive_seconds_max

    def usable(self, now: float) -> MigrationState | None:
        """The row, if requests may be routed by it without asking; else None.

        While the authority changes everybody asks: the change waits, for longer than a row may be
        used, only once, before it commits.
        """
        seen = self._seen
        fresh = now - seen.at < self._seconds_max and self.is_shown_alive(now)
        return seen.state if fresh and seen.state.flip is None else None
