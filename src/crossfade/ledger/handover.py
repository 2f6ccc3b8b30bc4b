"""A transition on its way from a caller's event loop to the thread that commits, and back."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from crossfade.errors import CrossfadeError, LedgerUnavailableError
from crossfade.ledger.rows import Rows

Result = TypeVar("Result")


class Handover:
    """One transition on its way to the writer and back."""

    __slots__ = ("error", "loop", "outcome", "places", "result", "transition")

    def __init__(
        self,
        transition: Callable[[Rows], Any],
        loop: asyncio.AbstractEventLoop,
        places: asyncio.Semaphore,
    ) -> None:
        self.transition = transition
        self.loop = loop
        self.places = places
        """The caller's place in the queue, given back when the outcome is known."""
        self.outcome: asyncio.Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None

    def finish(self) -> None:
        """Tell the caller, on its own loop; one that was cancelled meanwhile hears nothing."""
        self.places.release()
        if self.outcome.done():
            return
        if self.error is None:
            self.outcome.set_result(self.result)
        else:
            self.outcome.set_exception(self.error)


class HandoverQueue:
    """The bounded way of transitions to one writer, from any number of event loops."""

    def __init__(self, places_max: int) -> None:
        """Begin empty.

        Args:
            places_max: transitions of one event loop that may be on their way; more callers wait.

        """
        self._places_max = places_max
        self._places: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}
        self._lock = threading.Lock()
        self.callers_that_waited = 0
        """How many callers found the queue full and waited for a place."""

    async def carry(
        self, transition: Callable[[Rows], Result], hand_over: Callable[[Handover], None]
    ) -> Result:
        """Give a transition to the writer, and wait for what comes of it.

        A caller that is cancelled leaves its transition in the queue: it takes place.

        Raises:
            LedgerUnavailableError: the writer does not take it, or cannot make it durable.

        """
        loop = asyncio.get_running_loop()
        places = self._places_of(loop)
        if places.locked():
            self.callers_that_waited += 1
        await places.acquire()
        handover = Handover(transition, loop, places)
        try:
            hand_over(handover)
        except LedgerUnavailableError:
            places.release()
            raise
        result: Result = await handover.outcome
        return result

    def _places_of(self, loop: asyncio.AbstractEventLoop) -> asyncio.Semaphore:
        with self._lock:
            places = self._places.get(loop)
            if places is None:
                self._places = {one: at for one, at in self._places.items() if not one.is_closed()}
                places = self._places[loop] = asyncio.Semaphore(self._places_max)
            return places


def finish_all(batch: Sequence[Handover]) -> None:
    """Tell the callers: one call into each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Handover]] = {}
    for handover in batch:
        by_loop.setdefault(handover.loop, []).append(handover)
    for loop, handovers in by_loop.items():
        # A loop that was closed raises: nobody waits there any more.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_finish_each, handovers)


def give_error(batch: Sequence[Handover], error: CrossfadeError) -> None:
    """Every caller gets an error of its own, since each adds its own traceback."""
    for handover in batch:
        handover.error = type(error)(str(error))
        handover.error.__cause__ = error.__cause__


def _finish_each(handovers: Sequence[Handover]) -> None:
    for handover in handovers:
        handover.finish()
