"""Writes that are held wait, bounded in time and number, and then see the stage as it is."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest
from msgspec import structs

from crossfade.errors import KeyHeldError, WritesHeldError
from crossfade.execution.options import ExecutionOptions
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.moves import FREEZE, move_stage, remove_hold, set_hold
from crossfade.model.key import Key
from crossfade.model.migration_state import Hold
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from tests.builders import CUSTOMERS, DECISION, Node
from tests.fake_services import create_value, put_value, read_value
from tests.settling import assert_agreed, drain, start_shadow

KEY: Key = (1,)
OTHER: Key = (2,)
EVERYTHING = Hold(FREEZE, "frozen by a test")


async def _shadow() -> Node:
    return await start_shadow(values={KEY: "old", OTHER: "other"})


async def _hold(node: Node, hold: Hold = EVERYTHING) -> None:
    await node.ledger.transact(partial(set_hold, hold=hold, decision=DECISION))


async def _release(node: Node) -> None:
    assert await node.ledger.transact(partial(remove_hold, name=FREEZE, decision=DECISION))


def _hold_key(node: Node, key: Key) -> None:
    """As a forced roll-back does, with new dead."""

    def hold(rows: Rows) -> None:
        rows.set_key(structs.replace(rows.key(CUSTOMERS, key), held_authority=Side.NEW))
        rows.set_migration(replace(rows.migration(), holds_keys=True))

    node.world.rows.apply(hold)


def _hold_entity(rows: Rows) -> None:
    rows.set_entity(replace(rows.entity(CUSTOMERS), held_authority=Side.NEW))
    rows.set_migration(replace(rows.migration(), holds_keys=True))


async def test_a_held_write_goes_on_when_the_hold_ends() -> None:
    """Nothing was touched while it waited, and the caller notices nothing but the time."""
    node = await _shadow()
    await _hold(node)
    caller = asyncio.ensure_future(node.write(put_value(KEY, "fresh"), KEY))

    await node.world.clock.advance(1.0)
    untouched = node.world.services[Side.LEGACY].calls == [] and node.world.intents() == []
    await _release(node)
    answer = await node.finish(caller)
    await node.quiet()

    assert (untouched, answer.status) == (True, 200)
    assert_agreed(node.world)


async def test_waiting_is_bounded() -> None:
    """Then the caller is told to try again; nothing was touched."""
    node = await _shadow()
    await _hold(node)
    began = node.world.clock.monotonic()

    with pytest.raises(WritesHeldError) as held:
        await node.finish(node.write(put_value(KEY, "fresh"), KEY))

    waited = node.world.clock.monotonic() - began
    assert node.writer.options.held_seconds_max <= waited < 3.1
    assert (held.value.reason, held.value.retry_after_seconds) == (EVERYTHING.reason, 1.0)
    assert node.world.services[Side.LEGACY].calls == []


async def test_the_number_of_waiting_writes_is_bounded() -> None:
    """One more is refused at once, also while the others go on waiting."""
    node = await _shadow()
    node.writer.options = ExecutionOptions(held_writes_max=2)
    await _hold(node)
    waiting = [asyncio.ensure_future(node.write(put_value(KEY, n), KEY)) for n in range(2)]
    await node.world.clock.settle()

    with pytest.raises(WritesHeldError):
        await node.write(put_value(KEY, "one too many"), KEY)

    await _release(node)
    assert [answer.status for answer in await node.finish(asyncio.gather(*waiting))] == [200, 200]


async def test_a_caller_that_gives_up_waiting_makes_room() -> None:
    """Cancelled while it waits: nothing was touched, its place is free."""
    node = await _shadow()
    node.writer.options = ExecutionOptions(held_writes_max=1)
    await _hold(node)
    gone = asyncio.ensure_future(node.write(put_value(KEY, "gone"), KEY))
    await node.world.clock.settle()

    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    next_one = asyncio.ensure_future(node.write(put_value(KEY, "next"), KEY))
    await node.world.clock.settle()
    await _release(node)
    await node.finish(next_one)
    await node.quiet()

    assert node.world.values(Side.LEGACY)[KEY] == "next"


@pytest.mark.parametrize(
    ("hold", "held"),
    [
        (Hold(FREEZE, "all"), True),
        (Hold(FREEZE, "its entity", CUSTOMERS), True),
        (Hold(FREEZE, "its key", CUSTOMERS, KEY), True),
        (Hold(FREEZE, "another key", CUSTOMERS, OTHER), False),
        (Hold(FREEZE, "another entity", "orders"), False),
    ],
)
async def test_a_hold_has_a_scope(hold: Hold, *, held: bool) -> None:
    """Everything, one entity, or one key."""
    node = await _shadow()
    await _hold(node, hold)
    caller = asyncio.ensure_future(node.write(put_value(KEY, "fresh"), KEY))

    await node.world.clock.settle()

    assert caller.done() is not held
    await _release(node)
    await node.finish(caller)


async def test_a_freeze_holds_writes_without_intent_too() -> None:
    """Any stage, `off` included."""
    node = await _shadow()
    await node.move(Stage.OFF)
    await _hold(node)
    caller = asyncio.ensure_future(node.write(put_value(KEY, "fresh"), KEY))

    await node.world.clock.settle()
    waited = not caller.done()
    await _release(node)
    await node.finish(caller)

    assert (waited, node.world.intents()) == (True, [])


async def test_a_write_that_waited_sees_that_the_stage_is_off_now() -> None:
    """It is made without intent, as in `off`; the barrier will wait for such writes."""
    node = await _shadow()
    await _hold(node)
    caller = asyncio.ensure_future(node.write(put_value(KEY, "fresh"), KEY))
    await node.world.clock.settle()

    await node.move(Stage.OFF)
    await _release(node)
    answer = await node.finish(caller)

    assert (answer.status, node.world.counts().open_intents) == (200, 0)
    assert node.world.services[Side.LEGACY].calls[0].intent is None
    assert node.world.values(Side.NEW)[KEY] == "old"


async def test_a_write_that_waited_sees_that_the_stage_is_read_only_now() -> None:
    """Writes are refused there, with a longer time to wait."""
    node = await _shadow()
    await _hold(node)
    caller = asyncio.ensure_future(node.write(put_value(KEY, "fresh"), KEY))
    await node.world.clock.settle()

    await node.move(Stage.READ_ONLY)
    await _release(node)

    with pytest.raises(WritesHeldError) as held:
        await node.finish(caller)
    assert held.value.retry_after_seconds == 30.0
    assert node.world.services[Side.LEGACY].calls == []


@pytest.mark.parametrize("stage", [Stage.OFF, Stage.READ_ONLY])
async def test_a_stage_without_intents_that_comes_just_then_refuses_the_write(
    stage: Stage,
) -> None:
    """The plan said "with intent", the transaction says no: nothing was touched."""
    node = await _shadow()
    caller = asyncio.ensure_future(node.write(put_value(KEY, "fresh"), KEY))
    await asyncio.sleep(0)
    node.world.rows.apply(partial(move_stage, wanted=stage, decision=DECISION))

    with pytest.raises(WritesHeldError):
        await node.finish(caller)

    assert (node.world.services[Side.LEGACY].calls, node.world.intents()) == ([], [])


async def test_a_hold_that_comes_just_then_is_waited_for() -> None:
    """Between the plan and the intent: the transaction refuses, the write waits again."""
    node = await _shadow()
    caller = asyncio.ensure_future(node.write(put_value(KEY, "fresh"), KEY))
    await asyncio.sleep(0)
    node.world.rows.apply(partial(set_hold, hold=EVERYTHING, decision=DECISION))
    await node.world.clock.advance(0.5)
    untouched = node.world.services[Side.LEGACY].calls == []

    await _release(node)
    answer = await node.finish(caller)

    assert (untouched, answer.status) == (True, 200)


async def test_a_flip_holds_writes_and_reads_go_on() -> None:
    """Writers wait for the whole change of authority, then write the new one."""
    node = await _shadow()
    caller: list[asyncio.Future[object]] = []

    async def write_under_way(name: str) -> None:
        if name == "flip.holding":
            write = node.write(put_value(KEY, "fresh"), KEY)
            caller.append(asyncio.ensure_future(write))
            await node.world.clock.settle()
            answer, _ = await node.read(read_value(KEY), KEY)
            assert answer.value == "old"

    node.failpoint.pause = write_under_way
    await node.finish(node.flipper.flip(Stage.LIVE, DECISION, 2.0))
    node.failpoint.pause = None
    await node.finish(caller[0])
    await node.quiet()

    assert node.world.services[Side.LEGACY].calls[-1].role == "serve"
    assert [tag.role for tag in node.world.services[Side.NEW].calls] == ["serve"]
    await drain(node)
    assert node.world.values(Side.LEGACY)[KEY] == "fresh"


@pytest.mark.parametrize("keys", [(KEY,), (KEY, OTHER), (OTHER, (3,))])
async def test_a_write_to_a_key_held_after_a_forced_roll_back_is_refused(
    keys: tuple[Key, ...],
) -> None:
    """Nobody knows its newest value; other keys of the request do not matter."""
    node = await _shadow()
    _hold_key(node, OTHER)
    _hold_key(node, KEY)

    with pytest.raises(KeyHeldError):
        await node.write(put_value(KEY, "fresh"), *keys)
    await node.quiet()

    assert node.world.services[Side.LEGACY].calls == []


async def test_a_create_in_an_entity_that_is_held_as_a_whole_is_refused() -> None:
    """An entity that was not completely copied: no key of it can be told apart."""
    node = await _shadow()
    node.world.rows.apply(_hold_entity)

    with pytest.raises(KeyHeldError):
        await node.write(create_value("made"), method="POST")

    assert node.world.services[Side.LEGACY].calls == []


async def test_a_key_held_just_then_is_refused() -> None:
    """Between the plan and the intent."""
    node = await _shadow()
    caller = asyncio.ensure_future(node.write(put_value(KEY, "fresh"), KEY))
    await asyncio.sleep(0)
    _hold_key(node, KEY)

    with pytest.raises(KeyHeldError):
        await node.finish(caller)

    assert node.world.services[Side.LEGACY].calls == []
