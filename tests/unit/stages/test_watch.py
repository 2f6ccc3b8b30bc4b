"""The stage watch mends what was cut off and passes barriers; a failure is tried again."""

import asyncio

import pytest

from crossfade.model.key import Key
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import WorkerFailed
from crossfade.stages.pace import Pace
from crossfade.testing.manual_clock import ManualClock
from tests.builders import DECISION, Node, make_node
from tests.fake_seams import LedgerFault, NodeDiedError, StoreFault
from tests.settling import start_shadow

KEY: Key = (1,)


async def _died_in_a_flip() -> Node:
    """A new node after one that died with writers held."""
    node = await start_shadow(values={KEY: "old"})
    node.failpoint.name = "flip.holding"
    try:
        await node.flipper.flip(Stage.LIVE, DECISION, 2.0)
    except NodeDiedError:
        await node.stop()
    return make_node(node.world)


async def test_in_peace_there_is_nothing_to_mend() -> None:
    """At the start of a node."""
    assert await make_node().watch.mend()


async def test_what_a_dead_node_left_is_mended_before_serving() -> None:
    """Nobody is held any more."""
    node = await _died_in_a_flip()

    assert await node.watch.mend()
    assert node.ledger.migration.flip is None


async def test_what_could_not_be_mended_is_tried_again() -> None:
    """The failure is told; writers wait meanwhile."""
    node = await _died_in_a_flip()
    node.ledger.faults.append(LedgerFault.NOT_MADE)

    at_start = await node.watch.mend()
    await node.watch.step()

    assert (at_start, node.ledger.migration.flip) == (False, None)
    assert len(node.events_of(WorkerFailed)) == 1


async def test_a_flip_of_this_node_is_left_alone() -> None:
    """It is under way, not cut off."""
    node = await start_shadow(values={KEY: "old"})

    async def look(name: str) -> None:
        if name.startswith("flip."):
            await node.watch.step()

    node.failpoint.pause = look
    await node.finish(node.flipper.flip(Stage.LIVE, DECISION, 2.0))

    assert node.ledger.migration.stage is Stage.LIVE


async def test_a_flip_that_could_not_be_undone_here_is_mended() -> None:
    """The ledger failed twice: once under the flip, once under its undo."""
    node = await start_shadow(values={KEY: "old"})
    node.ledger.faults.extend([None, LedgerFault.NOT_MADE, LedgerFault.NOT_MADE])
    flip = node.flipper.flip(Stage.LIVE, DECISION, 2.0)
    await asyncio.gather(node.finish(flip), return_exceptions=True)
    held = node.ledger.migration.flip is not None

    await node.watch.step()

    assert (held, node.ledger.migration.flip) == (True, None)


async def test_a_barrier_whose_mirror_failed_is_mended_and_passed() -> None:
    """Step by step, without anybody's help."""
    node = make_node()
    await node.move(Stage.SHADOW)
    node.world.faults[Side.NEW].epochs.extend([None, StoreFault.LOST])

    watch = asyncio.ensure_future(node.watch.run())
    await node.world.clock.advance(2.0)
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)

    assert node.ledger.migration.barrier_passed
    assert len(node.events_of(WorkerFailed)) == 1


def test_the_pace_is_that_of_the_last_half_minute_with_work() -> None:
    """And it is remembered while nothing has to converge."""
    clock = ManualClock()
    cleaned = [0]
    pace = Pace(clock, lambda: cleaned[0])
    paces = [pace.per_second()]
    for _ in range(100):
        cleaned[0] += 5
        clock.jump(1.0)
        paces.append(pace.per_second())
    clock.jump(1000.0)
    paces.append(pace.per_second())
    clock.jump(1000.0)

    assert (paces[0], paces[50], paces[100]) == (0.0, 5.0, 5.0)
    assert pace.per_second() > 0.0


async def test_a_failure_that_nobody_expects_does_not_end_the_watch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Told, and looked again after a pause: without a watch no barrier passes."""
    node = make_node()
    await node.move(Stage.SHADOW)
    step, failing = node.barrier.step, [ZeroDivisionError("by zero")]

    async def fail_once() -> bool:
        if failing:
            raise failing.pop()
        return await step()

    monkeypatch.setattr(node.barrier, "step", fail_once)
    watching = asyncio.ensure_future(node.watch.run())
    await node.world.clock.advance(10 * node.stage_options.watch_seconds)

    assert not watching.done()
    watching.cancel()
    assert node.events_of(WorkerFailed) == [
        WorkerFailed("stage watch", "ZeroDivisionError: by zero")
    ]
    assert node.ledger.migration.barrier_passed
