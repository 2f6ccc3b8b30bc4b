"""Closing an intent and leasing its key: two transitions, one transaction."""

from functools import partial

from crossfade.execution.closing import Closed, bind_created, close_and_lease
from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.transitions.intents import (
    OpenedIntent,
    WriteRequest,
    close_intent,
    open_intent,
    settle_unbound,
)
from crossfade.ledger.transitions.keys import release_lease
from crossfade.ledger.transitions.moves import move_stage
from crossfade.model.key import Key
from crossfade.model.key_state import KeyState
from crossfade.model.stage import Stage
from tests.builders import CUSTOMERS, DECISION

KEY: Key = (1,)
OTHER: Key = (2,)


def _ledger() -> MemoryLedger:
    ledger = MemoryLedger()
    ledger.apply(partial(move_stage, wanted=Stage.SHADOW, decision=DECISION))
    return ledger


def _open(ledger: MemoryLedger, *keys: Key) -> OpenedIntent:
    request = WriteRequest(CUSTOMERS, keys, "PUT /customers/{id}", "node-1")
    return ledger.apply(partial(open_intent, request=request, at=1.0))


def _close(ledger: MemoryLedger, opened: OpenedIntent, owner: str | None = "node-1") -> Closed:
    return ledger.apply(partial(close_and_lease, opened=opened, owner=owner, at=2.0))


def _state(ledger: MemoryLedger, key: Key = KEY) -> KeyState:
    return ledger.look(lambda rows: rows.key(CUSTOMERS, key))


def test_the_key_is_dirty_and_leased_and_a_put_under_the_lease_clears_it() -> None:
    """The end takes a number, the lease a higher one, and nobody can have come in between."""
    ledger = _ledger()
    opened = _open(ledger, KEY)

    closed = _close(ledger, opened)

    assert (closed.keys, closed.undisturbed) == ((KEY,), True)
    assert closed.grant is not None
    assert closed.grant.lease.token == _state(ledger).seq == opened.seqs[0] + 2
    assert (_state(ledger).dirty, _state(ledger).lease) == (True, closed.grant.lease)
    assert ledger.apply(partial(release_lease, grant=closed.grant))
    assert not _state(ledger).dirty


def test_a_write_that_began_meanwhile_keeps_the_key_dirty() -> None:
    """The lease does not clear a key whose other write is open (rule 4)."""
    ledger = _ledger()
    first, second = _open(ledger, KEY), _open(ledger, KEY)

    closed = _close(ledger, first)

    assert closed.grant is not None
    assert not closed.undisturbed
    assert not ledger.apply(partial(release_lease, grant=closed.grant))
    assert _close(ledger, second).grant is not None


def test_without_an_owner_the_key_is_only_closed() -> None:
    """The reconciler takes the lease when it gets to the key."""
    ledger = _ledger()

    closed = _close(ledger, _open(ledger, KEY), owner=None)

    assert (closed.grant, _state(ledger).dirty, _state(ledger).lease) == (None, True, None)


def test_several_keys_are_leased_one_by_one() -> None:
    """A lease that waits for its turn behind other keys would only get old."""
    ledger = _ledger()

    closed = _close(ledger, _open(ledger, KEY, OTHER))

    assert (closed.keys, closed.grant) == ((KEY, OTHER), None)
    assert (_state(ledger).lease, _state(ledger, OTHER).lease) == (None, None)


def test_an_intent_that_somebody_else_settled_makes_its_keys_dirty_again() -> None:
    """This process was taken for dead: what it has written since, nobody has copied."""
    ledger = _ledger()
    opened = _open(ledger, KEY)
    ledger.apply(partial(close_intent, intent_id=opened.intent.id, at=1.5))
    before = _state(ledger)

    closed = _close(ledger, opened)

    assert (closed.keys, closed.grant, closed.undisturbed) == ((KEY,), None, False)
    assert (_state(ledger).dirty, _state(ledger).lease) == (True, None)
    assert _state(ledger).seq > before.seq


def test_a_create_that_was_settled_before_its_record_was_made_is_not_lost() -> None:
    """This process stood still: others searched for a record that it made only afterwards."""
    ledger = _ledger()
    opened = _open(ledger)
    ledger.apply(partial(settle_unbound, intent_id=opened.intent.id, found=(), at=1.0))

    bound = ledger.apply(partial(bind_created, intent=opened.intent, key=KEY, at=2.0))

    assert (bound, _state(ledger).dirty) == (None, True)
