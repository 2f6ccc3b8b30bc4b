"""The flip: everything drained, then the authority changes; or nothing has changed."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from crossfade.errors import (
    GateError,
    MoveRefusedError,
)
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.intents import close_intent
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.model.key import Key
from crossfade.model.key_state import DirtyReason
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import FlipUndone, SequencesNotMoved
from crossfade.stages.options import StageOptions
from crossfade.store.base import StoreEpoch
from tests.builders import CUSTOMERS, DECISION, Node, make_node
from tests.fake_seams import StoreFault
from tests.fake_services import Does, put_value
from tests.settling import assert_agreed, drain, settle, start_live, start_shadow

KEY: Key = (1,)


OTHER: Key = (2,)


BUDGET = 2.0


async def _shadow() -> Node:
    return await start_shadow(values={KEY: "old", OTHER: "other"})


def _mark(node: Node, *keys: Key) -> None:
    node.world.rows.apply(lambda rows: mark_dirty(rows, CUSTOMERS, keys, DirtyReason.REPAIR, 0.0))


async def _flip(node: Node, wanted: Stage = Stage.LIVE, seconds: float = BUDGET) -> None:
    await node.finish(node.flipper.flip(wanted, DECISION, seconds))


async def _assert_in_service(node: Node, stage: Stage) -> None:
    """Nobody is held, a write reaches both sides, and everything agrees."""
    state = node.ledger.migration
    assert (state.stage, state.flip) == (stage, None)
    answer = await node.finish(node.write(put_value(KEY, "afterwards"), KEY))
    await node.quiet()
    assert answer.status == 200
    await settle(node)
    await drain(node)
    assert_agreed(node.world)
    ledger, legacy, new = node.world.epochs()
    assert ledger == legacy == new


async def test_a_flip_changes_the_authority_once_everything_agrees() -> None:
    """Dirty keys converge while writers wait; then both stores and the ledger have epoch + 1."""
    node = await _shadow()
    node.world.services[Side.LEGACY].rows.set(KEY, "fresh")
    _mark(node, KEY)
    before = node.ledger.migration

    flipped = await node.finish(node.flipper.flip(Stage.LIVE, DECISION, BUDGET))

    state = node.ledger.migration
    assert flipped.state == state
    assert (state.authority, state.epoch) == (Side.NEW, before.epoch + 1)
    assert state.decision == before.decision + 1
    assert node.world.epochs() == (before.epoch + 1,) * 3
    assert node.world.values(Side.NEW)[KEY] == "fresh"
    await _assert_in_service(node, Stage.LIVE)


async def test_a_roll_back_is_a_flip_with_the_roles_swapped() -> None:
    """What was written on new is on legacy when legacy answers again."""
    node = await start_live(values={KEY: "old"})
    await node.write(put_value(KEY, "written on new"), KEY)

    await _flip(node, Stage.SHADOW)

    assert node.world.values(Side.LEGACY)[KEY] == "written on new"
    await _assert_in_service(node, Stage.SHADOW)


async def test_a_flip_waits_for_open_intents() -> None:
    """A write under way is answered by its authority; only then does that change."""
    node = await _shadow()
    service = node.world.services[Side.LEGACY]
    service.plan.append(Does.HANG)
    caller = asyncio.ensure_future(node.write(put_value(KEY, "fresh"), KEY))
    await node.world.clock.settle()
    flip = asyncio.ensure_future(node.flipper.flip(Stage.LIVE, DECISION, BUDGET))
    await node.world.clock.advance(1.0)
    waits = not flip.done()

    service.go_on()
    answer = await node.finish(caller)
    await node.finish(flip)

    assert (waits, answer.status) == (True, 200)
    await _assert_in_service(node, Stage.LIVE)


async def test_more_keys_than_a_page_are_drained() -> None:
    """Page by page, some side by side."""
    values: dict[Key, object] = {(number,): "old" for number in range(20)}
    node = await start_shadow(values=values)
    options = StageOptions(drain_page=4, drain_keys_at_once=2)
    node = make_node(node.world, stage_options=options)
    _mark(node, *values)

    await _flip(node)

    await _assert_in_service(node, Stage.LIVE)


OBSTACLES: dict[str, Callable[[Node], None]] = {
    "a write in doubt": lambda node: node.world.services[Side.LEGACY].plan.append(Does.LOST),
    "a mirror that is down": lambda node: node.world.faults[Side.NEW].puts.extend(
        [StoreFault.UNREACHABLE] * 10_000
    ),
    "a mirror that answers nothing": lambda node: node.world.faults[Side.NEW].puts.extend(
        [StoreFault.LOST] * 10_000
    ),
    "a quarantined key": lambda node: setattr(
        node.world.stores[Side.NEW], "refuse", lambda *_: "title is too long"
    ),
}


@pytest.mark.parametrize("arrange", OBSTACLES.values(), ids=OBSTACLES.keys())
async def test_over_budget_nothing_has_changed(arrange: Callable[[Node], None]) -> None:
    """Writers waited no longer than the budget; the reasons are told; epochs stay."""
    node = await _shadow()
    arrange(node)
    await asyncio.gather(node.write(put_value(KEY, "fresh"), KEY), return_exceptions=True)
    await node.quiet()
    began, epochs = node.world.clock.monotonic(), node.world.epochs()

    with pytest.raises(MoveRefusedError) as refused:
        await _flip(node)

    pause = node.world.clock.monotonic() - began
    assert BUDGET * 0.99 <= pause < BUDGET * 1.1
    assert refused.value.reasons != ()
    assert node.world.epochs() == epochs
    undone = node.events_of(FlipUndone)
    assert [event.reasons for event in undone if isinstance(event, FlipUndone)] == [
        refused.value.reasons
    ]
    node.world.faults[Side.NEW].puts.clear()
    node.world.stores[Side.NEW].refuse = None
    _mark(node, KEY)
    await _assert_in_service(node, Stage.SHADOW)


async def test_an_intent_that_nobody_carries_on_is_waited_for_before_writers_are_held() -> None:
    """It is settled only after `answers_within`; holding writers all that time is no use."""
    node = await _shadow()
    node = make_node(node.world, stage_options=StageOptions(prepare_seconds_max=3.0))
    node.world.services[Side.LEGACY].plan.append(Does.LOST)
    await asyncio.gather(node.write(put_value(KEY, "fresh"), KEY), return_exceptions=True)
    flip = asyncio.ensure_future(node.flipper.flip(Stage.LIVE, DECISION, BUDGET))

    await node.world.clock.advance(2.0)
    held_early = node.ledger.migration.flip is not None
    (intent,) = node.ledger.look(lambda rows: rows.intents(10))
    await node.ledger.transact(partial(close_intent, intent_id=intent.id, at=0.0))
    await node.finish(flip)

    assert not held_early
    await _assert_in_service(node, Stage.LIVE)


async def test_a_store_that_hangs_does_not_stretch_the_pause() -> None:
    """The budget holds although one attempt of convergence may take longer than all of it."""
    node = await _shadow()
    _mark(node, KEY)
    node.world.faults[Side.NEW].puts.append(StoreFault.HANG)
    began = node.world.clock.monotonic()

    with pytest.raises(MoveRefusedError):
        await _flip(node)

    assert BUDGET * 0.99 <= node.world.clock.monotonic() - began <= BUDGET * 1.01
    await _assert_in_service(node, Stage.SHADOW)


async def test_what_is_not_completely_copied_cannot_flip() -> None:
    """The gate says so before; the flip itself holds it, too."""
    node = make_node()
    await node.move(Stage.SHADOW)
    await node.barrier.step()
    incomplete = f"{CUSTOMERS} is not completely copied"

    with pytest.raises(MoveRefusedError) as refused:
        await _flip(node)

    assert [reason[: len(incomplete)] for reason in refused.value.reasons] == [incomplete]


@pytest.mark.parametrize("wanted", [Stage.OFF, Stage.COMPLETED])
async def test_what_is_no_flip_begins_nothing(wanted: Stage) -> None:
    """The error of the stage machine is handed on as it is."""
    node = await _shadow()

    with pytest.raises(GateError) as refused:
        await _flip(node, wanted)

    assert not isinstance(refused.value, MoveRefusedError)
    assert node.ledger.migration.flip is None
    assert node.events_of(FlipUndone) == []


async def test_a_second_flip_is_refused_while_one_is_under_way() -> None:
    """Every change of epoch holds the one flip row; the first one goes on undisturbed."""
    node = await _shadow()

    async def flip_again(name: str) -> None:
        if name == "flip.holding":
            node.failpoint.pause = None
            with pytest.raises(GateError):
                await node.flipper.flip(Stage.LIVE, DECISION, BUDGET)

    node.failpoint.pause = flip_again
    await _flip(node)

    await _assert_in_service(node, Stage.LIVE)


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("fault", [StoreFault.UNREACHABLE, StoreFault.APPLIED, StoreFault.LATE])
async def test_a_store_that_does_not_take_the_epoch_undoes_the_flip(
    side: Side, fault: StoreFault
) -> None:
    """Both stores end two epochs on, past every late answer of the undone flip."""
    node = await _shadow()
    before = node.ledger.migration.epoch
    node.world.faults[side].epochs.append(fault)

    with pytest.raises(MoveRefusedError):
        await _flip(node)

    assert node.world.epochs() == (before + 2,) * 3
    await node.world.faults[side].land()
    assert node.world.epochs() == (before + 2,) * 3
    await _assert_in_service(node, Stage.SHADOW)


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("phase", ["flip.drained", "flip.fenced_legacy", "flip.fenced_new"])
async def test_a_store_that_dies_under_way_undoes_the_flip(side: Side, phase: str) -> None:
    """It is left behind, refuses every copy, and is brought up when it answers again."""
    node = await _shadow()

    async def die(name: str) -> None:
        if name == phase:
            node.world.faults[side].dead = True

    node.failpoint.pause = die
    flipped = await asyncio.gather(_flip(node), return_exceptions=True)
    node.failpoint.pause = None

    too_late = phase == "flip.fenced_new" or (side is Side.LEGACY and phase != "flip.drained")
    stage = Stage.LIVE if too_late else Stage.SHADOW
    assert [type(result) for result in flipped] == [type(None) if too_late else MoveRefusedError]
    assert node.ledger.migration.flip is None, "nobody waits while the store is dead"
    node.world.faults[side].dead = False
    await _assert_in_service(node, stage)


async def test_a_store_that_hangs_while_fencing_is_given_up() -> None:
    """No answer within the limit is no answer."""
    node = make_node((await _shadow()).world, stage_options=StageOptions(store_seconds_max=0.01))
    node.world.faults[Side.NEW].epochs.append(StoreFault.HANG)

    with pytest.raises(MoveRefusedError, match="does not answer within"):
        await _flip(node)

    await _assert_in_service(node, Stage.SHADOW)


@pytest.mark.parametrize("side", list(Side))
async def test_a_store_of_another_ledger_does_not_hold_writers_for_ever(side: Side) -> None:
    """It cannot be fenced, so the flip is undone: service first, then the operator."""
    node = await _shadow()
    await node.world.databases[side].adopt(StoreEpoch("another ledger", 1, 0))

    with pytest.raises(MoveRefusedError, match="another ledger"):
        await _flip(node)

    identity = node.ledger.identity
    await node.world.databases[side].adopt(StoreEpoch(identity.ledger_id, identity.incarnation, 0))
    await _assert_in_service(node, Stage.SHADOW)


async def test_the_new_authority_makes_ids_past_those_that_were_copied() -> None:
    """Else its first create would meet an id that is taken; the mirror's are left alone."""
    node = await _shadow()

    await _flip(node)

    assert node.world.stores[Side.NEW].sequences_past == OTHER
    assert node.world.stores[Side.LEGACY].sequences_past is None


@pytest.mark.parametrize("fault", [StoreFault.UNREACHABLE, StoreFault.HANG])
async def test_sequences_that_cannot_be_moved_stop_the_way_forward(fault: StoreFault) -> None:
    """Writers are let go, and nothing has changed."""
    node = make_node((await _shadow()).world, stage_options=StageOptions(store_seconds_max=0.01))
    node.world.faults[Side.NEW].sequences.append(fault)

    with pytest.raises(MoveRefusedError):
        await _flip(node)

    await _assert_in_service(node, Stage.SHADOW)


async def test_sequences_that_cannot_be_moved_do_not_stop_the_way_back() -> None:
    """A missing right must never keep anybody on a side that has to be left; it is told."""
    node = await start_live(values={KEY: "old"})
    node.world.faults[Side.LEGACY].sequences.append(StoreFault.UNREACHABLE)

    await _flip(node, Stage.SHADOW)

    assert len(node.events_of(SequencesNotMoved)) == 1
    await _assert_in_service(node, Stage.SHADOW)


async def test_a_row_that_was_taken_back_is_no_flip(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger may run a transition again, and refuse it then: nothing was begun."""
    node = await start_shadow(values={KEY: "old"})
    rows, transact = node.world.rows, node.ledger.transact

    async def run_again(transition: Callable[[Rows], Any]) -> Any:  # noqa: ANN401 - any result
        before = rows.snapshot()
        rows.apply(transition)
        rows.restore(before)
        rows.apply(lambda rows: rows.set_migration(replace(rows.migration(), retired=True)))
        return await transact(transition)

    monkeypatch.setattr(node.ledger, "transact", run_again)
    with pytest.raises(GateError) as refused:
        await node.finish(node.flipper.flip(Stage.LIVE, DECISION, 2.0))

    assert type(refused.value) is GateError
    assert node.events_of(FlipUndone) == []
