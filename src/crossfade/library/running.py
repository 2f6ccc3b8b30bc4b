"""crossfade in this process, from start to stop: for programs, and for frameworks' hooks."""

import asyncio
import atexit
import os
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from crossfade.errors import ConfigurationError, NotRunningError
from crossfade.execution.functions import forked, not_started
from crossfade.library.node_thread import NodeThread
from crossfade.migration import Migration

if TYPE_CHECKING:
    from crossfade.assembly import Node
    from crossfade.library.calls import Calls

Result = TypeVar("Result")

STOP_SECONDS_MAX = 10.0
"""How long callers' writes may still go on when it is stopped; then they are told that nobody
will answer."""

Opening = Callable[[], "AbstractAsyncContextManager[Node]"]
"""Opens and starts a node, on the loop of the thread that keeps it."""


class Running:
    """Carries out a migration's function operations in this process while it is started.

    A context manager, plain and async; or call `start` and `stop`. After a crash of the process
    the next start settles what was under way.
    """

    def __init__(self, migration: Migration, opening: Opening) -> None:
        self._migration = migration
        self._opening = opening
        self._thread: NodeThread[Node] | None = None
        self._calls: Calls | None = None
        self._node: Node | None = None

    def start(self) -> Self:
        """Open ledger and databases, mend what a dead process left, take calls; blocks meanwhile.

        Raises:
            ConfigurationError: it runs already, or a definition, setting or database is not as it
                must be.
            LockedError: another process owns the ledger.
            StoreUnreachableError: a database does not answer.

        """
        thread, opened = self._begin()
        try:
            self._take_calls(thread, opened.result())
        except BaseException:
            self._give_up(thread)
            raise
        return self

    async def start_async(self) -> Self:
        """Like `start`, for programs with an event loop of their own; does not block it."""
        thread, opened = self._begin()
        try:
            self._take_calls(thread, await asyncio.wrap_future(opened))
        except BaseException:
            self._give_up(thread)
            raise
        return self

    def stop(self) -> None:
        """Take no more calls, let writes under way end, close everything; may be repeated.

        Writes that do not end within a while are settled by the next start.

        Raises:
            ConfigurationError: called by a hook, a mapping or the like, on crossfade's own loop.

        """
        ended = self._end()
        if ended is not None:
            ended.result()
            self._forget()

    async def stop_async(self) -> None:
        """Like `stop`, for programs with an event loop of their own."""
        ended = self._end()
        if ended is not None:
            await asyncio.shield(asyncio.wrap_future(ended))
            self._forget()

    def on_node(self, work: "Callable[[Node], Coroutine[Any, Any, Result]]") -> Result:
        """Do something with the running node, on its own event loop; blocks until it is done.

        For scripts and tests that move stages or look at the ledger; never from the node's loop.

        Raises:
            NotRunningError: it is not started.

        """
        thread, node = self._thread, self._node
        if thread is None or node is None:
            raise NotRunningError("crossfade is not started here. Start it first.")
        ended: Future[Result] = Future()

        async def carry_out() -> None:
            try:
                ended.set_result(await work(node))
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                ended.set_exception(error)

        def begin() -> None:
            node.seams.tasks.spawn(carry_out(), name="on node")

        if not thread.post(begin):
            raise NotRunningError("crossfade has just stopped here. Start it again.")
        return ended.result()

    def __enter__(self) -> Self:
        """See `start`."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """See `stop`."""
        self.stop()

    async def __aenter__(self) -> Self:
        """See `start_async`."""
        return await self.start_async()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """See `stop_async`."""
        await self.stop_async()

    def _begin(self) -> "tuple[NodeThread[Node], Future[Node]]":
        if self._thread is not None or not self._migration.calls.is_free:
            raise ConfigurationError(
                f'crossfade runs already for "{self._migration.name}" in this process. '
                "Start it once, and stop it at the end."
            )
        thread = self._thread = NodeThread(self._opening, f"crossfade {self._migration.name}")
        return thread, thread.start()

    def _give_up(self, thread: "NodeThread[Node]") -> None:
        """It could not be started, or nobody waits any longer."""
        self._thread = None
        thread.close()

    def _take_calls(self, thread: "NodeThread[Node]", node: "Node") -> None:
        # Loaded only here: it is everything that there is.
        from crossfade.library.calls import Calls  # noqa: PLC0415 - see above

        self._node = node
        self._calls = Calls(node, thread)
        self._migration.calls.runtime = self._calls
        atexit.register(self.stop)
        os.register_at_fork(after_in_child=_Forked(self))

    def _end(self) -> "Future[None] | None":
        """Begin to stop; None where nothing runs."""
        thread = self._thread
        if thread is None:
            return None
        if thread.is_here:
            raise ConfigurationError(
                "crossfade cannot be stopped by its own event loop, which has to end first. Stop "
                "it from your own thread."
            )
        self._thread = None
        atexit.unregister(self.stop)
        self._migration.calls.runtime = not_started(self._migration.name)
        if self._calls is None:
            return thread.close()
        ended: Future[None] = Future()
        # Also where closing fails, or nobody waits for it any longer.
        ended.add_done_callback(partial(_abandon, self._calls))
        return ended if thread.post(self._drain, thread, ended) else thread.close()

    def _drain(self, thread: "NodeThread[Node]", ended: "Future[None]") -> None:
        """On the node's loop: wait for callers, then close."""
        if self._node is not None:
            self._node.seams.tasks.spawn(self._drained(thread, ended), name="stop")

    async def _drained(self, thread: "NodeThread[Node]", ended: "Future[None]") -> None:
        calls, node = self._calls, self._node
        if calls is None or node is None:
            return
        clock = node.seams.clock
        until = clock.monotonic() + STOP_SECONDS_MAX
        while calls.writes.under_way and clock.monotonic() < until:
            await clock.sleep(0.01)
        calls.shadows.close()
        thread.close().add_done_callback(lambda closed: _pass_on(closed, ended))

    def _forget(self) -> None:
        calls, self._calls, self._node = self._calls, None, None
        if calls is not None:
            _abandon(calls)

    def _forked(self) -> None:
        """In the child of a fork: threads are gone, and the parent owns everything."""
        if self._thread is not None:
            self._thread = self._calls = self._node = None
            self._migration.calls.runtime = forked(self._migration.name)


class _Forked:
    """What a fork calls; it cannot be unregistered, so it holds nothing that has ended."""

    def __init__(self, running: Running) -> None:
        self._running = weakref.ref(running)

    def __call__(self) -> None:
        running = self._running()
        if running is not None:
            running._forked()  # noqa: SLF001 - its own other half


def _abandon(calls: "Calls", _ended: "Future[None] | None" = None) -> None:
    """Callers that still wait are told that nobody will answer."""
    calls.writes.abandon()


def _pass_on(closed: "Future[Any]", ended: "Future[None]") -> None:
    error = closed.exception()
    if error is not None:
        ended.set_exception(error)
    else:
        ended.set_result(None)
