"""Threads for calls of the other side: bounded, never the caller's, never waited for."""

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from crossfade.execution.calls import CallFailedError
from crossfade.library.call_answer import CallAnswer, NotAskedError


@dataclass(frozen=True, slots=True)
class _Work:
    run: Callable[[], CallAnswer]
    future: "asyncio.Future[CallAnswer]"
    loop: asyncio.AbstractEventLoop


class ShadowThreads:
    """A fixed number of threads at most; a call that never ends keeps one of them.

    All methods belong to the node's loop. The threads are daemons: a program ends although the
    other side hangs.
    """

    def __init__(self, threads_max: int) -> None:
        self._threads_max = threads_max
        self._threads = 0
        self._idle = 0
        self._closed = False
        self._waiting: dict[asyncio.Future[CallAnswer], None] = {}
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()

    async def run(
        self, work: Callable[[], CallAnswer], context: contextvars.Context
    ) -> CallAnswer:
        """Run the work in a thread, in that context.

        Raises:
            NotAskedError: all threads are taken, or they were told to end; the work has not
                begun.

        """
        if self._closed:
            raise NotAskedError("crossfade is being stopped here", sent=False)
        if self._idle == 0:
            self._grow()
        self._idle -= 1
        loop = asyncio.get_running_loop()
        future: asyncio.Future[CallAnswer] = loop.create_future()
        self._waiting[future] = None
        self._work.put(_Work(partial(context.run, work), future, loop))
        try:
            return await future
        finally:
            del self._waiting[future]

    def close(self) -> None:
        """Let every thread end after what it does now; whoever waits for one waits no longer."""
        self._closed = True
        for future in self._waiting:
            if not future.done():
                future.set_exception(NotAskedError("crossfade is being stopped here", sent=True))
        for _ in range(self._threads):
            self._work.put(None)

    def _grow(self) -> None:
        if self._threads >= self._threads_max:
            raise NotAskedError(
                f"all {self._threads_max} threads for the other side are taken", sent=False
            )
        name = f"crossfade shadow {self._threads + 1}"
        threading.Thread(target=self._serve, name=name, daemon=True).start()
        self._threads += 1
        self._idle += 1

    def _serve(self) -> None:
        while True:
            work = self._work.get()
            if work is None:
                return
            try:
                outcome: CallAnswer | BaseException = work.run()
            except BaseException as error:  # noqa: BLE001 - told to whoever waits
                outcome = error
            try:
                work.loop.call_soon_threadsafe(self._ended, work.future, outcome)
            except RuntimeError:
                # The node has stopped meanwhile.
                return
            # A thread that waits for work must not keep the last caller's arguments alive.
            del work, outcome

    def _ended(
        self, future: "asyncio.Future[CallAnswer]", outcome: CallAnswer | BaseException
    ) -> None:
        self._idle += 1
        if future.done():
            return
        if isinstance(outcome, BaseException):
            future.set_exception(_failed(outcome))
        else:
            future.set_result(outcome)


def _failed(error: BaseException) -> Exception:
    """What an awaiting task may be given: `StopIteration` and the like would break the loop."""
    if isinstance(error, CallFailedError):
        return error
    return CallFailedError(type(error).__name__, sent=True)
