"""Reads are compared off the reply path, and counted only where a difference means something."""

import pytest

from crossfade.model.coverage import NOTHING
from crossfade.model.key import KeyRange
from crossfade.model.observation import MismatchKind, OperationCounts
from crossfade.model.operation import Operation
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import ComparisonSkipped, MismatchFound
from tests.unit.execution.observed_reads import KEY, LIST, READ, Bench, FakeAnswer, says


async def test_equal_answers_are_counted_as_a_match() -> None:
    """The other side is asked once, and nobody else."""
    bench = Bench()
    bench.sides.answer(Side.NEW, says({"total": 1.0}))

    bench.offer(says({"total": 1}))

    assert await bench.counts() == OperationCounts(matched=1)
    assert bench.sides.asked == [Side.NEW]
    assert bench.events == []


async def test_a_mismatch_on_a_key_that_agrees_counts_at_once() -> None:
    """The ledger vouches for the key: nothing has to be asked again."""
    bench = Bench()
    bench.sides.answer(Side.NEW, says({"total": 1998}))

    bench.offer(says({"total": 1999}))

    assert await bench.counts() == OperationCounts(mismatched=1)
    assert bench.sides.asked == [Side.NEW]
    (group,) = bench.groups()
    (difference,) = group.samples[0].differences
    assert (group.kind, group.paths) == (MismatchKind.READ, ("$.total",))
    assert (difference.legacy, difference.new) == ("1999", "1998")


async def test_a_canary_read_is_compared_with_legacy_first() -> None:
    """New has answered the caller; legacy's value still comes first in what is found."""
    bench = Bench()
    bench.sides.answer(Side.LEGACY, says({"total": 1999}))
    request, before = bench.request(), bench.agreement()

    bench.comparer.canary_served(request, says({"total": 1998}), before)
    bench.comparer.canary_fell_back(request)

    assert await bench.counts() == OperationCounts(
        mismatched=1, canary_served=1, canary_fell_back=1
    )
    assert bench.sides.asked == [Side.LEGACY]
    (difference,) = bench.groups()[0].samples[0].differences
    assert (difference.legacy, difference.new) == ("1999", "1998")
    assert bench.groups()[0].kind is MismatchKind.CANARY


async def test_a_body_that_is_no_json_is_a_mismatch_like_any() -> None:
    """By its bytes; nothing of it is kept."""
    bench = Bench()
    bench.sides.answer(Side.NEW, FakeAnswer(b"\xff{"))

    bench.offer(says({"a": 1}))

    assert await bench.counts() == OperationCounts(mismatched=1)
    assert bench.groups()[0].paths == ("body",)


async def test_a_side_that_is_not_available_is_an_error_not_a_mismatch() -> None:
    """503 says nothing about what the service would have answered."""
    bench = Bench()
    bench.sides.answer(Side.NEW, says({}, status=503))

    bench.offer(says({}))

    assert await bench.counts() == OperationCounts(errors=1)


@pytest.mark.parametrize("stage", [Stage.READ_ONLY, Stage.SHADOW])
async def test_a_key_that_is_not_known_to_agree_is_not_compared(stage: Stage) -> None:
    """Not even asked for, and nobody is told: before the copy nearly every read is like that."""
    bench = Bench(stage=stage)
    bench.cover(NOTHING)
    bench.sides.answer(Side.NEW, says(2))

    bench.offer(says(1))
    bench.offer(says(1), LIST)

    assert await bench.counts() == OperationCounts(skipped=1)
    assert await bench.counts(LIST) == OperationCounts(skipped=1)
    assert (bench.sides.asked, bench.events) == ([], [])


@pytest.mark.parametrize("stage", [Stage.OFF, Stage.READ_ONLY, Stage.SHADOW])
async def test_a_key_that_changed_between_both_calls_is_not_counted(stage: Stage) -> None:
    """Even though it is clean again: its sequence number has moved on."""
    bench = Bench(stage=stage)

    async def written_meanwhile() -> FakeAnswer:
        bench.touch()
        return says(2)

    bench.sides.does[Side.NEW] = written_meanwhile
    bench.offer(says(1))

    assert await bench.counts() == OperationCounts(skipped=1)
    assert bench.heard(ComparisonSkipped) == [
        ComparisonSkipped(READ.name, "the key or the stage changed meanwhile")
    ]


async def test_a_key_that_changes_before_a_mismatch_is_confirmed_is_not_counted() -> None:
    """The ledger is looked at after the last call, too."""
    bench = Bench(stage=Stage.OFF)
    bench.sides.answer(Side.LEGACY, says(1))
    bench.sides.answer(Side.NEW, says(2))

    bench.offer(says(1))
    await bench.clock.settle()
    bench.touch()
    await bench.clock.advance(1.0)

    assert await bench.counts() == OperationCounts(skipped=1)


@pytest.mark.parametrize("operation", [READ, LIST])
async def test_a_stage_that_changed_meanwhile_voids_the_comparison(operation: Operation) -> None:
    """Reads with and without a key."""
    bench = Bench(stage=Stage.OFF)

    async def moved_meanwhile() -> FakeAnswer:
        bench.set_stage(Stage.SHADOW)
        return says(2)

    bench.sides.does[Side.NEW] = moved_meanwhile
    bench.offer(says(1), operation)

    assert await bench.counts(operation) == OperationCounts(skipped=1)


UNVOUCHED = [
    pytest.param(Stage.OFF, READ, id="off-with-key"),
    pytest.param(Stage.OFF, LIST, id="off-without-key"),
]


@pytest.mark.parametrize(("stage", "operation"), UNVOUCHED)
async def test_where_nobody_vouches_a_mismatch_is_confirmed_first(
    stage: Stage, operation: Operation
) -> None:
    """Both sides are asked once more, a moment later; what remains counts."""
    bench = Bench(stage=stage, confirm_pause_seconds=0.2)
    bench.sides.answer(Side.LEGACY, says({"total": 1999}))
    bench.sides.answer(Side.NEW, says({"total": 1998}))

    bench.offer(says({"total": 1999}), operation)
    await bench.clock.advance(0.1)
    assert bench.sides.asked == [Side.NEW]
    await bench.clock.advance(0.2)

    assert await bench.counts(operation) == OperationCounts(mismatched=1)
    assert bench.sides.asked == [Side.NEW, Side.LEGACY, Side.NEW]


@pytest.mark.parametrize(("stage", "operation"), UNVOUCHED)
@pytest.mark.parametrize(
    ("legacy_later", "new_later"),
    [
        pytest.param({"total": 2, "at": 1}, {"total": 2, "at": 1}, id="new-has-caught-up"),
        pytest.param({"total": 3, "at": 1}, {"total": 2, "at": 1}, id="still-being-written"),
    ],
)
async def test_a_write_between_both_calls_is_no_mismatch(
    stage: Stage, operation: Operation, legacy_later: object, new_later: object
) -> None:
    """The difference is gone, or is another one: a hot key differs anew each time."""
    bench = Bench(stage=stage)
    bench.sides.answer(Side.LEGACY, says(legacy_later))
    bench.sides.answer(Side.NEW, says({"total": 1, "at": 1}), says(new_later))

    bench.offer(says({"total": 2, "at": 1}), operation)
    await bench.clock.advance(1.0)

    assert await bench.counts(operation) == OperationCounts(skipped=1)
    assert bench.groups() == ()


async def test_a_list_is_compared_while_its_whole_entity_agrees() -> None:
    """The ledger vouches for a read without a key if no key was touched around both calls."""
    bench = Bench()
    bench.sides.answer(Side.NEW, says([1]))

    bench.offer(says([2]), LIST)

    assert await bench.counts(LIST) == OperationCounts(mismatched=1)


async def test_a_list_beside_a_write_is_not_counted() -> None:
    """Any key of the entity may be in the list, clean again or not."""
    bench = Bench()

    async def written_meanwhile() -> FakeAnswer:
        bench.touch()
        return says([2])

    bench.sides.does[Side.NEW] = written_meanwhile
    bench.offer(says([1]), LIST)

    assert await bench.counts(LIST) == OperationCounts(skipped=1)


async def test_only_what_remains_is_confirmed() -> None:
    """What each side never answers twice alike is noise; the bug beside it is found."""
    bench = Bench(stage=Stage.OFF)
    bench.sides.answer(Side.LEGACY, says({"total": 1999, "at": 2}))
    bench.sides.answer(Side.NEW, says({"total": 1998, "at": 11}), says({"total": 1998, "at": 12}))

    bench.offer(says({"total": 1999, "at": 1}))
    await bench.clock.advance(1.0)

    assert await bench.counts() == OperationCounts(mismatched=1)
    assert bench.groups()[0].paths == ("$.total",)


async def test_a_keyed_read_without_a_look_was_not_sampled() -> None:
    """The reader draws before it asks; a request that cannot be asked again is never drawn."""
    bench = Bench()
    bench.comparer.offer(bench.request(), Side.LEGACY, says(1), None)

    assert await bench.counts() == OperationCounts()
    assert bench.comparer.samples(bench.request())
    assert not bench.comparer.samples(bench.request(replayable=False))


async def test_a_mismatch_is_told_once_and_then_counted() -> None:
    """An alert for each kind of mismatch, not for each read."""
    bench = Bench()
    bench.sides.answer(Side.NEW, says({"total": 2}))

    for _ in range(3):
        bench.offer(says({"total": 1}))
        await bench.clock.settle()

    assert await bench.counts() == OperationCounts(mismatched=3)
    (group,) = bench.groups()
    assert group.count == 3
    assert bench.heard(MismatchFound) == [
        MismatchFound(READ.name, "read", group.fingerprint, ("$.total",))
    ]


async def test_an_uncovered_key_range_is_told_apart_from_a_covered_one() -> None:
    """Coverage counts by key, while a sweep is under way."""
    bench = Bench()
    bench.sides.answer(Side.NEW, says(1))
    bench.cover((KeyRange(None, (6,)),))
    bench.offer(says(1))
    bench.cover((KeyRange(None, KEY),))
    bench.offer(says(1))

    assert await bench.counts() == OperationCounts(matched=1, skipped=1)
