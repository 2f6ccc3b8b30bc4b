"""What cuts a flip off (cancellation, ledger, death, somebody else) leaves nobody waiting."""

import asyncio
from functools import partial

import pytest

from crossfade.convergence.sides import Sides
from crossfade.errors import (
    ChangedMeanwhileError,
    CrossfadeError,
    ForeignLedgerError,
    LedgerUnavailableError,
)
from crossfade.ledger.rows import LedgerIdentity
from crossfade.ledger.transitions.flips import undo_flip
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.model.key import Key
from crossfade.model.key_state import DirtyReason
from crossfade.model.migration_state import Flip, FlipPhase
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import FlipUndone
from crossfade.stages.epochs import Epochs
from crossfade.stages.options import StageOptions
from tests.builders import CUSTOMERS, DECISION, Node, make_node
from tests.fake_seams import LedgerFault, NodeDiedError, StoreFault
from tests.fake_services import put_value
from tests.settling import assert_agreed, drain, settle, start_shadow

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


@pytest.mark.parametrize("turns", [0, 2])
@pytest.mark.parametrize("step", range(0, 60, 2))
async def test_a_flip_may_be_cancelled_at_any_step(step: int, turns: int) -> None:
    """The operator went away: the flip is finished or undone, and nobody is left waiting."""
    node = await _shadow()
    _mark(node, KEY, OTHER)
    node.world.turns.most = turns
    flip = asyncio.ensure_future(node.flipper.flip(Stage.LIVE, DECISION, BUDGET))
    for _ in range(step):
        await asyncio.sleep(0)

    flip.cancel()
    await node.finish(asyncio.gather(flip, return_exceptions=True))
    node.world.turns.most = 0
    await node.quiet()

    assert flip.cancelled() or flip.exception() is None
    await _assert_in_service(node, node.ledger.migration.stage)


@pytest.mark.parametrize("nth", range(1, 5))
async def test_a_ledger_that_fails_under_way_leaves_a_row_that_is_mended(nth: int) -> None:
    """Whichever transaction is not made; a flip that could not be undone says so."""
    node = await _shadow()
    node.world.faults[Side.NEW].epochs.extend([None] if nth < 4 else [StoreFault.UNREACHABLE])
    node.ledger.faults.extend([None] * nth + [LedgerFault.NOT_MADE] * 2)

    results = await asyncio.gather(_flip(node), return_exceptions=True)
    node.ledger.faults.clear()

    flip = node.ledger.migration.flip
    assert isinstance(results[0], CrossfadeError) or nth >= 3
    assert (flip.id if flip else None) == node.flipper.left_behind
    assert await node.flipper.recover(DECISION)
    assert node.flipper.left_behind is None
    await _assert_in_service(node, node.ledger.migration.stage)


async def test_a_ledger_that_fails_at_once_begins_nothing() -> None:
    """No row, no hold."""
    node = await _shadow()
    node.ledger.faults.append(LedgerFault.NOT_MADE)

    with pytest.raises(LedgerUnavailableError):
        await _flip(node)

    await _assert_in_service(node, Stage.SHADOW)


async def test_a_flip_that_somebody_else_ended_is_not_undone_again() -> None:
    """The flip row is no longer this flip's (case 59)."""
    node = await _shadow()

    async def end(name: str) -> None:
        flip = node.ledger.migration.flip
        if name == "flip.drained" and flip is not None:
            other = make_node(node.world)
            await other.flipper.recover(DECISION)

    node.failpoint.pause = end
    with pytest.raises(ChangedMeanwhileError):
        await _flip(node)
    node.failpoint.pause = None

    assert node.events_of(FlipUndone) == []
    await _assert_in_service(node, Stage.LIVE)


async def test_an_undo_of_a_flip_that_is_over_is_refused() -> None:
    """Nothing of a later flip is undone by a late hand."""
    node = await _shadow()
    flips: list[Flip] = []

    async def keep(name: str) -> None:
        flip = node.ledger.migration.flip
        if name == "flip.holding" and flip is not None:
            flips.append(flip)

    node.failpoint.pause = keep
    await _flip(node)

    with pytest.raises(ChangedMeanwhileError):
        await node.flipper.undo(flips[0], DECISION)

    assert node.ledger.migration.stage is Stage.LIVE


async def test_nothing_is_left_to_recover_in_peace() -> None:
    """True, and no transaction."""
    node = await _shadow()
    node.ledger.down = True

    assert await node.flipper.recover(DECISION)


@pytest.mark.parametrize("side", list(Side))
async def test_a_recovery_that_cannot_complete_undoes(side: Side) -> None:
    """Fencing had begun, and now a store is dead: service comes back with the authority as was."""
    node = await _shadow()
    node.failpoint.name = "flip.drained"
    await asyncio.gather(_crash(node), return_exceptions=True)
    node.world.faults[side].dead = True
    other = make_node(node.world)
    phase = other.ledger.migration.flip

    assert await other.flipper.recover(DECISION)

    assert phase is not None
    assert phase.phase is FlipPhase.FENCING
    assert other.ledger.migration.flip is None
    node.world.faults[side].dead = False
    await _assert_in_service(other, Stage.SHADOW)


async def _crash(node: Node) -> None:
    with pytest.raises(NodeDiedError):
        await _flip(node)
    await node.stop()


async def test_a_recovery_without_a_ledger_is_tried_again() -> None:
    """The row stays until somebody can end it."""
    node = await _shadow()
    node.failpoint.name = "flip.holding"
    await _crash(node)
    other = make_node(node.world)
    other.ledger.faults.append(LedgerFault.NOT_MADE)

    with pytest.raises(LedgerUnavailableError):
        await other.flipper.recover(DECISION)

    assert await other.flipper.recover(DECISION)
    await _assert_in_service(other, Stage.SHADOW)


async def test_epochs_say_whether_a_side_answers() -> None:
    """Dead, hanging, or there."""
    node = make_node(stage_options=StageOptions(store_seconds_max=0.01))
    faults = node.world.faults[Side.NEW]

    answers = [await node.epochs.answers(Side.NEW)]
    faults.dead = True
    answers.append(await node.epochs.answers(Side.NEW))
    faults.dead = False
    faults.epochs.append(StoreFault.HANG)
    answers.append(await node.epochs.answers(Side.NEW))

    assert answers == [True, False, False]


async def test_an_epoch_is_never_lowered() -> None:
    """Whoever comes late changes nothing; another ledger's database is an error."""
    node = make_node()
    await node.epochs.raise_to(7, Side)
    await node.epochs.raise_to(5, [Side.NEW])
    foreign = Epochs(_sides_of(node), LedgerIdentity("another", 1), 1.0)

    assert node.world.epochs()[1:] == (7, 7)
    with pytest.raises(ForeignLedgerError):
        await foreign.raise_to(8, [Side.NEW])


def _sides_of(node: Node) -> Sides:
    databases = {side: (node.world.databases[side],) for side in Side}
    return Sides({}, databases, dict.fromkeys(Side, 1.0))


async def test_a_late_undo_of_a_holding_flip_is_seen_by_the_flip() -> None:
    """Somebody undid it while it drained: it ends without touching anything."""
    node = await _shadow()
    _mark(node, KEY)

    async def undo(name: str) -> None:
        flip = node.ledger.migration.flip
        if name == "converge.leased" and flip is not None:
            node.world.rows.apply(partial(undo_flip, flip=flip, decision=DECISION))

    node.failpoint.pause = undo
    with pytest.raises(ChangedMeanwhileError):
        await _flip(node)
    node.failpoint.pause = None

    await _assert_in_service(node, Stage.SHADOW)
