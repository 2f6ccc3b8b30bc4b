"""What happens to a sweep beside writers, dead nodes, stores that fail and epochs that change."""

import asyncio
from functools import partial

import pytest

from crossfade.errors import StoreOutcomeUnknownError, StoreUnreachableError
from crossfade.ledger.transitions.chunks import open_chunk
from crossfade.model.key import EVERY_KEY, KeyRange
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from tests.builders import CUSTOMERS, World
from tests.fake_seams import StoreFault
from tests.fake_services import put_value, remove_key
from tests.unit.backfill.workers import (
    coverage_of,
    enter,
    is_covered,
    lose_order,
    make_workers,
    make_world,
    refuse,
    sweep_of,
    write_row,
)


def _agrees(world: World) -> bool:
    return world.values(Side.LEGACY) == world.values(Side.NEW)


async def test_keys_that_only_the_mirror_has_become_dirty_and_go() -> None:
    """Before, between and behind the authority's keys; more than a page of them."""
    world = await make_world([5, 6, 7, 50])
    for key in (1, 2, 6, 20, 21, 22, 23, 24, 25, 26, 60, 61):
        write_row(world, (key,), "left over", Side.NEW)
    workers = make_workers(world)

    await workers.sweep()
    extra = sweep_of(world).extra
    await workers.converge()

    assert extra == 11
    assert _agrees(world)


async def test_a_bad_row_that_was_mended_meanwhile_is_not_quarantined() -> None:
    """What the chunk read is old by then: convergence decides on what the authority has now."""
    world = await make_world(range(1, 4))
    refuse(world, 2)
    workers = make_workers(world)

    async def mend(name: str) -> None:
        if name == "chunk.read":
            refuse(world)
            await workers.node.write(put_value((2,), "mended"), (2,))
            await workers.node.quiet()
            refuse(world, 2)

    workers.node.failpoint.pause = mend
    await workers.sweep()

    assert world.key((2,)).quarantine is None
    assert world.values(Side.NEW)[(2,)] == "mended"


async def test_a_cancelled_sweep_goes_on_where_it_was() -> None:
    """The chunks that were under way are run again by the next process."""
    world = await make_world(range(1, 40))
    workers = make_workers(world)
    await workers.start_sweep()
    task = asyncio.ensure_future(workers.backfill.run())
    while not coverage_of(world):
        await world.clock.settle(1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await workers.node.tasks.cancel_all()
    assert not is_covered(world)

    later = make_workers(world)
    await later.sweep()

    assert (_agrees(world), is_covered(world)) == (True, True)
    assert world.counts().open_chunks == 0
    (told,) = later.backfill.progress()
    assert told.rows == 39


async def test_a_batch_of_unknown_outcome_is_run_again_with_a_higher_token() -> None:
    """The late batch is then refused row by row, and the chunk that it belonged to is gone."""
    world = await make_world(range(1, 6))
    workers = make_workers(world)
    await workers.start_sweep()
    await workers.backfill.step()
    world.faults[Side.NEW].puts.append(StoreFault.LATE)
    with pytest.raises(StoreOutcomeUnknownError):
        await workers.backfill.step()
    assert world.counts().open_chunks == 1

    await workers.sweep()
    await workers.node.write(put_value((2,), "newer"), (2,))
    await workers.node.quiet()
    await world.faults[Side.NEW].land()

    assert world.counts().open_chunks == 0
    assert (_agrees(world), world.values(Side.NEW)[(2,)]) == (True, "newer")


async def test_a_failing_mirror_leaves_one_chunk_behind_however_often_it_fails() -> None:
    """What was read ahead is given back each time."""
    world = await make_world(range(1, 40))
    workers = make_workers(world)
    await workers.start_sweep()
    await workers.backfill.step()
    world.faults[Side.NEW].choose = lambda kind: StoreFault.LOST if kind == "put" else None
    for _ in range(5):
        with pytest.raises(StoreOutcomeUnknownError):
            await workers.backfill.step()
    open_chunks = world.rows.look(lambda rows: rows.open_chunks(CUSTOMERS))
    assert {chunk.range for chunk in open_chunks} == {KeyRange(None, (4,))}

    world.faults[Side.NEW].choose = None
    await workers.sweep()
    assert (_agrees(world), world.counts().open_chunks) == (True, 0)


async def test_a_chunk_that_another_process_left_is_run_again_over_its_own_range() -> None:
    """However its range lies to ours: its close must remove it."""
    world = await make_world(range(1, 20))
    left = partial(open_chunk, entity=CUSTOMERS, range_=KeyRange((3,), (11,)), owner="dead")
    world.rows.apply(left)
    world.rows.apply(partial(open_chunk, entity=CUSTOMERS, range_=EVERY_KEY, owner="dead"))
    workers = make_workers(world)

    await workers.sweep()

    assert (_agrees(world), is_covered(world), world.counts().open_chunks) == (True, True, 0)


async def test_a_chunk_that_the_epoch_fenced_off_covers_nothing_and_is_run_again() -> None:
    """A change of epoch between opening and putting."""
    world = await make_world(range(1, 4))
    workers = make_workers(world)
    await workers.start_sweep()
    await workers.backfill.step()

    async def raise_epochs(name: str) -> None:
        if name == "chunk.read":
            workers.node.failpoint.pause = None
            await enter(world, Stage.SHADOW, epoch=2)

    workers.node.failpoint.pause = raise_epochs
    await workers.backfill.step()
    assert (is_covered(world), world.values(Side.NEW)) == (False, {})

    await workers.sweep()
    assert (_agrees(world), is_covered(world)) == (True, True)


async def test_a_create_whose_id_nobody_learned_is_found_above_the_bound() -> None:
    """The bound is fixed, then a record appears that no row of the ledger knows."""
    world = await make_world(range(1, 6))
    workers = make_workers(world)
    await workers.start_sweep()
    await workers.backfill.step()
    write_row(world, (77,), "unbound")

    await workers.sweep()
    await workers.converge()

    assert (_agrees(world), sweep_of(world).bound) == (True, (5,))


async def test_deleted_while_it_was_copied_stays_deleted() -> None:
    """The tombstone's token is higher than the chunk's."""
    world = await make_world(range(1, 4))
    workers = make_workers(world)

    async def remove(name: str) -> None:
        if name == "chunk.read":
            workers.node.failpoint.pause = None
            await workers.node.write(remove_key((2,)), (2,), method="DELETE")
            await workers.node.quiet()

    workers.node.failpoint.pause = remove
    await workers.sweep()

    assert sorted(world.values(Side.NEW)) == [(1,), (3,)]


async def test_stores_without_order_are_copied_under_one_chunk() -> None:
    """In pages; the keys that only the mirror has are asked for one by one."""
    world = await make_world(range(1, 12))
    write_row(world, (99,), "left over", Side.NEW)
    lose_order(world)
    workers = make_workers(world)

    await workers.sweep()
    await workers.converge()

    assert (_agrees(world), is_covered(world)) == (True, True)


async def test_a_side_that_cannot_be_read_leaves_no_chunk_behind() -> None:
    """Nothing was put, so the chunk is simply forgotten."""
    world = await make_world(range(1, 9))
    workers = make_workers(world)
    await workers.start_sweep()
    await workers.backfill.step()
    world.faults[Side.LEGACY].reads.extend([None, StoreFault.UNREACHABLE])

    with pytest.raises(StoreUnreachableError):
        await workers.backfill.step()

    assert world.counts().open_chunks == 0
