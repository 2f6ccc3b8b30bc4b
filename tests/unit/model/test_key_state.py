"""The life of one key: touched, leased, released, quarantined."""

from msgspec.structs import replace

from crossfade.model.key_state import (
    DirtyReason,
    KeyState,
    Lease,
    abandoned,
    closed,
    leased,
    opened,
    quarantined,
    released,
    touched,
)

CLEAN = KeyState("customer", (1,), seq=5, clean_seq=5)
MINE = Lease("node-1", 7)


def test_a_key_is_dirty_while_its_newest_event_is_newer_than_its_last_agreement() -> None:
    """Dirty means `seq > clean_seq`."""
    assert not CLEAN.dirty
    assert touched(CLEAN, 6, DirtyReason.REPAIR, 1.0).dirty


def test_the_first_reason_and_time_stay_while_a_key_is_dirty() -> None:
    """People want to know since when, and why at first."""
    first = touched(CLEAN, 6, DirtyReason.WRITE, 10.0)
    second = touched(first, 7, DirtyReason.DIFFERENCE, 20.0)

    assert (second.reason, second.dirty_since, second.seq) == (DirtyReason.WRITE, 10.0, 7)


def test_an_open_intent_keeps_a_key_from_being_quiet() -> None:
    """Opening counts up, closing counts down, and neither makes it clean."""
    writing = opened(CLEAN, 6, 1.0)
    written = closed(writing, 7, 2.0)

    assert (writing.open_intents, written.open_intents) == (1, 0)
    assert not writing.quiet
    assert written.dirty


def test_a_release_clears_when_nothing_happened_since_the_lease() -> None:
    """The only way to become clean."""
    state = leased(touched(CLEAN, 6, DirtyReason.WRITE, 1.0), MINE, 1.0)

    after, cleared = released(state, MINE, chunk_since=False)

    assert cleared
    assert after.quiet
    assert (after.tries, after.lease) == (0, None)


def test_a_release_does_not_clear_what_was_touched_since() -> None:
    """Another start or end of a write took a newer number (rule 4)."""
    state = leased(CLEAN, MINE, 1.0)
    state = touched(state, 9, DirtyReason.WRITE, 1.0)

    after, cleared = released(state, MINE, chunk_since=False)

    assert not cleared
    assert after.dirty
    assert after.lease is None


def test_a_release_does_not_clear_with_an_open_intent_or_a_newer_chunk() -> None:
    """Both may still change a side."""
    state = leased(CLEAN, MINE, 1.0)

    assert not released(replace(state, open_intents=1), MINE, chunk_since=False)[1]
    assert not released(state, MINE, chunk_since=True)[1]


def test_a_superseded_lease_changes_nothing() -> None:
    """Whoever took a higher token owns the key (rule 5)."""
    state = leased(leased(CLEAN, MINE, 1.0), Lease("node-2", 8), 2.0)

    assert released(state, MINE, chunk_since=False) == (state, False)
    assert abandoned(state, MINE) == state
    assert quarantined(state, MINE, "why") == state


def test_a_quarantined_key_stays_dirty_until_its_record_changes() -> None:
    """A later write gives it another chance."""
    stuck = quarantined(leased(CLEAN, MINE, 1.0), MINE, "no such column")
    again = closed(opened(stuck, 10, 2.0), 11, 3.0)

    assert stuck.dirty
    assert stuck.quarantine == "no such column"
    assert again.quarantine is None
