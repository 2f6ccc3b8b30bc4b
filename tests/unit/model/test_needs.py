"""A quarantined key says for whom it waits, in words that can be read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.model.key import RecordName, decode_key_at, encode_key
from crossfade.model.key_state import AUTHORITY_LACKS_IT, NEEDS_OTHERS, needed, needs

_PART = st.integers() | st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(_PART, min_size=1).map(tuple))
def test_the_name_is_read_back(key: tuple[int | str, ...]) -> None:
    """Whatever the key is made of."""
    name = RecordName("customer", key)

    assert needed(needs(name, AUTHORITY_LACKS_IT)) == name
    assert decode_key_at(f"{encode_key(key)}, and more") == key


def test_people_read_it_too() -> None:
    """Entity, key, and why."""
    assert needs(RecordName("customer", (7,)), AUTHORITY_LACKS_IT) == (
        "a parent is missing, or a child is in the way: it waits for customer [7], "
        "which the authority does not have"
    )


@pytest.mark.parametrize(
    "reason",
    [None, "", "too long", f"{NEEDS_OTHERS}no such customer", f"{NEEDS_OTHERS}it waits for x",
     "someone says: it waits for customer [7], too"],
)  # fmt: skip
def test_other_reasons_name_nobody(reason: str | None) -> None:
    """They end in other ways."""
    assert needed(reason) is None
