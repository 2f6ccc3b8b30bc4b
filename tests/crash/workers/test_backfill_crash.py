"""A sweep dies between every two durable steps, and whoever comes next finishes it."""

import asyncio
from collections.abc import Awaitable

import pytest

from crossfade.model.side import Side
from tests.builders import Node
from tests.fake_seams import NodeDiedError
from tests.fake_services import put_value, remove_key
from tests.unit.backfill.workers import (
    is_covered,
    lose_order,
    make_workers,
    make_world,
    refuse,
    sweep_of,
    write_row,
)

STEPS = ("chunk.opened", "chunk.read", "chunk.put", "chunk.closed")
CHUNKS = (1, 2, 3, 5)
"""Of the five chunks, the last one among them."""


async def _dies(node: Node, work: Awaitable[None]) -> None:
    """Run until the node dies, which may be in a task that reads ahead."""
    task = asyncio.ensure_future(work)
    await asyncio.wait([task])
    with pytest.raises(NodeDiedError):
        task.result()
    await node.stop()


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("count", CHUNKS)
@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])
async def test_a_dead_sweep_is_finished_by_the_next(
    step: str, count: int, *, ordered: bool
) -> None:
    """No row is skipped, none is copied over a newer one, nothing is left open."""
    world = await make_world(range(1, 20))
    for key in (2, 30, 31):
        write_row(world, (key,), "left over", Side.NEW)
    if not ordered:
        lose_order(world)
        count = 1
    refuse(world, 5, 19)
    first = make_workers(world)
    first.node.failpoint.name = step
    first.node.failpoint.left = count
    await _dies(first.node, first.sweep())

    # Writers go on while nobody sweeps; their keys are decided on before the sweep comes back.
    second = make_workers(world)
    await second.node.write(put_value((3,), "newer"), (3,))
    await second.node.write(remove_key((4,)), (4,), method="DELETE")
    await second.node.write(put_value((50,), "new"), (50,))
    await second.node.quiet()
    await second.sweep()
    await second.converge()

    legacy, new = world.values(Side.LEGACY), world.values(Side.NEW)
    assert {key: value for key, value in legacy.items() if key not in {(5,), (19,)}} == new
    assert is_covered(world)
    counts = world.counts()
    assert (counts.open_chunks, counts.dirty, counts.quarantined) == (0, 0, 2)
    assert sweep_of(world).rows >= len(new) - 1


@pytest.mark.parametrize("step", STEPS)
async def test_a_sweep_that_dies_again_and_again_gets_on(step: str) -> None:
    """As long as one chunk closes in each life, it ends."""
    world = await make_world(range(1, 30))
    lives = 0
    while not is_covered(world):
        workers = make_workers(world)
        workers.node.failpoint.name = step
        workers.node.failpoint.left = 3
        lives += 1
        assert lives < 20
        task = asyncio.ensure_future(workers.sweep())
        await asyncio.wait([task])
        task.exception()
        await workers.node.stop()

    await make_workers(world).sweep()
    assert world.values(Side.LEGACY) == world.values(Side.NEW)
    assert world.counts().open_chunks == 0
