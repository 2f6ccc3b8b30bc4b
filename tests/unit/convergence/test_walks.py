"""Walking both sides in pages, resting, throttling: the parts that all workers share."""

import asyncio
from dataclasses import dataclass
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.convergence.backlog import Backlog, BacklogOptions
from crossfade.convergence.key_scan import KeyDifferences
from crossfade.convergence.pace import Pace
from crossfade.convergence.rest import Rest
from crossfade.convergence.throttle import Throttle
from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.model.key import EVERY_KEY, Key, KeyRange
from crossfade.model.key_state import DirtyReason
from crossfade.seams.bundle import Seams
from crossfade.seams.failpoint import unarmed
from crossfade.seams.randomness import SeededRandomness
from crossfade.seams.tasks import TaskOwner
from crossfade.store.memory import MemoryDatabase, MemoryTable
from crossfade.store.memory_store import MemoryStore
from crossfade.testing.manual_clock import ManualClock

_KEYS = st.sets(st.integers(0, 40), max_size=20)


def _store(keys: set[int], *, ordered: bool = True) -> MemoryStore:
    table = MemoryTable("things", key=("id",))
    store = MemoryStore(MemoryDatabase(), "things", table, ordered=ordered)
    for key in keys:
        store.rows[(key,)] = {"id": key}
    return store


@dataclass(slots=True)
class Found:
    """All that a walk found."""

    only_authority: list[Key]
    only_mirror: list[Key]
    pages: int = 0


async def _walk(differences: KeyDifferences) -> Found:
    found = Found([], [])
    while (page := await differences.next_page()) is not None:
        found.only_authority += page.only_authority
        found.only_mirror += page.only_mirror
        found.pages += 1
    return found


@given(ours=_KEYS, theirs=_KEYS, rows_max=st.integers(1, 7), ordered=st.booleans())
def test_a_walk_finds_each_difference_once(
    ours: set[int], theirs: set[int], rows_max: int, *, ordered: bool
) -> None:
    """Whatever the size of its pages, with or without an order."""
    stores = _store(ours, ordered=ordered), _store(theirs, ordered=ordered)

    found = asyncio.run(_walk(KeyDifferences(*stores, EVERY_KEY, rows_max)))

    assert sorted(found.only_authority) == [(key,) for key in sorted(ours - theirs)]
    assert sorted(found.only_mirror) == [(key,) for key in sorted(theirs - ours)]


async def test_a_walk_stays_in_its_range() -> None:
    """Above the lower bound, up to and including the upper one."""
    range_ = KeyRange((3,), (6,))

    found = await _walk(KeyDifferences(_store(set(range(10))), _store(set()), range_, 2))

    assert found.only_authority == [(4,), (5,), (6,)]


def _seams(clock: ManualClock) -> Seams:
    return Seams(clock, SeededRandomness(1), TaskOwner(), unarmed)


async def test_a_rest_ends_when_its_time_has_come() -> None:
    """And not before."""
    clock = ManualClock()
    resting = asyncio.ensure_future(Rest(_seams(clock)).rest(5.0))
    await clock.advance(4.9)
    assert not resting.done()
    await clock.advance(0.2)

    assert resting.done()


async def test_a_wake_ends_a_rest_or_the_next_one() -> None:
    """A wake-up is never lost, and ends one rest only."""
    clock = ManualClock()
    rest = Rest(_seams(clock))
    resting = asyncio.ensure_future(rest.rest(5.0))
    await clock.settle()
    rest.wake()
    await clock.settle()
    assert resting.done()

    rest.wake()
    await rest.rest(5.0)
    third = asyncio.ensure_future(rest.rest(5.0))
    await clock.settle()
    assert not third.done()
    third.cancel()
    await clock.settle()
    assert clock.sleepers == 0


async def test_slow_reads_halve_the_pace_and_fast_ones_raise_it_slowly() -> None:
    """Additive increase, multiplicative decrease."""
    clock = ManualClock()
    throttle = Throttle(clock)
    for _ in range(5):
        throttle.page_read(500, 0.05)
    throttle.worked(500, 1.0)
    assert (throttle.due_seconds, throttle.reason) == (0.0, None)

    throttle.page_read(500, 1.0)
    throttle.worked(500, 1.0)
    assert throttle.due_seconds == pytest.approx(1.0)
    assert "slow" in (throttle.reason or "")

    for _ in range(10):
        throttle.page_read(500, 0.05)
    throttle.worked(500, 1.0)
    assert throttle.due_seconds == pytest.approx(0.0)


async def test_a_slow_read_is_never_taken_for_the_usual_one() -> None:
    """However long the overload lasts."""
    throttle = Throttle(ManualClock())
    throttle.page_read(500, 0.05)
    for _ in range(30):
        throttle.page_read(500, 2.0)
    throttle.worked(500, 1.0)

    assert throttle.due_seconds == pytest.approx(10.0)


async def test_small_reads_are_never_slow() -> None:
    """Noise of some milliseconds says nothing."""
    throttle = Throttle(ManualClock())
    throttle.page_read(500, 0.0001)
    throttle.page_read(500, 0.05)

    assert throttle.reason is None


async def test_the_limit_of_rows_per_second_is_exact_over_time() -> None:
    """What one page is too fast, the next pause makes up for."""
    clock = ManualClock()
    throttle = Throttle(clock)
    throttle.rows_per_second_max = 100.0
    throttle.worked(50, 0.0)
    assert "limited to 100 rows" in (throttle.reason or "")
    await clock.advance(0.5)
    throttle.worked(50, 0.0)

    assert throttle.due_seconds == pytest.approx(0.5)


async def test_the_backlog_is_full_above_its_bound() -> None:
    """Whoever marks keys waits until convergence has caught up."""
    clock, ledger = ManualClock(), MemoryLedger()
    backlog = Backlog(ledger, clock, BacklogOptions(dirty_keys_max=2))
    mark = partial(mark_dirty, entity="things", reason=DirtyReason.REPAIR, at=1.0)
    ledger.apply(partial(mark, keys=[(1,), (2,)]))
    await backlog.room("things")
    ledger.apply(partial(mark, keys=[(3,)]))
    waiting = asyncio.ensure_future(backlog.room("things"))
    await clock.advance(10.0)

    assert not waiting.done()
    assert "3 dirty keys" in (backlog.full("things") or "")
    assert backlog.full("others") is None
    ledger.apply(lambda rows: rows.forget_key("things", (1,)))
    await clock.advance(1.0)
    assert waiting.done()


async def test_a_pace_is_of_the_last_seconds() -> None:
    """It follows a change within some seconds, and is 0 after a long silence."""
    clock = ManualClock()
    pace = Pace(clock)
    for _ in range(20):
        await clock.advance(1.0)
        pace.count(10)
    assert pace.rows_per_second == pytest.approx(10.0)

    for _ in range(20):
        await clock.advance(1.0)
        pace.count(30)
    assert pace.rows_per_second == pytest.approx(30.0, abs=1.0)

    await clock.advance(30.0)
    assert pace.rows_per_second == 0.0
