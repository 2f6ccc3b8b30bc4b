"""Rules 1 to 7 of the protocol: writes, leases, copies, doubt; each has a test that needs it."""

from collections.abc import Callable
from functools import partial

import pytest

from crossfade.errors import LedgerUnavailableError, WritesHeldError
from crossfade.ledger.transitions import intents, keys
from crossfade.model.intent import Doubt
from crossfade.model.key import KeyRange
from crossfade.model.key_state import DirtyReason
from crossfade.model.plan import KeyStanding
from crossfade.model.stage import Stage
from tests.unit.ledger.rule_steps import ENTITY, KEY, Steps

# ---- rule 1: intent first


def test_an_open_intent_makes_its_keys_dirty_before_any_side_is_touched() -> None:
    """Rule 1: whatever happens from here on, the keys are on the repair list."""
    steps = Steps()
    intent = steps.open((1,), (2,))

    assert [steps.key(key).dirty for key in ((1,), (2,), (3,))] == [True, True, False]
    assert steps.ledger.look(lambda rows: rows.intent(intent.id)) == intent
    assert (intent.epoch, intent.authority) == (steps.migration.epoch, steps.migration.authority)


def test_without_the_ledger_no_write_begins() -> None:
    """Rule 1: a ledger that is down refuses the write."""
    steps = Steps()
    steps.ledger._closed = True  # noqa: SLF001 - as if it could not be reached

    with pytest.raises(LedgerUnavailableError):
        steps.open()


@pytest.mark.parametrize("stage", [Stage.OFF, Stage.READ_ONLY])
def test_a_stage_without_tracked_writes_opens_no_intent(stage: Stage) -> None:
    """Rule 1: an intent says that both sides follow; where they do not, there is none."""
    steps = Steps(stage, covered=False)

    with pytest.raises(WritesHeldError, match=f"the stage is {stage}"):
        steps.open()
    assert steps.counts().open_intents == 0


# ---- rule 2: the writer never clears


@pytest.mark.parametrize("writes", [1, 2])
def test_a_write_that_has_ended_leaves_its_keys_dirty(writes: int) -> None:
    """Rule 2, case 34: a replay that was answered proves nothing; only converge clears."""
    steps = Steps()
    for _ in range(writes):
        steps.write()

    assert steps.key().dirty
    assert steps.agreement().standing is KeyStanding.UNSURE
    assert steps.converge()
    assert not steps.key().dirty


def test_a_closed_intent_has_nothing_to_close() -> None:
    """Rule 2: a second close, by the resolver, changes nothing."""
    steps = Steps()
    intent = steps.open()
    assert steps.close(intent) == (KEY,)
    before = steps.key()

    assert steps.close(intent) == ()
    assert steps.key() == before


# ---- rule 3: every start and every end takes a number


def _open(steps: Steps) -> Callable[[], object]:
    return steps.open


def _close(steps: Steps) -> Callable[[], object]:
    intent = steps.open()
    return lambda: steps.close(intent)


def _bind(steps: Steps) -> Callable[[], object]:
    intent = steps.create()
    bind = partial(intents.bind_intent, intent_id=intent.id, key=KEY, at=1.0)
    return lambda: steps.apply(bind)


def _settle_unbound(steps: Steps) -> Callable[[], object]:
    intent = steps.create()
    settle = partial(intents.settle_unbound, intent_id=intent.id, found=[KEY], at=1.0)
    return lambda: steps.apply(settle)


def _lease(steps: Steps) -> Callable[[], object]:
    steps.mark_dirty()
    return steps.lease


def _mark(steps: Steps) -> Callable[[], object]:
    return steps.mark_dirty


def _set_aside(steps: Steps) -> Callable[[], object]:
    set_aside = partial(keys.quarantine_chunk_row, entity=ENTITY, key=KEY, reason="x", at=1.0)
    return lambda: steps.apply(set_aside)


def _extra(steps: Steps) -> Callable[[], object]:
    chunk = steps.open_chunk()
    return lambda: steps.close_chunk(chunk, extra=(KEY,))


EVENTS = [_open, _close, _bind, _settle_unbound, _lease, _mark, _set_aside, _extra]


@pytest.mark.parametrize("prepare", EVENTS, ids=lambda one: one.__name__.strip("_"))
def test_everything_that_may_write_takes_a_new_number(
    prepare: Callable[[Steps], Callable[[], object]],
) -> None:
    """Rule 3, cases 1 to 3: whoever compares the key's seq sees that something happened."""
    steps = Steps()
    happen = prepare(steps)
    before = steps.key().seq
    handed_out = steps.ledger.tables.sequence

    happen()

    assert steps.key().seq > before
    assert steps.key().seq > handed_out
    assert steps.key().dirty


def test_a_chunk_opening_takes_a_new_number() -> None:
    """Rule 3: the chunk's token is higher than every lease before it, lower than all after."""
    steps = Steps()
    steps.mark_dirty()
    before = steps.lease().lease.token
    chunk = steps.open_chunk()

    assert before < chunk.token < steps.lease("other").lease.token


# ---- rule 4: converge clears only what nothing has touched since


def test_a_key_written_since_the_lease_is_not_cleared() -> None:
    """Rule 4: its seq is not the lease's any more."""
    steps = Steps()
    steps.write()
    grant = steps.lease()
    steps.write()

    assert not steps.release(grant)
    assert steps.key().dirty
    assert steps.key().lease is None


def test_a_key_with_an_open_intent_is_not_cleared() -> None:
    """Rule 4, case 2: the write may still be applied after the read of the authority."""
    steps = Steps()
    intent = steps.open()

    assert not steps.release(steps.lease())
    steps.close(intent)
    assert steps.converge()


def test_a_lease_that_is_no_longer_ours_clears_nothing() -> None:
    """Rules 4 and 5, case 15: the other one's put may be behind ours, or before it."""
    steps = Steps()
    steps.write()
    mine = steps.lease("me")
    other = steps.lease("other")

    assert not steps.release(mine)
    assert steps.key().lease == other.lease
    assert steps.release(other)


def test_a_chunk_opened_since_the_lease_keeps_the_key_dirty() -> None:
    """Cases 49 to 51: the chunk may have passed over the key before the lease's put."""
    steps = Steps()
    steps.write()
    grant = steps.lease()
    chunk = steps.open_chunk(KeyRange((0,), (5,)))
    steps.close_chunk(chunk)

    assert not steps.release(grant)
    assert steps.converge()


@pytest.mark.parametrize("range_", [KeyRange((1,), (5,)), KeyRange(None, (0,))])
def test_a_chunk_over_other_keys_does_not_matter(range_: KeyRange) -> None:
    """The lower bound of a range is not in it: only chunks over the key count."""
    steps = Steps()
    steps.write()
    grant = steps.lease()
    steps.open_chunk(range_)

    assert steps.release(grant)


# ---- rule 5: leases and chunks are superseded, never forgotten


def test_a_lease_is_superseded_by_a_higher_token() -> None:
    """Rule 5, case 14: whoever takes over gets a token that fences the one before."""
    steps = Steps()
    steps.write()
    mine, other = steps.lease("me"), steps.lease("other")

    assert other.lease.token > mine.lease.token
    assert steps.key().lease == other.lease


def test_an_abandoned_lease_takes_nothing_from_its_successor() -> None:
    """Rule 5: giving up a superseded lease leaves the successor's alone."""
    steps = Steps()
    steps.write()
    mine, other = steps.lease("me"), steps.lease("other")
    steps.apply(partial(keys.abandon_lease, grant=mine))
    steps.apply(partial(keys.quarantine_key, grant=mine, reason="too late"))

    assert (steps.key().lease, steps.key().quarantine) == (other.lease, None)


def test_a_superseded_release_brings_no_forgotten_row_back() -> None:
    """Rule 5: a key that was cleared and forgotten by others stays without a row."""
    steps = Steps()
    steps.write()
    mine, other = steps.lease("me"), steps.lease("other")
    steps.release(other)
    steps.apply(partial(keys.forget_clean_keys, entity=ENTITY, limit=10))

    steps.release(mine)

    assert steps.ledger.tables.keys == {}


def test_a_chunk_left_behind_is_closed_by_its_successor() -> None:
    """Rule 5: until then it is open, and a cut-over waits for it."""
    steps = Steps()
    left_behind = steps.open_chunk(KeyRange((1,), (3,)))
    elsewhere = steps.open_chunk(KeyRange((5,), (9,)))
    assert steps.counts().open_chunks == 2

    steps.close_chunk(steps.open_chunk(KeyRange((0,), (4,))))

    assert steps.ledger.look(lambda rows: rows.open_chunks()) == [elsewhere]
    assert not steps.close_chunk(left_behind), "a superseded chunk covers nothing"


# ---- rule 6: every copy carries token and epoch


def test_every_grant_carries_a_higher_token_and_the_epoch() -> None:
    """Rule 6: also after a failed attempt; the epoch is the ledger's at that moment."""
    steps = Steps()
    tokens = []
    for _ in range(3):
        steps.mark_dirty()
        grant = steps.lease()
        steps.apply(partial(keys.abandon_lease, grant=grant))
        tokens.append(grant.lease.token)
        tokens.append(steps.open_chunk().token)
        assert grant.epoch == steps.migration.epoch

    assert sorted(set(tokens)) == tokens


def test_after_a_flip_copies_carry_the_new_epoch_and_direction() -> None:
    """Rule 6: the mirror is legacy now, and only the new epoch is obeyed."""
    steps = Steps()
    before = steps.migration
    steps.flip()
    steps.write()

    grant = steps.lease()

    assert grant.epoch == before.epoch + 1
    assert grant.authority is before.mirror


# ---- rule 7: in doubt


@pytest.mark.parametrize("doubt", [Doubt.AUTHORITY, Doubt.MIRROR])
def test_a_write_in_doubt_stays_open_until_it_is_settled(doubt: Doubt) -> None:
    """Rule 7, cases 35, 36: converge may run, but clears nothing, and no flip passes."""
    steps = Steps()
    intent = steps.open()
    steps.apply(partial(intents.doubt_intent, intent_id=intent.id, doubt=doubt))

    assert not steps.converge()
    assert steps.counts().doubtful_intents == 1
    flip = steps.begin_flip()
    assert any("1 open write" in one for one in steps.drained(flip))

    steps.close(intent)
    assert steps.converge()
    assert steps.drained(flip) == ()


def test_an_unbound_create_keeps_its_whole_entity_unsure() -> None:
    """Rule 7: nobody knows which key it made; bound, it is that key's affair."""
    steps = Steps()
    intent = steps.create()
    assert steps.agreement((99,)).standing is KeyStanding.UNSURE

    bound = steps.apply(partial(intents.bind_intent, intent_id=intent.id, key=(7,), at=1.0))

    assert bound is not None
    assert bound.keys == ((7,),)
    assert steps.agreement((99,)).standing is KeyStanding.AGREES
    assert steps.agreement((7,)).standing is KeyStanding.UNSURE
    assert steps.close(intent) == ((7,),)


def test_a_create_is_bound_once() -> None:
    """Rule 7: a second answer, or one for a settled intent, changes nothing."""
    steps = Steps()
    intent = steps.create()
    bind = partial(intents.bind_intent, intent_id=intent.id, key=(7,), at=1.0)
    bound = steps.apply(bind)
    before = steps.key((7,))

    assert steps.apply(bind) == bound
    assert steps.key((7,)) == before
    steps.close(intent)
    assert steps.apply(bind) is None
    assert steps.counts().unbound_creates == 0


def test_a_settled_create_marks_what_it_may_have_made() -> None:
    """Rule 7: keys that the ledger did not know become dirty, the entity agrees again."""
    steps = Steps()
    intent = steps.create()
    settle = partial(intents.settle_unbound, intent_id=intent.id, found=[(7,), (8,)], at=1.0)

    assert steps.apply(settle) == ((7,), (8,))
    assert steps.key((7,)).reason is DirtyReason.UNBOUND
    assert steps.agreement((99,)).standing is KeyStanding.AGREES
    assert steps.apply(settle) == ()
