"""Every task has an owner that can wait for it and end it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol


class Tasks(Protocol):
    """The owner of all tasks of one node."""

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Run `work` on its own; whoever asked for it may vanish without harm to it."""

    def count(self) -> int:
        """How many tasks are running."""

    async def drain(self, seconds_max: float) -> int:
        """Wait for the running tasks, at most so long; returns how many are still running."""

    async def cancel_all(self) -> None:
        """End every task and wait until all have ended."""


class TaskOwner:
    """Tasks of the running event loop, kept referenced until they end."""

    def __init__(self) -> None:
        self._running: dict[asyncio.Task[None], None] = {}

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """See `Tasks.spawn`."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running[task] = None
        task.add_done_callback(self._forget)
        return task

    def count(self) -> int:
        """See `Tasks.count`."""
        return len(self._running)

    async def drain(self, seconds_max: float) -> int:
        """See `Tasks.drain`."""
        if self._running:
            await asyncio.wait(list(self._running), timeout=seconds_max)
        return len(self._running)

    async def cancel_all(self) -> None:
        """See `Tasks.cancel_all`."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            task.get_loop().call_exception_handler(
                {"message": f"task {task.get_name()} failed", "exception": task.exception()}
            )
