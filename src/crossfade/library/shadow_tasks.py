"""Tasks for awaited calls of the other side, in the caller's loop, where its connections live."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

from crossfade.execution.calls import CallFailedError
from crossfade.library.call_answer import CallAnswer, NotAskedError

Work = Callable[[], Coroutine[Any, Any, CallAnswer]]


class ShadowTasks:
    """A fixed number of tasks at most, in whatever loops the callers run.

    A task that neither ends nor can be cancelled keeps its place. One that blocks its loop blocks
    its caller's: nothing but a thread could prevent that, and connections are bound to the loop.
    """

    def __init__(self, tasks_max: int) -> None:
        self._tasks_max = tasks_max
        self._running: dict[_Shadow, None] = {}
        self._closed = False

    async def run(
        self, work: Work, context: contextvars.Context, loop: asyncio.AbstractEventLoop
    ) -> CallAnswer:
        """Run the work as a task of that loop, in that context; runs on the node's loop.

        A cancellation is passed on to the task, and not waited for.

        Raises:
            NotAskedError: all places are taken, or the loop has ended.

        """
        if self._closed or len(self._running) >= self._tasks_max:
            raise NotAskedError(
                f"all {self._tasks_max} places for the other side are taken", sent=False
            )
        shadow = _Shadow(work, context, loop, ended=self._forget)
        self._running[shadow] = None
        if not _tell(loop, shadow.start):
            shadow.abandon()
            self._forget(shadow)
            raise NotAskedError("the caller's event loop has ended", sent=False)
        try:
            return await shadow.outcome
        except (asyncio.CancelledError, CallFailedError):
            if not _tell(loop, shadow.cancel):
                shadow.abandon()
                self._forget(shadow)
            raise

    def close(self) -> None:
        """Cancel every task, and wait for none."""
        self._closed = True
        for shadow in list(self._running):
            if not shadow.outcome.done():
                error = NotAskedError("crossfade is being stopped here", sent=True)
                shadow.outcome.set_exception(error)

    def _forget(self, shadow: "_Shadow") -> None:
        self._running.pop(shadow, None)


class _Shadow:
    """One call: its outcome belongs to the node's loop, its task to the caller's."""

    def __init__(
        self,
        work: Work,
        context: contextvars.Context,
        loop: asyncio.AbstractEventLoop,
        ended: "Callable[[_Shadow], None]",
    ) -> None:
        self._work = work
        self._context = context
        self._loop = loop
        self._ended = ended
        self._mine = asyncio.get_running_loop()
        self.outcome: asyncio.Future[CallAnswer] = self._mine.create_future()
        self._task: asyncio.Task[None] | None = None
        self._coroutine = self._run()

    def start(self) -> None:
        """Begin; on the caller's loop."""
        name = "crossfade shadow"
        coroutine, context = self._coroutine, self._context
        self._task = self._loop.create_task(coroutine, name=name, context=context)

    def cancel(self) -> None:
        """Nobody waits any longer; on the caller's loop."""
        if self._task is not None:
            self._task.cancel()

    def abandon(self) -> None:
        """The caller's loop has ended before the task could: nobody needs to be told of it."""
        if self._task is not None and not self._task.done():
            # What asyncio's own task groups do with tasks that they give up.
            self._task._log_destroy_pending = False  # type: ignore[attr-defined] # noqa: SLF001 - see above
        self._coroutine.close()

    async def _run(self) -> None:
        outcome: CallAnswer | CallFailedError = NotAskedError("it did not end", sent=True)
        try:
            outcome = await self._work()
        except CallFailedError as error:
            outcome = error
        finally:
            _tell(self._mine, self._end, outcome)

    def _end(self, outcome: CallAnswer | CallFailedError) -> None:
        """It has ended; on the node's loop."""
        self._ended(self)
        if self.outcome.done():
            return
        if isinstance(outcome, CallFailedError):
            self.outcome.set_exception(outcome)
        else:
            self.outcome.set_result(outcome)


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[..., None], *values: object) -> bool:
    """Run something on a loop, if it is still there."""
    try:
        loop.call_soon_threadsafe(what, *values)
    except RuntimeError:
        return False
    return True
