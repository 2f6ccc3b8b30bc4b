"""Replays: only where the keys agreed, observed only, and in doubt where nobody answered."""

import asyncio

import pytest

from crossfade.execution.replaying import Replaying
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.model.intent import Doubt
from crossfade.model.key import Key
from crossfade.model.key_state import DirtyReason
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import ReplaySkipped
from tests.builders import CUSTOMERS, Node, make_node
from tests.fake_services import Does, FakeAnswer, ServiceRows, put_value
from tests.settling import assert_agreed, drain, settle, start_live, start_shadow

KEY: Key = (1,)
OTHER: Key = (2,)


async def _shadow() -> Node:
    return await start_shadow(values={KEY: "old", OTHER: "other"})


async def _write(node: Node, value: object = "fresh", **overrides: object) -> FakeAnswer:
    answer = await node.write(put_value(KEY, value), KEY, replay=True, **overrides)
    await node.quiet()
    return answer


def _roles(node: Node, side: Side = Side.NEW) -> list[str]:
    return [tag.role for tag in node.world.services[side].calls]


async def test_a_replay_is_told_apart_and_carries_the_intent() -> None:
    """The service sees the role and the same idempotency key on both sides."""
    node = await _shadow()

    await _write(node)

    served = node.world.services[Side.LEGACY].calls[0]
    replayed = node.world.services[Side.NEW].calls[0]
    assert (served.role, replayed.role) == ("serve", "replay")
    assert served.intent == replayed.intent


async def test_both_answers_are_judged() -> None:
    """And the effect of the replay, before convergence puts what should be there."""
    node = await _shadow()

    await _write(node)

    answers = node.replays.answered[0]
    assert answers[Side.LEGACY] == answers[Side.NEW]
    right = {"id": 1, "title": "fresh"}
    (effect,) = node.replays.effects
    assert (effect.key, effect.wanted, effect.found) == (KEY, right, right)


async def test_a_wrong_replay_is_seen_and_corrected() -> None:
    """Observed only: a bug of the new service costs nothing once the key has converged."""
    node = await _shadow()

    def truncate(rows: ServiceRows) -> FakeAnswer:
        rows.set(KEY, "19.98" if rows is node.world.services[Side.NEW].rows else "19.99")
        return FakeAnswer(200)

    await node.write(truncate, KEY, replay=True)
    await node.quiet()

    effect = node.replays.effects[0]
    assert (effect.wanted, effect.found) == (
        {"id": 1, "title": "19.99"},
        {"id": 1, "title": "19.98"},
    )
    assert node.world.values(Side.NEW)[KEY] == "19.99"


async def test_after_a_flip_legacy_replays() -> None:
    """The mirror of the intent, whichever side that is."""
    node = await start_live(values={KEY: "old"})

    await _write(node)

    assert (_roles(node, Side.LEGACY), len(node.replays.answered)) == (["replay"], 1)


async def test_a_key_that_did_not_agree_is_not_replayed() -> None:
    """The mirror's answer would say nothing; the state is copied all the same."""
    node = await _shadow()
    node.world.rows.apply(lambda rows: mark_dirty(rows, CUSTOMERS, [KEY], DirtyReason.REPAIR, 0))

    await _write(node)

    assert _roles(node) == []
    assert node.world.values(Side.NEW)[KEY] == "fresh"


async def test_a_key_that_was_not_copied_yet_is_not_replayed() -> None:
    """Not covered is not known to agree."""
    node = make_node()
    await node.move(Stage.SHADOW)

    await _write(node)

    assert _roles(node) == []


async def test_overlapping_writes_are_not_replayed() -> None:
    """Nobody knows in which order the mirror would see them."""
    node = await _shadow()
    service = node.world.services[Side.LEGACY]
    service.plan.extend([Does.HANG, Does.HANG])
    writes = [
        asyncio.ensure_future(node.write(put_value(KEY, value), KEY, replay=True))
        for value in ("first", "second")
    ]
    await node.world.clock.settle()

    service.go_on()
    await asyncio.gather(*writes)
    await node.quiet()

    assert (_roles(node), node.replays.effects) == (["replay"], [])
    await drain(node)
    assert_agreed(node.world)


@pytest.mark.parametrize("overrides", [{"replay": False}, {"replay": True, "replayable": False}])
async def test_only_what_was_declared_and_kept_is_replayed(overrides: dict[str, bool]) -> None:
    """Not declared safe to repeat, or too large to have been kept."""
    node = await _shadow()

    await node.write(put_value(KEY, "fresh"), KEY, **overrides)
    await node.quiet()

    assert (_roles(node), node.world.values(Side.NEW)[KEY]) == ([], "fresh")


@pytest.mark.parametrize(("does", "status"), [(Does.REFUSE, 409), (Does.FAIL, 500)])
async def test_a_refused_replay_is_recorded_and_the_copy_goes_on(does: Does, status: int) -> None:
    """It counts against the cut-over; the mirror gets the state all the same."""
    node = await _shadow()
    node.world.services[Side.NEW].plan.append(does)

    await _write(node)

    assert node.replays.refused == [(200, status)]
    assert node.world.values(Side.NEW)[KEY] == "fresh"
    assert node.world.counts().open_intents == 0


@pytest.mark.parametrize(
    "does", [Does.CUT, Does.LOST, Does.LATE, Does.BAD_GATEWAY, Does.BAD_GATEWAY_ACTED]
)
async def test_a_replay_without_an_answer_keeps_the_intent_open(does: Does) -> None:
    """It may still land on the mirror: until it has certainly ended, the key is not clean."""
    node = await _shadow()
    node.world.services[Side.NEW].plan.append(does)

    answer = await _write(node)

    assert answer.status == 200
    assert [intent.doubt for intent in node.world.intents()] == [Doubt.MIRROR]
    assert node.world.key(KEY).dirty
    await settle(node)
    await drain(node)
    assert node.world.values(Side.NEW)[KEY] == "fresh"


async def test_a_replay_that_was_not_sent_leaves_no_doubt() -> None:
    """The mirror is unreachable: the copy is tried, the intent is closed."""
    node = await _shadow()
    node.world.services[Side.NEW].plan.append(Does.UNREACHABLE)

    await _write(node)

    reasons = node.events_of(ReplaySkipped)
    assert reasons == [ReplaySkipped("PUT /customers/{id}", "the mirror is unreachable")]
    assert node.world.counts().open_intents == 0


async def test_answers_that_were_too_large_are_not_judged() -> None:
    """The copy is what counts."""
    node = await _shadow()

    def act(rows: ServiceRows) -> FakeAnswer:
        rows.set(KEY, "fresh")
        return FakeAnswer(200, too_large=True)

    await node.write(act, KEY, replay=True)
    await node.quiet()

    assert node.replays.answered == []
    assert "too large" in str(node.events_of(ReplaySkipped))
    assert_agreed(node.world)


async def test_replays_are_bounded() -> None:
    """One more than the bound is skipped: the mirror gets the state, not the operation."""
    node = await _shadow()
    node.writer = type(node.writer)(
        node.ledger,
        node.convergence,
        Replaying(node.replays, node.hooks, at_once_max=1),
        node.hooks,
        node.seams,
        "node-1",
    )
    service = node.world.services[Side.NEW]
    service.plan.append(Does.HANG)
    await node.write(put_value(KEY, "fresh"), KEY, replay=True)
    await node.world.clock.settle()

    await node.write(put_value(OTHER, "fresh"), OTHER, replay=True)
    service.go_on()
    await node.quiet()

    assert _roles(node) == ["replay"]
    assert "too many replays" in str(node.events_of(ReplaySkipped))
    assert_agreed(node.world)
