"""What is found is gathered in memory, judged where it is a replay, and flushed without loss."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from crossfade.convergence.converge import Effect
from crossfade.errors import LedgerError, LedgerUnavailableError
from crossfade.execution.observations import Observations
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.observations import mismatch_groups, operation_in
from crossfade.model.comparison import Compare, Comparison, Observed, Outcome, compare_answers
from crossfade.model.intent import Intent
from crossfade.model.key import Key
from crossfade.model.key_state import Lease
from crossfade.model.observation import MismatchGroup, MismatchKind, OperationCounts
from crossfade.model.operation import Operation
from crossfade.model.plan import OperationKind
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import (
    ComparisonSkipped,
    MismatchFound,
    ReplayRefused,
    WorkerFailed,
)
from crossfade.observability.hooks import Hooks
from tests.unit.execution.observed_reads import KEY, READ, Bench

WRITE = Operation(
    name="PUT /orders/{id}",
    kind=OperationKind.WRITE,
    entity="order",
    method="PUT",
    template="/orders/{id}",
    replay=True,
    compare=Compare(show=["$.total"]),
)


def make_intent(authority: Side) -> Intent:
    """The intent of a write of the one key."""
    return Intent(
        id=1,
        entity="order",
        keys=(KEY,),
        unbound=False,
        epoch=1,
        authority=authority,
        node="n",
        operation=WRITE.name,
    )


def said(body: bytes, status: int = 200) -> Observed:
    """An answer as it was observed."""
    return Observed(status, "application/json", body)


def mismatch(place: str = "a") -> Comparison:
    """A comparison that found one difference."""
    return compare_answers(said(b'{"%s": 1}' % place.encode()), said(b"{}"))


def replayed(bench: Bench, legacy: Observed, new: Observed, authority: Side = Side.LEGACY) -> None:
    """A replay that both sides acknowledged."""
    answers = {Side.NEW: new, Side.LEGACY: legacy}
    bench.observations.replay_answered(WRITE, make_intent(authority), answers)


async def test_a_replay_that_is_answered_alike_matches() -> None:
    """It counts as a replay and as a comparison."""
    bench = Bench()

    replayed(bench, said(b'{"total": 1}'), said(b'{"total": 1.0}'))

    assert await bench.counts(WRITE) == OperationCounts(replays=1, matched=1)


@pytest.mark.parametrize("authority", Side)
async def test_a_replay_that_is_answered_differently_is_a_mismatch(authority: Side) -> None:
    """Legacy's value comes first whoever has authority."""
    bench = Bench()

    replayed(bench, said(b'{"total": 1999}'), said(b'{"total": 1998}'), authority)

    assert await bench.counts(WRITE) == OperationCounts(replays=1, mismatched=1)
    (group,) = bench.groups()
    (difference,) = group.samples[0].differences
    assert group.kind is MismatchKind.REPLAY_ANSWER
    assert (difference.legacy, difference.new) == ("1999", "1998")


@pytest.mark.parametrize(
    ("stage", "legacy", "new"), [(Stage.SHADOW, "200", "422"), (Stage.LIVE, "422", "200")]
)
async def test_a_refused_replay_is_counted_apart_and_told_once(
    stage: Stage, legacy: str, new: str
) -> None:
    """It is no mismatch: nothing was compared. Its group can be resolved like any."""
    bench = Bench(stage=stage)

    bench.observations.replay_refused(WRITE, 200, 422)
    bench.observations.replay_refused(WRITE, 200, 422)

    assert await bench.counts(WRITE) == OperationCounts(replays=2, refused_replays=2)
    assert bench.events == [ReplayRefused("order", WRITE.name, 200, 422)]
    (group,) = bench.groups()
    (difference,) = group.samples[0].differences
    assert (group.refused, group.paths, group.open) == (True, ("status",), 2)
    assert (difference.legacy, difference.new) == (legacy, new)

    assert await bench.observations.resolve_group(group.fingerprint)
    since = bench.ledger.look(lambda rows: operation_in(rows, WRITE.name, "order")).since
    assert since.refused_replays == 0


async def test_another_status_is_another_refusal() -> None:
    """Each way to be refused is told."""
    bench = Bench()

    bench.observations.replay_refused(WRITE, 200, 422)
    bench.observations.replay_refused(WRITE, 200, 404)

    assert len(bench.heard(ReplayRefused)) == 2


async def test_a_mirror_that_is_not_available_has_refused_nothing() -> None:
    """503 is an error; no group, nobody told."""
    bench = Bench()

    bench.observations.replay_refused(WRITE, 200, 503)

    assert await bench.counts(WRITE) == OperationCounts(replays=1, errors=1)
    assert (bench.groups(), bench.events) == ((), [])


@pytest.mark.parametrize(
    ("mirror", "expected"), [(Side.NEW, ("1999", "1998")), (Side.LEGACY, ("1998", "1999"))]
)
async def test_the_effect_of_a_replay_is_compared_with_what_convergence_wants(
    mirror: Side, expected: tuple[str, str]
) -> None:
    """The answer alone would not show that a wrong value was stored."""
    bench = Bench()
    bench.lease()
    wanted, found = {"id": 7, "total": 1999}, {"id": 7, "total": 1998, "extra": 1}
    effect = Effect("order", KEY, wanted, found, token=5)

    bench.observations.replay_effect(WRITE, mirror, effect)

    assert await bench.counts(WRITE) == OperationCounts(mismatched=1)
    (group,) = bench.groups()
    (difference,) = group.samples[0].differences
    assert (group.kind, group.paths) == (MismatchKind.REPLAY_EFFECT, ("$.total",))
    assert (difference.legacy, difference.new) == expected


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"open_intents": 1}, id="another-write-is-open"),
        pytest.param({"seq": 6}, id="something-happened-since"),
        pytest.param({"seq": 9, "lease": Lease("node", 9)}, id="superseded"),
    ],
)
async def test_an_effect_that_another_write_may_have_had_is_not_judged(
    changes: dict[str, Any],
) -> None:
    """The authority's record may be newer than the replay."""
    bench = Bench()
    bench.lease(**changes)

    effect = Effect("order", KEY, {"total": 2}, {"total": 1}, token=5)
    bench.observations.replay_effect(WRITE, Side.NEW, effect)

    assert await bench.counts(WRITE) == OperationCounts(skipped=1)
    assert bench.events == []


async def test_an_effect_beside_an_open_create_is_not_judged() -> None:
    """The id of a deleted record may be given anew: the create may have made this very key."""
    bench = Bench()
    bench.lease()

    def transition(rows: Rows) -> None:
        rows.set_entity(replace(rows.entity("order"), unbound_creates=1))

    bench.ledger.apply(transition)

    effect = Effect("order", KEY, {"total": 2}, None, token=5)
    bench.observations.replay_effect(WRITE, Side.NEW, effect)

    assert await bench.counts(WRITE) == OperationCounts(skipped=1)


async def test_records_that_cannot_be_compared_harm_nobody() -> None:
    """A store may return a value whose comparison raises."""

    class Spiteful:
        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

        __hash__ = None  # type: ignore[assignment]

    bench = Bench()
    bench.lease()
    effect = Effect("order", KEY, {"a": Spiteful()}, {"a": Spiteful()}, token=5)

    bench.observations.replay_effect(WRITE, Side.NEW, effect)

    assert await bench.counts(WRITE) == OperationCounts(skipped=1)
    assert bench.heard(ComparisonSkipped)


@pytest.mark.parametrize(
    ("key", "shown", "expected"),
    [
        ((7,), False, "#"),
        ((7,), True, "[7]"),
        (("ada@example.org",), True, '["ada@example.org"]'),
        (None, True, ""),
    ],
)
async def test_the_key_of_a_sample_is_shown_only_where_asked_for(
    key: Key | None, expected: str, *, shown: bool
) -> None:
    """A hash by default: enough to see that two samples are of one key."""
    bench = Bench(keys_shown=shown)

    bench.observations.compared(READ, MismatchKind.READ, mismatch(), key)
    await bench.observations.flush()

    sample = bench.groups()[0].samples[0]
    assert sample.key.startswith(expected)
    assert (key is not None and not shown) is (len(sample.key) == 5)
    assert sample.at == bench.clock.now().timestamp()


async def test_samples_and_groups_are_bounded() -> None:
    """What is over the bound is counted, and said by an event."""
    bench = Bench(groups_max=3, samples_max=2)

    for number in range(5):
        for _ in range(4):
            bench.observations.compared(READ, MismatchKind.READ, mismatch(f"a{number}"), KEY)
    counts = await bench.counts()

    assert counts == OperationCounts(mismatched=20, ungrouped=8)
    assert [len(group.samples) for group in bench.groups()] == [2, 2, 2]
    assert len(bench.heard(MismatchFound)) == 3
    assert len(bench.heard(ComparisonSkipped)) == 8


async def test_the_bound_on_groups_holds_over_restarts() -> None:
    """A node that starts learns the groups that are there."""
    bench = Bench(groups_max=3)
    for number in range(3):
        bench.observations.compared(READ, MismatchKind.READ, mismatch(f"a{number}"), KEY)
    await bench.observations.flush()

    later = Observations(bench.ledger, Hooks(bench.events.append), bench.clock, bench.options)
    later.load()
    later.compared(READ, MismatchKind.READ, mismatch("a0"), KEY)
    later.compared(READ, MismatchKind.READ, mismatch("another"), KEY)
    await later.flush()

    assert len(bench.groups()) == 3
    assert len(bench.heard(MismatchFound)) == 3, "a known mismatch is not told again"


async def test_a_mismatch_that_comes_back_after_a_fix_is_told_again() -> None:
    """Resolved means that it is news when it is met once more."""
    bench = Bench()
    bench.observations.compared(READ, MismatchKind.READ, mismatch(), KEY)
    await bench.observations.flush()
    (group,) = bench.groups()

    assert await bench.observations.resolve_group(group.fingerprint) is True
    assert await bench.observations.resolve_group("unknown") is False
    bench.observations.compared(READ, MismatchKind.READ, mismatch(), KEY)

    assert len(bench.heard(MismatchFound)) == 2


async def test_resolving_counts_what_was_not_flushed_yet() -> None:
    """A mismatch from before the fix does not turn up after it."""
    bench = Bench()
    bench.observations.compared(READ, MismatchKind.READ, mismatch(), KEY)
    await bench.observations.flush()
    (group,) = bench.groups()
    bench.observations.compared(READ, MismatchKind.READ, mismatch(), KEY)

    await bench.observations.resolve_group(group.fingerprint)
    await bench.observations.flush()

    assert bench.groups() == ()


async def test_what_cannot_be_flushed_is_kept() -> None:
    """Added to what is found meanwhile, in order, and bounded as ever."""
    bench = Bench(samples_max=2)
    transact = bench.ledger.transact

    async def fail_after_more_was_found(transition: Callable[[Any], Any]) -> None:
        del transition
        bench.observations.compared(READ, MismatchKind.READ, mismatch("b"), KEY)
        bench.observations.compared(READ, MismatchKind.READ, mismatch("a"), KEY)
        raise LedgerUnavailableError("the disk is full. Make room.")

    bench.observations.compared(READ, MismatchKind.READ, mismatch("a"), KEY)
    bench.ledger.transact = fail_after_more_was_found  # type: ignore[method-assign,assignment]
    with pytest.raises(LedgerUnavailableError):
        await bench.observations.flush()

    bench.ledger.transact = transact  # type: ignore[method-assign]
    assert await bench.counts() == OperationCounts(mismatched=3)
    found: dict[tuple[str, ...], MismatchGroup] = {group.paths: group for group in bench.groups()}
    assert {paths: group.count for paths, group in found.items()} == {("$.a",): 2, ("$.b",): 1}


async def test_the_ledger_gets_the_counts_every_second() -> None:
    """A crash loses at most so much; while nothing is found nothing is written."""
    bench = Bench(flush_seconds=1.0)
    writes: list[int] = []
    transact = bench.ledger.transact

    async def count(transition: Callable[[Any], Any]) -> None:
        writes.append(1)
        if len(writes) == 2:
            raise LedgerUnavailableError("the disk is full. Make room.")
        await transact(transition)

    bench.ledger.transact = count  # type: ignore[method-assign,assignment]
    flushing = asyncio.create_task(bench.observations.run())
    await bench.clock.advance(5.0)
    assert writes == []

    for _ in range(3):
        bench.observations.compared(READ, MismatchKind.READ, mismatch(), KEY)
        await bench.clock.advance(1.0)
    flushing.cancel()

    assert len(writes) == 3
    groups = bench.ledger.look(mismatch_groups)
    assert [group.count for group in groups] == [3], "a failed flush loses nothing"


def test_a_match_makes_no_group() -> None:
    """Nothing is kept of what is alike."""
    bench = Bench()

    bench.observations.compared(READ, MismatchKind.READ, Comparison(Outcome.MATCH), KEY)

    assert bench.events == []


async def test_what_was_found_in_off_does_not_count_once_it_is_left() -> None:
    """Nothing was copied then: a difference says nothing, flushed or not."""
    bench = Bench(stage=Stage.OFF)
    missing = Observed(404, "application/json", b"{}")
    found = compare_answers(Observed(200, "application/json", b"{}"), missing)
    bench.observations.compared(READ, MismatchKind.READ, found, KEY)
    bench.set_stage(Stage.SHADOW)

    await bench.observations.flush()

    assert await bench.counts(READ) == OperationCounts()
    assert bench.groups() == ()


async def test_a_flush_that_fails_unexpectedly_is_not_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Told, and tried again: else no comparison would ever count again."""
    bench = Bench()
    bench.observations.compared(READ, MismatchKind.READ, mismatch(), KEY)
    transact, failing = bench.ledger.transact, [LedgerError("no place in a row.")]

    async def fail_once(transition: Callable[[Rows], Any]) -> Any:  # noqa: ANN401 - any result
        if failing:
            raise failing.pop()
        return await transact(transition)

    monkeypatch.setattr(bench.ledger, "transact", fail_once)
    running = asyncio.ensure_future(bench.observations.run())
    await bench.clock.advance(3 * bench.options.flush_seconds)

    assert not running.done()
    running.cancel()
    assert bench.heard(WorkerFailed) == [
        WorkerFailed("observations", "LedgerError: no place in a row.")
    ]
    assert len(bench.groups()) == 1
