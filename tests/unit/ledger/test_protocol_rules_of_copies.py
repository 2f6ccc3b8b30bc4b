"""Rules 8, 9 and 12 of the protocol: what a chunk may do, the barrier, generations."""

from dataclasses import replace
from functools import partial

import pytest

from crossfade.errors import ChangedMeanwhileError, GateError
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions import chunks, flips, keys, moves
from crossfade.model.coverage import is_complete
from crossfade.model.key_state import DirtyReason
from crossfade.model.migration_state import FlipPhase
from crossfade.model.plan import KeyStanding
from crossfade.model.stage import Stage
from tests.unit.ledger.rule_steps import DECISION, ENTITY, KEY, Steps

# ---- rule 8: what the close of a chunk may do


def test_the_close_of_a_chunk_clears_no_key() -> None:
    """Rule 8, case 18: a key that is dirty stays dirty; one without a row is covered."""
    steps = Steps(covered=False)
    steps.write()
    assert steps.agreement((2,)).standing is KeyStanding.UNSURE

    assert steps.close_chunk(steps.open_chunk())

    assert steps.key().dirty
    assert steps.agreement((2,)).standing is KeyStanding.AGREES


def test_keys_that_only_the_mirror_has_become_dirty_with_the_close() -> None:
    """Rule 8, case 48: the sweep the other way leaves nothing behind that is not repaired."""
    steps = Steps(covered=False)

    steps.close_chunk(steps.open_chunk(), extra=((5,),))

    assert steps.key((5,)).reason is DirtyReason.EXTRA
    assert steps.agreement((5,)).standing is KeyStanding.UNSURE


def test_a_row_that_could_not_be_copied_is_quarantined_though_covered() -> None:
    """Rule 8: never a silent drop; no lease is taken until it changes."""
    steps = Steps(covered=False)
    chunk = steps.open_chunk()
    steps.apply(
        partial(keys.quarantine_chunk_row, entity=ENTITY, key=KEY, reason="no parent", at=1.0)
    )
    steps.close_chunk(chunk)

    assert (steps.counts().quarantined, steps.try_lease()) == (1, None)
    assert steps.agreement().standing is KeyStanding.UNSURE
    steps.write()
    assert steps.converge()


def test_a_chunk_of_another_epoch_covers_nothing() -> None:
    """Rule 8, case 87: its puts were refused by the stores."""
    steps = Steps(covered=False)
    chunk = steps.open_chunk()
    flip = steps.begin_flip()
    steps.apply(partial(_go_on_fencing, number=flip.id))
    undoing = steps.undo(steps.migration.flip or flip)
    assert undoing is not None
    steps.apply(partial(flips.commit_undo, flip=undoing, decision=DECISION))

    assert not steps.close_chunk(chunk)
    assert not is_complete(steps.ledger.look(lambda rows: rows.entity(ENTITY)).coverage)
    assert steps.counts().open_chunks == 0


def _go_on_fencing(rows: Rows, number: int) -> None:
    """Whatever is open: as a coordinator that had seen it drained before the chunk was open."""
    state = rows.migration()
    assert state.flip is not None
    assert state.flip.id == number
    rows.set_migration(replace(state, flip=replace(state.flip, phase=FlipPhase.FENCING)))


def test_an_abandoned_chunk_covers_nothing() -> None:
    """Rule 8: a refused chunk is run again."""
    steps = Steps(covered=False)
    chunk = steps.open_chunk()
    steps.apply(partial(chunks.abandon_chunk, chunk=chunk))

    assert not steps.close_chunk(chunk)
    assert steps.agreement().covered is False


# ---- rule 9: leaving and entering off


def test_nothing_is_copied_before_the_barrier_has_passed() -> None:
    """Rule 9, cases 43, 49, 91: writes of `off` may be in flight until the epochs are raised."""
    steps = Steps(Stage.OFF, covered=False)
    with pytest.raises(GateError, match="before writes without intent have ended"):
        steps.open_chunk()
    steps.move(Stage.SHADOW)
    with pytest.raises(GateError, match="before writes without intent have ended"):
        steps.open_chunk()
    barrier = steps.begin_barrier()
    with pytest.raises(GateError):
        steps.open_chunk()

    before = steps.migration.epoch
    passed = steps.commit(barrier)

    assert (passed.epoch, passed.barrier_passed, passed.stage) == (before + 1, True, Stage.SHADOW)
    assert steps.close_chunk(steps.open_chunk())


def test_entering_off_voids_what_was_copied() -> None:
    """Rule 9, case 46: writes of `off` are tracked by nobody, so coverage counts for nothing."""
    steps = Steps()
    assert steps.agreement().standing is KeyStanding.AGREES

    steps.move(Stage.OFF)
    steps.move(Stage.SHADOW)

    assert not steps.agreement().covered
    assert not steps.migration.barrier_passed
    assert steps.migration.untracked_served


def test_a_chunk_of_an_earlier_generation_covers_nothing() -> None:
    """Rule 9, case 47: it was opened before `off` was entered again."""
    steps = Steps(covered=False)
    chunk = steps.open_chunk()
    steps.move(Stage.OFF)
    steps.move(Stage.SHADOW)
    # As if the epoch had not changed: the generation alone must be enough.
    assert steps.migration.epoch == chunk.epoch

    assert not steps.close_chunk(chunk)
    assert not steps.agreement().covered


def test_off_entered_beside_a_barrier_goes_past_its_epoch() -> None:
    """Rule 9: what was dropped may still raise the mirror, by an undo to two more."""
    steps = Steps(Stage.OFF, covered=False)
    steps.move(Stage.SHADOW)
    barrier = steps.begin_barrier()
    steps.move(Stage.OFF)

    assert (steps.migration.flip, steps.migration.epoch) == (None, barrier.epoch + 2)
    with pytest.raises(ChangedMeanwhileError):
        steps.commit(barrier)


def test_the_next_barrier_knows_of_untracked_writes() -> None:
    """Rule 9, case 44: a node notes durably that it serves writes without intent."""
    steps = Steps(Stage.OFF, covered=False)
    steps.apply(moves.note_untracked_writes)
    steps.move(Stage.SHADOW)
    assert steps.migration.untracked_served

    steps.commit(steps.begin_barrier())

    assert not steps.migration.untracked_served


# ---- rule 12: the generation contains the mapping's version


def test_a_changed_mapping_asks_for_a_new_sweep() -> None:
    """Rule 12: coverage is void; the same version again changes nothing."""
    steps = Steps()
    declare = partial(chunks.declare_entity, name=ENTITY)
    assert not steps.apply(partial(declare, mapping_version="v1"))
    assert steps.agreement().covered

    assert steps.apply(partial(declare, mapping_version="v2"))

    state = steps.ledger.look(lambda rows: rows.entity(ENTITY))
    assert not is_complete(state.coverage)
    assert state.covered_at == 0
