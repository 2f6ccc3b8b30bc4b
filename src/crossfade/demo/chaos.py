"""When `--chaos` kills the gateway: moments drawn from the seed, and what the kills cut off."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from crossfade.demo.history import Operation, Outcome
from crossfade.demo.processes import Down


class Moment(StrEnum):
    """What is under way when the gateway is killed."""

    BACKFILL = "during the backfill"
    SHADOW = "under shadow traffic"
    PROMOTE_LIVE = "while the authority moves to new"
    LIVE = "under live traffic"
    ROLLBACK = "while the authority moves back to legacy"


DELAYS_SECONDS: dict[Moment, tuple[float, float]] = {
    Moment.BACKFILL: (0.1, 0.8),
    Moment.SHADOW: (0.1, 1.0),
    # A change of authority takes some tens of milliseconds: within it, or just before or after.
    Moment.PROMOTE_LIVE: (0.005, 0.06),
    Moment.LIVE: (0.1, 1.0),
    Moment.ROLLBACK: (0.005, 0.06),
}
"""Shortest and longest time from the beginning of the moment to the kill."""


@dataclass(frozen=True, slots=True)
class ChaosPlan:
    """How long after the beginning of each moment the gateway is killed; empty without chaos."""

    delays_seconds: dict[Moment, float]

    def __bool__(self) -> bool:
        """Whether anything is killed."""
        return bool(self.delays_seconds)


NO_CHAOS = ChaosPlan({})


def plan_chaos(seed: int) -> ChaosPlan:
    """One kill for each moment; the same ones for the same seed."""
    chance = random.Random(f"chaos/{seed}")  # noqa: S311 - made-up trouble
    return ChaosPlan(
        {moment: round(chance.uniform(*DELAYS_SECONDS[moment]), 3) for moment in Moment}
    )


@dataclass(frozen=True, slots=True)
class CutOff:
    """Attempts that ended without an answer, sorted by whose fault it was."""

    by_chaos: int
    """They were under way while the gateway was killed."""
    otherwise: int
    in_flight: int
    """Attempts that were under way at the kills, answered or not."""


def count_cut_off(operations: Iterable[Operation], kills: Iterable[Down]) -> CutOff:
    """Tell what the kills cut off from what must not happen."""
    down = tuple(kills)
    by_chaos, otherwise, in_flight = 0, 0, 0
    for operation in operations:
        was_under_way = _overlaps(operation, down)
        is_cut = operation.outcome is Outcome.CUT
        in_flight += was_under_way and operation.outcome is not Outcome.UNSENT
        by_chaos += is_cut and was_under_way
        otherwise += is_cut and not was_under_way
    return CutOff(by_chaos, otherwise, in_flight)


def _overlaps(operation: Operation, down: Iterable[Down]) -> bool:
    return any(operation.start <= one.gone and operation.end >= one.killed for one in down)
