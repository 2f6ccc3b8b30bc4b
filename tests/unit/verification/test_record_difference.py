"""What counts as equal, and which columns are named where it is not."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.verification.record_difference import different_columns, equal

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, None),
        (1, 1.0),
        (True, 1),
        (Decimal("19.99"), 19.99),
        (19.99, Decimal("19.99")),
        (Decimal("1.50"), Decimal("1.5")),
        (0.0, -0.0),
        (float("nan"), float("nan")),
        (Decimal("nan"), float("nan")),
        (b"ab", bytearray(b"ab")),
        (b"ab", memoryview(b"ab")),
        (NOON, NOON.astimezone(timezone(timedelta(hours=5)))),
        ([1, {"a": 2}], (1.0, {"a": 2})),
    ],
)
def test_equal(wanted: object, found: object) -> None:
    """A column may keep the value in another type."""
    assert equal(wanted, found)
    assert equal(found, wanted)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (None, ""),
        (None, 0),
        (1, "1"),
        (1.5, "1.5"),
        (19.99, 19.990000000000002),
        (Decimal("19.99"), 19.98),
        (2**53 + 1, 2**53),
        (float("nan"), 0.0),
        (b"ab", "ab"),
        (NOON, NOON.replace(tzinfo=None)),
        (NOON, NOON + timedelta(seconds=1)),
        (NOON.date(), NOON),
        (date(2026, 1, 2), "2026-01-02"),
        ("Ku\u0308che", "K\u00fcche"),
        ("a", "a "),
        ([1, 2], [2, 1]),
        ([1], [1, 1]),
        ({"a": 1}, {"a": 1, "b": 2}),
        ([1], "1"),
    ],
)
def test_not_equal(wanted: object, found: object) -> None:
    """Another value, another form of the same text, or nothing at all."""
    assert not equal(wanted, found)
    assert not equal(found, wanted)


def test_only_the_mapped_columns_are_compared() -> None:
    """Those that only the mirror has are nobody's promise."""
    assert different_columns({"a": 1}, {"a": 1, "b": 2}, ()) == ()


def test_a_column_that_the_mirror_lacks_differs() -> None:
    """Even where null was wanted."""
    assert different_columns({"a": None}, {}, ()) == ("a",)


def test_records_of_a_child_are_compared_on_their_mapped_columns() -> None:
    """A list that is no child is compared whole."""
    wanted = {"lines": [{"n": 1, "sku": "x"}, {"n": 2, "sku": "y"}]}
    found = {"lines": [{"n": 1, "sku": "x", "more": 1}, {"n": 2, "sku": "z"}]}

    assert different_columns(wanted, found, ["lines"]) == ("lines[].sku",)
    assert different_columns(wanted, found, ()) == ("lines",)
    assert different_columns(wanted, {"lines": []}, ["lines"]) == ("lines[]",)


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        (None, None, ()),
        ({"a": 1}, None, ("(absent)",)),
        (None, {"a": 1}, ("(extra)",)),
    ],
)
def test_a_whole_record_may_be_missing_or_too_many(
    wanted: dict[str, int] | None, found: dict[str, int] | None, expected: tuple[str, ...]
) -> None:
    """It is named by what it is."""
    assert different_columns(wanted, found, ()) == expected


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=8,
)


@given(record=st.dictionaries(st.text(), _VALUES, max_size=5))
def test_a_record_equals_itself(record: dict[str, object]) -> None:
    """Whatever it holds: no false alarm."""
    assert different_columns(record, dict(record), ()) == ()
