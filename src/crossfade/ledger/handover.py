"""A transition on its way from a caller's event loop to the thread that commits, and back."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from crossfade.errors import CrossfadeError
from crossfade.ledger.rows import Rows


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
