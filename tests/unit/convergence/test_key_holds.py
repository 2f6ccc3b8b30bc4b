"""Hot keys: writers wait a moment, never longer than the bound, so that the key converges."""

import asyncio

from crossfade.convergence.converge import ConvergeEnd
from crossfade.convergence.key_holds import HOLD_SECONDS_MAX, POLL_SECONDS, KeyHolds
from crossfade.convergence.options import ConvergenceOptions
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.model.key import Key
from crossfade.model.key_state import DirtyReason
from crossfade.model.side import Side
from crossfade.observability.events import HotKeyHeld
from crossfade.testing.manual_clock import ManualClock
from tests.builders import CUSTOMERS, Node
from tests.fake_services import Does, put_value
from tests.settling import assert_agreed, drain, settle, start_shadow

KEY: Key = (1,)


async def test_writers_of_a_held_key_wait_until_it_is_free() -> None:
    """Others go on at once."""
    clock = ManualClock()
    holds = KeyHolds(clock)

    with holds.hold(CUSTOMERS, KEY):
        waiter = asyncio.ensure_future(holds.wait(CUSTOMERS, (KEY,)))
        await holds.wait(CUSTOMERS, ((2,),))
        await holds.wait(CUSTOMERS, ())
        await clock.advance(HOLD_SECONDS_MAX / 2)
        held = not waiter.done()
    await clock.advance(POLL_SECONDS)

    assert (held, waiter.done()) == (True, True)


async def test_nobody_waits_longer_than_the_bound() -> None:
    """A converger that hangs costs a writer 50 ms, and the next one nothing."""
    clock = ManualClock()
    holds = KeyHolds(clock)

    with holds.hold(CUSTOMERS, KEY):
        waiter = asyncio.ensure_future(holds.wait(CUSTOMERS, (KEY,)))
        await clock.advance(HOLD_SECONDS_MAX * 0.99)
        early = waiter.done()
        await clock.advance(HOLD_SECONDS_MAX * 0.02)
        await holds.wait(CUSTOMERS, (KEY,))

    assert (early, waiter.done()) == (False, True)


async def test_a_writer_that_gives_up_waiting_leaves_no_trace() -> None:
    """Its caller was cancelled; the next one waits and goes on as usual."""
    clock = ManualClock()
    holds = KeyHolds(clock)

    with holds.hold(CUSTOMERS, KEY):
        gone = asyncio.ensure_future(holds.wait(CUSTOMERS, (KEY,)))
        stays = asyncio.ensure_future(holds.wait(CUSTOMERS, (KEY,)))
        await clock.settle()
        gone.cancel()
    await clock.advance(POLL_SECONDS)

    assert (gone.cancelled(), stays.done()) == (True, True)


def _mark(node: Node) -> None:
    node.world.rows.apply(lambda rows: mark_dirty(rows, CUSTOMERS, [KEY], DirtyReason.REPAIR, 0.0))


async def test_a_hot_key_is_held_until_its_last_write_has_ended() -> None:
    """Writes that overlap without a gap would keep it dirty for ever; the hold makes the gap."""
    node = await start_shadow(values={KEY: "old"})
    node.convergence.options = ConvergenceOptions(hot_key_tries=3)
    service = node.world.services[Side.LEGACY]
    service.slow = lambda: node.world.clock.sleep(0.01)
    stopped = False

    async def write_again_and_again(name: str) -> None:
        number = 0
        while not stopped:
            number += 1
            await node.write(put_value(KEY, f"{name}{number}"), KEY)

    writers = [asyncio.ensure_future(write_again_and_again(name)) for name in "ab"]
    # Never at once: when one write ends, the other is in its middle.
    await node.world.clock.advance(0.005)
    writers.append(asyncio.ensure_future(write_again_and_again("c")))
    for _ in range(60):
        await node.world.clock.advance(0.005)
        if node.convergence.cleaned:
            break
    cleaned, stopped = node.convergence.cleaned, True
    await node.finish(asyncio.gather(*writers))
    await node.quiet()

    assert cleaned > 0
    assert node.events_of(HotKeyHeld) != []
    await drain(node)
    assert_agreed(node.world)


async def test_a_hold_that_cannot_help_is_not_repeated_at_once() -> None:
    """A write in doubt stays open for seconds: its key's writers are not slowed all that time."""
    node = await start_shadow(values={KEY: "old"})
    node.convergence.options = ConvergenceOptions(hot_key_tries=3)
    node.world.services[Side.LEGACY].plan.append(Does.LOST)
    await asyncio.gather(node.write(put_value(KEY, "lost"), KEY), return_exceptions=True)

    ends = [await node.finish(node.convergence.converge(CUSTOMERS, KEY)) for _ in range(8)]

    assert ends == [ConvergeEnd.TOUCHED] * 8
    assert len(node.events_of(HotKeyHeld)) == 2
    await settle(node)
    await drain(node)
    assert_agreed(node.world)


async def test_a_mirror_that_is_down_holds_no_writer() -> None:
    """Attempts that nobody answered do not make a key hot."""
    node = await start_shadow(values={KEY: "old"})
    _mark(node)
    node.world.faults[Side.NEW].dead = True

    for _ in range(20):
        await node.convergence.converge(CUSTOMERS, KEY)

    assert node.events_of(HotKeyHeld) == []
