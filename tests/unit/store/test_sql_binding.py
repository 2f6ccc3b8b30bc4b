"""What the binder does by itself; the rest is in the contract suite."""

from hypothesis import given
from hypothesis import strategies as st

from crossfade.model.key import Key, encode_key
from crossfade.store.sql_binding import key_text, same_row


@given(st.lists(st.integers() | st.text(), min_size=1, max_size=4).map(tuple))
def test_the_text_of_a_key_is_the_ledgers(key: Key) -> None:
    """A fence and the ledger name a key alike."""
    assert key_text(key) == encode_key(key)


def test_rows_are_the_same_only_if_stored_the_same() -> None:
    """An update that changes 1 to 1.0 is no update that changes nothing."""
    assert same_row((1, "a", None), (1, "a", None))
    assert not same_row((1, "a"), (1.0, "a"))
    assert not same_row((1, "a"), (1, "b"))
