"""Several keys leased in one transaction: each with a token of its own, each under rule 4."""

from functools import partial

import pytest

from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.transitions.chunks import open_chunk
from crossfade.ledger.transitions.keys import (
    LeaseGrant,
    abandon_leases,
    mark_dirty,
    release_lease,
    release_leases,
    retry_waiting_key,
    take_lease,
    take_leases,
)
from crossfade.model.key import EVERY_KEY, RecordName
from crossfade.model.key_state import NEEDS_OTHERS, DirtyReason, KeyState
from crossfade.model.migration_state import MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import Stage

ONE = RecordName("person", (1,))
TWO = RecordName("team", (2,))


@pytest.fixture
def ledger() -> MemoryLedger:
    """A ledger in shadow, behind its barrier."""
    made = MemoryLedger()
    state = MigrationState(stage=Stage.SHADOW, epoch=3, barrier_passed=True)
    made.apply(lambda rows: rows.set_migration(state))
    return made


def _take(ledger: MemoryLedger, *names: RecordName, owner: str = "node-1") -> list[LeaseGrant]:
    take = partial(take_leases, names=names or (ONE, TWO), owner=owner, at=5.0)
    grants = ledger.apply(take)
    assert grants is not None
    return list(grants)


def _state(ledger: MemoryLedger, name: RecordName) -> KeyState:
    return ledger.look(lambda rows: rows.key(name.entity, name.key))


def test_each_gets_a_token_of_its_own_and_is_dirty(ledger: MemoryLedger) -> None:
    """Clean keys too: from now on nobody can say what the mirror has."""
    first, second = _take(ledger)

    assert first.lease.token < second.lease.token
    assert (first.epoch, first.authority) == (3, Side.LEGACY)
    for name, grant in ((ONE, first), (TWO, second)):
        state = _state(ledger, name)
        assert (state.dirty, state.lease, state.seq) == (True, grant.lease, grant.lease.token)


def test_both_are_cleared_at_once(ledger: MemoryLedger) -> None:
    """Nothing has happened to either."""
    grants = _take(ledger)

    assert ledger.apply(partial(release_leases, grants=grants)) == (True, True)
    assert not _state(ledger, ONE).dirty
    assert not _state(ledger, TWO).dirty


def test_a_touched_one_stays_dirty_alone(ledger: MemoryLedger) -> None:
    """Rule 4, for each of them."""
    grants = _take(ledger)
    ledger.apply(lambda rows: mark_dirty(rows, *TWO[:1], [TWO.key], DirtyReason.WRITE, 0.0))

    assert ledger.apply(partial(release_leases, grants=grants)) == (True, False)
    assert _state(ledger, TWO).dirty


def test_a_chunk_over_one_of_them_keeps_that_dirty(ledger: MemoryLedger) -> None:
    """It was opened after the lease."""
    grants = _take(ledger)
    ledger.apply(lambda rows: open_chunk(rows, "team", EVERY_KEY, "node-1"))

    assert ledger.apply(partial(release_leases, grants=grants)) == (True, False)


def test_higher_tokens_supersede(ledger: MemoryLedger) -> None:
    """Rule 5: by a lease of one key, or of several."""
    old = _take(ledger)
    single = ledger.apply(lambda rows: take_lease(rows, *ONE, "node-2", 0.0))
    assert single is not None
    newer = _take(ledger, TWO, owner="node-3")

    assert ledger.apply(partial(release_leases, grants=old)) == (False, False)
    assert ledger.apply(partial(release_lease, grant=single))
    assert ledger.apply(partial(release_leases, grants=newer)) == (True,)


def test_what_is_given_back_stays_dirty(ledger: MemoryLedger) -> None:
    """Without a lease, for the next attempt."""
    grants = _take(ledger)

    ledger.apply(partial(abandon_leases, grants=grants))

    assert (_state(ledger, ONE).lease, _state(ledger, ONE).dirty) == (None, True)


def test_a_quarantine_ends_only_with_a_clean_key(ledger: MemoryLedger) -> None:
    """Being looked at together with others is no new chance by itself."""
    state = KeyState(*TWO, seq=1, quarantine="too long")
    ledger.apply(lambda rows: rows.set_key(state))
    grants = _take(ledger)

    assert _state(ledger, TWO).quarantine == "too long"
    ledger.apply(partial(release_leases, grants=grants))
    assert _state(ledger, TWO).quarantine is None


@pytest.mark.parametrize(
    "held",
    [
        KeyState(*TWO, seq=1, held_authority=Side.NEW),
        KeyState(*TWO, seq=1, releasing=True),
    ],
)
def test_a_held_key_keeps_all_from_being_leased(ledger: MemoryLedger, held: KeyState) -> None:
    """Nothing is changed, of none of them."""
    ledger.apply(lambda rows: rows.set_key(held))
    take = partial(take_leases, names=(ONE, TWO), owner="node-1", at=0.0)

    assert ledger.apply(take) is None
    assert _state(ledger, TWO) == held
    assert _state(ledger, ONE).lease is None


@pytest.mark.parametrize(
    ("quarantine", "waived", "again"),
    [
        (f"{NEEDS_OTHERS}x", False, True),
        (f"{NEEDS_OTHERS}x", True, False),
        ("too long", False, False),
        (None, False, False),
    ],
)
def test_whoever_waits_gets_another_chance(
    ledger: MemoryLedger, quarantine: str | None, *, waived: bool, again: bool
) -> None:
    """Unless an operator waived it, or it waits for nobody."""
    state = KeyState(*ONE, seq=1, quarantine=quarantine, waived=waived)
    ledger.apply(lambda rows: rows.set_key(state))

    assert ledger.apply(partial(retry_waiting_key, name=ONE, at=0.0)) is again
    assert (_state(ledger, ONE).quarantine is None) is (again or quarantine is None)
