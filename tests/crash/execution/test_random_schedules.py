"""Hundreds of random schedules: no acknowledged write is lost, no stale read, sides agree."""

import pytest

from crossfade.model.side import Side
from crossfade.model.stage import Stage
from tests.crash.execution.failpoint_names import failpoint_names
from tests.crash.execution.schedule import Schedule

BLOCKS = 10
SEEDS_IN_BLOCK = 20
CRASH_NAMES = failpoint_names("convergence", "execution", "stages")


@pytest.mark.parametrize("block", range(BLOCKS))
async def test_no_schedule_loses_or_inverts_anything(
    block: int, request: pytest.FixtureRequest
) -> None:
    """Writers, readers, convergers, flips, faults, crashes; a failure prints its seed."""
    first = int(request.config.getoption("--seed")) * 1_000_000 + block * SEEDS_IN_BLOCK
    moves: list[Stage] = []
    for seed in range(first, first + SEEDS_IN_BLOCK):
        schedule = Schedule(seed, CRASH_NAMES)
        try:
            await schedule.run()
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        moves += schedule.moves
        values = [schedule.world.values(side) for side in Side]
        assert values[0] == values[1], f"seed {seed}"
        assert schedule.history.problems() == [], f"seed {seed}"

    assert {Stage.LIVE, Stage.SHADOW, Stage.OFF} <= set(moves), "the schedules do move"


async def test_a_seed_repeats_its_schedule() -> None:
    """The same steps, the same history, the same end: a failure can be looked at again."""
    twice = [Schedule(4711, CRASH_NAMES) for _ in range(2)]
    for schedule in twice:
        await schedule.run()

    first, second = twice
    assert first.history == second.history
    assert first.world.rows.tables == second.world.rows.tables
