"""Too many dirty keys: a sweep waits, yet never with a chunk open for long."""

import asyncio
from functools import partial

from crossfade.convergence.backlog import Backlog, BacklogOptions
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.model.key_state import DirtyReason
from crossfade.model.side import Side
from tests.builders import CUSTOMERS
from tests.unit.backfill.workers import Workers, is_covered, make_workers, make_world, write_row


def _limit(workers: Workers, keys: int) -> None:
    """Only inside a chunk; the worker's own look before it stays as it is."""
    copier = workers.backfill._sweeps[CUSTOMERS]._copier  # noqa: SLF001 - a limit of its own
    options = BacklogOptions(dirty_keys_max=keys)
    copier._backlog = Backlog(workers.node.ledger, workers.world.clock, options)  # noqa: SLF001 - a look inside


async def test_a_chunk_that_finds_no_room_is_given_up_and_copied_later() -> None:
    """It would stand in the way of a flip, for ever if convergence cannot get on."""
    world = await make_world(range(1, 4))
    write_row(world, (9,), "only here", Side.NEW)
    workers = make_workers(world)
    mark = partial(mark_dirty, entity=CUSTOMERS, keys=[(1,)], reason=DirtyReason.REPAIR, at=1.0)
    world.rows.apply(mark)
    _limit(workers, 0)
    await workers.start_sweep()
    task = asyncio.ensure_future(_steps(workers, 3))
    await world.clock.advance(60.0)
    await task

    assert world.counts().open_chunks == 0
    assert not is_covered(world)
    assert "dirty keys" in (workers.backfill.progress()[0].waits_for or "")

    _limit(workers, 100)
    await workers.sweep()
    await workers.converge()
    assert is_covered(world)
    assert world.values(Side.NEW) == world.values(Side.LEGACY)


async def _steps(workers: Workers, count: int) -> None:
    for _ in range(count):
        await workers.backfill.step()
