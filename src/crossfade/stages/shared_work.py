"""Who works, where several processes share a ledger: one of them runs the workers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from crossfade.errors import CrossfadeError
from crossfade.ledger.nodes import Nodes
from crossfade.observability.events import WorkerFailed
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams

LOOK_SECONDS = 0.25
"""How often a process looks whether the work is its own now."""


class SharedWork:
    """Runs the workers while this process is the one that works; else what is its own alone.

    Two processes that work for a moment, one of which has not heard yet, do no harm: leases and
    chunks are superseded, stores refuse the older one.
    """

    def __init__(
        self,
        nodes: Nodes,
        workers: Mapping[str, Callable[[], Awaitable[None]]],
        own: Callable[[], Awaitable[object]],
        learn: Callable[[], None],
        hooks: Hooks,
        seams: Seams,
    ) -> None:
        """Prepare; nothing runs before `run`.

        Args:
            nodes: the processes.
            workers: name -> the loop of a worker; ends when it is cancelled.
            own: one round of what every process must do for itself: settle its own writes.
            learn: take over what other processes have set.
            hooks: who is told of failures.
            seams: clock and tasks.

        """
        self._nodes = nodes
        self._workers = workers
        self._own = own
        self._learn = learn
        self._hooks = hooks
        self._seams = seams
        self._running: list[asyncio.Task[None]] = []
        self._failure = ""

    async def run(self) -> None:
        """Look until cancelled; then the workers end, too."""
        try:
            while True:
                await self._look()
                await self._seams.clock.sleep(LOOK_SECONDS)
        finally:
            await self._end()

    async def _look(self) -> None:
        if self._nodes.works and not self._running:
            self._running = [
                self._seams.tasks.spawn(self._keep(name, work), name=name)
                for name, work in self._workers.items()
            ]
        if not self._nodes.works and self._running:
            await self._end()
        try:
            self._learn()
            if not self._running:
                await self._own()
        except (CrossfadeError, TimeoutError) as error:
            self._tell(str(error) or type(error).__name__)
        else:
            self._tell("")

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run a worker, and again after what ends by itself: a ledger that does not answer."""
        while True:
            try:
                return await work()
            except (CrossfadeError, TimeoutError) as error:
                self._hooks.emit(WorkerFailed(name, str(error) or type(error).__name__))
            await self._seams.clock.sleep(LOOK_SECONDS)

    def _tell(self, failure: str) -> None:
        """A failure that lasts is one event, not one each round."""
        if failure and failure != self._failure:
            self._hooks.emit(WorkerFailed("shared work", failure))
        self._failure = failure

    async def _end(self) -> None:
        running, self._running = self._running, []
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
