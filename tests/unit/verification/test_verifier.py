"""Lag is told from difference, an alarm outlives the verifier, a sample clears no fuller one."""

import asyncio
from dataclasses import replace
from functools import partial

import msgspec
import pytest

from crossfade.errors import (
    ChangedMeanwhileError,
    DefinitionError,
    GateError,
    StoreUnreachableError,
)
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.intents import WriteRequest, open_intent
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.ledger.transitions.verdicts import ALARM_KEYS_MAX, Verdict, look_verdict
from crossfade.model.key import KeyRange
from crossfade.model.key_state import DirtyReason
from crossfade.model.side import Side
from crossfade.observability.events import VerificationFinished
from crossfade.verification.sampler import Sampler
from tests.fake_seams import NodeDiedError
from tests.unit.verification.orders import ORDERS, Orders, make_orders


def _corrupt(orders: Orders, *numbers: int) -> None:
    for number in numbers:
        orders.rows(Side.NEW)[(number,)]["remark"] = "corrupted"


def _verdict(orders: Orders) -> Verdict | None:
    return orders.ledger.look(partial(look_verdict, entity=ORDERS))


def _dirty(orders: Orders, *numbers: int) -> None:
    keys = [(number,) for number in numbers]
    mark = partial(mark_dirty, keys=keys, reason=DirtyReason.WRITE, at=1.0)
    orders.ledger.apply(partial(mark, entity=ORDERS))


def _is_dirty(orders: Orders, number: int) -> bool:
    return orders.ledger.look(lambda rows: rows.key(ORDERS, (number,))).dirty


async def test_a_dirty_key_that_differs_is_lag() -> None:
    """Convergence is on its way: no alarm, and the verification passes."""
    orders = await make_orders()
    _corrupt(orders, 3)
    _dirty(orders, 3)

    verdict = await orders.verifier().verify(ORDERS)

    assert (verdict.passed, verdict.different, verdict.lagging) == (True, 0, 1)


async def test_a_key_that_is_being_written_is_lag() -> None:
    """The sides differ between the authority's answer and the copy."""
    orders = await make_orders()
    request = WriteRequest(ORDERS, ((3,),), "PUT", "node-1")
    orders.ledger.apply(partial(open_intent, request=request, at=1.0))
    orders.rows(Side.LEGACY)[(3,)]["note"] = "newer"

    verdict = await orders.verifier().verify(ORDERS)

    assert (verdict.passed, verdict.lagging) == (True, 1)


async def test_a_key_that_was_touched_while_both_sides_were_read_is_no_alarm() -> None:
    """It is made dirty, so that convergence looks at it."""
    orders = await make_orders()
    _corrupt(orders, 3)
    reads = 0

    async def touch(name: str) -> None:
        nonlocal reads
        reads += name == f"new.{ORDERS}.read.after"
        if name == f"new.{ORDERS}.read.after" and reads == 1:
            orders.ledger.apply(_touch_and_clear)

    orders.databases[Side.NEW]._pause = touch  # noqa: SLF001 - its hook

    verdict = await orders.verifier().verify(ORDERS)

    assert (verdict.passed, verdict.different, verdict.lagging) == (True, 0, 1)
    assert _is_dirty(orders, 3)


def _touch_and_clear(rows: Rows) -> None:
    """Key 3 was written and has converged again."""
    seq = rows.next_sequence()
    state = msgspec.structs.replace(rows.key(ORDERS, (3,)), seq=seq, clean_seq=seq)
    rows.set_key(state)


async def test_an_alarm_outlives_the_verifier() -> None:
    """It dies before its verdict; what it found still stops the cut-over."""
    orders = await make_orders()
    assert (await orders.verifier().verify(ORDERS)).passed
    _corrupt(orders, 2)
    orders.failpoint.name = "verification.compared"

    with pytest.raises(NodeDiedError):
        await orders.verifier().verify(ORDERS)

    verdict = _verdict(orders)
    assert verdict is not None
    assert (verdict.passed, verdict.different, verdict.finished_at) == (False, 1, None)
    assert _is_dirty(orders, 2)


async def test_a_verifier_that_dies_without_a_finding_leaves_the_last_verdict() -> None:
    """It is as if it had not run."""
    orders = await make_orders()
    before = await orders.verifier().verify(ORDERS)
    orders.failpoint.name = "verification.compared"

    with pytest.raises(NodeDiedError):
        await orders.verifier().verify(ORDERS)

    assert _verdict(orders) == before


async def test_a_sample_does_not_clear_the_alarm_of_a_fuller_verification() -> None:
    """Only one that compares as much may."""
    orders = await make_orders()
    _corrupt(orders, 2)
    await orders.verifier().verify(ORDERS)
    await orders.converge()

    sampled = await orders.verifier().verify(ORDERS, fraction=0.5)
    assert (sampled.passed, sampled.different) == (False, 0)
    assert "stands" in (sampled.reason or "")

    assert (await orders.verifier().verify(ORDERS)).passed
    assert (await orders.verifier().verify(ORDERS, fraction=0.5)).passed


async def test_a_sample_is_the_same_keys_each_time_and_part_of_a_larger_one() -> None:
    """Sticky and monotone; other entities sample other keys."""
    keys = [(number,) for number in range(2000)]
    tenth = {key for key in keys if Sampler("orders", 0.1).includes(key)}
    half = {key for key in keys if Sampler("orders", 0.5).includes(key)}
    other = {key for key in keys if Sampler("others", 0.1).includes(key)}

    assert tenth < half
    assert len(tenth) == pytest.approx(200, abs=50)
    assert len(half) == pytest.approx(1000, abs=100)
    assert tenth != other
    assert Sampler("orders", 1.0).everything


@pytest.mark.parametrize("fraction", [0.0, -1.0, 1.1])
def test_a_sample_is_a_share(fraction: float) -> None:
    """Nothing at all proves nothing."""
    with pytest.raises(ValueError, match="no share"):
        Sampler("orders", fraction)


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])
async def test_a_sample_compares_only_its_keys(*, ordered: bool) -> None:
    """Differences in them are found, others are not looked at."""
    orders = await make_orders(ordered=ordered)
    sampler = Sampler(ORDERS, 0.4)
    inside = [number for number in range(1, 41) if sampler.includes((number,))]
    outside = [number for number in range(1, 41) if not sampler.includes((number,))]
    _corrupt(orders, inside[0], outside[0])

    verdict = await orders.verifier().verify(ORDERS, fraction=0.4)

    assert (verdict.compared, verdict.alarm_keys) == (len(inside), ((inside[0],),))


async def test_quarantined_and_waived_keys_are_counted_apart() -> None:
    """They are known not to agree; they stay quarantined."""
    orders = await make_orders()
    _corrupt(orders, 3, 4)
    _dirty(orders, 3, 4)
    for number, waived in ((3, False), (4, True)):
        state = orders.ledger.look(lambda rows, number=number: rows.key(ORDERS, (number,)))  # type: ignore[misc] # number is bound
        bad = msgspec.structs.replace(state, quarantine="a constraint", waived=waived)
        orders.ledger.apply(lambda rows, bad=bad: rows.set_key(bad))  # type: ignore[misc] # bad is bound

    verdict = await orders.verifier().verify(ORDERS)

    assert (verdict.passed, verdict.quarantined, verdict.waived) == (True, 1, 1)
    assert orders.ledger.look(lambda rows: rows.counts()).quarantined == 1


async def test_many_alarms_are_counted_and_some_named() -> None:
    """Every key differs: the verdict stays small."""
    orders = await make_orders(150)
    _corrupt(orders, *range(1, 151))

    verdict = await orders.verifier().verify(ORDERS)

    assert (verdict.different, len(verdict.alarm_keys)) == (150, ALARM_KEYS_MAX)
    assert verdict.columns == {"remark": 150}


async def test_what_was_not_copied_yet_is_not_compared() -> None:
    """And the verification does not pass."""
    orders = await make_orders()
    entity = orders.ledger.look(lambda rows: rows.entity(ORDERS))
    partly = replace(entity, coverage=(KeyRange(None, (10,)),))
    orders.ledger.apply(lambda rows: rows.set_entity(partly))
    _corrupt(orders, 5, 30)

    verdict = await orders.verifier().verify(ORDERS)

    assert (verdict.compared, verdict.alarm_keys) == (10, ((5,),))
    await orders.converge()
    again = await orders.verifier().verify(ORDERS)
    assert (again.passed, again.reason) == (False, "the entity is not completely copied")
    assert not _is_dirty(orders, 30)


async def test_nothing_copied_is_refused() -> None:
    """There is nothing to verify, and the message says what to do."""
    orders = await make_orders(covered=False)

    with pytest.raises(GateError, match="backfill start"):
        await orders.verifier().verify(ORDERS)


@pytest.mark.parametrize("changes", [{"barrier_passed": False}, {"lost_side": Side.NEW}])
async def test_verification_waits_for_a_calm_stage(changes: dict[str, object]) -> None:
    """Before the barrier, or with a side lost, differences mean nothing."""
    orders = await make_orders()
    state = replace(orders.ledger.migration, **changes)  # type: ignore[arg-type] # by name
    orders.ledger.apply(lambda rows: rows.set_migration(state))

    with pytest.raises(GateError, match="cannot be verified now"):
        await orders.verifier().verify(ORDERS)


async def test_an_unknown_entity_is_refused() -> None:
    """With the names that there are."""
    orders = await make_orders()

    with pytest.raises(DefinitionError, match=ORDERS):
        await orders.verifier().verify("customers")


async def test_a_change_of_epoch_ends_it_without_a_verdict() -> None:
    """What was compared before and after it does not belong together."""
    orders = await make_orders()

    async def change(name: str) -> None:
        if name == f"new.{ORDERS}.read_range.after":
            state = replace(orders.ledger.migration, epoch=2)
            orders.ledger.apply(lambda rows: rows.set_migration(state))

    orders.databases[Side.NEW]._pause = change  # noqa: SLF001 - its hook

    with pytest.raises(ChangedMeanwhileError, match="verify"):
        await orders.verifier().verify(ORDERS)
    assert _verdict(orders) is None


async def test_a_side_that_does_not_answer_for_a_moment_is_asked_again() -> None:
    """The page is read again, and everything is compared."""
    orders = await make_orders()
    orders.databases[Side.NEW].faults.unreachable = True
    verifier = orders.verifier()
    task = asyncio.ensure_future(verifier.verify(ORDERS))
    await orders.clock.advance(1.0)
    assert "does not answer" in (verifier.progress()[0].waits_for or "")
    orders.databases[Side.NEW].faults.unreachable = False
    await orders.clock.advance(10.0)

    assert (await task).compared == 40
    assert verifier.progress() == ()


async def test_a_side_that_stays_away_ends_the_verification() -> None:
    """After several tries; nothing is stored."""
    orders = await make_orders()
    orders.databases[Side.NEW].faults.unreachable = True
    task = asyncio.ensure_future(orders.verifier().verify(ORDERS))
    await orders.clock.advance(60.0)

    with pytest.raises(StoreUnreachableError):
        await task
    assert _verdict(orders) is None


async def test_one_verification_of_an_entity_at_a_time() -> None:
    """A second one is refused; progress shows the first."""
    orders = await make_orders()
    verifier = orders.verifier(rows_per_second_max=7.0)
    task = asyncio.ensure_future(verifier.verify(ORDERS))
    await orders.clock.advance(2.5)

    with pytest.raises(GateError, match="already"):
        await verifier.verify(ORDERS)
    progress = verifier.progress()[0]
    assert (progress.compared, progress.rows_estimate) == (21, 40)
    assert "limited" in (progress.waits_for or "")

    await orders.clock.advance(60.0)
    assert (await task).passed
    finished = [one for one in orders.events if isinstance(one, VerificationFinished)]
    assert finished == [VerificationFinished(ORDERS, 40, 0, 0)]
