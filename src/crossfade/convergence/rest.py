"""How a worker waits between two rounds: for a while, or until somebody wakes it."""

import asyncio

from crossfade.seams.bundle import Seams


class Rest:
    """A wait that others may cut short; a wake-up while nobody waits is kept for the next wait."""

    def __init__(self, seams: Seams) -> None:
        self._seams = seams
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """End the wait that is under way, or the next one."""
        self._woken.set()

    async def rest(self, seconds: float) -> None:
        """Wait so long, or until woken; zero still lets other tasks run."""
        if seconds <= 0 or self._woken.is_set():
            self._woken.clear()
            await self._seams.clock.sleep(0)
            return
        alarm = self._seams.tasks.spawn(self._alarm(seconds), name="rest")
        try:
            await self._woken.wait()
        finally:
            alarm.cancel()
            self._woken.clear()

    async def _alarm(self, seconds: float) -> None:
        await self._seams.clock.sleep(seconds)
        self._woken.set()
