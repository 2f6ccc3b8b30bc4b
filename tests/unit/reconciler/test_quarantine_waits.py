"""Quarantined keys that wait for another record come back when that has moved."""

import pytest

from crossfade.errors import StoreError
from crossfade.model.key import Key, RecordName
from crossfade.model.key_state import (
    AUTHORITY_LACKS_IT,
    NEEDS_OTHERS,
    POINTS_TO_IT,
    KeyState,
    needs,
)
from crossfade.model.side import Side
from crossfade.reconciler.options import ReconcilerOptions
from tests.builders import CUSTOMERS, World
from tests.fake_seams import StoreFault
from tests.unit.backfill.workers import Workers, make_workers, make_world, write_row

KEY: Key = (1,)
PARENT = RecordName(CUSTOMERS, (2,))
LACKS_PARENT = needs(PARENT, AUTHORITY_LACKS_IT)


def _quarantine(world: World, reason: str, key: Key = KEY, *, waived: bool = False) -> None:
    state = KeyState(CUSTOMERS, key, seq=1, quarantine=reason, waived=waived)
    world.rows.apply(lambda rows: rows.set_key(state))


async def _later(world: World, options: ReconcilerOptions | None = None) -> Workers:
    """A process that has given everybody a chance once."""
    workers = make_workers(world, reconciler=options)
    await workers.reconciler.upkeep.retry_waiting_keys()
    return workers


async def test_a_new_process_gives_everybody_one_chance() -> None:
    """Nobody remembers what has happened before."""
    world = await make_world()
    _quarantine(world, f"{NEEDS_OTHERS}no such parent")
    workers = make_workers(world)

    await workers.reconciler.upkeep.retry_waiting_keys()

    assert world.key(KEY).quarantine is None


@pytest.mark.parametrize(
    ("reason", "there", "again"),
    [
        (LACKS_PARENT, True, True),
        (LACKS_PARENT, False, False),
        (needs(PARENT, POINTS_TO_IT), True, False),
        (needs(PARENT, POINTS_TO_IT), False, True),
        (needs(PARENT, "which cannot be copied: why"), True, False),
        (needs(RecordName("unknown", (2,)), AUTHORITY_LACKS_IT), True, False),
        (f"{NEEDS_OTHERS}no such parent", True, False),
        ("too long", True, False),
    ],
)
async def test_the_mirror_says_whether_it_has_moved(
    reason: str, *, there: bool, again: bool
) -> None:
    """A parent that is there now, a child that is there no longer."""
    world = await make_world()
    if there:
        write_row(world, PARENT.key, "x", Side.NEW)
    workers = await _later(world)
    _quarantine(world, reason)

    await workers.reconciler.upkeep.retry_waiting_keys()

    assert (world.key(KEY).quarantine is None) is again


async def test_what_an_operator_waived_stays() -> None:
    """The decision stands."""
    world = await make_world()
    write_row(world, PARENT.key, "x", Side.NEW)
    workers = await _later(world)
    _quarantine(world, LACKS_PARENT, waived=True)

    await workers.reconciler.upkeep.retry_waiting_keys()

    assert world.key(KEY).quarantine == LACKS_PARENT


async def test_every_one_has_its_turn() -> None:
    """A few are looked at in each round, and then the first ones again."""
    world = await make_world()
    workers = await _later(world, ReconcilerOptions(waits_looked_at=2))
    for number in range(5):
        _quarantine(world, LACKS_PARENT, (10 + number,))
    await workers.reconciler.upkeep.retry_waiting_keys()
    write_row(world, PARENT.key, "x", Side.NEW)

    for _ in range(5):
        await workers.reconciler.upkeep.retry_waiting_keys()

    assert world.counts().quarantined == 0


async def test_a_mirror_that_does_not_answer_quarantines_nobody_longer() -> None:
    """Upkeep goes on, and asks again."""
    world = await make_world()
    write_row(world, PARENT.key, "x", Side.NEW)
    workers = await _later(world)
    _quarantine(world, LACKS_PARENT)
    world.faults[Side.NEW].reads.append(StoreFault.UNREACHABLE)

    with pytest.raises(StoreError):
        await workers.reconciler.upkeep.retry_waiting_keys()
    await workers.reconciler.upkeep.retry_waiting_keys()

    assert world.key(KEY).quarantine is None


async def test_a_key_whose_obstacle_has_moved_is_due_at_once() -> None:
    """Its pause is over, however often it was tried; of one without a pause nothing changes."""
    world = await make_world([1])
    workers = make_workers(world)
    keys = workers.reconciler._keys  # noqa: SLF001 - what is due, without running anything
    await workers.sweep()
    state = KeyState(CUSTOMERS, KEY, seq=10**6, tries=9)
    world.rows.apply(lambda rows: rows.set_key(state))
    keys.ended(state, None)
    keys._troubles.clear()  # noqa: SLF001 - the stores answer
    assert keys.pick(1, ()) == []

    workers.node.convergence.on_freed(RecordName(CUSTOMERS, KEY))
    workers.node.convergence.on_freed(RecordName(CUSTOMERS, (5,)))

    assert keys.pick(1, ()) == [state]
