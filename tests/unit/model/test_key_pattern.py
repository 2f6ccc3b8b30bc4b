"""A key's text is made and taken apart exactly, or there is none."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.errors import DefinitionError
from crossfade.model.key import Key
from crossfade.model.key_pattern import KeyPattern, fits


@pytest.mark.parametrize(
    ("text", "key", "made"),
    [
        ("customer:{id}", (17,), "customer:17"),
        ("customer:{id}", (-(2**63),), "customer:-9223372036854775808"),
        ("customer:{id}", (2**63,), None),
        ("customer:{id}", (True,), None),
        ("customer:{id}", ("17",), None),
        ("customer:{id}", (1, 2), None),
        ("customer:{id}", (), None),
    ],
)
def test_a_whole_number_has_one_text(text: str, key: Key, made: str | None) -> None:
    """Of 64 bits, and no truth value."""
    assert KeyPattern(text, {"id": int}).format(key) == made


@pytest.mark.parametrize("text", ["customer:007", "customer:+7", "customer:", "customer:7x", "7"])
def test_a_text_that_nobody_would_make_is_no_key(text: str) -> None:
    """Else two texts would be one key."""
    assert KeyPattern("customer:{id}", {"id": int}).parse(text) is None


def test_a_number_beyond_64_bits_is_no_key() -> None:
    """Nineteen digits may be too many."""
    pattern = KeyPattern("{id}", {"id": int})

    assert pattern.parse("9223372036854775807") == (2**63 - 1,)
    assert pattern.parse("9223372036854775808") is None


def test_parts_stand_where_the_pattern_has_them() -> None:
    """In any order, between any text, which is only text."""
    pattern = KeyPattern("[x].{number}/{house}*", {"house": str, "number": int})

    assert pattern.format(("a", 1)) == "[x].1/a*"
    assert pattern.parse("[x].1/a*") == ("a", 1)
    assert pattern.parse("xx.1/a*") is None
    assert pattern.literal_start == "[x]."
    assert pattern.literals == ("[x].", "/", "*")


@given(st.text(), st.text())
def test_a_key_whose_text_is_another_keys_has_none(one: str, other: str) -> None:
    """Two texts side by side may be cut in several ways."""
    pattern = KeyPattern("{a}:{b}", {"a": str, "b": str})
    text = pattern.format((one, other))

    if text is None:
        assert ":" in one + other or not fits((one, other), (str, str))
    else:
        assert pattern.parse(text) == (one, other)


def test_text_without_unicode_has_no_text() -> None:
    """A lone surrogate cannot be written."""
    assert KeyPattern("{a}", {"a": str}).format(("\ud800",)) is None


@pytest.mark.parametrize("text", ["customer", "{id}{id}", "{name}", "{id}:{name}"])
def test_a_pattern_has_each_part_once(text: str) -> None:
    """Found when the definition is written."""
    key: dict[str, Any] = {"id": int}

    with pytest.raises(DefinitionError, match=r"\{id\}"):
        KeyPattern(text, key)
