"""The commit of a flip looks once more: what was drained may not be so any longer."""

from dataclasses import replace
from functools import partial

import pytest

from crossfade.errors import MoveRefusedError
from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.chunks import declare_entity
from crossfade.ledger.transitions.flips import (
    begin_flip,
    commit_flip,
    commit_undo,
    drained,
    entities_held_whole,
    force,
    undo_flip,
)
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.ledger.transitions.moves import Decision
from crossfade.model.key import EVERY_KEY
from crossfade.model.key_state import DirtyReason
from crossfade.model.migration_state import Flip, FlipPhase, MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import Stage

DECISION = Decision("somebody", "it is time", 1.0)


def _ledger(stage: Stage) -> MemoryLedger:
    """Everything copied, both sides at epoch 2."""
    ledger = MemoryLedger()

    def transition(rows: Rows) -> None:
        rows.set_document("entities", "declared", ["order"])
        declare_entity(rows, "order", "1")
        rows.set_entity(replace(rows.entity("order"), coverage=(EVERY_KEY,)))
        state = MigrationState(stage=stage, epoch=2, barrier_passed=True)
        rows.set_migration(state.with_confirmed(Side, 2))

    ledger.apply(transition)
    return ledger


def _fencing(ledger: MemoryLedger, wanted: Stage, *, forced: bool = False) -> Flip:
    flip = ledger.apply(partial(begin_flip, wanted=wanted, decision=DECISION, forced=forced))
    if forced:
        ledger.apply(partial(force, flip=flip))
    else:
        assert ledger.apply(partial(drained, flip=flip)) == ()
    return replace(flip, phase=FlipPhase.FENCING)


def test_coverage_that_was_voided_since_it_was_drained_stops_the_flip() -> None:
    """A crash in between, and a definition with a new mapping: nothing is copied by it."""
    ledger = _ledger(Stage.SHADOW)
    flip = _fencing(ledger, Stage.LIVE)
    ledger.apply(partial(declare_entity, name="order", mapping_version="2"))

    with pytest.raises(MoveRefusedError, match="order"):
        ledger.apply(partial(commit_flip, flip=flip, decision=DECISION))

    assert ledger.migration.stage is Stage.SHADOW


def test_a_key_that_was_marked_since_it_was_drained_stops_the_flip() -> None:
    """A verification found it different: after the flip it would be copied the wrong way."""
    ledger = _ledger(Stage.SHADOW)
    flip = _fencing(ledger, Stage.LIVE)
    mark = partial(mark_dirty, entity="order", keys=[(1,)], reason=DirtyReason.DIFFERENCE, at=1.0)
    ledger.apply(mark)

    with pytest.raises(MoveRefusedError, match="dirty"):
        ledger.apply(partial(commit_flip, flip=flip, decision=DECISION))

    assert ledger.migration.stage is Stage.SHADOW


def test_a_side_that_missed_an_undone_flip_has_lost_nothing() -> None:
    """Its epoch is what it last took, not the ledger's: people try clean first, then force."""
    ledger = _ledger(Stage.LIVE)
    flip = _fencing(ledger, Stage.SHADOW)
    undoing = ledger.apply(partial(undo_flip, flip=flip, decision=DECISION))
    assert undoing is not None
    undo = partial(commit_undo, flip=undoing, decision=DECISION, raised=(Side.LEGACY,))
    ledger.apply(undo)

    forced = _fencing(ledger, Stage.SHADOW, forced=True)
    commit = partial(commit_flip, flip=forced, decision=DECISION, raised=(Side.LEGACY,))
    state = ledger.apply(commit)

    assert (state.epoch, state.lost_side, state.lost_epoch) == (5, Side.NEW, 2)
    assert (state.confirmed(Side.LEGACY), state.confirmed(Side.NEW)) == (5, 2)


def test_entities_that_would_be_held_whole_are_named_before() -> None:
    """Whoever forces a roll-back is told so, not only the number of keys."""
    ledger = _ledger(Stage.LIVE)
    before = ledger.look(entities_held_whole)
    ledger.apply(partial(declare_entity, name="order", mapping_version="2"))

    assert (before, ledger.look(entities_held_whole)) == ((), ("order",))
