"""The use cases of stage moves: refused with reasons, or made and written down."""

import pytest

from crossfade.errors import (
    ChangedMeanwhileError,
    GateError,
    IllegalMoveError,
    KeyHeldError,
    MoveRefusedError,
    StoreUnreachableError,
    WritesHeldError,
)
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.model.key import Key
from crossfade.model.key_state import DirtyReason
from crossfade.model.side import Side
from crossfade.model.stage import MOVES, MoveKind, Stage
from crossfade.observability.events import StageMoved
from crossfade.stages.effects import effects_of
from crossfade.stages.stages import MoveRequest
from tests.builders import CUSTOMERS, Node, World, make_node, make_operation
from tests.fake_seams import StoreFault
from tests.fake_services import put_value, read_value
from tests.settling import start_live, start_shadow

KEY: Key = (1,)
REQUEST = MoveRequest("ada", "the plan says so")


async def _last_entry(node: Node) -> tuple[str, str]:
    entry = node.ledger.look(lambda rows: rows.audit(1))[0]
    return entry.actor, entry.action


async def test_leaving_off_needs_both_sides() -> None:
    """The gate says what is down; the refusal is part of the history."""
    node = make_node()
    await node.epochs.raise_to(0, Side)
    node.world.faults[Side.NEW].dead = True

    with pytest.raises(MoveRefusedError) as refused:
        await node.stages.promote(Stage.SHADOW, REQUEST)

    assert any("new" in reason for reason in refused.value.reasons)
    assert await _last_entry(node) == ("ada", "move refused")
    node.world.faults[Side.NEW].dead = False
    report = await node.stages.promote(Stage.SHADOW, REQUEST)
    assert (report.current, report.wanted) == (Stage.OFF, Stage.SHADOW)
    assert await _last_entry(node) == ("ada", "stage moved")
    assert len(node.events_of(StageMoved)) == 1


async def test_tables_that_are_missing_are_told_apart_from_databases_that_are_down() -> None:
    """They are made, not waited for."""
    node = make_node()
    node.world.databases[Side.NEW].disk.prepared = False

    plan = await node.stages.plan(Stage.SHADOW)

    assert not plan.allowed
    assert node.ledger.migration.stage is Stage.OFF


async def test_a_cut_over_needs_evidence() -> None:
    """Nothing was verified yet: the plan says why not, the promotion changes nothing."""
    world = World()
    world.operations = {"GET": make_operation("GET")}
    node = await start_shadow(world, {KEY: "old"})
    plan = await node.stages.plan(Stage.LIVE)

    with pytest.raises(MoveRefusedError):
        await node.stages.promote(Stage.LIVE, REQUEST)

    assert (plan.kind, plan.allowed) == (MoveKind.FLIP, False)
    assert node.ledger.migration.stage is Stage.SHADOW


async def test_a_gate_that_does_not_exist_cannot_be_waived() -> None:
    """Nor one that guards data."""
    node = await start_shadow()

    with pytest.raises(GateError, match="no gate of this move"):
        await node.stages.promote(Stage.LIVE, MoveRequest("ada", waive=("hope",)))


@pytest.mark.parametrize("wanted", [Stage.COMPLETED, Stage.OFF])
async def test_only_neighbours_can_be_planned(wanted: Stage) -> None:
    """From `live`, that is `shadow` and `completed`; from `shadow` not `completed`."""
    node = await start_live() if wanted is Stage.OFF else await start_shadow()

    with pytest.raises(IllegalMoveError):
        await node.stages.plan(wanted)


async def test_forward_is_no_roll_back_and_back_no_promotion() -> None:
    """Each says what the way is."""
    node = await start_shadow()

    with pytest.raises(IllegalMoveError, match="off"):
        await node.stages.rollback(Stage.LIVE, REQUEST)
    with pytest.raises(IllegalMoveError, match="live"):
        await node.stages.promote(Stage.OFF, REQUEST)


async def test_a_roll_back_asks_no_gate() -> None:
    """From `live` by a flip, from `shadow` at once."""
    node = await start_live(values={KEY: "old"})

    flipped = await node.finish(node.stages.rollback(Stage.SHADOW, REQUEST))
    moved = await node.stages.rollback(Stage.OFF, MoveRequest("ada", pause_seconds_max=1.0))

    assert (flipped.wanted, moved.wanted, moved.pause_ms) == (Stage.SHADOW, Stage.OFF, 0.0)
    assert node.ledger.migration.stage is Stage.OFF


async def test_who_saw_an_older_decision_changes_nothing() -> None:
    """Two operators: the slower one looks again."""
    node = await start_live()

    with pytest.raises(ChangedMeanwhileError):
        await node.stages.rollback(Stage.SHADOW, MoveRequest("ada", expected=0))

    assert node.ledger.migration.stage is Stage.LIVE


async def test_a_dead_authority_is_left_by_force_only() -> None:
    """It says first how many keys would be held."""
    node = await start_live(values={KEY: "old"})
    node.world.rows.apply(lambda rows: mark_dirty(rows, CUSTOMERS, [KEY], DirtyReason.REPAIR, 0.0))
    node.world.faults[Side.NEW].dead = True

    with pytest.raises(GateError, match="1 key"):
        await node.stages.rollback(Stage.SHADOW, REQUEST)
    report = await node.stages.rollback(Stage.SHADOW, REQUEST, force=True)

    assert (report.held_keys, node.ledger.migration.stage) == (1, Stage.SHADOW)


async def _held() -> Node:
    node = await start_live(values={KEY: "old"})
    node.world.rows.apply(lambda rows: mark_dirty(rows, CUSTOMERS, [KEY], DirtyReason.REPAIR, 0.0))
    node.world.faults[Side.NEW].dead = True
    await node.stages.rollback(Stage.SHADOW, REQUEST, force=True)
    return node


async def test_a_held_key_is_released_by_name() -> None:
    """What only the dead side has is given up; the side that answers serves the key again."""
    node = await _held()
    with pytest.raises(KeyHeldError):
        await node.read(read_value(KEY), KEY)

    await node.stages.release_held(CUSTOMERS, KEY, REQUEST)

    assert (await node.read(read_value(KEY), KEY))[0].value == "old"
    assert await _last_entry(node) == ("ada", "held key released")


async def test_a_release_that_the_store_does_not_answer_is_repeated() -> None:
    """The key stays held; nothing may converge it meanwhile."""
    node = await _held()
    node.world.faults[Side.LEGACY].puts.append(StoreFault.UNREACHABLE)

    with pytest.raises(StoreUnreachableError):
        await node.stages.release_held(CUSTOMERS, KEY, REQUEST)
    between = node.world.key(KEY)
    await node.stages.release_held(CUSTOMERS, KEY, REQUEST)

    assert (between.releasing, between.held_authority) == (True, Side.NEW)
    assert node.world.key(KEY).held_authority is None


async def test_a_release_that_the_store_refuses_is_an_error() -> None:
    """Its epoch is another one: somebody else is at work."""
    node = await _held()
    await node.epochs.raise_to(99, [Side.LEGACY])

    with pytest.raises(GateError, match="the store refused"):
        await node.stages.release_held(CUSTOMERS, KEY, REQUEST)


async def test_a_freeze_holds_until_it_ends() -> None:
    """Whoever ends a freeze that is not there is told so."""
    node = make_node()

    await node.stages.freeze(REQUEST)
    with pytest.raises(WritesHeldError):
        await node.finish(node.write(put_value(KEY, "fresh"), KEY))
    ended = [await node.stages.unfreeze(REQUEST) for _ in range(2)]

    assert ended == [True, False]
    assert (await node.write(put_value(KEY, "fresh"), KEY)).acknowledged


async def test_retire_ends_the_write_back_and_takes_the_tables_out() -> None:
    """It may be repeated, and only from `completed`."""
    node = await start_live(values={KEY: "old"})
    with pytest.raises(GateError):
        await node.stages.retire(REQUEST)
    await node.move(Stage.COMPLETED)

    states = [await node.stages.retire(REQUEST) for _ in range(2)]

    assert [state.retired for state in states] == [True, True]
    assert [node.world.databases[side].disk.prepared for side in Side] == [False, False]


@pytest.mark.parametrize(("move", "kind"), MOVES.items(), ids=str)
def test_every_move_says_what_it_does(move: tuple[Stage, Stage], kind: MoveKind) -> None:
    """Who has authority, what happens to writes, what it costs."""
    current, wanted = move

    effects = effects_of(current, wanted, kind)

    assert "authority" in effects[0]
    assert len(effects) >= 3
