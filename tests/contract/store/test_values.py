"""Whatever a store takes it gives back equal; what it cannot hold exactly it refuses."""

import asyncio
import math
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossfade.store.base import Fence, PutStatus, StoreEpoch
from tests.contract.store.backends import BACKENDS, Backend
from tests.contract.store.layouts import VALUES

FENCE = Fence(5, 3)
EXACT: dict[str, list[object]] = {
    "whole": [0, -1, 2**63 - 1, -(2**63), True, False],
    "text": [
        "",
        " ",
        "naïve",
        "e\u0301",
        "\x00 inside \x00",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "007",
        "NULL",
        "'; DROP TABLE x; --",
        "\ufeff",
        "line\r\nline",
        "x" * 100_000,
    ],
    "number": [0.1, -0.0, 1e308, 5e-324, 1e15, 2.0**63, 3],
    "decimal": [Decimal("12.34"), Decimal("0.10"), Decimal(-7), Decimal(2**63 - 1)],
    "bytes": [b"", b"\x00\xff", bytes(range(256))],
}
MOMENTS: list[tuple[object, str]] = [
    (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
    (
        datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
        "2026-01-02T03:04:05.000006-03:30",
    ),
    (date(2026, 2, 28), "2026-02-28"),
    (time(23, 59, 59), "23:59:59"),
    (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
]


@pytest.mark.parametrize(
    ("column", "value"),
    [pytest.param(name, value) for name, values in EXACT.items() for value in values],
)
async def test_a_value_is_read_as_it_was_put(backend: Backend, column: str, value: object) -> None:
    """Equal, and as the store foretold."""
    store = await backend.open(VALUES)

    result = await store.put((1,), {column: value}, FENCE)

    if isinstance(value, str) and "\x00" in value and not backend.holds_nul:
        assert result.status is PutStatus.REFUSED
        return
    assert result.status is PutStatus.OK
    found = await store.read((1,))
    assert found is not None
    assert found[column] == value
    assert {"id": 1, column: found[column]} == store.as_read((1,), {column: value})


@pytest.mark.parametrize("column", sorted(EXACT))
async def test_null_is_null_in_every_column(backend: Backend, column: str) -> None:
    """Never empty, never zero."""
    store = await backend.open(VALUES)
    await store.put((1,), {column: EXACT[column][-1]}, FENCE)

    await store.put((1,), {column: None}, FENCE)

    found = await store.read((1,))
    assert found is not None
    assert found[column] is None


@pytest.mark.parametrize(("value", "text"), MOMENTS)
async def test_moments_and_names_are_kept_as_text_or_as_they_are(
    backend: Backend, value: object, text: str
) -> None:
    """An aware time keeps its offset; the store says in which form it comes back."""
    store = await backend.open(VALUES)

    result = await store.put((1,), {"text": value}, FENCE)

    assert result.status is PutStatus.OK
    found = await store.read((1,))
    assert found is not None
    assert found["text"] in {value, text}
    assert store.as_read((1,), {"text": value})["text"] == found["text"]


async def test_decimals_come_back_as_decimals(backend: Backend) -> None:
    """Ten cents are not a floating-point number."""
    store = await backend.open(VALUES)
    await store.put((1,), {"decimal": Decimal("0.10")}, FENCE)

    found = await store.read((1,))

    assert found is not None
    assert isinstance(found["decimal"], Decimal)


def _scalars() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(-(2**64), 2**64),
        st.floats(),
        st.decimals(),
        st.decimals(allow_nan=False, allow_infinity=False, places=2),
        st.text(),
        st.text(st.characters()),
        st.from_regex(r"\s*[+-]?[0-9]*\.?[0-9]*([eE][+-]?[0-9]+)?\s*", fullmatch=True),
        st.sampled_from(["1", "1.0", " 1", "0x10", "1e5", "inf", "nan", "\ud800", "1\x00", ""]),
        st.binary(),
        st.datetimes(timezones=st.just(UTC)),
        st.dates(),
        st.uuids(),
    )


@pytest.mark.parametrize("name", sorted(BACKENDS))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=st.lists(
        st.fixed_dictionaries({}, optional=dict.fromkeys(EXACT, _scalars())), max_size=4
    )
)
def test_what_is_taken_is_given_back_and_what_is_refused_changes_nothing(
    request: pytest.FixtureRequest, name: str, records: list[dict[str, Any]]
) -> None:
    """For any value in any column; a batch decides as its records do one by one."""
    backend = BACKENDS[name](request)
    backend.clear()
    asyncio.run(_put_and_compare(backend, records))


async def _put_and_compare(backend: Backend, records: list[dict[str, Any]]) -> None:
    async for store in _prepared(backend):
        taken = []
        for number, record in enumerate(records):
            result = await store.put((number,), record, FENCE)
            found = await store.read((number,))
            if result.status is not PutStatus.OK:
                assert (result.status, found) == (PutStatus.REFUSED, None)
                continue
            taken.append(((100 + number,), record))
            assert found is not None
            foretold = store.as_read((number,), record)
            assert {column: found[column] for column in foretold} == foretold
            for column, value in record.items():
                assert _means_the_same(found[column], value)
        assert (await store.put_many(taken, FENCE)).result.status is PutStatus.OK
        everything = [((200 + number,), record) for number, record in enumerate(records)]
        batch = await store.put_many(everything, FENCE)
        assert (batch.result.status is PutStatus.OK) == (len(taken) == len(records))
        for key, record in taken:
            found = await store.read(key)
            assert found is not None
            foretold = store.as_read(key, record)
            assert {column: found[column] for column in foretold} == foretold


async def _prepared(backend: Backend) -> AsyncIterator[Any]:
    await backend.database().prepare()
    await backend.database().raise_epoch(StoreEpoch("ledger-1", 1, 3))
    yield await backend.open(VALUES)
    await backend.close()


def _means_the_same(found: object, value: object) -> bool:
    if found == value:
        return True
    if isinstance(found, Decimal) and isinstance(value, float):
        return float(found) == value
    if isinstance(found, float) and isinstance(value, Decimal):
        return math.isfinite(found) and Decimal(repr(found)) == value
    texts = {str(value), getattr(value, "isoformat", lambda: None)()}
    return isinstance(found, str) and not isinstance(value, str | int | float) and found in texts
