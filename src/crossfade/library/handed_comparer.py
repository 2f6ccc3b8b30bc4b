"""Comparison as callers in other threads reach it: handed over to the node, bounded in number."""

import threading
from collections import Counter
from collections.abc import Callable
from functools import partial

from crossfade.execution.calls import Request
from crossfade.execution.comparing import ReadComparer
from crossfade.execution.comparison_job import SkipReason
from crossfade.execution.comparison_options import ComparisonOptions
from crossfade.execution.observations import Observations
from crossfade.execution.standing import Standing
from crossfade.ledger.transitions.keys import Agreement
from crossfade.library.asking import Asking
from crossfade.library.call import Call
from crossfade.library.call_answer import CallAnswer
from crossfade.library.node_thread import NodeThread
from crossfade.model.operation import Operation
from crossfade.model.side import Side
from crossfade.seams.randomness import Randomness

NO_COPY = "the arguments cannot be copied"
NO_FORM = "the value has no form that could be compared"


class HandedComparer:
    """A `ReadSink` for any thread: samples and copies there, compares on the node's loop."""

    def __init__(
        self,
        comparer: ReadComparer[CallAnswer],
        observations: Observations,
        options: ComparisonOptions,
        randomness: Randomness,
        thread: "NodeThread[object]",
    ) -> None:
        self._comparer = comparer
        self._observations = observations
        self._fraction = options.sample_fraction
        self._randomness = randomness
        self._thread = thread
        self._places = threading.BoundedSemaphore(options.queue_max + options.concurrency_max)
        self._lock = threading.Lock()
        self._dropped: Counter[str] = Counter()
        """Reads that nobody had room for, by operation; counted with the next one handed over."""
        self._operations: dict[str, Operation] = {}

    def chosen(self) -> bool:
        """Whether this read is in the sample; another answer each time."""
        fraction = self._fraction
        return fraction >= 1.0 or (fraction > 0.0 and self._randomness.fraction() < fraction)

    def prepare(self, call: Call) -> bool:
        """Copy what the other side will get, before any side is asked."""
        if call.prepare():
            return True
        self._skip(call.called.operation, NO_COPY)
        return False

    # The `ReadSink`; called in the caller's thread by the reader.

    def samples(self, request: Request[CallAnswer]) -> bool:
        """See `ReadSink.samples`; was decided before the reader began."""
        return request.replayable

    def offer(
        self,
        request: Request[CallAnswer],
        side: Side,
        answer: CallAnswer,
        before: Standing | None,
    ) -> None:
        """See `ReadSink.offer`."""
        if before is None:
            return
        if answer.observation is None:
            self._skip(request.operation, NO_FORM)
            return
        self._hand_over(request, partial(self._comparer.offer, request, side, answer, before))

    def canary_served(
        self, request: Request[CallAnswer], answer: CallAnswer, before: Agreement
    ) -> None:
        """See `ReadSink.canary_served`."""
        self._hand_over(request, partial(self._comparer.canary_served, request, answer, before))

    def canary_fell_back(self, request: Request[CallAnswer]) -> None:
        """See `ReadSink.canary_fell_back`."""
        self._hand_over(request, partial(self._comparer.canary_fell_back, request))

    def _hand_over(self, request: Request[CallAnswer], work: Callable[[], None]) -> None:
        asked = request.call
        context = asked.call.context if isinstance(asked, Asking) else None
        if not self._places.acquire(blocking=False):
            self._drop(request.operation)
        elif not self._thread.post(self._carry_out, work, context=context):
            self._places.release()

    def _skip(self, operation: Operation, reason: str) -> None:
        if not self._places.acquire(blocking=False):
            self._drop(operation)
        else:
            self._thread.post(
                self._carry_out, partial(self._observations.skipped, operation, reason)
            )

    def _drop(self, operation: Operation) -> None:
        with self._lock:
            self._operations[operation.name] = operation
            self._dropped[operation.name] += 1

    def _carry_out(self, work: Callable[[], None]) -> None:
        """On the node's loop."""
        self._places.release()
        work()
        if not self._dropped:
            return
        with self._lock:
            dropped, self._dropped = self._dropped, Counter()
        for name, count in dropped.items():
            for _ in range(count):
                reason = SkipReason.QUEUE_FULL.value
                self._observations.skipped(self._operations[name], reason, told=False)
