"""A forced roll-back: the authority is dead; what agrees goes on, what is at risk is held."""

import asyncio
from dataclasses import replace

import pytest
from msgspec import structs

from crossfade.errors import (
    CrossfadeError,
    GateError,
    KeyHeldError,
    OutcomeUnknownError,
    StoreUnreachableError,
)
from crossfade.execution.calls import CallTag
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.held import note_nothing_held, take_back
from crossfade.ledger.transitions.moves import Decision
from crossfade.model.key import Key
from crossfade.model.key_state import DirtyReason, touched
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.store.base import Fence, PutStatus
from tests.builders import CUSTOMERS, DECISION, Node
from tests.fake_seams import LedgerFault, StoreFault
from tests.fake_services import Does, FakeAnswer, create_value, put_value, read_value
from tests.settling import assert_agreed, drain, settle, start_live

KEY: Key = (1,)
OTHER: Key = (2,)


async def _live() -> Node:
    return await start_live(values={KEY: "old", OTHER: "other"})


async def _kill_new(node: Node) -> None:
    """New dies with a write that legacy does not have."""
    await node.write(put_value(KEY, "only on new"), KEY)
    node.world.faults[Side.NEW].dead = True
    await node.quiet()
    node.world.services[Side.NEW].choose = lambda _: Does.UNREACHABLE


async def _kill_new_before_it_converged(node: Node) -> None:
    node.world.faults[Side.LEGACY].puts.extend([StoreFault.UNREACHABLE] * 3)
    await _kill_new(node)
    node.world.faults[Side.LEGACY].puts.clear()


async def _force(node: Node, decision: Decision = DECISION) -> None:
    await node.finish(node.flipper.force(Stage.SHADOW, decision, Side.LEGACY))


async def _bring_back(node: Node) -> None:
    """New answers again, with the data that it had."""
    node.world.faults[Side.NEW].dead = False
    node.world.services[Side.NEW].choose = None
    kept = await node.world.databases[Side.NEW].epoch()
    assert kept is not None
    await node.epochs.raise_to(node.ledger.migration.epoch, [Side.NEW])
    await node.ledger.transact(lambda rows: take_back(rows, kept.epoch, DECISION))


async def test_keys_that_agree_change_authority_at_once() -> None:
    """Reads and writes of them go on, on legacy."""
    node = await _live()
    await _kill_new_before_it_converged(node)

    await _force(node)

    assert node.ledger.migration.stage is Stage.SHADOW
    assert await node.read(read_value(OTHER), OTHER) == (FakeAnswer(200, "other"), Side.LEGACY)
    assert (await node.write(put_value(OTHER, "fresh"), OTHER)).status == 200


async def test_keys_at_risk_are_held() -> None:
    """Neither side may answer for them; the audit says how many there are."""
    node = await _live()
    await _kill_new_before_it_converged(node)

    await _force(node)

    for attempt in (node.read(read_value(KEY), KEY), node.write(put_value(KEY, "fresh"), KEY)):
        with pytest.raises(KeyHeldError):
            await attempt
    newest = node.ledger.look(lambda rows: rows.audit(1))[0]
    assert (newest.action, newest.detail["held_keys"]) == ("stage moved", 1)


async def test_the_dead_side_comes_back_and_nothing_is_lost() -> None:
    """Held keys converge from it; then they are free."""
    node = await _live()
    await _kill_new_before_it_converged(node)
    await _force(node)

    await _bring_back(node)
    await drain(node)
    await node.ledger.transact(note_nothing_held)

    assert node.world.values(Side.LEGACY)[KEY] == "only on new"
    assert_agreed(node.world)
    assert (await node.read(read_value(KEY), KEY))[0].value == "only on new"


async def test_a_write_in_doubt_on_the_dead_side_is_held_too() -> None:
    """Its intent is open: the key is at risk, whatever the mirror has."""
    node = await _live()
    node.world.services[Side.NEW].plan.append(Does.LATE)
    with pytest.raises(OutcomeUnknownError):
        await node.write(put_value(KEY, "late"), KEY)
    node.world.faults[Side.NEW].dead = True

    await _force(node)
    with pytest.raises(KeyHeldError):
        await node.read(read_value(KEY), KEY)
    node.world.services[Side.NEW].land()
    await _bring_back(node)
    await settle(node)
    await drain(node)

    assert node.world.values(Side.LEGACY)[KEY] == "late"
    assert_agreed(node.world)


async def test_a_late_copy_to_the_side_that_answers_is_refused() -> None:
    """The reachable side is fenced before the ledger commits."""
    node = await _live()
    epoch = node.ledger.migration.epoch
    await _kill_new(node)

    await _force(node)
    late = await node.world.stores[Side.LEGACY].put(
        OTHER, {"id": 2, "name": "late"}, Fence(10_000, epoch)
    )

    assert late.status is PutStatus.FENCED_EPOCH


async def test_a_reachable_side_that_fails_undoes_it() -> None:
    """Nothing has changed; nobody is left waiting."""
    node = await _live()
    await _kill_new(node)
    node.world.faults[Side.LEGACY].epochs.append(StoreFault.UNREACHABLE)

    with pytest.raises(StoreUnreachableError):
        await _force(node)

    assert (node.ledger.migration.stage, node.ledger.migration.flip) == (Stage.LIVE, None)
    node.world.faults[Side.NEW].dead = False
    node.world.services[Side.NEW].choose = None
    await drain(node)
    assert_agreed(node.world)


async def test_what_is_no_flip_begins_nothing() -> None:
    """The stage machine's error, as it is."""
    node = await _live()

    with pytest.raises(GateError):
        await node.flipper.force(Stage.COMPLETED, DECISION, Side.LEGACY)

    assert node.ledger.migration.flip is None


@pytest.mark.parametrize("nth", range(3))
async def test_a_ledger_that_fails_holds_nobody_for_ever(nth: int) -> None:
    """What could not be undone is recovered as soon as the ledger can."""
    node = await _live()
    await _kill_new(node)
    node.ledger.faults.extend([None] * nth + [LedgerFault.NOT_MADE] * 2)

    results = await asyncio.gather(_force(node), return_exceptions=True)
    node.ledger.faults.clear()
    await node.flipper.recover(DECISION)

    assert isinstance(results[0], CrossfadeError) or nth == 2
    assert node.ledger.migration.flip is None


@pytest.mark.parametrize("step", range(0, 24, 2))
async def test_it_may_be_cancelled_at_any_step(step: int) -> None:
    """Finished or undone; never under way."""
    node = await _live()
    await _kill_new(node)
    node.world.turns.most = 2
    forced = asyncio.ensure_future(node.flipper.force(Stage.SHADOW, DECISION, Side.LEGACY))
    for _ in range(step):
        await asyncio.sleep(0)

    forced.cancel()
    await node.finish(asyncio.gather(forced, return_exceptions=True))
    node.world.turns.most = 0
    await node.quiet()

    assert node.ledger.migration.flip is None
    node.world.faults[Side.NEW].dead = False
    node.world.services[Side.NEW].choose = None
    if node.ledger.migration.lost_side is not None:
        await _bring_back(node)
    await drain(node)
    assert_agreed(node.world)
    assert node.world.key(KEY).entity == CUSTOMERS


MADE: Key = (3,)


async def _create_cut_by_the_roll_back(node: Node) -> "asyncio.Task[FakeAnswer]":
    """New has made a record when it dies; its answer, with the id, is still on the way."""
    answered = asyncio.Event()
    request = node.world.make_request(create_value("made on new"), method="POST")

    async def slow(side: Side, tag: CallTag) -> FakeAnswer:
        answer = await request.call(side, tag)
        await answered.wait()
        return answer

    writing = asyncio.ensure_future(node.writer.write(replace(request, call=slow)))
    await node.world.clock.settle()
    assert MADE in node.world.values(Side.NEW)
    node.world.faults[Side.NEW].dead = True
    node.world.services[Side.NEW].choose = lambda _: Does.UNREACHABLE
    await _force(node)

    async def answer_comes() -> FakeAnswer:
        answered.set()
        return (await writing)[0]

    return asyncio.ensure_future(answer_comes())


def _hold(rows: Rows, key: Key) -> None:
    state = touched(rows.key(CUSTOMERS, key), rows.next_sequence(), DirtyReason.WRITE, 0.0)
    rows.set_key(structs.replace(state, held_authority=Side.NEW))


async def test_a_create_whose_key_comes_after_the_roll_back_is_held() -> None:
    """Nobody could hold it at the roll-back; without the hold its record would be deleted."""
    node = await _live()
    creating = await _create_cut_by_the_roll_back(node)
    assert not node.ledger.look(lambda rows: rows.held_keys(None, 10))

    with pytest.raises(OutcomeUnknownError):
        await creating
    await node.quiet()

    assert node.world.key(MADE).held_authority is Side.NEW
    with pytest.raises(KeyHeldError):
        await node.read(read_value(MADE), MADE)
    await _bring_back(node)
    await drain(node)
    assert node.world.values(Side.LEGACY)[MADE] == "made on new"
    assert_agreed(node.world)


async def test_a_create_is_held_after_everything_else_was_freed_too() -> None:
    """Reads had stopped to ask for held keys."""
    node = await _live()
    creating = await _create_cut_by_the_roll_back(node)
    await _bring_back(node)
    await node.ledger.transact(note_nothing_held)
    assert not node.ledger.migration.holds_keys

    with pytest.raises(OutcomeUnknownError):
        await creating

    assert (node.ledger.migration.holds_keys, node.ledger.migration.lost_side) == (True, None)
    await node.quiet()
    await drain(node)
    assert node.world.values(Side.LEGACY)[MADE] == "made on new"
    assert_agreed(node.world)


async def test_a_key_that_legacy_was_promised_since_is_not_taken_from_it() -> None:
    """Legacy gave the same id to a record that its caller was told of; new's caller never was."""
    node = await _live()
    creating = await _create_cut_by_the_roll_back(node)
    answer = await node.write(create_value("promised by legacy"), method="POST")
    assert (answer.status, answer.made) == (201, MADE)
    await node.quiet()

    with pytest.raises(OutcomeUnknownError):
        await creating
    await node.quiet()

    assert node.world.key(MADE).held_authority is None
    await _bring_back(node)
    await drain(node)
    assert node.world.values(Side.LEGACY)[MADE] == "promised by legacy"
    assert_agreed(node.world)


async def test_two_records_of_one_key_stay_with_the_operator() -> None:
    """New's was promised before it died, legacy's after: no lease may choose between them."""
    node = await _live()
    node.world.faults[Side.NEW].dead = True
    await _force(node)
    await node.ledger.transact(lambda rows: _hold(rows, MADE))

    answer = await node.write(create_value("promised by legacy"), method="POST")
    await node.quiet()
    await _bring_back(node)
    end = await node.finish(node.convergence.converge(CUSTOMERS, MADE))

    assert (answer.status, answer.made) == (201, MADE)
    state = node.world.key(MADE)
    assert (state.held_authority, state.releasing, state.lease) == (Side.NEW, True, None), end
    assert node.world.values(Side.LEGACY)[MADE] == "promised by legacy"
