"""What PostgreSQL will make of a value, decided without PostgreSQL."""

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.codec import decode_exact
from crossfade.store import postgres_moments as moments
from crossfade.store import postgres_numbers as numbers
from crossfade.store import postgres_text as texts
from crossfade.store.postgres_json import JsonNull, json_text, json_value
from crossfade.store.postgres_values import PostgresType, postgres_values
from crossfade.store.sql_dialect import CannotHoldError

TYPES = [
    *("int2", "int4", "int8", "oid", "bool", "float4", "float8", "numeric", "text", "citext"),
    *("varchar", "bpchar", "name", "uuid", "bytea", "inet", "cidr", "macaddr", "date"),
    *("timestamp", "timestamptz", "time", "timetz", "interval", "point"),
]
"""Those whose raw values may be put again as they are: JSON is no such type."""

NUMERIC_10_2 = (10 << 16 | 2) + 4


def _anything() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.decimals(),
        st.text(st.characters()),
        st.binary(),
        st.datetimes(timezones=st.just(UTC)),
        st.datetimes(),
        st.dates(),
        st.times(),
        st.timedeltas(),
        st.uuids(),
        st.ip_addresses().map(str),
        st.lists(st.integers(), max_size=3),
        st.just(object()),
    )


@pytest.mark.parametrize("name", TYPES)
@given(value=_anything())
def test_what_is_stored_is_stored_as_it_is(name: str, value: object) -> None:
    """Any value is refused with a reason, or has one form, which stays when it is put again."""
    values = postgres_values(PostgresType(name))
    try:
        raw = values.to_raw(value)
    except CannotHoldError as error:
        assert str(error)  # noqa: PT017 - either is right
        return

    assert values.to_raw(raw) == raw
    assert type(values.to_raw(raw)) is type(raw)
    assert values.to_raw(values.from_raw(raw)) == raw


@given(number=st.decimals(allow_nan=False, allow_infinity=False))
def test_a_bounded_numeric_never_rounds(number: Decimal) -> None:
    """Either all of its digits are kept, or none."""
    values = postgres_values(PostgresType("numeric", NUMERIC_10_2))
    try:
        kept = values.to_raw(number)
    except CannotHoldError:
        assert abs(number) >= 10**8 or number != round(number, 2)
        return

    assert kept == number
    assert kept.as_tuple().exponent == -2


@given(number=st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False))
def test_a_real_keeps_what_has_32_bits(number: float) -> None:
    """Its shortest text is what comes back; the long one of 64 bits is refused."""
    shortest = float(f"{number:.6g}")

    assert numbers.to_real(shortest) == shortest


_JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**30), 10**30),
        st.decimals(-1000, 1000, places=3),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], min_codepoint=1)), inner),
    ),
    max_leaves=10,
)


@given(value=_JSON)
def test_json_is_exact_there_and_back(value: object) -> None:
    """Numbers of any size; the order of names does not matter."""
    text = json_text(value, ordered=True)

    assert decode_exact(text) == value
    assert json_value(text) == (JsonNull.NULL if value is None else value)
    assert json_text(json_value(text), ordered=True) == text


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        Decimal("Infinity"),
        Decimal("sNaN"),
        Decimal("1e1001"),
        "\0",
        "\udc80",
        {"\0": 1},
        {"\udc80": 1},
        {1: 1},
        b"a",
        {"a": object()},
        datetime(2026, 1, 1, tzinfo=UTC),
    ],
)
def test_what_json_does_not_have_is_refused(value: object) -> None:
    """Before the database sees it."""
    with pytest.raises(CannotHoldError):
        json_text(value, ordered=True)


def test_json_that_is_nested_too_deeply_is_refused() -> None:
    """The process lives on."""
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(CannotHoldError, match="nested too deeply"):
        json_text(value, ordered=True)


@given(interval=st.timedeltas())
def test_an_interval_has_one_text(interval: timedelta) -> None:
    """Days are not hours: a day may have 23 of them."""
    text = moments.to_interval(interval, 6)

    assert moments.to_interval(text, 6) == text
    assert ("D" in text) == bool(interval.days)


@given(value=st.times(), minutes=st.integers(-15 * 60, 15 * 60))
def test_a_time_with_a_zone_keeps_its_offset(value: time, minutes: int) -> None:
    """One o'clock in London is not two o'clock in Paris."""
    given_time = time.fromisoformat(
        f"{value.isoformat()}{'-' if minutes < 0 else '+'}"
        f"{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    )

    back = moments.from_time_with_zone(moments.to_time_with_zone(given_time, 6))

    assert isinstance(back, time)
    assert (back.replace(tzinfo=None), back.utcoffset()) == (value, given_time.utcoffset())


@given(
    bound=st.one_of(
        st.text(st.sampled_from("0189afgAF-x \U0001f600"), max_size=40),
        st.uuids().map(str),
        st.tuples(st.uuids().map(str), st.integers(0, 36), st.characters()).map(
            lambda parts: parts[0][: parts[1]] + parts[2]
        ),
    ),
    ids=st.lists(st.uuids().map(str), max_size=5),
)
def test_any_text_bounds_a_range_of_uuids(bound: str, ids: list[str]) -> None:
    """As it would if they were text."""
    lowest = str(UUID(int=0))
    known = texts.uuid_up_to(bound)

    assert str(UUID(known)) == known
    for one in {*ids, known} - {lowest}:
        assert (one <= known) == (one <= bound)
