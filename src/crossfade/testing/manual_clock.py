"""A clock that moves only when a test says so, and wakes its sleepers in the order of time."""

import asyncio
import heapq
from collections.abc import Generator
from datetime import UTC, datetime, timedelta

BEGINNING = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
"""The wall clock of a manual clock that was given none."""


class _Turn:
    """Awaiting it lets every task that is ready run once, and takes no time."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class ManualClock:
    """A `Clock` for tests and simulation: time stands still between two calls of `advance`.

    Wall clock and monotonic clock move together. Not for use by several threads.
    """

    def __init__(self, now: datetime = BEGINNING, monotonic: float = 1000.0) -> None:
        self._now = now
        self._monotonic = monotonic
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> datetime:
        """See `Clock.now`."""
        return self._now

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`; returns when the clock was moved so far."""
        if seconds <= 0:
            await _Turn()
            return
        self._count += 1
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, self._count, waiter))
        await waiter

    @property
    def sleepers(self) -> int:
        """How many tasks sleep now; one that was cancelled sleeps no longer."""
        return sum(not waiter.done() for _, _, waiter in self._sleepers)

    def next_wake(self) -> float | None:
        """Seconds until the next sleeper is due, or None where nobody sleeps."""
        self._drop_cancelled()
        return self._sleepers[0][0] - self._monotonic if self._sleepers else None

    async def settle(self, turns: int = 50) -> None:
        """Let the other tasks run without moving the clock.

        Args:
            turns: how many times each may go on; work in threads and on sockets is not waited for.

        """
        for _ in range(turns):
            await _Turn()

    async def advance(self, seconds: float) -> None:
        """Move the clock, stopping at each sleeper that is due and letting its task go on.

        Tasks that wake and sleep again are woken again if they are due within the same span.
        """
        until = self._monotonic + seconds
        await self.settle()
        while (due := self._next_due(until)) is not None:
            self._move_to(due)
            await self.settle()
        self._move_to(until)
        await self.settle()

    def jump(self, seconds: float) -> None:
        """Move the clock at once, as a paused process sees it: whoever is due wakes together."""
        self._move_to(self._monotonic + seconds)

    def set_wall_clock(self, now: datetime) -> None:
        """Move the wall clock alone, in either direction: no decision may depend on it."""
        self._now = now

    def _move_to(self, monotonic: float) -> None:
        self._now += timedelta(seconds=monotonic - self._monotonic)
        self._monotonic = monotonic
        while self._sleepers and self._sleepers[0][0] <= self._monotonic:
            _, _, waiter = heapq.heappop(self._sleepers)
            if not waiter.done():
                waiter.set_result(None)

    def _next_due(self, until: float) -> float | None:
        self._drop_cancelled()
        if not self._sleepers or self._sleepers[0][0] > until:
            return None
        return self._sleepers[0][0]

    def _drop_cancelled(self) -> None:
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
