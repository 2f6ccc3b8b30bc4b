"""Reads by key and by range: whole, in order, bounded."""

from collections.abc import Sequence

import pytest

from crossfade.model.key import EVERY_KEY, Key, KeyRange
from crossfade.store.base import Fence
from tests.contract.store.backends import Backend, ReadableStore
from tests.contract.store.layouts import AGGREGATE, COMPOSITE, NAMED, SIMPLE

FENCE = Fence(5, 3)


async def test_a_record_that_does_not_exist_is_none(backend: Backend) -> None:
    """Whatever the key looks like."""
    store = await backend.open(SIMPLE)
    await store.put((5,), {"name": "a"}, FENCE)

    keys: list[Key] = [(4,), ("5",), (5, 5), (), (2**80,)]
    assert [await store.read(key) for key in keys] == [None] * 5


async def test_an_empty_store_has_no_keys(backend: Backend) -> None:
    """Every question has an answer."""
    store = await backend.open(SIMPLE)

    assert await store.read_range(EVERY_KEY, 9) == []
    assert await store.keys_in_range(EVERY_KEY, 9) == []
    assert await store.key_after(None, 1) is None
    assert await store.last_key() is None
    assert await store.rows_estimate() == 0


@pytest.mark.parametrize(
    ("lower", "upper", "rows_max", "found"),
    [
        pytest.param(None, None, 9, [-3, 1, 2, 10, 2**40], id="all"),
        pytest.param(None, None, 2, [-3, 1], id="limited"),
        pytest.param((1,), None, 9, [2, 10, 2**40], id="above-exclusive"),
        pytest.param(None, (2,), 9, [-3, 1, 2], id="up-to-inclusive"),
        pytest.param((0,), (9,), 9, [1, 2], id="between-keys"),
        pytest.param((2,), (2,), 9, [], id="empty"),
        pytest.param((10,), (1,), 9, [], id="reversed"),
        pytest.param((-3,), (2**40,), 2, [1, 2], id="both-and-limited"),
        pytest.param(None, None, 0, [], id="none-wanted"),
    ],
)
async def test_a_range_is_above_lower_up_to_upper(
    backend: Backend, lower: Key | None, upper: Key | None, rows_max: int, found: list[int]
) -> None:
    """Ascending, as Python orders whole numbers."""
    store = await backend.open(SIMPLE)
    await _put(store, [(10,), (2,), (1,), (-3,), (2**40,)])
    range_ = KeyRange(lower, upper)

    records = await store.read_range(range_, rows_max)

    assert [key for key, _ in records] == [(number,) for number in found]
    assert await store.keys_in_range(range_, rows_max) == [(number,) for number in found]
    assert all(record["id"] == key[0] for key, record in records)


async def test_text_keys_are_ordered_by_code_point(backend: Backend) -> None:
    """As Python orders text: no language, no case."""
    store = await backend.open(NAMED)
    codes = ["b", "B", "a", "é", "Z", "e\u0301", "", "\U0001f600", "\uffff", "10", "9"]
    await _put(store, [(code,) for code in codes])

    keys = await store.keys_in_range(EVERY_KEY, 99)

    assert store.ordered
    assert keys == sorted((code,) for code in codes)
    for lower in keys:
        above = await store.keys_in_range(KeyRange(lower=lower), 99)
        assert above == [key for key in keys if key > lower]


async def test_composite_keys_are_ordered_part_by_part(backend: Backend) -> None:
    """Paging through by the last key meets every row once."""
    store = await backend.open(COMPOSITE)
    keys = [(market, number) for market in ("b", "a", "ab") for number in (10, 9, -1)]
    await _put(store, keys)

    pages: list[Key] = []
    lower: Key | None = None
    while page := await store.read_range(KeyRange(lower=lower), 2):
        pages += [key for key, _ in page]
        lower = page[-1][0]

    assert pages == sorted(keys)
    between = await store.keys_in_range(KeyRange(("a", 9), ("b", -1)), 99)
    assert between == [("a", 10), ("ab", -1), ("ab", 9), ("ab", 10), ("b", -1)]


async def test_the_key_after_so_many(backend: Backend) -> None:
    """The planner cuts chunks with it."""
    store = await backend.open(COMPOSITE)
    keys = [("a", number) for number in range(5)]
    await _put(store, keys)

    assert [await store.key_after(None, rows) for rows in (1, 5, 6)] == [keys[0], keys[4], None]
    assert await store.key_after(("a", 1), 2) == ("a", 3)
    assert await store.key_after(("a", 4), 1) is None
    assert await store.last_key() == ("a", 4)


async def test_children_come_with_a_range(backend: Backend) -> None:
    """Each record has its own, in order, and an empty list where it has none."""
    store = await backend.open(AGGREGATE)
    for number, lines in ((1, [2, 1]), (2, []), (3, [1]), (4, [7])):
        record = {"status": "s", "lines": [{"line": line, "sku": f"{number}"} for line in lines]}
        await store.put((number,), record, FENCE)

    records = await store.read_range(KeyRange((1,), None), 2)
    first = await store.read_range(EVERY_KEY, 1)

    found = {key: [line["line"] for line in record["lines"]] for key, record in records}
    assert found == {(2,): [], (3,): [1]}
    assert [line["line"] for line in first[0][1]["lines"]] == [1, 2]
    assert all(record["tags"] == [] for _, record in [*records, *first])


async def test_a_range_reads_what_single_reads_give(backend: Backend) -> None:
    """One procedure may use either."""
    store = await backend.open(AGGREGATE)
    for number in range(5):
        children = {"lines": [{"line": 2}, {"line": 1}], "tags": [{"tag": f"{number}"}]}
        await store.put((number,), {"status": "s", **children}, FENCE)

    for key, record in await store.read_range(EVERY_KEY, 9):
        assert await store.read(key) == record


async def _put(store: ReadableStore, keys: Sequence[Key]) -> None:
    await store.put_many([(key, {}) for key in keys], FENCE)
