"""Intents that nobody ends are settled once their calls have certainly ended, never sooner."""

from functools import partial

import pytest

from crossfade.ledger.transitions.intents import (
    OpenedIntent,
    WriteRequest,
    doubt_intent,
    open_intent,
)
from crossfade.model.intent import Doubt
from crossfade.model.key import Key
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import IntentSettled
from tests.builders import ANSWERS_WITHIN_SECONDS, CUSTOMERS, World
from tests.fake_services import Does, create_value, put_value
from tests.unit.backfill.workers import Workers, enter, make_workers, make_world, write_row

SOON = ANSWERS_WITHIN_SECONDS - 0.1


def _left_open(world: World, *keys: Key, doubt: Doubt = Doubt.NONE) -> int:
    """An intent of a node that died."""
    request = WriteRequest(CUSTOMERS, keys, "PUT /customers/{id}", "dead node")
    opened: OpenedIntent = world.rows.apply(partial(open_intent, request=request, at=1.0))
    world.rows.apply(partial(doubt_intent, intent_id=opened.intent.id, doubt=doubt))
    return opened.intent.id


async def _after(workers: Workers, seconds: float) -> int:
    await workers.world.clock.advance(seconds)
    return await workers.reconciler.resolver.step()


@pytest.mark.parametrize("doubt", list(Doubt))
async def test_an_orphan_is_settled_after_answers_within(doubt: Doubt) -> None:
    """Counted from when this process first saw it; its key is dirty then, and converges."""
    world = await make_world([1])
    number = _left_open(world, (1,), doubt=doubt)
    workers = make_workers(world)

    assert await workers.reconciler.resolver.step() == 0
    assert await _after(workers, SOON) == 0
    assert await _after(workers, 0.2) == 1
    assert world.intents() == []
    assert workers.node.events_of(IntentSettled) == [IntentSettled(CUSTOMERS, number, doubt.value)]

    await workers.converge()
    assert world.values(Side.NEW) == {(1,): "name 1"}


@pytest.mark.parametrize(
    ("doubt", "seconds"), [(Doubt.AUTHORITY, 5.0), (Doubt.MIRROR, 20.0), (Doubt.NONE, 20.0)]
)
async def test_how_long_depends_on_the_side_in_doubt(doubt: Doubt, seconds: float) -> None:
    """A node that died without a word may have been calling either side: the longer one."""
    world = await make_world([1])
    _left_open(world, (1,), doubt=doubt)
    workers = make_workers(world)
    waits = workers.sides.answers_within_seconds
    assert isinstance(waits, dict)
    waits.update({Side.LEGACY: 5.0, Side.NEW: 20.0})

    assert await workers.reconciler.resolver.step() == 0
    assert await _after(workers, seconds - 0.1) == 0
    assert await _after(workers, 0.2) == 1


async def test_a_restart_settles_nothing() -> None:
    """The next process counts from when it first saw the intent itself (case 38)."""
    world = await make_world([1])
    _left_open(world, (1,))
    first = make_workers(world)
    await first.reconciler.resolver.step()
    await world.clock.advance(SOON)
    second = make_workers(world)

    assert await second.reconciler.resolver.step() == 0
    assert await _after(second, SOON) == 0
    assert await _after(second, 0.2) == 1


async def test_an_intent_that_is_alive_here_is_left_alone() -> None:
    """However long its call takes."""
    world = await make_world([1])
    workers = make_workers(world)
    world.services[Side.LEGACY].plan.append(Does.HANG)
    write = workers.node.tasks.spawn(_ignore(workers), name="caller")
    await world.clock.settle()

    assert await _after(workers, 100.0) == 0
    assert len(world.intents()) == 1

    world.services[Side.LEGACY].go_on()
    await world.clock.settle()
    assert write.done()
    assert world.intents() == []


async def _ignore(workers: Workers) -> None:
    await workers.node.write(put_value((1,), "slow"), (1,))


async def test_time_is_counted_anew_once_an_intent_was_seen_alive() -> None:
    """The look between its commit and the start of its task does not count."""
    world = await make_world([1])
    number = _left_open(world, (1,))
    workers = make_workers(world)
    await workers.reconciler.resolver.step()
    await world.clock.advance(SOON)
    workers.reconciler.resolver._is_alive = lambda one: one == number  # noqa: SLF001 - its port
    await workers.reconciler.resolver.step()
    workers.reconciler.resolver._is_alive = lambda _: False  # noqa: SLF001 - its port

    assert await _after(workers, 0.2) == 0
    assert await _after(workers, ANSWERS_WITHIN_SECONDS) == 1


async def test_the_record_of_a_create_without_a_known_id_is_found() -> None:
    """The authority has it, the mirror lacks it, and no row of the ledger knows it."""
    world = await make_world(range(1, 20))
    workers = make_workers(world)
    await workers.sweep()
    await workers.node.write(create_value("made", says=False), method="POST")
    await workers.node.quiet()
    assert world.counts().unbound_creates == 1

    await workers.reconciler.resolver.step()
    assert await _after(workers, ANSWERS_WITHIN_SECONDS) == 1
    await workers.converge()

    assert world.values(Side.NEW)[(20,)] == "made"
    assert world.counts().unbound_creates == 0


async def test_a_create_before_anything_was_copied_is_just_settled() -> None:
    """Every chunk opens later and reads its record."""
    world = await make_world([1, 2])
    _left_open(world)
    workers = make_workers(world)
    await workers.reconciler.resolver.step()

    assert await _after(workers, ANSWERS_WITHIN_SECONDS) == 1
    assert world.counts().dirty == 0


async def test_the_search_stays_within_what_a_chunk_may_have_missed() -> None:
    """Keys that no chunk has come to yet are left to the sweep, however many they are."""
    world = await make_world(range(1, 40))
    workers = make_workers(world)
    await workers.start_sweep()
    for _ in range(4):
        await workers.backfill.step()
    number = _left_open(world)
    write_row(world, (0,), "unbound")
    await workers.reconciler.resolver.step()

    assert await _after(workers, ANSWERS_WITHIN_SECONDS) == 1
    assert world.rows.look(lambda rows: rows.intent(number)) is None
    assert world.key((0,)).dirty
    assert not world.key((30,)).dirty


async def test_a_side_that_does_not_answer_keeps_the_create_open() -> None:
    """Others are settled all the same, and the failure is one event."""
    world = await make_world([1])
    workers = make_workers(world)
    await workers.sweep()
    _left_open(world)
    _left_open(world, (1,))
    await workers.reconciler.step()
    await world.clock.advance(ANSWERS_WITHIN_SECONDS)
    world.faults[Side.NEW].dead = True

    await workers.reconciler.step()
    await workers.reconciler.step()

    assert [intent.unbound for intent in world.intents()] == [True]


async def test_a_record_that_only_the_lost_side_has_is_copied_from_there() -> None:
    """Authority was taken from its creator by force: it must not be deleted as an extra."""
    world = await make_world([1])
    await enter(world, Stage.LIVE, epoch=2)
    write_row(world, (1,), "name 1", Side.NEW)
    workers = make_workers(world)
    await workers.sweep()
    await workers.node.write(create_value("made", says=False), method="POST")
    await workers.node.quiet()
    await enter(world, Stage.SHADOW, epoch=3)
    await workers.reconciler.resolver.step()

    assert await _after(workers, ANSWERS_WITHIN_SECONDS) == 1
    assert world.key((2,)).held_authority is Side.NEW
    assert world.rows.migration.holds_keys
    await workers.converge()
    await workers.reconciler.step()

    assert world.values(Side.LEGACY) == world.values(Side.NEW) == {(1,): "name 1", (2,): "made"}
    assert not world.rows.migration.holds_keys
