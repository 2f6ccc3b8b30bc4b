"""The kills of `--chaos` repeat with their seed, and what they cut off is told from failures."""

import math

import pytest

from crossfade.demo.chaos import (
    DELAYS_SECONDS,
    NO_CHAOS,
    CutOff,
    Moment,
    count_cut_off,
    plan_chaos,
)
from crossfade.demo.history import Kind, Operation, Outcome
from crossfade.demo.processes import Down


def operation(start: float, end: float, outcome: Outcome) -> Operation:
    """One attempt of a caller."""
    return Operation(
        name="history.jsonl:1",
        client="w0",
        kind=Kind.WRITE,
        entity="customer",
        key=1,
        value="v",
        shown=None,
        values={},
        start=start,
        end=end,
        outcome=outcome,
        status=None,
    )


@pytest.mark.parametrize("number", range(20))
def test_every_moment_gets_its_kill(number: int) -> None:
    """One kill in each moment, within its bounds, the same one for the same seed."""
    plan = plan_chaos(number)

    assert plan.delays_seconds.keys() == set(Moment)
    assert plan == plan_chaos(number)
    for moment, delay in plan.delays_seconds.items():
        shortest, longest = DELAYS_SECONDS[moment]
        assert shortest <= delay <= longest


def test_another_seed_kills_at_other_times() -> None:
    """The seed decides."""
    assert plan_chaos(1) != plan_chaos(2)


def test_without_chaos_nothing_is_killed() -> None:
    """An empty plan says no."""
    assert not NO_CHAOS
    assert plan_chaos(1)


def test_only_what_a_kill_met_is_its_fault() -> None:
    """An attempt that was under way at a kill and has no answer was cut off by it."""
    kills = [Down(killed=10.0, gone=10.1), Down(killed=20.0, gone=20.1)]
    operations = [
        operation(9.9, 10.05, Outcome.CUT),
        operation(10.05, 10.2, Outcome.CUT),
        operation(19.9, math.inf, Outcome.CUT),
        operation(9.0, 12.0, Outcome.ACKNOWLEDGED),
        operation(15.0, 15.1, Outcome.CUT),
        operation(10.05, 10.06, Outcome.UNSENT),
        operation(1.0, 1.1, Outcome.ACKNOWLEDGED),
    ]

    assert count_cut_off(operations, kills) == CutOff(by_chaos=3, otherwise=1, in_flight=4)


def test_without_kills_every_cut_is_a_failure() -> None:
    """Nobody else may cut a connection."""
    assert count_cut_off([operation(1.0, 2.0, Outcome.CUT)], []) == CutOff(0, 1, 0)
