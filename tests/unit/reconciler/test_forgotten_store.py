"""A database that was dropped, made anew or restored is not the one that was copied into."""

from dataclasses import replace
from functools import partial

import pytest

from crossfade.ledger.transitions.chunks import close_chunk
from crossfade.ledger.transitions.flips import confirm_epoch
from crossfade.ledger.transitions.sweeps import SweepState, look_sweep, open_sweep_chunk
from crossfade.model.key import EVERY_KEY
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import StoreForgot, WorkerFailed
from crossfade.stages.start import NodeStart
from crossfade.store.base import StoreEpoch
from tests.builders import CUSTOMERS, World
from tests.fake_seams import NodeDiedError
from tests.unit.backfill.workers import (
    Workers,
    coverage_of,
    enter,
    is_covered,
    make_workers,
    make_world,
    sweep_of,
)

FORGOT = StoreForgot("new", "new", sweeps_paused=False)


async def _copied(epoch: int = 3) -> World:
    """Two customers are on both sides, and both are known to have the ledger's epoch."""
    world = await make_world([1, 2])
    await enter(world, Stage.SHADOW, epoch)
    workers = make_workers(world)
    await workers.sweep()
    await workers.reconciler.step()
    assert is_covered(world)
    return world


def _forget(world: World, side: Side, epoch: int | None = None) -> None:
    """The database is made anew, or restored from a backup of that epoch: its rows are gone."""
    disk = world.databases[side].disk
    disk.epochs.clear()
    disk.fences.clear()
    for table in disk.tables.values():
        table.clear()
    if epoch is not None:
        identity = world.rows.identity
        disk.epochs["migration"] = StoreEpoch(identity.ledger_id, identity.incarnation, epoch)


async def _start(workers: Workers) -> None:
    node, sides = workers.node, workers.sides
    await NodeStart(node.ledger, sides, node.hooks, 1.0, node.seams.clock).check_stores()


@pytest.mark.parametrize("epoch", [None, 2])
async def test_upkeep_voids_what_a_store_forgot_and_it_is_copied_anew(epoch: int | None) -> None:
    """Its rows are gone: coverage that stayed would let `verify`, reads and a cut-over pass."""
    world = await _copied()
    _forget(world, Side.NEW, epoch)
    workers = make_workers(world)

    await workers.reconciler.step()

    assert coverage_of(world) == ()
    assert world.epochs() == (3, 3, 3)
    assert workers.node.events_of(StoreForgot) == [FORGOT]
    while await workers.backfill.step():
        pass
    assert world.values(Side.NEW) == world.values(Side.LEGACY) != {}


@pytest.mark.parametrize("epoch", [None, 2])
async def test_a_start_voids_it_before_anything_is_served(epoch: int | None) -> None:
    """The canary would read from the empty store until upkeep has its turn."""
    world = await _copied()
    _forget(world, Side.NEW, epoch)
    workers = make_workers(world)

    await _start(workers)

    assert coverage_of(world) == ()
    assert workers.node.events_of(StoreForgot) == [FORGOT]


async def test_an_authority_that_forgot_deletes_nothing_from_the_mirror() -> None:
    """Its sweep would: it waits until an operator starts it."""
    world = await _copied()
    _forget(world, Side.LEGACY)
    workers = make_workers(world)

    await workers.reconciler.step()
    while await workers.backfill.step():
        pass

    assert sweep_of(world).state is SweepState.PAUSED
    assert len(world.values(Side.NEW)) == 2
    told = StoreForgot("legacy", "legacy", sweeps_paused=True)
    assert workers.node.events_of(StoreForgot) == [told]


async def test_an_authority_without_our_tables_deletes_nothing_either() -> None:
    """It was made anew with the service's own tables alone, or its server kept nothing."""
    world = await _copied()
    _forget(world, Side.LEGACY)
    world.databases[Side.LEGACY].disk.prepared = False
    workers = make_workers(world)

    await workers.reconciler.step()
    while await workers.backfill.step():
        pass

    assert coverage_of(world) == ()
    assert sweep_of(world).state is SweepState.PAUSED
    assert len(world.values(Side.NEW)) == 2


async def test_a_store_that_an_undone_flip_left_behind_forgot_nothing() -> None:
    """It lags by two for each; it has the epoch that its side is known to have taken."""
    world = await _copied()
    identity = world.rows.identity
    undone = StoreEpoch(identity.ledger_id, identity.incarnation, 7)
    await world.databases[Side.LEGACY].raise_epoch(undone)
    state = replace(world.rows.migration, epoch=7, confirmed_legacy=7)
    world.rows.apply(lambda rows: rows.set_migration(state))
    workers = make_workers(world)

    await workers.reconciler.step()

    assert is_covered(world)
    assert world.epochs() == (7, 7, 7)
    assert world.rows.migration.confirmed_new == 7
    assert workers.node.events_of(StoreForgot) == []


async def test_a_crash_before_the_epoch_is_raised_voids_nothing_twice() -> None:
    """The next one finds nothing to void, and raises it."""
    world = await _copied()
    _forget(world, Side.NEW)
    first = make_workers(world)
    first.node.failpoint.name = "upkeep.lagging"
    with pytest.raises(NodeDiedError):
        await first.reconciler.upkeep.raise_lagging_epochs()
    generation = world.rows.look(lambda rows: rows.entity(CUSTOMERS)).generation
    second = make_workers(world)

    await second.reconciler.step()

    assert world.rows.look(lambda rows: rows.entity(CUSTOMERS)).generation == generation
    assert world.epochs() == (3, 3, 3)


async def test_a_chunk_that_was_open_over_a_lost_store_covers_nothing() -> None:
    """Some of its rows may have been put before the store was lost."""
    world = await make_world([1, 2])
    workers = make_workers(world)
    await workers.start_sweep()
    sweep = world.rows.look(partial(look_sweep, entity=CUSTOMERS))
    assert sweep is not None
    opening = partial(open_sweep_chunk, sweep=sweep, range_=EVERY_KEY, owner="node-1")
    opened = await workers.node.ledger.transact(opening)
    world.rows.apply(partial(confirm_epoch, side=Side.NEW, epoch=1))
    _forget(world, Side.NEW)

    await workers.reconciler.step()
    closing = partial(close_chunk, chunk=opened.chunk, extra=(), at=0.0)

    assert await workers.node.ledger.transact(closing) is False


async def test_a_lost_side_without_an_epoch_is_not_taken_by_a_start() -> None:
    """It would look as if it had come back with what it had."""
    world = await _copied()
    state = replace(world.rows.migration, lost_side=Side.NEW, lost_epoch=3, holds_keys=True)
    world.rows.apply(lambda rows: rows.set_migration(state))
    _forget(world, Side.NEW)

    await _start(make_workers(world))

    assert world.epochs() == (3, 3, 0)


async def test_an_equal_epoch_of_another_ledger_is_told() -> None:
    """Equal numbers say nothing of whose they are."""
    world = await _copied()
    await world.databases[Side.NEW].adopt(StoreEpoch("somebody else", 1, 3))
    workers = make_workers(world)

    await workers.reconciler.step()

    told = workers.node.events_of(WorkerFailed)
    assert len(told) == 1
    assert "ForeignLedgerError" in str(told[0])


async def test_an_equal_epoch_of_an_older_incarnation_is_raised() -> None:
    """Else every put would be refused, for ever."""
    world = await _copied()
    identity = world.rows.identity
    world.rows.apply(lambda rows: rows.set_incarnation(identity.incarnation + 1))

    await make_workers(world).reconciler.step()

    kept = await world.databases[Side.NEW].epoch()
    assert kept == StoreEpoch(identity.ledger_id, identity.incarnation + 1, 3)
