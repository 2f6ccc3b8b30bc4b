"""The pace of a worker, and the rest that it asks for."""

import asyncio

from crossfade.convergence.pace import Pace
from crossfade.convergence.throttle import Throttle, ThrottleOptions
from crossfade.testing.manual_clock import ManualClock


def test_rows_counted_in_one_moment_count_with_the_next() -> None:
    """A clock that has not moved divides nothing by zero, and loses nothing."""
    clock = ManualClock()
    pace = Pace(clock)

    pace.count(5)
    clock.jump(1.0)
    pace.count(5)

    assert pace.rows_per_second == 10.0


async def test_a_worker_over_its_limit_rests() -> None:
    """Ten rows at ten a second take a second, whoever dealt with them faster."""
    clock = ManualClock()
    throttle = Throttle(clock, ThrottleOptions())
    throttle.rows_per_second_max = 10.0
    throttle.worked(10, seconds=0.0)
    worker = asyncio.ensure_future(throttle.pause())

    await clock.advance(0.9)
    early = worker.done()
    await clock.advance(0.2)

    assert (early, worker.done()) == (False, True)
