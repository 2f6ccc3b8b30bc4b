"""A manual clock moves only when told, and wakes sleepers in the order of time."""

import asyncio
from datetime import UTC, datetime, timedelta

from crossfade.testing.manual_clock import BEGINNING, ManualClock


async def _note_waking(clock: ManualClock, seconds: float, woken: list[float]) -> None:
    await clock.sleep(seconds)
    woken.append(clock.monotonic())


async def test_time_stands_still_until_it_is_moved() -> None:
    """A sleeper sleeps however often the other tasks run."""
    clock = ManualClock(monotonic=0.0)
    sleeper = asyncio.create_task(clock.sleep(0.001))

    await clock.settle()

    assert not sleeper.done()
    assert (clock.now(), clock.monotonic(), clock.sleepers) == (BEGINNING, 0.0, 1)

    await clock.advance(0.001)

    assert sleeper.done()


async def test_sleepers_wake_in_the_order_of_time() -> None:
    """Each wakes at its own time, also when the clock moves far past it."""
    clock = ManualClock(monotonic=0.0)
    woken: list[float] = []
    tasks = [
        asyncio.create_task(_note_waking(clock, seconds, woken)) for seconds in (3.0, 1.0, 2.0)
    ]

    await clock.advance(10.0)

    assert woken == [1.0, 2.0, 3.0]
    assert clock.now() == BEGINNING + timedelta(seconds=10)
    assert all(task.done() for task in tasks)


async def test_a_loop_that_sleeps_is_woken_as_often_as_the_span_allows() -> None:
    """A worker's interval passes many times in one move of the clock."""
    clock = ManualClock(monotonic=0.0)
    rounds: list[float] = []

    async def work() -> None:
        while True:
            await clock.sleep(1.0)
            rounds.append(clock.monotonic())

    worker = asyncio.create_task(work())
    await clock.advance(4.5)
    worker.cancel()

    assert rounds == [1.0, 2.0, 3.0, 4.0]


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    """It neither counts nor holds the clock."""
    clock = ManualClock(monotonic=0.0)
    sleeper = asyncio.create_task(clock.sleep(1.0))
    await clock.settle()

    sleeper.cancel()
    await clock.settle()

    assert clock.sleepers == 0
    assert clock.next_wake() is None

    await clock.advance(2.0)

    assert clock.monotonic() == 2.0


async def test_a_jump_wakes_everybody_at_once() -> None:
    """After a pause of the process all sleepers that are due see the same time."""
    clock = ManualClock(monotonic=0.0)
    woken: list[float] = []
    tasks = [asyncio.create_task(_note_waking(clock, seconds, woken)) for seconds in (1.0, 2.0)]
    await clock.settle()

    clock.jump(5.0)
    await clock.settle()

    assert woken == [5.0, 5.0]
    assert all(task.done() for task in tasks)


async def test_a_wait_of_nothing_lets_others_run() -> None:
    """Zero and less return without the clock being moved, after the others had a turn."""
    clock = ManualClock()
    seen: list[str] = []

    async def other() -> None:
        seen.append("other")

    task = asyncio.create_task(other())
    await clock.sleep(0)
    await clock.sleep(-1)

    assert seen == ["other"]
    assert task.done()


async def test_next_wake_tells_how_long_the_first_sleeper_still_sleeps() -> None:
    """A simulation may move exactly so far."""
    clock = ManualClock()
    sleeper = asyncio.create_task(clock.sleep(2.5))
    await clock.settle()

    assert clock.next_wake() == 2.5

    await clock.advance(2.5)

    assert sleeper.done()


def test_the_wall_clock_may_be_wrong() -> None:
    """Setting it leaves the monotonic clock alone."""
    clock = ManualClock(monotonic=7.0)

    clock.set_wall_clock(datetime(1999, 1, 1, tzinfo=UTC))

    assert (clock.now().year, clock.monotonic()) == (1999, 7.0)
