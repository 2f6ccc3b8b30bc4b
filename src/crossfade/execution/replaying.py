"""Replays: the mirror runs an operation too, observed only; convergence copies the state."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from crossfade.convergence.converge import Effect, Observer
from crossfade.execution.calls import AnswerT, CallFailedError, CallTag, Request
from crossfade.model.comparison import Observed
from crossfade.model.intent import Intent
from crossfade.model.operation import Operation
from crossfade.model.side import Side
from crossfade.observability.events import ReplaySkipped
from crossfade.observability.hooks import Hooks


class ReplaySink(Protocol):
    """Who judges and counts replays; never raises."""

    def replay_answered(
        self, operation: Operation, intent: Intent, answers: dict[Side, Observed]
    ) -> None:
        """Both sides answered the same operation."""

    def replay_refused(self, operation: Operation, authority_status: int, status: int) -> None:
        """The mirror refused what the authority did, or did what the authority refused."""

    def replay_effect(self, operation: Operation, mirror: Side, effect: Effect) -> None:
        """What the replay left on the mirror, beside what convergence is about to put there."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """How a replay ended."""

    doubtful: bool
    """No complete answer: the intent must stay open until the call has certainly ended."""
    judge: Callable[[], None] | None = None
    """Tells the sink of both answers; only to be called if nothing else touched the keys."""
    observer: Observer | None = None
    """Tells the sink of the replay's effect, likewise; None where there is nothing to judge."""


NOT_REPLAYED = Replayed(doubtful=False)


class Replaying:
    """Runs operations on the mirror, bounded, after the authority acknowledged them."""

    def __init__(self, sink: ReplaySink, hooks: Hooks, *, at_once_max: int = 64) -> None:
        self._sink = sink
        self._hooks = hooks
        self._slots = asyncio.Semaphore(at_once_max)

    async def replay(self, request: Request[AnswerT], intent: Intent, answer: AnswerT) -> Replayed:
        """Run the operation on the mirror; never raises for anything that the mirror does.

        A refused write is not replayed: the mirror gets state, and there is none.
        """
        operation = request.operation
        if not answer.acknowledged:
            return NOT_REPLAYED
        if self._slots.locked():
            self._hooks.emit(ReplaySkipped(operation.name, "too many replays at once"))
            return NOT_REPLAYED
        mirror = intent.authority.other
        async with self._slots:
            try:
                mirrored = await request.call(mirror, CallTag(intent=intent.id, role="replay"))
            except CallFailedError as error:
                reason = "the mirror gave no answer" if error.sent else "the mirror is unreachable"
                self._hooks.emit(ReplaySkipped(operation.name, reason))
                return Replayed(doubtful=error.sent)
        if mirrored.ambiguous or mirrored.deferred:
            return Replayed(doubtful=True)
        judge = partial(self._judge, operation, intent, answer, mirrored)
        if not mirrored.acknowledged:
            return Replayed(doubtful=False, judge=judge)
        observer = partial(self._sink.replay_effect, operation, mirror)
        return Replayed(doubtful=False, judge=judge, observer=observer)

    def judged(self, operation: Operation, replayed: Replayed) -> Observer | None:
        """Count a replay that nothing has disturbed; what observes its effect, if anything.

        A judge that fails is told as an event and harms nobody.
        """
        if replayed.judge is None:
            return None
        try:
            replayed.judge()
        except Exception as error:  # noqa: BLE001 - an observation must not stop convergence
            self._hooks.emit(ReplaySkipped(operation.name, f"judging: {type(error).__name__}"))
        return replayed.observer

    def _judge(
        self, operation: Operation, intent: Intent, answer: AnswerT, mirrored: AnswerT
    ) -> None:
        authority_saw, mirror_saw = answer.observed(), mirrored.observed()
        if authority_saw is None or mirror_saw is None:
            self._hooks.emit(ReplaySkipped(operation.name, "an answer is too large to compare"))
            return
        if not mirrored.acknowledged:
            self._sink.replay_refused(operation, authority_saw.status, mirror_saw.status)
            return
        answers = {intent.authority: authority_saw, intent.authority.other: mirror_saw}
        self._sink.replay_answered(operation, intent, answers)
