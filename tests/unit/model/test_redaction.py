"""A sample shows what may be shown, and of the rest only its type, length and a short hash."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.model.redaction import (
    PATH_CHARACTERS_MAX,
    SECRET,
    SHOWN_CHARACTERS_MAX,
    describe,
    is_secret_name,
    looks_secret,
    normalised_path,
    path_text,
    printable,
)


def _made_up_token() -> str:
    """A JSON web token as far as its form goes."""
    return f"eyJ{'a' * 17}.eyJ{'b' * 12}.{'c' * 20}"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Ada Lovelace", "text, 12 characters, #"),
        (1234, "number, #"),
        (12.5, "number, #"),
        (Decimal("12.50"), "number, #"),
        (b"abc", "bytes, 3 long, #"),
    ],
)
def test_a_value_is_hidden_unless_its_path_is_allowed(value: object, expected: str) -> None:
    """Type, length and a hash too short to find the value by."""
    text = describe(value, ("name",), shown=False)

    assert text.startswith(expected)
    assert len(text) == len(expected) + 4


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("open", '"open"'),
        (1998, "1998"),
        (Decimal("19.990"), "19.99"),
        (Decimal("1E+3"), "1000"),
        (Decimal("-0.0"), "0"),
        (1e300, "1E+300"),
        (100.0, "100"),
        (float("inf"), "Infinity"),
        ("a\x1b[31m\nb\u202e", '"a\\x1b[31m\\nb\\u202e"'),
        ("x" * 500, '"' + "x" * SHOWN_CHARACTERS_MAX + '…"'),
    ],
)
def test_an_allowed_value_is_shown_on_one_printable_line(value: object, expected: str) -> None:
    """Numbers in one spelling, no control characters, cut to a length."""
    assert describe(value, ("status",), shown=True) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        ({"a": 1, "b": 2}, "object, 2 members"),
        ([1, 2, 3], "array, 3 items"),
        pytest.param(1 << 100_000, "number, 100001 bits", id="huge"),
    ],
)
@pytest.mark.parametrize("shown", [True, False])
def test_what_holds_values_or_none_is_told_the_same_way(
    value: object, expected: str, *, shown: bool
) -> None:
    """The contents of objects and arrays are never written out, allowed or not."""
    assert describe(value, ("place",), shown=shown) == expected


@pytest.mark.parametrize(
    "name",
    [
        "password", "Password", "user_password", "newPassword", "Authorization", "Cookie",
        "set-cookie", "token", "access_token", "refreshToken", "secret", "clientSecret", "api_key",
        "apiKey", "X-Api-Key", "private_key", "cvv", "pin", "ssn", "PAN", "credentials",
    ],
)  # fmt: skip
def test_members_with_a_known_name_are_never_shown(name: str) -> None:
    """Not even a hash of them, whatever is allowed, at the member and below it."""
    assert is_secret_name(name)
    assert describe("value", ("a", name), shown=True) == SECRET
    assert describe("value", (name, 0, "b"), shown=True) == SECRET
    assert describe(17, ("a", name), shown=False) == SECRET


@pytest.mark.parametrize("name", ["author", "company", "spin", "name", "status", "expand"])
def test_other_names_are_not_taken_for_secrets(name: str) -> None:
    """A word inside a longer word is none."""
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "text",
    [
        "ada@example.org",
        "mail Ada <ada.l+x@mail.example.org> now",
        _made_up_token(),
        f"Bearer {'a' * 20}",
        "-----BEGIN PRIVATE KEY-----",
        "4111 1111 1111 1111",
        "4111111111111111",
        "5500-0000-0000-0004",
    ],
)
def test_values_of_a_known_form_are_never_shown(text: str) -> None:
    """A second net below the names: addresses, tokens, keys and card numbers."""
    assert looks_secret(text)
    assert describe(text, ("note",), shown=True) == SECRET


@pytest.mark.parametrize("text", ["SKU-12", "2026-01-02T03:04:05Z", "4111111111111112", "a@b", ""])
def test_everyday_values_are_not_taken_for_secrets(text: str) -> None:
    """A number that fails the check of cards is none, and neither is a time."""
    assert not looks_secret(text)


def test_a_card_number_may_be_a_number() -> None:
    """JSON numbers are held against the same forms."""
    assert describe(4111111111111111, ("reference",), shown=True) == SECRET


def test_equal_values_have_equal_hashes() -> None:
    """A reader sees whether both sides of two samples are the same, and numbers are numbers."""
    assert describe(1, (), shown=False) == describe(1.0, (), shown=False)
    assert describe(1, (), shown=False) == describe(Decimal("1.00"), (), shown=False)
    assert describe("a", (), shown=False) != describe("b", (), shown=False)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((), "$"),
        (("lines", 0, "price"), "$.lines[0].price"),
        (("a b",), "$['a b']"),
        (("",), "$['']"),
        (("ada@example.org", "age"), "$.[redacted].age"),
        (("a\nb",), "$['a\\nb']"),
        (("x" * 100,), "$['" + "x" * 64 + "…']"),
    ],
)
def test_a_path_is_written_without_the_data_of_people(
    parts: tuple[str | int, ...], expected: str
) -> None:
    """Maps keyed by an address do not carry it into events."""
    assert path_text(parts) == expected


def test_a_path_is_bounded() -> None:
    """A deep document makes no long path."""
    assert len(path_text(["name"] * 100_000)) == PATH_CHARACTERS_MAX


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$.lines[12].price", "$.lines[*].price"),
        ("$[0][1]", "$[*][*]"),
        ("$['17'].name", "$[*].name"),
        ("$['3f2504e0-4f89-11d3-9a0c-0305e82c3301']", "$[*]"),
        ("$.deadbeef00112233.name", "$[*].name"),
        ("$.a1.b2", "$.a1.b2"),
        ("$.facade", "$.facade"),
        ("$['a b']", "$['a b']"),
        ("status", "status"),
    ],
)
def test_indexes_and_identifiers_are_one_place(path: str, expected: str) -> None:
    """The same bug in two items, or under two ids, is one group."""
    assert normalised_path(path) == expected


@given(st.text(max_size=300), st.integers(0, 200))
def test_printable_text_is_one_line_without_control_characters(text: str, most: int) -> None:
    """Whatever comes in, lone surrogates and terminal escapes included."""
    assert printable(text, most).isprintable()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text()
        | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    ),
    st.lists(st.text() | st.integers(0)),
    st.booleans(),
)  # fmt: skip
def test_describing_never_fails(value: object, parts: list[str | int], shown: bool) -> None:  # noqa: FBT001
    """A short printable line for anything."""
    text = describe(value, parts, shown=shown)

    assert text.isprintable()
    assert len(text) <= 10 * SHOWN_CHARACTERS_MAX + 10


def test_a_long_text_is_not_searched_for_ever() -> None:
    """A hostile text costs no more than a short one."""
    assert describe("a" * 1_000_000, ("note",), shown=True).startswith('"aaa')
    assert not is_secret_name("a" * 1_000_000)
