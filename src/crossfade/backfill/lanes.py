"""Several chunks of one entity under way together: a bounded number of tasks, one for each."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from crossfade.seams.tasks import Tasks

CopyNext = Callable[[], Coroutine[Any, Any, int | None]]
"""Copies the next chunk; its rows, None where nothing is left to begin."""


class Lanes:
    """Tasks that copy; what one of them raises is raised by whoever waits for the first."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._under_way: dict[asyncio.Task[None], _Outcome] = {}

    def fill(self, at_once: int, copy_next: CopyNext) -> None:
        """Begin as many as are missing."""
        while len(self._under_way) < at_once:
            outcome = _Outcome()
            task = self._tasks.spawn(outcome.of(copy_next()), name="backfill chunk")
            self._under_way[task] = outcome

    async def first_done(self) -> int | None:
        """Wait for a chunk to end; the rows of those that have, None where nothing is left.

        Raises what copying raised; the other chunks go on meanwhile.
        """
        rows: int | None = None
        while self._under_way and rows is None:
            done, _ = await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
            outcomes = [self._under_way.pop(task) for task in done]
            for outcome in outcomes:
                if outcome.error is not None:
                    raise outcome.error
                if outcome.rows is not None:
                    rows = (rows or 0) + outcome.rows
        return rows

    async def drain(self) -> None:
        """Let what is under way end, whatever comes of it: open chunks are run again."""
        under_way, self._under_way = self._under_way, {}
        if under_way:
            await asyncio.wait(under_way)

    def close(self) -> None:
        """Stop at once; chunks that were opened stay open and are run again."""
        for task in self._under_way:
            task.cancel()
        self._under_way.clear()


class _Outcome:
    """What came of one task."""

    def __init__(self) -> None:
        self.rows: int | None = None
        self.error: Exception | None = None

    async def of(self, work: Coroutine[Any, Any, int | None]) -> None:
        """Run the work and keep its end."""
        try:
            self.rows = await work
        except Exception as error:  # noqa: BLE001 - raised by whoever waits for it
            self.error = error
