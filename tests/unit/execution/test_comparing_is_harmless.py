"""Comparison harms nobody, whatever the other side does: bounds, deadlines, breaker, context."""

import asyncio
import contextvars

import pytest

from crossfade.execution.calls import CallFailedError
from crossfade.model.observation import OperationCounts
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import ComparisonSkipped
from tests.unit.execution.observed_reads import LIST, READ, Behaviour, Bench, FakeAnswer, says

CALLER = contextvars.ContextVar("caller", default="nobody")


class SideWentMadError(BaseException):
    """What no handler of ordinary exceptions catches."""


async def raises_error() -> FakeAnswer:
    """A side that fails as ours do."""
    raise CallFailedError("new gave no answer.", sent=True)


async def raises_anything() -> FakeAnswer:
    """A bug in the other side's function."""
    raise ZeroDivisionError


async def raises_base() -> FakeAnswer:
    """Not even an `Exception`."""
    raise SideWentMadError


async def exits() -> FakeAnswer:
    """A script that thinks that it owns the process."""
    raise SystemExit(3)


async def cancels() -> FakeAnswer:
    """A cancellation that nobody asked for."""
    raise asyncio.CancelledError


async def times_out() -> FakeAnswer:
    """The transport's own deadline."""
    raise TimeoutError


async def returns_nonsense() -> FakeAnswer:
    """Not an answer at all."""
    return None  # type: ignore[return-value]


@pytest.mark.parametrize("behaviour", [
    raises_error, raises_anything, raises_base, exits, cancels, times_out, returns_nonsense,
])  # fmt: skip
@pytest.mark.parametrize("stage", [Stage.OFF, Stage.READ_ONLY, Stage.SHADOW])
@pytest.mark.filterwarnings("error")
async def test_whatever_the_other_side_raises_is_counted_and_harms_nobody(
    behaviour: Behaviour, stage: Stage
) -> None:
    """No exception reaches the loop, the caller or the next comparison."""
    bench = Bench(stage=stage)
    complaints: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    bench.sides.does[Side.NEW] = behaviour

    bench.offer(says(1))

    assert await bench.counts() == OperationCounts(errors=1)
    assert (bench.tasks.count(), complaints) == (0, [])

    bench.sides.answer(Side.NEW, says(1))
    bench.offer(says(1))

    assert await bench.counts() == OperationCounts(errors=1, matched=1)


async def test_a_call_that_hangs_is_given_up_at_the_deadline() -> None:
    """The caller was answered long before; the place is free again."""
    bench = Bench(deadline_seconds=5.0, concurrency_max=1, queue_max=1)
    bench.sides.does[Side.NEW] = asyncio.Event().wait  # type: ignore[assignment]
    bench.offer(says(1))

    await bench.clock.advance(4.9)
    assert await bench.counts() == OperationCounts()

    await bench.clock.advance(0.2)
    assert await bench.counts() == OperationCounts(errors=1)
    assert bench.tasks.count() == 0


async def test_a_call_that_cannot_be_cancelled_keeps_its_place_and_no_more() -> None:
    """Its late answer counts for nothing, and comparison goes on beside it."""
    bench = Bench(deadline_seconds=5.0, concurrency_max=2)
    let_go = asyncio.Event()

    async def stubborn() -> FakeAnswer:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        return says("late")

    bench.sides.does[Side.NEW] = stubborn
    bench.offer(says(1))
    await bench.clock.advance(60.0)
    assert await bench.counts() == OperationCounts(errors=1)
    assert bench.tasks.count() == 1

    bench.sides.answer(Side.NEW, says(1))
    bench.offer(says(1))
    assert await bench.counts() == OperationCounts(errors=1, matched=1)

    let_go.set()
    assert await bench.counts() == OperationCounts(errors=1, matched=1)
    assert bench.tasks.count() == 0


async def test_a_node_that_stops_ends_its_comparisons() -> None:
    """Cancelling all tasks leaves none behind and starts none that waited."""
    bench = Bench(concurrency_max=1, queue_max=5)
    bench.sides.does[Side.NEW] = asyncio.Event().wait  # type: ignore[assignment]
    for _ in range(3):
        bench.offer(says(1))
    await bench.clock.settle()

    await bench.tasks.cancel_all()

    assert await bench.counts() == OperationCounts()
    assert bench.tasks.count() == 0


@pytest.mark.parametrize(
    ("legacy", "new"),
    [
        (says(1), FakeAnswer(b"x" * 2000)),
        (FakeAnswer(b"x" * 2000), says(1)),
        (says(1), says(1, kept=False)),
        (says(1, kept=False), says(1)),
    ],
)
async def test_a_giant_body_is_not_compared(legacy: FakeAnswer, new: FakeAnswer) -> None:
    """On either side; it is skipped by name, not held against anybody."""
    bench = Bench(body_bytes_max=1000)
    bench.sides.answer(Side.NEW, new)

    bench.offer(legacy)

    assert await bench.counts() == OperationCounts(skipped=1)
    assert bench.heard(ComparisonSkipped) == [
        ComparisonSkipped(READ.name, "an answer is too large to compare")
    ]


async def test_comparisons_at_once_and_waiting_are_bounded() -> None:
    """What is over the bound is dropped by name; what waited is made later."""
    bench = Bench(concurrency_max=2, queue_max=3)
    gate = asyncio.Event()
    under_way: list[int] = []

    async def slow() -> FakeAnswer:
        under_way.append(len(bench.sides.asked))
        await gate.wait()
        return says(1)

    bench.sides.does[Side.NEW] = slow
    for _ in range(10):
        bench.offer(says(1))
    await bench.clock.settle()

    assert len(under_way) == 2
    assert (
        bench.heard(ComparisonSkipped)
        == [ComparisonSkipped(READ.name, "as many comparisons as allowed are waiting")] * 5
    )

    gate.set()
    assert await bench.counts() == OperationCounts(matched=5, skipped=5)


async def test_a_side_that_does_not_answer_is_left_alone_for_a_while() -> None:
    """After failures in a row; one comparison tries again, for this operation only."""
    bench = Bench(breaker_failures_max=3, breaker_open_seconds=10.0)
    bench.sides.does[Side.NEW] = raises_error
    for _ in range(3):
        bench.offer(says(1))
        await bench.clock.settle()

    bench.offer(says(1))
    assert await bench.counts() == OperationCounts(errors=3, skipped=1)
    assert bench.heard(ComparisonSkipped) == [
        ComparisonSkipped(READ.name, "the other side has not answered lately")
    ]

    bench.sides.answer(Side.LEGACY, says([]))
    bench.sides.answer(Side.NEW, says([]))
    bench.offer(says([]), LIST)
    assert await bench.counts(LIST) == OperationCounts(matched=1)

    await bench.clock.advance(10.0)
    bench.sides.answer(Side.NEW, says(1))
    bench.offer(says(1))
    bench.offer(says(1))
    assert await bench.counts() == OperationCounts(errors=3, skipped=2, matched=1)

    bench.offer(says(1))
    assert await bench.counts() == OperationCounts(errors=3, skipped=2, matched=2)


async def test_what_waits_when_the_breaker_opens_is_not_asked() -> None:
    """A queue full of comparisons does not wait out a deadline each."""
    bench = Bench(concurrency_max=1, queue_max=10, breaker_failures_max=1)
    bench.sides.does[Side.NEW] = raises_error
    for _ in range(6):
        bench.offer(says(1))

    assert await bench.counts() == OperationCounts(errors=1, skipped=5)
    assert bench.sides.asked == [Side.NEW]


async def test_a_side_that_answers_a_skipped_comparison_is_not_left_alone() -> None:
    """The try of a half-open breaker counts as answered, whatever becomes of the comparison."""
    bench = Bench(breaker_failures_max=1, breaker_open_seconds=10.0, body_bytes_max=100)
    bench.sides.does[Side.NEW] = raises_error
    bench.offer(says(1))
    await bench.clock.advance(10.0)

    bench.sides.answer(Side.NEW, FakeAnswer(b"x" * 200), says(1))
    bench.offer(says(1))
    await bench.clock.settle()
    bench.offer(says(1))

    assert await bench.counts() == OperationCounts(errors=1, skipped=1, matched=1)


@pytest.mark.parametrize(
    ("fraction", "least", "most"), [(0.0, 0, 0), (0.3, 30, 90), (1.0, 200, 200)]
)
async def test_a_share_of_the_reads_is_compared(fraction: float, least: int, most: int) -> None:
    """A read that is not sampled is not counted and not skipped: nothing happens."""
    bench = Bench(sample_fraction=fraction, concurrency_max=200)
    bench.sides.answer(Side.NEW, says([]))

    for _ in range(200):
        bench.offer(says([]), LIST)
    counts = await bench.counts(LIST)

    assert least <= counts.matched <= most
    assert counts == OperationCounts(matched=counts.matched)


async def test_the_other_side_is_asked_in_the_callers_context() -> None:
    """Trace and request ids are there, also for comparisons that waited for their turn."""
    bench = Bench(concurrency_max=1)
    seen: list[str] = []

    async def look_around() -> FakeAnswer:
        seen.append(CALLER.get())
        CALLER.set("changed")
        return says(1)

    bench.sides.does[Side.NEW] = look_around

    async def caller(name: str) -> None:
        CALLER.set(name)
        bench.offer(says(1))

    for name in ("first", "second", "third"):
        await asyncio.create_task(caller(name))

    assert (await bench.counts()).matched == 3
    assert seen == ["first", "second", "third"]
    assert CALLER.get() == "nobody"


async def test_offering_returns_at_once_and_never_raises() -> None:
    """Not even when the answer, the ledger or the task owner fails in itself."""
    bench = Bench()
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))

    class BrokenAnswer(FakeAnswer):
        __slots__ = ()

        def observed(self) -> None:
            raise ZeroDivisionError

    bench.offer(BrokenAnswer(b""))

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError

    bench.tasks.spawn = refuse  # type: ignore[method-assign,assignment]
    bench.offer(says(1))

    assert await bench.counts() == OperationCounts(skipped=2)
    assert complaints == []
