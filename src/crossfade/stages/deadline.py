"""A deadline on the node's own clock, so that tests and simulation can move it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from crossfade.seams.bundle import Seams
from crossfade.seams.clock import Clock


@asynccontextmanager
async def deadline(seams: Seams, seconds: float) -> AsyncIterator[None]:
    """Cut the block off after so many seconds.

    Raises:
        TimeoutError: the time was over before the block was.

    """
    async with asyncio.timeout(None) as scope:
        alarm = seams.tasks.spawn(_ring(seams.clock, scope, seconds), name="deadline")
        try:
            yield
        finally:
            alarm.cancel()


async def _ring(clock: Clock, scope: asyncio.Timeout, seconds: float) -> None:
    await clock.sleep(seconds)
    scope.reschedule(0.0)
