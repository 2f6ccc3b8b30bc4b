"""Epochs that lag behind, a lost side that comes back, clean rows: looked after by themselves."""

from dataclasses import replace
from functools import partial

import msgspec
import pytest

from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.model.key_state import DirtyReason
from crossfade.model.migration_state import Flip, FlipKind, FlipPhase, MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import SideReturned, WorkerFailed
from crossfade.reconciler.options import ReconcilerOptions
from crossfade.store.base import StoreEpoch
from tests.builders import CUSTOMERS, World
from tests.unit.backfill.workers import enter, make_workers, make_world


def _set_ledger(world: World, **changes: object) -> MigrationState:
    state = replace(world.rows.migration, **changes)  # type: ignore[arg-type] # by name
    world.rows.apply(lambda rows: rows.set_migration(state))
    return state


async def test_a_lagging_store_is_raised_to_the_ledgers_epoch() -> None:
    """Both sides, and not above it."""
    world = await make_world()
    _set_ledger(world, epoch=5)

    await make_workers(world).reconciler.step()

    assert world.epochs() == (5, 5, 5)


async def test_a_store_ahead_of_the_ledger_stays_ahead() -> None:
    """A store's epoch never goes down, and the ledger's is not for us to change."""
    world = await make_world()
    identity = world.rows.identity
    ahead = StoreEpoch(identity.ledger_id, identity.incarnation, 7)
    await world.databases[Side.NEW].raise_epoch(ahead)

    await make_workers(world).reconciler.step()

    assert world.epochs() == (1, 1, 7)


@pytest.mark.parametrize("phase", list(FlipPhase))
async def test_no_epoch_is_raised_while_one_changes(phase: FlipPhase) -> None:
    """The flip raises them itself, in its own order."""
    world = await make_world()
    flip = Flip(1, FlipKind.FLIP, phase, Stage.LIVE, 5)
    _set_ledger(world, epoch=5, flip=flip)

    await make_workers(world).reconciler.step()

    assert world.epochs() == (5, 1, 1)


async def test_no_epoch_is_raised_before_the_barrier() -> None:
    """The barrier raises the mirror's first, then the ledger's."""
    world = await make_world()
    _set_ledger(world, epoch=5, barrier_passed=False)

    await make_workers(world).reconciler.step()

    assert world.epochs() == (5, 1, 1)


async def _lose_new(world: World) -> None:
    """New had authority, died, and legacy took over by force."""
    await enter(world, Stage.LIVE, epoch=2)
    _set_ledger(
        world,
        stage=Stage.SHADOW,
        epoch=3,
        lost_side=Side.NEW,
        lost_epoch=2,
        holds_keys=True,
    )


async def test_a_lost_side_that_answers_is_taken_back_and_its_held_keys_converge() -> None:
    """Their newest values come from there; afterwards nothing is held any more."""
    world = await make_world([1, 2])
    await _lose_new(world)
    world.services[Side.NEW].rows.set((1,), "newest")
    mark = partial(mark_dirty, keys=[(1,)], reason=DirtyReason.WRITE, at=1.0)
    world.rows.apply(partial(mark, entity=CUSTOMERS))
    held = msgspec.structs.replace(world.key((1,)), held_authority=Side.NEW)
    world.rows.apply(lambda rows: rows.set_key(held))
    workers = make_workers(world)
    world.faults[Side.NEW].dead = True

    await workers.reconciler.step()
    assert world.rows.migration.lost_side is Side.NEW
    assert world.key((1,)).tries == 0

    world.faults[Side.NEW].dead = False
    await workers.converge()
    await workers.reconciler.step()

    assert world.values(Side.LEGACY)[(1,)] == "newest"
    assert world.epochs() == (3, 3, 3)
    assert not world.rows.migration.holds_keys
    assert workers.node.events_of(SideReturned) == [SideReturned("new", older_data=False)]


async def test_a_lost_side_with_older_data_is_told_apart() -> None:
    """Its epoch is lower than when it was lost."""
    world = await make_world()
    await _lose_new(world)
    _set_ledger(world, lost_epoch=9)
    workers = make_workers(world)

    await workers.reconciler.step()

    assert world.rows.migration.lost_side is None
    assert workers.node.events_of(SideReturned) == [SideReturned("new", older_data=True)]


async def _agree_on(world: World, keys: list[int]) -> None:
    """The keys converge once more, so that the ledger has their rows."""
    workers = make_workers(world)
    await workers.repair.keys(CUSTOMERS, [(key,) for key in keys])
    await workers.converge()


async def _hold(world: World, key: int) -> None:
    mark = partial(mark_dirty, keys=[(key,)], reason=DirtyReason.WRITE, at=1.0)
    world.rows.apply(partial(mark, entity=CUSTOMERS))
    held = msgspec.structs.replace(world.key((key,)), held_authority=Side.NEW)
    world.rows.apply(lambda rows: rows.set_key(held))


async def test_an_older_copy_of_the_same_epoch_is_told_by_what_it_lacks() -> None:
    """Backups are made within a stage: the epoch alone would let acknowledged writes be lost."""
    world = await make_world([1, 2])
    await _agree_on(world, [1, 2])
    await _lose_new(world)
    await _hold(world, 1)
    world.services[Side.NEW].rows.set((1,), "of the backup")
    world.services[Side.NEW].rows.set((2,), "of the backup")
    newest = world.values(Side.LEGACY)
    workers = make_workers(world)

    await workers.reconciler.step()
    await workers.converge()

    assert workers.node.events_of(SideReturned) == [SideReturned("new", older_data=True)]
    assert world.values(Side.LEGACY) == newest
    assert world.key((1,)).releasing


async def test_a_key_written_while_a_side_was_lost_says_nothing_of_its_age() -> None:
    """Its newest value is rightly elsewhere."""
    world = await make_world([1, 2])
    await _agree_on(world, [1, 2])
    await _lose_new(world)
    world.services[Side.LEGACY].rows.set((2,), "written meanwhile")
    mark = partial(mark_dirty, keys=[(2,)], reason=DirtyReason.WRITE, at=1.0)
    world.rows.apply(partial(mark, entity=CUSTOMERS))
    workers = make_workers(world)

    await workers.reconciler.step()

    assert workers.node.events_of(SideReturned) == [SideReturned("new", older_data=False)]


async def test_a_lost_side_is_not_raised_before_it_is_taken_back() -> None:
    """Its epoch says how old its data is."""
    world = await make_world()
    await _lose_new(world)
    workers = make_workers(world)

    await workers.reconciler.upkeep.raise_lagging_epochs()

    assert world.epochs() == (3, 3, 2)


async def test_clean_rows_are_forgotten_when_there_are_many() -> None:
    """Few are kept, since forgetting makes canary reads fall back."""
    world = await make_world(range(1, 11))
    workers = make_workers(world, reconciler=ReconcilerOptions(forget_rows_min=8))
    await workers.repair.keys(CUSTOMERS, [(key,) for key in range(1, 8)])
    await workers.converge()
    await workers.reconciler.upkeep.forget_clean_rows()
    assert len(world.rows.tables.keys) == 7

    await workers.repair.keys(CUSTOMERS, [(8,), (9,)])
    await workers.converge()
    await workers.reconciler.upkeep.forget_clean_rows()

    assert world.rows.tables.keys == {}
    assert not world.key((1,)).dirty


async def test_a_database_of_another_ledger_is_told_once() -> None:
    """One event while it lasts, not one each round."""
    world = await make_world()
    _set_ledger(world, epoch=5)
    await world.databases[Side.NEW].adopt(StoreEpoch("somebody else", 1, 1))
    workers = make_workers(world)

    await workers.reconciler.step()
    await workers.reconciler.step()

    failed = workers.node.events_of(WorkerFailed)
    assert len(failed) == 1
    assert world.epochs()[1] == 5
