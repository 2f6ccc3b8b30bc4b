"""Rule 10 of the protocol: a forced roll-back holds what only the dead side may have."""

from functools import partial

import pytest

from crossfade.errors import GateError, KeyHeldError
from crossfade.ledger.transitions import chunks, flips, held
from crossfade.model.plan import KeyStanding
from crossfade.model.side import Side
from tests.unit.ledger.rule_steps import DECISION, ENTITY, KEY, Steps


def test_only_a_forced_roll_back_goes_on_with_open_keys() -> None:
    """Rule 10: a clean flip never skips what is open."""
    steps = Steps()
    steps.open()
    flip = steps.begin_flip()

    with pytest.raises(GateError, match="only a forced"):
        steps.apply(partial(flips.force, flip=flip))


def test_a_forced_roll_back_holds_the_keys_at_risk() -> None:
    """Cases 63, 64: dirty, open and quarantined keys answer nobody; the others go on."""
    steps = Steps()
    steps.flip()
    intent = steps.open((1,))
    steps.close(steps.open((2,)))
    grant = steps.lease(key=(2,))

    rolled_back = steps.force()

    assert (rolled_back.authority, rolled_back.lost_side) == (Side.LEGACY, Side.NEW)
    assert [steps.agreement(key).standing for key in ((1,), (2,), (3,))] == [
        KeyStanding.HELD, KeyStanding.HELD, KeyStanding.AGREES,
    ]  # fmt: skip
    for key in ((1,), (2,)):
        with pytest.raises(KeyHeldError):
            steps.open(key)
    assert not steps.release(grant), "a lease from before must not clear a held key"
    steps.close(intent)
    steps.close(steps.open((3,)))


def test_an_entity_that_was_not_copied_is_held_as_a_whole() -> None:
    """Cases 65, 66: keys that cannot be told apart are all held."""
    steps = Steps()
    steps.flip()
    steps.apply(partial(chunks.declare_entity, name=ENTITY, mapping_version="v2"))

    steps.force()

    assert steps.agreement((77,)).standing is KeyStanding.HELD
    with pytest.raises(KeyHeldError):
        steps.open((77,))


def test_a_held_key_converges_from_the_side_that_has_its_newest_value() -> None:
    """Case 63: the dead side answers again; what it has is copied back, then the key is free."""
    steps = Steps()
    steps.flip()
    steps.write()
    rolled_back = steps.force()
    steps.apply(partial(held.take_back, store_epoch=rolled_back.lost_epoch, decision=DECISION))

    grant = steps.lease()

    assert grant.authority is Side.NEW
    assert steps.release(grant)
    assert steps.agreement().standing is KeyStanding.AGREES
    assert steps.agreement().authority is Side.LEGACY


def test_a_key_that_is_being_released_takes_no_lease() -> None:
    """Case 88: first no lease can be taken, then the store's token goes up, then the commit."""
    steps = Steps()
    steps.flip()
    steps.write()
    steps.force()
    token = steps.apply(partial(held.begin_release, entity=ENTITY, key=KEY))

    assert steps.try_lease() is None
    assert token > steps.key().seq
    steps.apply(partial(held.commit_release, entity=ENTITY, key=KEY, decision=DECISION))
    grant = steps.lease()
    assert (grant.authority, grant.lease.token > token) == (Side.LEGACY, True)
    assert steps.release(grant)


def test_only_a_held_key_is_released() -> None:
    """Case 67: a release that was not begun commits nothing."""
    steps = Steps()
    with pytest.raises(GateError, match="not held"):
        steps.apply(partial(held.begin_release, entity=ENTITY, key=KEY))
    before = steps.key()

    steps.apply(partial(held.commit_release, entity=ENTITY, key=KEY, decision=DECISION))

    assert steps.key() == before


def test_a_side_that_comes_back_with_older_data_is_not_believed() -> None:
    """Cases 93 to 95: coverage is void, and held keys stay with the operator."""
    steps = Steps()
    steps.flip()
    steps.write()
    rolled_back = steps.force()

    steps.apply(partial(held.take_back, store_epoch=rolled_back.lost_epoch - 1, decision=DECISION))

    assert steps.try_lease() is None
    assert steps.agreement().standing is KeyStanding.HELD
    assert not steps.agreement((3,)).covered
    assert steps.migration.lost_side is None
