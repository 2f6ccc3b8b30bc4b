"""Comparison of reads off the reply path: bounded, and harmless whatever the other side does."""

import asyncio
from collections import deque
from typing import Generic

from crossfade.execution.breaker import Breaker, BreakerPhase
from crossfade.execution.calls import COMPARE, AnswerT, Request
from crossfade.execution.comparison_job import (
    ComparisonJob,
    ComparisonSkippedError,
    SkipReason,
)
from crossfade.execution.comparison_options import ComparisonOptions
from crossfade.execution.observations import Observations
from crossfade.execution.standing import EntityAgreement, Standing, look_at, look_at_entity
from crossfade.ledger.base import Ledger
from crossfade.ledger.transitions.keys import Agreement
from crossfade.model.comparison import (
    UNAVAILABLE,
    Comparison,
    Observed,
    Outcome,
    compare_answers,
    failed,
    judged,
)
from crossfade.model.observation import MismatchKind
from crossfade.model.plan import KeyStanding
from crossfade.model.side import Side
from crossfade.model.stage import STAGE_RULES, WriteMode
from crossfade.seams.bundle import Seams


class ReadComparer(Generic[AnswerT]):
    """Asks the other side what it would have answered, and counts what differs; one per node.

    No method raises or waits. A call that does not end, even when it is cancelled, keeps its
    place among `concurrency_max`: the worst that a side can do is to end comparison.
    """

    def __init__(
        self, ledger: Ledger, observations: Observations, seams: Seams, options: ComparisonOptions
    ) -> None:
        self._ledger = ledger
        self._observations = observations
        self._seams = seams
        self._options = options
        self._breakers: dict[str, Breaker] = {}
        self._waiting: deque[ComparisonJob[AnswerT]] = deque(maxlen=options.queue_max)
        self._running = 0

    def samples(self, request: Request[AnswerT]) -> bool:
        """Whether to compare this read; another answer each time, by the share that is sampled.

        A read that is sampled while there is no room is given up here, before anything is looked
        up for it.
        """
        if not request.replayable:
            return False
        fraction = self._options.sample_fraction
        if fraction < 1.0 and self._seams.randomness.fraction() >= fraction:
            return False
        self._fill()
        if self._running >= self._options.concurrency_max and self._is_full():
            self._skip(request, SkipReason.QUEUE_FULL)
            return False
        return True

    def offer(
        self, request: Request[AnswerT], side: Side, answer: AnswerT, before: Standing | None
    ) -> None:
        """Compare a read that was just answered.

        Args:
            request: the read.
            side: who answered the caller.
            answer: what the caller gets.
            before: what the ledger said of its key, or of its whole entity, before that side was
                asked; None for a read that `samples` refused.

        """
        if before is None:
            return
        self._offer(request, MismatchKind.READ, side, answer, before)

    def canary_served(self, request: Request[AnswerT], answer: AnswerT, before: Agreement) -> None:
        """New has answered a caller; compare that with legacy's answer.

        Args:
            request: the read.
            answer: what the caller gets.
            before: the key's agreement before new was asked.

        """
        self._observations.canary_served(request.operation)
        if self.samples(request):
            self._offer(request, MismatchKind.CANARY, Side.NEW, answer, before)

    def canary_fell_back(self, request: Request[AnswerT]) -> None:
        """A read of the canary share was served by the authority after all."""
        self._observations.canary_fell_back(request.operation)

    def _offer(
        self,
        request: Request[AnswerT],
        kind: MismatchKind,
        side: Side,
        answer: AnswerT,
        before: Standing,
    ) -> None:
        try:
            job = self._job(request, kind, side, answer, before)
            self._fill()
            self._admit(job)
        except ComparisonSkippedError as skipped:
            self._skip(request, skipped.reason)
        except Exception:  # noqa: BLE001 - a caller waits for its answer, not for a comparison
            self._skip(request, SkipReason.FAULT)

    def _job(
        self,
        request: Request[AnswerT],
        kind: MismatchKind,
        side: Side,
        answer: AnswerT,
        before: Standing,
    ) -> ComparisonJob[AnswerT]:
        """The job, if there is anything to learn from it."""
        migration = self._ledger.migration
        tracked = STAGE_RULES[migration.stage].writes is not WriteMode.UNTRACKED
        if tracked and not _agrees(before):
            raise ComparisonSkippedError(SkipReason.NOT_COPIED)
        if self._breaker(request).phase(self._seams.clock.monotonic()) is BreakerPhase.OPEN:
            raise ComparisonSkippedError(SkipReason.BREAKER_OPEN)
        observed = self._bounded(answer.observed())
        return ComparisonJob(request, kind, side, observed, before, migration.decision, tracked)

    def _admit(self, job: ComparisonJob[AnswerT]) -> None:
        """Start the job, or let it wait, or drop it."""
        if self._running < self._options.concurrency_max:
            self._start(job)
        elif not self._is_full():
            self._waiting.append(job)
        else:
            raise ComparisonSkippedError(SkipReason.QUEUE_FULL)

    def _is_full(self) -> bool:
        return len(self._waiting) >= self._options.queue_max

    def _bounded(self, observed: Observed | None) -> Observed:
        if observed is None or len(observed.body) > self._options.body_bytes_max:
            raise ComparisonSkippedError(SkipReason.BODY_OVER_LIMIT)
        return observed

    def _start(self, job: ComparisonJob[AnswerT]) -> None:
        """Run the job in a task of its own, in the context of the caller that it came from."""
        now = self._seams.clock.monotonic()
        breaker = self._breaker(job.request)
        if breaker.phase(now) is BreakerPhase.OPEN:
            raise ComparisonSkippedError(SkipReason.BREAKER_OPEN)
        self._breakers[job.request.operation.name] = breaker.began(now)
        work = self._run(job)
        try:
            task = job.context.run(self._seams.tasks.spawn, work, name="comparison")
        except BaseException:
            work.close()
            raise
        self._running += 1
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running -= 1
        if not task.cancelled():
            self._fill()

    def _fill(self) -> None:
        """Start what waits while there is room."""
        while self._waiting and self._running < self._options.concurrency_max:
            job = self._waiting.popleft()
            try:
                self._start(job)
            except ComparisonSkippedError as skipped:
                self._skip(job.request, skipped.reason)

    async def _run(self, job: ComparisonJob[AnswerT]) -> None:
        """The whole comparison; ends without an exception but for a true cancellation."""
        watch = self._seams.tasks.spawn(
            self._watch(job, asyncio.current_task()), name="comparison deadline"
        )
        try:
            verdict = await self._verdict(job)
        finally:
            watch.cancel()
        if not job.late:
            self._conclude(job, verdict)

    async def _watch(self, job: ComparisonJob[AnswerT], task: "asyncio.Task[None] | None") -> None:
        """Give the job up at its deadline, whether or not its call can be cancelled."""
        await self._seams.clock.sleep(self._options.deadline_seconds)
        if task is None or task.done():
            return
        self._conclude(job, failed("no answer within the deadline"))
        job.late = True
        task.cancel()

    async def _verdict(self, job: ComparisonJob[AnswerT]) -> Comparison | SkipReason:
        """How the comparison ends, whatever a side raises: `SystemExit` is an answer like any."""
        try:
            return await self._judge(job)
        except ComparisonSkippedError as skipped:
            return skipped.reason
        except GeneratorExit:
            raise
        except BaseException as error:
            if _is_cancelled(error) and not job.late:
                raise
            return failed(type(error).__name__)

    def _conclude(self, job: ComparisonJob[AnswerT], verdict: Comparison | SkipReason) -> None:
        if isinstance(verdict, SkipReason):
            self._skip(job.request, verdict)
            return
        if verdict.outcome is Outcome.ERROR:
            now = self._seams.clock.monotonic()
            name = job.request.operation.name
            self._breakers[name] = self._breaker(job.request).failed(now)
        self._observations.compared(job.request.operation, job.kind, verdict, job.key)

    async def _judge(self, job: ComparisonJob[AnswerT]) -> Comparison:
        """Ask the other side, and both once more where the ledger cannot vouch for the read."""
        other = job.answered_by.other
        answers = {job.answered_by: job.answered, other: await self._ask(job, other)}
        self._check_unchanged(job)
        comparison = self._compare(job, answers)
        if comparison.outcome is not Outcome.MISMATCH or job.tracked:
            return comparison
        await self._seams.clock.sleep(self._options.confirm_pause_seconds)
        again = {side: await self._ask(job, side) for side in answers}
        self._check_unchanged(job)
        confirmed = self._compare(job, again)
        # A write between two calls, and what each side never answers twice alike, is no mismatch.
        same = [found for found in confirmed.differences if found in comparison.differences]
        if not same:
            raise ComparisonSkippedError(SkipReason.NOT_CONFIRMED)
        return judged(tuple(same))

    async def _ask(self, job: ComparisonJob[AnswerT], side: Side) -> Observed:
        """One side's answer; a side that answers anything is not left alone any longer."""
        answer = await job.request.call(side, COMPARE)
        observed = answer.observed()
        if observed is None or observed.status not in UNAVAILABLE:
            name = job.request.operation.name
            self._breakers[name] = self._breaker(job.request).answered()
        return self._bounded(observed)

    def _compare(self, job: ComparisonJob[AnswerT], answers: dict[Side, Observed]) -> Comparison:
        operation = job.request.operation
        return compare_answers(answers[Side.LEGACY], answers[Side.NEW], operation.compare)

    def _check_unchanged(self, job: ComparisonJob[AnswerT]) -> None:
        """What was true before the first call must be true after the last."""
        entity, key = job.request.operation.entity, job.key
        now = (
            look_at_entity(self._ledger, entity)
            if key is None
            else look_at(self._ledger, entity, key)
        )
        if now != job.before:
            raise ComparisonSkippedError(SkipReason.CHANGED)
        if self._ledger.migration.decision != job.decision:
            raise ComparisonSkippedError(SkipReason.CHANGED)

    def _breaker(self, request: Request[AnswerT]) -> Breaker:
        options = self._options
        closed = Breaker(options.breaker_failures_max, options.breaker_open_seconds)
        return self._breakers.get(request.operation.name, closed)

    def _skip(self, request: Request[AnswerT], reason: SkipReason) -> None:
        # Before everything is copied nearly every read ends so: counted, but nobody is told.
        told = reason is not SkipReason.NOT_COPIED
        self._observations.skipped(request.operation, reason.value, told=told)


def _agrees(before: Standing) -> bool:
    """Whether a difference would mean something; keys that wait to be copied always differ."""
    if isinstance(before, EntityAgreement):
        return before.quiet
    return before.standing is KeyStanding.AGREES


def _is_cancelled(error: BaseException) -> bool:
    """Whether this task itself was cancelled; a side may raise the same error on its own."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
