"""The barrier behind `off`: nothing is copied before writes without intent have ended."""

import asyncio
from functools import partial

import pytest

from crossfade.errors import CrossfadeError, GateError
from crossfade.ledger.transitions.chunks import open_chunk
from crossfade.ledger.transitions.moves import move_stage
from crossfade.model.key import EVERY_KEY, Key
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import BarrierPassed
from crossfade.stages.options import StageOptions
from crossfade.store.base import Fence, PutStatus
from tests.builders import ANSWERS_WITHIN_SECONDS, CUSTOMERS, DECISION, Node, make_node
from tests.fake_seams import LedgerFault, NodeDiedError, StoreFault
from tests.fake_services import Does, put_value
from tests.settling import assert_agreed, cover, drain, settle

KEY: Key = (1,)


async def _can_copy(node: Node) -> bool:
    opening = partial(open_chunk, entity=CUSTOMERS, range_=EVERY_KEY, owner="node-1")
    try:
        await node.ledger.transact(opening)
    except GateError:
        return False
    return True


async def test_without_writes_under_way_the_barrier_passes_at_once() -> None:
    """The mirror's epoch first, then the ledger's; only then may a chunk open (rule 9)."""
    node = make_node()
    await node.move(Stage.SHADOW)
    before = await _can_copy(node)

    passed = await node.barrier.step()

    assert (before, passed, await _can_copy(node)) == (False, True, True)
    assert node.world.epochs() == (1, 0, 1)
    assert node.events_of(BarrierPassed) == [BarrierPassed(1)]
    assert node.barrier.waits_for() is None
    assert not await node.barrier.step()


async def test_in_off_there_is_no_barrier() -> None:
    """Nothing to wait for, nothing to pass."""
    node = make_node()

    assert (node.barrier.waits_for(), await node.barrier.step()) == (None, False)


async def test_the_barrier_waits_for_a_write_under_way() -> None:
    """Cases 43, 44: it may still change legacy after a chunk has read it."""
    node = make_node()
    service = node.world.services[Side.LEGACY]
    service.plan.append(Does.HANG)
    caller = asyncio.ensure_future(node.write(put_value(KEY, "fresh"), KEY))
    await node.world.clock.settle()
    await node.move(Stage.SHADOW)

    waits, passed = node.barrier.waits_for(), await node.barrier.step()
    service.go_on()
    await caller

    assert (passed, str(waits).startswith("writes without intent")) == (False, True)
    assert await node.barrier.step()


@pytest.mark.parametrize("does", [Does.CUT, Does.LATE, Does.BAD_GATEWAY])
async def test_the_barrier_waits_for_a_write_in_doubt(does: Does) -> None:
    """Until `answers_within` has passed on this process's own clock."""
    node = make_node()
    node.world.services[Side.LEGACY].plan.append(does)
    await asyncio.gather(node.write(put_value(KEY, "fresh"), KEY), return_exceptions=True)
    await node.move(Stage.SHADOW)

    node.world.clock.jump(ANSWERS_WITHIN_SECONDS - 0.1)
    early = await node.barrier.step()
    waits = node.barrier.waits_for()
    node.world.services[Side.LEGACY].land()
    node.world.clock.jump(0.1)

    assert (early, waits) == (
        False,
        "writes without intent have not certainly ended (at most 0.1 s more)",
    )
    assert await node.barrier.step()
    await cover(node)
    assert_agreed(node.world)


async def test_the_barrier_waits_for_writes_of_a_dead_node() -> None:
    """Nobody knows what it had under way."""
    node = make_node(dead_nodes=True)
    await node.move(Stage.SHADOW)

    early = await node.barrier.step()
    node.world.clock.jump(ANSWERS_WITHIN_SECONDS)

    assert (early, await node.barrier.step()) == (False, True)


async def test_writes_with_intent_do_not_wait_for_the_barrier() -> None:
    """They are served all the time; their keys are copied afterwards."""
    node = make_node(dead_nodes=True)
    await node.move(Stage.SHADOW)

    answer = await node.write(put_value(KEY, "fresh"), KEY)
    await node.quiet()
    node.world.clock.jump(ANSWERS_WITHIN_SECONDS)
    await node.barrier.step()
    await cover(node)

    assert answer.status == 200
    await settle(node)
    await drain(node)
    assert_agreed(node.world)


async def test_a_copy_from_before_is_refused_after_the_barrier() -> None:
    """Cases 49, 92: a put of the time before `off` may be late; the epoch stops it."""
    node = make_node()
    await node.move(Stage.SHADOW)
    epoch = node.ledger.migration.epoch

    await node.barrier.step()
    late = await node.world.stores[Side.NEW].put(KEY, {"id": 1, "title": "late"}, Fence(99, epoch))

    assert late.status is PutStatus.FENCED_EPOCH


@pytest.mark.parametrize("fault", [StoreFault.UNREACHABLE, StoreFault.HANG])
async def test_a_mirror_that_does_not_answer_is_waited_for(fault: StoreFault) -> None:
    """Nothing is begun, however often it is tried: no row, no epoch, no line in the audit."""
    node = make_node(stage_options=StageOptions(store_seconds_max=0.01))
    await node.move(Stage.SHADOW)
    node.world.faults[Side.NEW].choose = lambda _: fault
    audit = node.ledger.look(lambda rows: len(rows.audit(1000)))

    passed = [await node.barrier.step() for _ in range(3)]

    assert (passed, node.barrier.waits_for()) == (
        [False] * 3,
        "the mirror's epoch is being raised",
    )
    assert (node.ledger.migration.flip, node.world.epochs()) == (None, (0, 0, 0))
    assert node.ledger.look(lambda rows: len(rows.audit(1000))) == audit
    node.world.faults[Side.NEW].choose = None
    assert await node.barrier.step()


async def test_a_mirror_that_fails_just_then_leaves_a_row_to_recover() -> None:
    """Writers are not held by it; recovery undoes it, and the next step passes."""
    node = make_node()
    await node.move(Stage.SHADOW)
    node.world.faults[Side.NEW].epochs.extend([None, StoreFault.LATE])

    with pytest.raises(CrossfadeError):
        await node.barrier.step()
    answer = await node.write(put_value(KEY, "fresh"), KEY)
    again = await node.barrier.step()
    await node.flipper.recover(DECISION)
    await node.world.faults[Side.NEW].land()

    assert (answer.status, again) == (200, False)
    assert await node.barrier.step()
    assert await _can_copy(node)


async def test_entering_off_drops_a_barrier_under_way() -> None:
    """It may still raise the mirror's epoch; the ledger's goes past it."""
    node = make_node()
    await node.move(Stage.SHADOW)

    async def back_to_off(name: str) -> None:
        if name == "barrier.begun":
            await node.move(Stage.OFF)

    node.failpoint.pause = back_to_off
    with pytest.raises(GateError):
        await node.barrier.step()
    node.failpoint.pause = None

    assert node.ledger.migration.stage is Stage.OFF
    assert not await _can_copy(node)
    await node.move(Stage.SHADOW)
    assert await node.barrier.step()
    ledger, _, new = node.world.epochs()
    assert ledger == new


async def test_a_write_of_an_off_that_lasted_no_longer_than_a_commit_is_waited_for() -> None:
    """Two moves and the barrier's row are committed together: look again after the row."""
    node = make_node()
    await node.move(Stage.SHADOW)
    service = node.world.services[Side.LEGACY]
    service.plan.append(Does.HANG)
    callers: list[asyncio.Future[object]] = []

    async def off_and_back_before_it_is_made(name: str) -> None:
        # What the queue of a ledger may hold in front of the barrier's transaction.
        if name == "before begin_barrier":
            node.world.rows.apply(partial(move_stage, wanted=Stage.OFF, decision=DECISION))
            callers.append(asyncio.ensure_future(node.write(put_value(KEY, "fresh"), KEY)))
            await node.world.clock.settle()
            node.world.rows.apply(partial(move_stage, wanted=Stage.SHADOW, decision=DECISION))

    node.ledger.before = off_and_back_before_it_is_made
    step = asyncio.ensure_future(node.barrier.step())
    await node.world.clock.advance(1.0)
    node.ledger.before = None
    early = await _can_copy(node)
    service.go_on()
    await callers[0]

    assert (early, await node.finish(step)) == (False, True)


@pytest.mark.parametrize("name", ["barrier.begun", "barrier.fenced"])
async def test_a_barrier_that_crashed_is_passed_anew(name: str) -> None:
    """By whoever knows that writes without intent have ended: not by recovery."""
    node = make_node()
    await node.write(put_value(KEY, "old"), KEY)
    await node.move(Stage.SHADOW)
    node.failpoint.name = name
    with pytest.raises(NodeDiedError):
        await node.barrier.step()
    other = make_node(node.world, dead_nodes=True)

    await other.flipper.recover(DECISION)
    early = await other.barrier.step()
    node.world.clock.jump(ANSWERS_WITHIN_SECONDS)

    assert (early, await other.barrier.step()) == (False, True)
    await cover(other)
    assert_agreed(other.world)


@pytest.mark.parametrize("nth", range(2))
async def test_a_ledger_that_fails_does_not_pass_the_barrier(nth: int) -> None:
    """The chunk gate stays shut until the commit."""
    node = make_node()
    await node.move(Stage.SHADOW)
    node.ledger.faults.extend([None] * nth + [LedgerFault.NOT_MADE])

    with pytest.raises(CrossfadeError):
        await node.barrier.step()

    assert not await _can_copy(node)
    await node.flipper.recover(DECISION)
    assert await node.barrier.step()
