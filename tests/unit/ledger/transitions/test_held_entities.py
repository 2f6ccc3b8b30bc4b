"""An entity that is held as a whole: nothing of it moves until an operator lets go of it."""

from dataclasses import replace
from functools import partial

import pytest

from crossfade.errors import GateError
from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.chunks import open_chunk
from crossfade.ledger.transitions.held import release_entity, take_back
from crossfade.ledger.transitions.keys import mark_dirty, take_lease
from crossfade.ledger.transitions.moves import Decision
from crossfade.model.coverage import NOTHING
from crossfade.model.key import EVERY_KEY
from crossfade.model.key_state import DirtyReason
from crossfade.model.migration_state import MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import Stage

DECISION = Decision("somebody", "it has to go on", 1.0)


def _held_ledger() -> MemoryLedger:
    """`shadow` after a forced roll-back with an entity that was not completely copied."""
    ledger = MemoryLedger()

    def transition(rows: Rows) -> None:
        rows.set_document("entities", "declared", ["order"])
        rows.set_migration(
            MigrationState(
                stage=Stage.SHADOW,
                barrier_passed=True,
                epoch=3,
                holds_keys=True,
                lost_side=Side.NEW,
                lost_epoch=2,
            )
        )
        entity = rows.entity("order")
        rows.set_entity(replace(entity, held_authority=Side.NEW, coverage=(EVERY_KEY,)))
        mark_dirty(rows, "order", [(1,)], DirtyReason.WRITE, 1.0)

    ledger.apply(transition)
    return ledger


def test_nothing_of_it_converges_or_is_copied() -> None:
    """Nobody knows which of its keys are newer on which side."""
    ledger = _held_ledger()

    lease = ledger.apply(partial(take_lease, entity="order", key=(1,), owner="me", at=1.0))

    assert lease is None
    with pytest.raises(GateError, match="held"):
        ledger.apply(partial(open_chunk, entity="order", range_=EVERY_KEY, owner="me"))


@pytest.mark.parametrize("store_epoch", [1, 2])
def test_it_stays_with_the_operator_when_the_lost_side_returns(store_epoch: int) -> None:
    """With older data or not: the legacy value must not be copied over a newer one."""
    ledger = _held_ledger()

    ledger.apply(partial(take_back, store_epoch=store_epoch, decision=DECISION))

    assert ledger.look(lambda rows: rows.entity("order").held_authority) is Side.NEW


def test_letting_go_of_it_needs_a_new_copy() -> None:
    """The side that answers has authority, and nothing of the entity counts as copied."""
    ledger = _held_ledger()
    generation = ledger.look(lambda rows: rows.entity("order").generation)

    released = ledger.apply(partial(release_entity, name="order", decision=DECISION))
    again = ledger.apply(partial(release_entity, name="order", decision=DECISION))

    entity = ledger.look(lambda rows: rows.entity("order"))
    assert (released, again) == (True, False)
    assert (entity.held_authority, entity.coverage) == (None, NOTHING)
    assert entity.generation == generation + 1
