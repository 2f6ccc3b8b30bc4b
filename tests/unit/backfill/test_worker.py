"""The backfill copies everything once, beside live writes; it can be paused, cut off, renewed."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from crossfade.backfill.options import BackfillOptions
from crossfade.ledger.transitions.sweeps import SweepState, pause_sweep, start_sweep
from crossfade.model.key import KeyRange
from crossfade.model.migration_state import Flip, FlipKind, FlipPhase, MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import KeyQuarantined, SweepFinished, WorkerFailed
from tests.builders import CUSTOMERS, World, make_entity
from tests.fake_seams import StoreFault
from tests.unit.backfill.workers import (
    coverage_of,
    enter,
    is_covered,
    make_workers,
    make_world,
    refuse,
    sweep_of,
    void_generation,
    write_row,
)


def _agrees(world: World) -> bool:
    return world.values(Side.LEGACY) == world.values(Side.NEW)


async def test_a_sweep_copies_every_row() -> None:
    """Afterwards both sides have the same, everything is covered and nothing is open."""
    world = await make_world(range(1, 20))
    workers = make_workers(world)

    await workers.sweep()

    assert _agrees(world)
    assert is_covered(world)
    assert world.counts().open_chunks == 0
    sweep = sweep_of(world)
    assert (sweep.state, sweep.rows, sweep.bound) == (SweepState.DONE, 19, (19,))
    assert workers.node.events_of(SweepFinished) == [SweepFinished(CUSTOMERS, 19, 0)]


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 5, 8])
async def test_a_sweep_ends_whatever_the_number_of_rows(rows: int) -> None:
    """No row, less than a chunk, exactly one, one more, exactly two."""
    world = await make_world(range(1, rows + 1))
    workers = make_workers(world)

    await workers.sweep()

    assert _agrees(world)
    assert (is_covered(world), sweep_of(world).rows) == (True, rows)


async def test_a_sweep_without_reading_ahead_copies_the_same() -> None:
    """Reading ahead is only about time."""
    world = await make_world(range(1, 20))
    workers = make_workers(world, backfill=BackfillOptions(chunk_rows=4, read_ahead=False))

    await workers.sweep()

    assert (_agrees(world), is_covered(world)) == (True, True)


async def test_in_live_the_sweep_goes_the_other_way() -> None:
    """The direction follows the authority."""
    world = await make_world()
    await enter(world, Stage.LIVE, epoch=2)
    for key in range(1, 10):
        write_row(world, (key,), f"new {key}", Side.NEW)
    workers = make_workers(world)

    await workers.sweep()

    assert world.values(Side.LEGACY)[(9,)] == "new 9"
    assert (_agrees(world), is_covered(world)) == (True, True)


async def test_bad_rows_are_quarantined_and_the_rest_is_copied() -> None:
    """The first, the last, several together: each with its reason, never a failed batch."""
    world = await make_world(range(1, 20))
    refuse(world, 1, 6, 7, 19)
    workers = make_workers(world)

    await workers.sweep()

    assert sorted(world.values(Side.NEW)) == [(n,) for n in range(1, 20) if n not in (1, 6, 7, 19)]
    assert (is_covered(world), sweep_of(world).quarantined) == (True, 4)
    assert world.counts().quarantined == 4
    assert world.key((6,)).quarantine
    assert len(workers.node.events_of(KeyQuarantined)) == 4


async def test_a_chunk_of_bad_rows_alone_is_covered_too() -> None:
    """Every row of it is quarantined."""
    world = await make_world(range(1, 13))
    refuse(world, 5, 6, 7, 8)
    workers = make_workers(world)

    await workers.sweep()

    assert (is_covered(world), world.counts().quarantined) == (True, 4)


async def test_a_row_that_cannot_be_mapped_is_quarantined() -> None:
    """With the mapping's error as its reason; the rows around it are copied."""
    world = await make_world(range(1, 8))
    world.entity = make_entity(to_new=_map_or_fail)
    workers = make_workers(world)

    await workers.sweep()

    assert sorted(world.values(Side.NEW)) == [(n,) for n in (1, 2, 4, 5, 6, 7)]
    assert "raised KeyError" in (world.key((3,)).quarantine or "")
    assert is_covered(world)


def _map_or_fail(row: dict[str, object]) -> dict[str, object]:
    if row["id"] == 3:
        raise KeyError("name")
    return {"id": row["id"], "title": row["name"]}


async def test_nothing_is_copied_before_the_barrier_has_passed() -> None:
    """The sweep waits, and says for what."""
    world = await make_world([1])
    state = MigrationState(stage=Stage.SHADOW, epoch=1)
    world.rows.apply(lambda rows: rows.set_migration(state))
    workers = make_workers(world)
    await workers.start_sweep()

    assert not await workers.backfill.step()
    assert "without intent" in (workers.backfill.progress()[0].waits_for or "")
    assert world.values(Side.NEW) == {}


async def test_nothing_is_copied_while_keys_are_held() -> None:
    """The mirror has their newest values: a chunk would overwrite them."""
    world = await make_world([1])
    state = replace(world.rows.migration, holds_keys=True)
    world.rows.apply(lambda rows: rows.set_migration(state))
    workers = make_workers(world)
    await workers.start_sweep()

    assert not await workers.backfill.step()
    assert "held" in (workers.backfill.progress()[0].waits_for or "")


async def test_no_chunk_opens_while_the_authority_changes() -> None:
    """The sweep waits for the flip to end, and then goes on."""
    world = await make_world(range(1, 6))
    workers = make_workers(world)
    await workers.start_sweep()
    await workers.backfill.step()
    calm = world.rows.migration
    flip = Flip(1, FlipKind.FLIP, FlipPhase.HOLDING, Stage.LIVE, calm.epoch)
    world.rows.apply(lambda rows: rows.set_migration(replace(calm, flip=flip)))

    assert not await workers.backfill.step()
    assert "authority changes" in (workers.backfill.progress()[0].waits_for or "")

    world.rows.apply(lambda rows: rows.set_migration(calm))
    await workers.sweep()
    assert is_covered(world)


async def test_a_paused_sweep_leaves_no_chunk_open_and_goes_on_where_it_was() -> None:
    """What was read ahead is given back at once."""
    world = await make_world(range(1, 20))
    workers = make_workers(world)
    await workers.start_sweep()
    for _ in range(3):
        await workers.backfill.step()
    await workers.node.ledger.transact(partial(pause_sweep, entity=CUSTOMERS))

    assert not await workers.backfill.step()
    assert (world.counts().open_chunks, sweep_of(world).rows) == (0, 8)
    assert coverage_of(world) == (KeyRange(None, (8,)),)

    await workers.sweep()
    assert (_agrees(world), sweep_of(world).rows) == (True, 19)


async def test_a_paused_sweep_stays_paused_in_a_new_generation() -> None:
    """Only a start makes it run again."""
    world = await make_world(range(1, 6))
    workers = make_workers(world)
    await workers.start_sweep()
    await workers.node.ledger.transact(partial(pause_sweep, entity=CUSTOMERS))
    void_generation(world)

    assert not await workers.backfill.step()
    assert sweep_of(world).state is SweepState.PAUSED


async def test_a_new_generation_starts_the_sweep_anew() -> None:
    """A changed mapping reaches every row, though they were all copied before."""
    world = await make_world(range(1, 10))
    await make_workers(world).sweep()
    world.entity = make_entity(
        to_new=lambda row: {"id": row["id"], "title": f"{row['name']}!"}, version="2"
    )
    void_generation(world)
    workers = make_workers(world)

    while await workers.backfill.step():
        pass

    assert set(world.values(Side.NEW).values()) == {f"name {n}!" for n in range(1, 10)}
    assert (sweep_of(world).state, sweep_of(world).generation) == (SweepState.DONE, 1)


async def test_a_limit_of_rows_per_second_is_kept() -> None:
    """Twelve rows at four a second take at least the time of eight."""
    world = await make_world(range(1, 13))
    workers = make_workers(world)
    await workers.start_sweep(rows_per_second_max=4.0)
    began = world.clock.monotonic()
    task = asyncio.ensure_future(workers.backfill.run())
    while not is_covered(world):
        await world.clock.advance(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert world.clock.monotonic() - began == pytest.approx(2.0, abs=1.0)


async def test_a_failure_is_told_and_tried_again() -> None:
    """The worker never ends because of a side that is down, or of a driver that is broken."""
    world = await make_world(range(1, 9))
    workers = make_workers(world)
    await workers.start_sweep()
    world.faults[Side.LEGACY].reads.extend([StoreFault.UNREACHABLE, StoreFault.BROKEN])
    task = asyncio.ensure_future(workers.backfill.run())
    await world.clock.advance(30.0)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert (_agrees(world), is_covered(world)) == (True, True)
    reasons = [one.reason for one in workers.node.events if isinstance(one, WorkerFailed)]
    assert reasons == ["connection refused", "RuntimeError: the driver is broken"]


async def test_progress_shows_pace_and_time_left() -> None:
    """Rows, rows a second, seconds to go."""
    world = await make_world(range(1, 41))
    workers = make_workers(world)
    await workers.start_sweep()
    for _ in range(5):
        await workers.backfill.step()
        await world.clock.advance(1.0)

    progress = workers.backfill.progress()[0]

    assert (progress.rows, progress.rows_estimate, progress.waits_for) == (16, 40, None)
    assert progress.rows_per_second == pytest.approx(4.0, abs=0.5)
    assert progress.eta_seconds == pytest.approx(6.0, abs=1.0)


async def test_starting_twice_changes_nothing() -> None:
    """A done sweep stays done, a running one goes on."""
    world = await make_world(range(1, 6))
    workers = make_workers(world)
    await workers.sweep()
    before = sweep_of(world)

    world.rows.apply(partial(start_sweep, entity=CUSTOMERS, at=99.0))

    assert sweep_of(world) == before
    assert not await workers.backfill.step()
