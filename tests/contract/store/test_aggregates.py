"""An aggregate is put and read as one thing: a row and the rows that belong to it."""

import pytest

from crossfade.model.key import EVERY_KEY
from crossfade.store.base import Fence, PutStatus, Record
from tests.contract.store.backends import Backend
from tests.contract.store.layouts import AGGREGATE, COMPOSITE_AGGREGATE

FENCE = Fence(5, 3)
CHILD_ROWS = pytest.mark.asks("child rows")


@CHILD_ROWS
async def test_an_aggregate_is_read_as_it_was_put(backend: Backend) -> None:
    """Children come by ascending key, with the columns that point to their parent."""
    store = await backend.open(AGGREGATE)
    record = {
        "status": "open",
        "lines": [{"line": 2, "sku": "b", "remark": None}, {"line": 1, "sku": "a", "remark": "r"}],
        "tags": [{"tag": "y"}, {"tag": "x"}],
    }

    await store.put((7,), record, FENCE)

    expected = {
        "id": 7,
        "status": "open",
        "lines": [
            {"order_id": 7, "line": 1, "sku": "a", "remark": "r"},
            {"order_id": 7, "line": 2, "sku": "b", "remark": None},
        ],
        "tags": [{"order_number": 7, "tag": "x"}, {"order_number": 7, "tag": "y"}],
    }
    assert await store.read((7,)) == expected
    assert store.as_read((7,), record) == expected


async def test_children_that_are_gone_are_deleted(backend: Backend) -> None:
    """Those of other parents stay."""
    store = await backend.open(AGGREGATE)
    both = {"lines": [{"line": 1, "sku": "a"}, {"line": 2, "sku": "b"}]}
    await store.put_many([((1,), both), ((2,), both)], FENCE)

    await store.put((1,), {"lines": [{"line": 2, "sku": "b"}]}, FENCE)

    assert await _skus(backend) == {1: ["b"], 2: ["a", "b"]}


async def test_an_empty_list_deletes_all_children(backend: Backend) -> None:
    """It says that there are none; silence would say nothing."""
    store = await backend.open(AGGREGATE)
    await store.put((1,), {"lines": [{"line": 1, "sku": "a"}], "tags": [{"tag": "x"}]}, FENCE)

    await store.put((1,), {"lines": []}, FENCE)

    found = await store.read((1,))
    assert found is not None
    assert (found["lines"], [tag["tag"] for tag in found["tags"]]) == ([], ["x"])


async def test_children_that_are_not_named_are_left_alone(backend: Backend) -> None:
    """A mapping that knows nothing of the children does not delete them."""
    store = await backend.open(AGGREGATE)
    await store.put((1,), {"lines": [{"line": 1, "sku": "a"}]}, FENCE)

    await store.put((1,), {"status": "paid"}, FENCE)
    await store.put_many([((1,), {"status": "sent"}), ((2,), {"lines": []})], FENCE)

    assert await _skus(backend) == {1: ["a"], 2: []}


async def test_columns_of_children_that_are_not_named_are_kept(backend: Backend) -> None:
    """A child is updated, not replaced."""
    store = await backend.open(AGGREGATE)
    await store.put((1,), {"lines": [{"line": 1, "sku": "a", "remark": "kept"}]}, FENCE)

    await store.put((1,), {"lines": [{"line": 1, "sku": "b"}, {"line": 2, "sku": "c"}]}, FENCE)

    found = await store.read((1,))
    assert found is not None
    lines = [(line["sku"], line["remark"]) for line in found["lines"]]
    assert lines == [("b", "kept"), ("c", None)]


async def test_deleting_deletes_the_children(backend: Backend) -> None:
    """None of them comes back with a new record of the same key."""
    store = await backend.open(AGGREGATE)
    await store.put((1,), {"lines": [{"line": 1, "sku": "a"}], "tags": [{"tag": "x"}]}, FENCE)

    await store.put((1,), None, FENCE)
    await store.put((1,), {"status": "again"}, FENCE)

    found = await store.read((1,))
    assert found is not None
    assert (found["lines"], found["tags"]) == ([], [])


async def test_a_fenced_aggregate_keeps_its_children(backend: Backend) -> None:
    """In a batch, too: the rest is put."""
    store = await backend.open(AGGREGATE)
    await store.put((1,), {"lines": [{"line": 1, "sku": "newer"}]}, Fence(9, 3))

    batch = await store.put_many(
        [((1,), {"lines": []}), ((2,), {"lines": [{"line": 1, "sku": "b"}]})], FENCE
    )

    assert batch.fenced == ((1,),)
    assert await _skus(backend) == {1: ["newer"], 2: ["b"]}


@CHILD_ROWS
async def test_a_batch_replaces_the_children_of_each_record(backend: Backend) -> None:
    """Insert, update, delete and leave alone, in one transaction."""
    store = await backend.open(AGGREGATE)
    await store.put_many(
        [
            ((number,), {"lines": [{"line": 1, "sku": "a"}, {"line": 2, "sku": "b"}]})
            for number in range(1, 5)
        ],
        FENCE,
    )

    await store.put_many(
        [
            ((1,), {"lines": [{"line": 1, "sku": "a"}, {"line": 2, "sku": "b"}]}),
            ((2,), {"lines": [{"line": 1, "sku": "changed"}, {"line": 3, "sku": "c"}]}),
            ((3,), {"status": "only"}),
            ((5,), {"lines": [{"order_id": 5, "line": 1, "sku": "new"}]}),
        ],
        FENCE,
    )

    assert await _skus(backend) == {
        1: ["a", "b"],
        2: ["changed", "c"],
        3: ["a", "b"],
        4: ["a", "b"],
        5: ["new"],
    }


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(None, id="no-list"),
        pytest.param({"line": 1}, id="a-record"),
        pytest.param("ab", id="text"),
        pytest.param([1], id="no-record"),
        pytest.param([{"sku": "a"}], id="no-key"),
        pytest.param([{"line": None}], id="null-key"),
        pytest.param([{"line": 1}, {"line": 1}], id="a-key-twice"),
        pytest.param([{"line": 1, "order_id": 8}], id="of-another-parent"),
        pytest.param([{"line": 1, "colour": "red"}], id="unknown-column"),
        pytest.param([{"line": 1, "sku": float("nan")}], id="nan"),
    ],
)
async def test_children_that_a_store_cannot_hold_are_refused(
    backend: Backend, lines: object
) -> None:
    """The parent's row is not changed either."""
    store = await backend.open(AGGREGATE)
    await store.put((1,), {"status": "before", "lines": [{"line": 9, "sku": "a"}]}, FENCE)
    before = await store.read((1,))

    put = await store.put((1,), {"status": "after", "lines": lines}, FENCE)
    many = await store.put_many([((1,), {"status": "after", "lines": lines})], FENCE)

    assert [put.status, many.result.status] == [PutStatus.REFUSED, PutStatus.REFUSED]
    assert await store.read((1,)) == before


@CHILD_ROWS
async def test_children_of_composite_keys_find_their_parent(backend: Backend) -> None:
    """The columns that point to the parent follow the order of its key."""
    store = await backend.open(COMPOSITE_AGGREGATE)
    records: list[tuple[tuple[str, int], Record]] = [
        (("a", 1), {"label": "l", "books": [{"title": "z"}, {"title": "y"}]}),
        (("a", 2), {"label": "l", "books": []}),
        (("b", 1), {"label": "l", "books": [{"title": "y"}]}),
    ]
    await store.put_many(records, FENCE)
    await store.put(("a", 1), {"books": [{"title": "z"}]}, FENCE)

    titles = {
        key: [book["title"] for book in record["books"]]
        for key, record in await store.read_range(EVERY_KEY, 9)
    }

    assert titles == {("a", 1): ["z"], ("a", 2): [], ("b", 1): ["y"]}
    found = await store.read(("b", 1))
    assert found is not None
    assert found["books"] == [{"at_house": "b", "at_number": 1, "title": "y"}]


async def _skus(backend: Backend) -> dict[object, list[object]]:
    store = await backend.open(AGGREGATE)
    return {
        key[0]: [line["sku"] for line in record["lines"]]
        for key, record in await store.read_range(EVERY_KEY, 99)
    }
