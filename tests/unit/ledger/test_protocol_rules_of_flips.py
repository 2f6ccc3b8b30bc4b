"""Rule 10 of the protocol: the authority changes by a flip, which can be undone until the end."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from crossfade.errors import ChangedMeanwhileError, GateError, WritesHeldError
from crossfade.ledger.transitions import chunks, flips, keys, moves
from crossfade.model.key import KeyRange
from crossfade.model.migration_state import FlipKind, FlipPhase
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from tests.unit.ledger.rule_steps import DECISION, ENTITY, KEY, Steps

# ---- rule 10: the authority changes by a flip


def _unbound(steps: Steps) -> str:
    steps.create()
    return "1 create without a known id"


def _intent(steps: Steps) -> str:
    steps.open()
    return "1 open write"


def _dirty(steps: Steps) -> str:
    steps.write()
    return "1 dirty key"


def _lease(steps: Steps) -> str:
    steps.write()
    steps.lease()
    return "1 key being converged"


def _quarantine(steps: Steps) -> str:
    steps.write()
    steps.apply(partial(keys.quarantine_key, grant=steps.lease(), reason="no parent"))
    return "1 quarantined key"


def _chunk(steps: Steps) -> str:
    steps.open_chunk(KeyRange((1,), (2,)))
    return "1 open chunk"


def _held_key(steps: Steps) -> str:
    state = steps.hold_key(Side.NEW)
    assert state.held_authority is Side.NEW
    return "1 held key"


def _gap(steps: Steps) -> str:
    steps.apply(partial(chunks.declare_entity, name=ENTITY, mapping_version="v2"))
    return "order is not completely copied"


OBSTACLES = [_unbound, _intent, _dirty, _lease, _quarantine, _chunk, _held_key, _gap]


@pytest.mark.parametrize("prepare", OBSTACLES, ids=lambda one: one.__name__.strip("_"))
def test_a_flip_waits_for_everything_that_is_open(prepare: Callable[[Steps], str]) -> None:
    """Rule 10, case 53: each thing alone keeps the flip from fencing, and is named."""
    steps = Steps()
    obstacle = prepare(steps)
    flip = steps.begin_flip()

    assert any(one.startswith(obstacle) for one in steps.drained(flip))
    assert steps.migration.flip == flip
    with pytest.raises(ChangedMeanwhileError):
        steps.commit(flip)


def test_a_waived_key_lets_the_flip_pass() -> None:
    """Rule 10: by name, an operator lets a quarantined key be left behind."""
    steps = Steps()
    _quarantine(steps)
    assert steps.apply(partial(keys.waive_key, entity=ENTITY, key=KEY))

    assert steps.flip().stage is Stage.LIVE


def test_writers_wait_from_the_first_phase_to_the_commit() -> None:
    """Rule 10, case 55: nobody is let in before the ledger's commit."""
    steps = Steps()
    flip = steps.begin_flip()
    with pytest.raises(WritesHeldError, match="authority is changing"):
        steps.open()
    steps.drained(flip)
    with pytest.raises(WritesHeldError):
        steps.open()
    assert steps.migration.stage is Stage.SHADOW

    after = steps.commit(flip)

    assert (after.stage, after.authority, after.epoch) == (Stage.LIVE, Side.NEW, flip.epoch + 1)
    assert steps.open().authority is Side.NEW


def test_no_chunk_opens_while_the_authority_changes() -> None:
    """Rule 10: a chunk read from the one side must not be put on it by the time it lands."""
    steps = Steps()
    steps.begin_flip()

    with pytest.raises(GateError, match="while the authority changes"):
        steps.open_chunk()


def test_a_flip_in_its_first_phase_is_undone_without_a_trace() -> None:
    """Rule 10: no store was touched, so the epoch stays."""
    steps = Steps()
    before = steps.migration
    flip = steps.begin_flip()

    assert steps.undo(flip) is None
    assert steps.migration == before
    steps.write()


def test_a_flip_that_was_fencing_is_undone_past_its_epoch() -> None:
    """Rule 10, case 60: a late bump of the undone flip can change nothing."""
    steps = Steps()
    flip = steps.begin_flip()
    steps.drained(flip)

    undoing = steps.undo(flip)

    assert undoing is not None
    with pytest.raises(WritesHeldError):
        steps.open()
    with pytest.raises(ChangedMeanwhileError):
        steps.commit(flip)
    undone = steps.apply(partial(flips.commit_undo, flip=undoing, decision=DECISION))
    assert (undone.epoch, undone.flip, undone.stage) == (flip.epoch + 2, None, Stage.SHADOW)


def test_every_step_of_a_flip_tests_that_it_is_still_the_same() -> None:
    """Rule 10, case 59: a paused coordinator wakes after another has finished or undone it."""
    steps = Steps()
    flip = steps.begin_flip()
    steps.undo(flip)
    other = steps.begin_flip()
    steps.drained(other)

    for step in (steps.drained, steps.commit, steps.undo):
        with pytest.raises(ChangedMeanwhileError):
            step(flip)
    with pytest.raises(ChangedMeanwhileError):
        steps.apply(partial(flips.commit_undo, flip=flip, decision=DECISION))
    assert steps.commit(other).stage is Stage.LIVE


def test_one_change_of_epoch_at_a_time() -> None:
    """Rule 10, case 97: a flip and a barrier exclude each other, whoever comes first."""
    steps = Steps()
    steps.begin_flip()
    with pytest.raises(GateError, match="already changing"):
        steps.begin_flip()

    steps = Steps(Stage.OFF, covered=False)
    steps.move(Stage.SHADOW)
    steps.begin_barrier()
    with pytest.raises(GateError, match="already changing"):
        steps.begin_flip()
    with pytest.raises(GateError, match="already changing"):
        steps.begin_barrier()


def test_no_plain_move_beside_a_flip() -> None:
    """Rule 10: nor does a plain move change the authority."""
    steps = Steps()
    with pytest.raises(GateError, match="needs a flip"):
        steps.move(Stage.LIVE)
    steps.begin_flip()

    with pytest.raises(GateError, match="epoch is changing"):
        steps.move(Stage.READ_ONLY)


def test_a_barrier_and_a_flip_differ_in_what_they_hold() -> None:
    """Rule 10: only a change of authority holds writers; a barrier lets them go on."""
    steps = Steps(Stage.OFF, covered=False)
    steps.move(Stage.SHADOW)
    barrier = steps.begin_barrier()

    assert (barrier.kind, barrier.phase) == (FlipKind.BARRIER, FlipPhase.FENCING)
    steps.write()


def test_an_actor_who_saw_another_decision_is_refused() -> None:
    """Rule 10: between looking and deciding somebody else may have moved."""
    steps = Steps()
    late = replace(DECISION, expected=steps.migration.decision)
    steps.move(Stage.READ_ONLY)

    with pytest.raises(ChangedMeanwhileError, match="Look again"):
        steps.apply(partial(moves.move_stage, wanted=Stage.SHADOW, decision=late))


def test_a_retired_migration_moves_no_more() -> None:
    """Only a completed migration with nothing open is retired, and that is the end."""
    steps = Steps()
    retire = partial(moves.retire, decision=DECISION)
    with pytest.raises(GateError, match="only a completed"):
        steps.apply(retire)
    steps.flip()
    steps.move(Stage.COMPLETED)
    steps.mark_dirty()
    with pytest.raises(GateError, match="still open"):
        steps.apply(retire)
    steps.converge()

    assert steps.apply(retire).retired
    with pytest.raises(GateError, match="retired"):
        steps.move(Stage.LIVE)
