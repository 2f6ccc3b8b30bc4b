"""Adopting a ledger: past everything that the stores remember, and everything is swept again."""

from functools import partial

import pytest

from crossfade.errors import ConfigurationError
from crossfade.ledger.adopt import Adopted, StoresSeen, adopt_ledger
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from tests.unit.ledger.rule_steps import DECISION, Steps


def _adopt(
    steps: Steps,
    token: int,
    epoch: int,
    ledger_id: str = "",
    stage: Stage | None = Stage.SHADOW,
) -> Adopted:
    return steps.apply(
        partial(
            adopt_ledger,
            ledger_id=ledger_id or steps.ledger.identity.ledger_id,
            seen=StoresSeen(token, epoch),
            decision=DECISION,
            stage=stage,
        )
    )


def test_tokens_and_epochs_go_past_what_the_stores_remember() -> None:
    """Otherwise every copy would be refused for ever, without a word."""
    steps = Steps()
    steps.mark_dirty()

    adopted = _adopt(steps, token=5_000, epoch=41)

    assert adopted.migration.epoch == steps.migration.epoch == 42
    assert steps.lease().lease.token > 5_000
    assert (adopted.identity, adopted.identity.incarnation) == (steps.ledger.identity, 2)


def test_lower_numbers_of_the_stores_lower_nothing() -> None:
    """A ledger that is ahead stays ahead; its epoch changes all the same."""
    steps = Steps()
    steps.flip()
    before = steps.migration.epoch

    assert _adopt(steps, token=0, epoch=0).migration.epoch == before + 1


def test_what_was_copied_counts_for_nothing() -> None:
    """What happened since the copy of the ledger was made is unknown."""
    steps = Steps()
    steps.write()
    intent = steps.open((2,))

    _adopt(steps, token=9, epoch=9)

    assert not steps.agreement((3,)).covered
    assert steps.key().dirty
    assert steps.ledger.look(lambda rows: rows.intent(intent.id)) == intent


def test_a_change_of_epoch_under_way_is_passed() -> None:
    """Its coordinator finds that the flip is no longer its own; its epochs are below ours."""
    steps = Steps()
    flip = steps.begin_flip()

    after = _adopt(steps, token=0, epoch=0).migration

    assert (after.flip, after.epoch) == (None, flip.epoch + 3)


def test_the_ledger_is_adopted_by_its_own_name() -> None:
    """A mistaken name changes nothing; who adopted it and why is in the audit."""
    steps = Steps()
    before = steps.ledger.identity
    with pytest.raises(ConfigurationError, match="Name the ledger"):
        _adopt(steps, token=1, epoch=1, ledger_id="f" * 32)
    assert steps.ledger.identity == before

    _adopt(steps, token=7, epoch=1)

    newest = steps.ledger.look(lambda rows: rows.audit(1))[0]
    assert (newest.action, newest.actor, newest.detail["token"]) == ("ledger adopted", "anna", 7)
    assert newest.detail["reason"] == "a test"


def test_a_ledger_that_missed_a_change_of_authority_must_be_told_the_stage() -> None:
    """A new or restored ledger would let legacy answer although new has the newest writes."""
    steps = Steps()
    before = steps.migration

    with pytest.raises(ConfigurationError, match="--stage"):
        _adopt(steps, token=9, epoch=before.epoch + 1, stage=None)

    assert steps.migration == before


def test_the_stage_that_held_last_holds_again() -> None:
    """Behind a barrier: writes of the node that was lost may still be under way."""
    adopted = _adopt(Steps(), token=9, epoch=41, stage=Stage.LIVE).migration

    assert (adopted.stage, adopted.authority) == (Stage.LIVE, Side.NEW)
    assert (adopted.barrier_passed, adopted.untracked_served) == (False, True)
