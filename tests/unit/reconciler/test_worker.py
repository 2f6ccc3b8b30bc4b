"""The reconciler converges what is dirty, bounded, with pauses, and never ends by an error."""

import asyncio
from functools import partial

from crossfade.ledger.transitions.intents import WriteRequest, open_intent
from crossfade.ledger.transitions.keys import mark_dirty, take_lease
from crossfade.model.key_state import DirtyReason
from crossfade.model.migration_state import MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import KeyConverged, WorkerFailed
from crossfade.reconciler.options import ReconcilerOptions
from crossfade.store.base import PutResult, PutStatus
from tests.builders import CUSTOMERS, World
from tests.fake_seams import StoreFault
from tests.unit.backfill.workers import make_workers, make_world, refuse


def _dirty(world: World, *keys: int) -> None:
    mark = partial(mark_dirty, keys=[(key,) for key in keys], reason=DirtyReason.WRITE, at=1.0)
    world.rows.apply(partial(mark, entity=CUSTOMERS))


async def test_dirty_keys_converge() -> None:
    """All of them, in one step."""
    world = await make_world(range(1, 60))
    _dirty(world, *range(1, 60))
    workers = make_workers(world)

    assert await workers.reconciler.step()

    assert world.values(Side.NEW) == world.values(Side.LEGACY)
    assert world.counts().dirty == 0
    assert not await workers.reconciler.step()


async def test_the_oldest_comes_first() -> None:
    """By the number of the event that made it dirty."""
    world = await make_world([1, 2, 3])
    _dirty(world, 3)
    _dirty(world, 1, 2)
    options = ReconcilerOptions(converges_max=1)
    workers = make_workers(world, reconciler=options)
    order: list[object] = []
    reads = world.faults[Side.NEW]
    reads.choose = lambda kind: (
        order.append(len(world.values(Side.NEW))) if kind == "put" else None
    )

    await workers.reconciler.step()

    assert order == [0, 1, 2]
    assert list(world.stores[Side.NEW].rows) == [(3,), (1,), (2,)]


async def test_never_more_at_once_than_allowed() -> None:
    """However many are dirty."""
    world = await make_world(range(1, 30))
    _dirty(world, *range(1, 30))
    workers = make_workers(world, reconciler=ReconcilerOptions(converges_max=3))
    most = 0

    async def count(_: str) -> None:
        nonlocal most
        most = max(most, world.counts().leases)
        await asyncio.sleep(0)

    workers.node.failpoint.pause = count
    await workers.reconciler.step()

    assert most == 3
    assert world.counts().dirty == 0


async def test_a_key_with_an_open_intent_is_not_tried() -> None:
    """Converging it now could not clear it: no spinning."""
    world = await make_world([1])
    request = WriteRequest(CUSTOMERS, ((1,),), "PUT", "node-1")
    world.rows.apply(partial(open_intent, request=request, at=1.0))
    workers = make_workers(world)

    assert not await workers.reconciler.step()
    assert world.key((1,)).tries == 0


async def test_a_key_that_fails_waits_longer_each_time() -> None:
    """And others are not kept from their turn."""
    world = await make_world([1, 2])
    _dirty(world, 1)
    workers = make_workers(world)
    world.faults[Side.NEW].puts.extend([StoreFault.LOST, StoreFault.LOST])

    await workers.reconciler.step()
    await workers.reconciler.step()
    assert world.key((1,)).tries == 1

    await world.clock.advance(0.2)
    await workers.reconciler.step()
    assert world.key((1,)).tries == 2
    await world.clock.advance(0.05)
    await workers.reconciler.step()
    assert world.key((1,)).tries == 2

    await world.clock.advance(1.0)
    await workers.reconciler.step()
    assert world.counts().dirty == 0


async def test_a_dead_mirror_is_probed_by_one_key_now_and_then() -> None:
    """Hundreds of dirty keys make a handful of attempts, not hundreds; then all converge."""
    world = await make_world(range(1, 300))
    _dirty(world, *range(1, 300))
    workers = make_workers(world)
    world.faults[Side.NEW].dead = True
    task = asyncio.ensure_future(workers.reconciler.run())
    await world.clock.advance(20.0)
    tries = sum(world.key((key,)).tries for key in range(1, 300))
    assert workers.reconciler.at_once == 1
    assert tries < 60

    world.faults[Side.NEW].dead = False
    await world.clock.advance(20.0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert world.counts().dirty == 0
    assert workers.reconciler.at_once > 1


async def test_a_lease_of_this_process_is_left_alone_for_a_while() -> None:
    """Its writer converges the key itself; only a lease that gets old is superseded."""
    world = await make_world([1])
    _dirty(world, 1)
    workers = make_workers(world)
    lease = partial(take_lease, entity=CUSTOMERS, key=(1,), owner="node-1", at=1.0)
    world.rows.apply(lease)

    assert not await workers.reconciler.step()
    await world.clock.advance(1.1)
    assert await workers.reconciler.step()
    assert world.counts().dirty == 0


async def test_a_lease_of_a_dead_node_is_superseded_at_once() -> None:
    """Its token is lower, so whatever it still does is refused."""
    world = await make_world([1])
    _dirty(world, 1)
    world.rows.apply(partial(take_lease, entity=CUSTOMERS, key=(1,), owner="dead", at=1.0))
    workers = make_workers(world)

    assert await workers.reconciler.step()
    assert world.counts().dirty == 0


async def test_keys_that_wait_do_not_hide_those_behind_them() -> None:
    """The list is longer than what is looked at in one query."""
    world = await make_world(range(1, 40))
    _dirty(world, *range(1, 31))
    options = ReconcilerOptions(keys_at_once=5, converges_max=4)
    workers = make_workers(world, reconciler=options)
    fenced = PutResult(PutStatus.FENCED)
    world.faults[Side.NEW].puts.extend([fenced] * 30)
    await workers.reconciler.step()
    assert world.counts().dirty == 30
    _dirty(world, 35)

    await workers.reconciler.step()

    assert not world.key((35,)).dirty


async def test_nothing_converges_while_nothing_may_be_copied() -> None:
    """In `off` no intent says what is written, so no key could become clean for good."""
    world = await make_world([1])
    _dirty(world, 1)
    world.rows.apply(lambda rows: rows.set_migration(MigrationState(stage=Stage.OFF, epoch=1)))
    workers = make_workers(world)

    assert not await workers.reconciler.step()
    assert world.values(Side.NEW) == {}


async def test_a_quarantined_key_is_left_alone() -> None:
    """Until its record changes, or somebody repairs it by name."""
    world = await make_world([1])
    _dirty(world, 1)
    refuse(world, 1)
    workers = make_workers(world)
    await workers.reconciler.step()
    assert world.counts().quarantined == 1

    await world.clock.advance(100.0)
    assert not await workers.reconciler.step()

    refuse(world)
    await workers.repair.keys(CUSTOMERS, [(1,)])
    await workers.reconciler.step()
    assert world.values(Side.NEW) == {(1,): "name 1"}


async def test_an_unexpected_error_is_told_and_is_not_the_end() -> None:
    """A driver that raises what nobody expects, then a ledger that is full for a while."""
    world = await make_world([1])
    _dirty(world, 1)
    workers = make_workers(world)
    world.faults[Side.NEW].puts.append(StoreFault.BROKEN)
    task = asyncio.ensure_future(workers.reconciler.run())
    await world.clock.advance(0.05)
    workers.node.ledger.down = True
    await world.clock.advance(5.0)
    workers.node.ledger.down = False
    await world.clock.advance(30.0)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert world.counts().dirty == 0
    reasons = [one.reason for one in workers.node.events if isinstance(one, WorkerFailed)]
    assert "RuntimeError: the driver is broken" in reasons
    assert any("disk is full" in reason for reason in reasons)


async def test_a_database_that_hangs_keeps_up_neither_keys_nor_intents() -> None:
    """Upkeep waits for its epoch; everything else goes on."""
    world = await make_world([1])
    workers = make_workers(world)
    world.faults[Side.NEW].epochs.append(StoreFault.HANG)
    task = asyncio.ensure_future(workers.reconciler.run())
    await world.clock.advance(10.0)
    _dirty(world, 1)

    await world.clock.advance(10.0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert world.values(Side.NEW) == {(1,): "name 1"}
    await workers.node.stop()


async def test_it_wakes_at_once_when_it_is_told_of_work() -> None:
    """Long before its next look."""
    world = await make_world([1])
    workers = make_workers(world)
    task = asyncio.ensure_future(workers.reconciler.run())
    await world.clock.advance(10.0)
    _dirty(world, 1)

    workers.reconciler.wake()
    await world.clock.settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert len(workers.node.events_of(KeyConverged)) == 1


async def test_a_key_of_an_entity_that_left_the_definition_is_left_alone() -> None:
    """It stays dirty, visible and counted."""
    world = await make_world([1])
    mark = partial(mark_dirty, keys=[(1,)], reason=DirtyReason.WRITE, at=1.0)
    world.rows.apply(partial(mark, entity="gone"))
    workers = make_workers(world)

    assert not await workers.reconciler.step()
    assert world.counts().dirty == 1
