"""Reads: from the authority, or from new for the canary share, checked when they come back."""

from typing import Generic, Protocol

from crossfade.errors import KeyHeldError, UpstreamFailedError
from crossfade.execution.calls import SERVE, AnswerT, CallFailedError, Request
from crossfade.execution.canary import Canary
from crossfade.execution.options import ExecutionOptions
from crossfade.execution.standing import Standing, is_held, look_at, look_at_entity
from crossfade.ledger.base import Ledger
from crossfade.ledger.transitions.keys import Agreement
from crossfade.model.key import Key
from crossfade.model.plan import KeyStanding, ReadPlan, plan_read
from crossfade.model.side import Side
from crossfade.observability.events import CanaryFellBack
from crossfade.observability.hooks import Hooks


class ReadSink(Protocol[AnswerT]):
    """Who compares reads and counts the canary's; no method raises or waits."""

    def samples(self, request: Request[AnswerT]) -> bool:
        """Whether to compare this read; asked before any side is."""

    def offer(
        self, request: Request[AnswerT], side: Side, answer: AnswerT, before: Standing | None
    ) -> None:
        """The authority has answered; `before` is None where `samples` said no."""

    def canary_served(self, request: Request[AnswerT], answer: AnswerT, before: Agreement) -> None:
        """New has answered a caller of the canary share."""

    def canary_fell_back(self, request: Request[AnswerT]) -> None:
        """A read of the canary share was served by the authority after all."""


class Reader(Generic[AnswerT]):
    """Carries out reads; one per node."""

    def __init__(
        self, ledger: Ledger, canary: Canary, comparer: ReadSink[AnswerT], hooks: Hooks
    ) -> None:
        self._ledger = ledger
        self._canary = canary
        self._comparer = comparer
        self._hooks = hooks
        self.options = ExecutionOptions()

    async def read(self, request: Request[AnswerT]) -> tuple[AnswerT, Side]:
        """Carry out one read; returns the answer and the side that gave it.

        Changes nothing. The ledger being unable to write does not matter to reads.

        Raises:
            KeyHeldError: the key's newest value is on a side that does not answer.
            UpstreamFailedError: the serving side did not answer.

        """
        key = request.keys[0] if request.keys else None
        served = await self._read_canary(request, key) if key is not None else None
        if served is not None:
            return served, Side.NEW
        return await self._read_authority(request, key)

    async def _read_canary(self, request: Request[AnswerT], key: Key) -> AnswerT | None:
        """The mirror's answer if the key agrees before and after; else None (rule 11)."""
        entity = request.operation.entity
        if not self._canary.includes(entity, key):
            return None
        before = look_at(self._ledger, entity, key)
        plan = plan_read(self._ledger.migration.stage, before.standing, canary=True)
        if not plan.canary or plan.serve is None:
            return None
        try:
            answer = await request.call(plan.serve, SERVE)
        except CallFailedError:
            self._fell_back(request, "new did not answer")
            return None
        reason = None
        if answer.failed:
            reason = "new answered with an error"
        elif look_at(self._ledger, entity, key) != before:
            reason = "the key changed under way"
        if reason is not None:
            self._fell_back(request, reason)
            return None
        self._comparer.canary_served(request, answer, before)
        return answer

    def _fell_back(self, request: Request[AnswerT], reason: str) -> None:
        self._comparer.canary_fell_back(request)
        self._hooks.emit(CanaryFellBack(request.operation.name, reason))

    async def _read_authority(
        self, request: Request[AnswerT], key: Key | None
    ) -> tuple[AnswerT, Side]:
        """The authority's answer, routed anew while the authority changes under way."""
        for _ in range(self.options.reroutes_max):
            plan, epoch = self._route(request, key)
            side = plan.serve
            if side is None:
                break
            before = self._look_to_compare(request, key, plan)
            try:
                answer = await request.call(side, SERVE)
            except CallFailedError as error:
                raise UpstreamFailedError(f"{error} Nothing was read.") from error
            if self._still_holds(request, key, plan, epoch):
                if plan.compare:
                    self._comparer.offer(request, side, answer, before)
                return answer, side
        raise UpstreamFailedError("the stage kept changing while the read was routed. Try again.")

    def _route(self, request: Request[AnswerT], key: Key | None) -> tuple[ReadPlan, int]:
        migration = self._ledger.migration
        if is_held(self._ledger, request.operation.entity, key):
            raise KeyHeldError(request.operation.entity, retry_after_seconds=5.0)
        return plan_read(migration.stage, KeyStanding.UNSURE, canary=False), migration.epoch

    def _still_holds(
        self, request: Request[AnswerT], key: Key | None, plan: ReadPlan, epoch: int
    ) -> bool:
        """Whether epoch, authority and hold are what they were when the read was routed."""
        migration = self._ledger.migration
        held = is_held(self._ledger, request.operation.entity, key)
        return migration.epoch == epoch and migration.authority is plan.serve and not held

    def _look_to_compare(
        self, request: Request[AnswerT], key: Key | None, plan: ReadPlan
    ) -> Standing | None:
        """What the ledger says before the call, where the read will be compared."""
        if not plan.compare or not self._comparer.samples(request):
            return None
        entity = request.operation.entity
        if key is None:
            return look_at_entity(self._ledger, entity)
        return look_at(self._ledger, entity, key)
