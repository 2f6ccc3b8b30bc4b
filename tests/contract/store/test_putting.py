"""What a put changes, what it leaves alone, and what it refuses."""

import pytest

from crossfade.model.key import EVERY_KEY, Key
from crossfade.store.base import Fence, PutStatus, Record
from tests.contract.store.backends import Backend
from tests.contract.store.layouts import (
    COMPOSITE,
    DEFAULTED,
    HOSTILE,
    OWNERS,
    PETS,
    SIMPLE,
    UNIQUE,
)

FENCE = Fence(5, 3)
SCALARS = pytest.mark.asks("scalars only")
CONSTRAINTS = pytest.mark.asks("constraints")


async def test_a_put_inserts_what_does_not_exist(backend: Backend) -> None:
    """The record need not repeat its key; what it does not name is NULL."""
    store = await backend.open(SIMPLE)

    result = await store.put((1,), {"name": "Ada"}, FENCE)

    assert result.status is PutStatus.OK
    assert await store.read((1,)) == {"id": 1, "name": "Ada", "note": None, "cents": None}


async def test_a_put_changes_only_the_columns_that_it_names(backend: Backend) -> None:
    """Unmapped columns keep what the service wrote."""
    store = await backend.open(SIMPLE)
    await store.put((1,), {"name": "Ada", "note": "kept", "cents": 7}, FENCE)

    await store.put((1,), {"name": "Bob"}, FENCE)

    assert await store.read((1,)) == {"id": 1, "name": "Bob", "note": "kept", "cents": 7}


async def test_a_batch_changes_only_the_columns_that_each_record_names(backend: Backend) -> None:
    """Records of one batch may name different columns."""
    store = await backend.open(SIMPLE)
    await store.put((1,), {"name": "Ada", "note": "kept", "cents": 7}, FENCE)

    batch = await store.put_many(
        [((1,), {"name": "Bob"}), ((2,), {"cents": 9}), ((3,), {"id": 3, "note": "n"})], FENCE
    )

    assert batch.result.status is PutStatus.OK
    assert await _all(backend) == {
        (1,): {"id": 1, "name": "Bob", "note": "kept", "cents": 7},
        (2,): {"id": 2, "name": None, "note": None, "cents": 9},
        (3,): {"id": 3, "name": None, "note": "n", "cents": None},
    }


async def test_null_and_empty_are_two_values(backend: Backend) -> None:
    """Either replaces the other."""
    store = await backend.open(SIMPLE)
    await store.put((1,), {"name": None, "note": ""}, FENCE)
    assert await store.read((1,)) == {"id": 1, "name": None, "note": "", "cents": None}

    await store.put((1,), {"name": "", "note": None}, FENCE)

    assert await store.read((1,)) == {"id": 1, "name": "", "note": None, "cents": None}


async def test_putting_none_deletes(backend: Backend) -> None:
    """Deleting twice is deleting once."""
    store = await backend.open(SIMPLE)
    await store.put((1,), {"name": "a"}, FENCE)
    await store.put((2,), {"name": "b"}, FENCE)

    results = [await store.put((1,), None, FENCE), await store.put((1,), None, FENCE)]

    assert [result.status for result in results] == [PutStatus.OK, PutStatus.OK]
    assert list(await _all(backend)) == [(2,)]


async def test_defaults_are_for_inserts_that_do_not_name_the_column(backend: Backend) -> None:
    """An existing row's value is never replaced by a default."""
    store = await backend.open(DEFAULTED)
    await store.put((1,), {"name": "a"}, FENCE)
    await store.put((2,), {"name": "b", "rank": "chief"}, FENCE)

    await store.put_many([((2,), {"name": "c"}), ((3,), {"name": "d"})], FENCE)

    ranks = {key: record["rank"] for key, record in await store.read_range(EVERY_KEY, 9)}
    assert ranks == {(1,): "guest", (2,): "chief", (3,): "guest"}


@pytest.mark.parametrize(
    ("key", "record"),
    [
        pytest.param((1,), {"id": 2}, id="another-key"),
        pytest.param((1,), {"id": "1"}, id="a-key-of-another-type"),
        pytest.param((1,), {"nmae": "a"}, id="unknown-column"),
        pytest.param((1, 2), {"name": "a"}, id="too-many-key-parts"),
        pytest.param((1,), {"cents": 2**63}, id="beyond-64-bits"),
        pytest.param((1,), {"cents": -(2**63) - 1}, id="below-64-bits"),
        pytest.param((1,), {"cents": float("nan")}, id="nan"),
        pytest.param((1,), {"cents": float("-inf")}, id="infinity"),
        pytest.param((1,), {"name": "\ud800"}, id="lone-surrogate"),
        pytest.param((1,), {"name": ["a"]}, id="a-list", marks=SCALARS),
        pytest.param((1,), {"name": {"a": 1}}, id="a-mapping", marks=SCALARS),
        pytest.param((1,), {"name": object()}, id="an-object"),
    ],
)
async def test_what_a_store_cannot_hold_is_refused(
    backend: Backend, key: Key, record: Record
) -> None:
    """One at a time or in a batch; with a reason, without any change."""
    store = await backend.open(SIMPLE)

    put = await store.put(key, record, FENCE)
    many = await store.put_many([((7,), {"name": "good"}), (key, record)], FENCE)

    assert [put.status, many.result.status] == [PutStatus.REFUSED, PutStatus.REFUSED]
    assert put.reason
    assert many.result.reason
    assert await _all(backend) == {}


@SCALARS
async def test_a_reason_holds_no_value_of_the_record(backend: Backend) -> None:
    """What is refused may be somebody's secret; the reason is shown and logged."""
    store = await backend.open(UNIQUE)
    await store.put((1,), {"email": "hunter2@example.com"}, FENCE)

    results = [
        await store.put((2,), {"email": "hunter2@example.com"}, FENCE),
        await store.put((2,), {"email": "hunter2\ud800"}, FENCE),
        await store.put((2,), {"id": 77123}, FENCE),
        await store.put((2,), {"email": ["hunter2"]}, FENCE),
    ]

    assert all(result.reason for result in results)
    assert not any("hunter2" in result.reason or "77123" in result.reason for result in results)


@CONSTRAINTS
async def test_a_unique_value_names_the_key_that_has_it(backend: Backend) -> None:
    """Convergence then knows which two rows to show, or to write together."""
    store = await backend.open(UNIQUE)
    await store.put((1,), {"email": "a@b", "realm": "x", "login": "ada"}, FENCE)
    await store.put((2,), {"email": "c@d", "realm": "y", "login": "ada"}, FENCE)

    inserted = await store.put((3,), {"email": "a@b"}, FENCE)
    updated = await store.put((2,), {"email": "a@b"}, FENCE)
    composite = await store.put((2,), {"realm": "x"}, FENCE)

    results = [inserted, updated, composite]
    assert [result.status for result in results] == [PutStatus.UNIQUE] * 3
    assert [result.other_key for result in results] == [(1,)] * 3
    assert (await store.read((2,))) == {"id": 2, "email": "c@d", "realm": "y", "login": "ada"}


@CONSTRAINTS
async def test_null_is_never_in_the_way(backend: Backend) -> None:
    """As SQL has it, many rows may have no value in a unique column."""
    store = await backend.open(UNIQUE)

    batch = await store.put_many([((1,), {"email": None}), ((2,), {"email": None})], FENCE)

    assert batch.result.status is PutStatus.OK


@CONSTRAINTS
async def test_a_batch_with_one_bad_row_changes_nothing(backend: Backend) -> None:
    """All or nothing, tokens too: the backfill then halves the batch."""
    store = await backend.open(UNIQUE)
    await store.put((9,), {"email": "taken"}, Fence(1, 3))

    batch = await store.put_many(
        [((1,), {"email": "a"}), ((2,), {"email": "taken"}), ((3,), {"email": "c"})], FENCE
    )

    assert batch.result.status is PutStatus.UNIQUE
    assert await store.keys_in_range(EVERY_KEY, 9) == [(9,)]
    assert await backend.database().highest_token() == 1


@CONSTRAINTS
async def test_a_missing_parent_is_reported(backend: Backend) -> None:
    """Convergence then waits for the parent."""
    await backend.open(OWNERS)
    pets = await backend.open(PETS)

    put = await pets.put((1,), {"owner_id": 7}, FENCE)
    many = await pets.put_many([((2,), {"owner_id": None}), ((3,), {"owner_id": 7})], FENCE)

    assert [put.status, many.result.status] == [PutStatus.FOREIGN_KEY, PutStatus.FOREIGN_KEY]
    assert await pets.last_key() is None


@CONSTRAINTS
async def test_a_child_in_the_way_is_reported(backend: Backend) -> None:
    """A parent is not deleted under its children."""
    owners, pets = await backend.open(OWNERS), await backend.open(PETS)
    await owners.put((7,), {}, FENCE)
    await pets.put((1,), {"owner_id": 7}, FENCE)

    result = await owners.put((7,), None, FENCE)

    assert result.status is PutStatus.FOREIGN_KEY
    assert await owners.read((7,)) == {"id": 7}


async def test_a_composite_key_is_every_part_of_it(backend: Backend) -> None:
    """Rows that share a part are others."""
    store = await backend.open(COMPOSITE)
    await store.put_many(
        [(("de", 1), {"cents": 10}), (("de", 2), {"cents": 20}), (("fr", 1), {"cents": 30})], FENCE
    )

    await store.put(("de", 1), {"cents": 11}, FENCE)
    await store.put(("fr", 1), None, FENCE)

    found = {key: record["cents"] for key, record in await store.read_range(EVERY_KEY, 9)}
    assert found == {("de", 1): 11, ("de", 2): 20}


async def test_of_a_key_that_comes_twice_the_last_record_counts(backend: Backend) -> None:
    """A batch is a mapping of keys."""
    store = await backend.open(SIMPLE)

    await store.put_many([((1,), {"name": "first"}), ((1,), {"name": "last"})], FENCE)

    assert (await _all(backend))[1,]["name"] == "last"


async def test_hostile_names_are_only_names(backend: Backend) -> None:
    """Tables and columns may be called anything."""
    await backend.open(SIMPLE)
    store = await backend.open(HOSTILE)
    record = {"select": "a", "%s :p ?": "b", "Straße [1] `x`": "c"}

    await store.put_many([((1,), record), ((2,), record)], FENCE)
    await store.put((1,), {"select": "changed"}, FENCE)
    await store.put((2,), None, FENCE)

    assert await store.read_range(EVERY_KEY, 9) == [
        ((1,), {'id" OR 1=1 --': 1, **record, "select": "changed"})
    ]
    assert await _all(backend) == {}


async def test_a_record_given_to_a_put_is_not_changed_nor_kept(backend: Backend) -> None:
    """The caller's dict stays the caller's."""
    store = await backend.open(SIMPLE)
    record = {"name": "Ada"}
    await store.put((1,), record, FENCE)
    record["name"] = "changed"

    found = await store.read((1,))

    assert found is not None
    assert found["name"] == "Ada"


async def test_a_large_batch_is_one_transaction(backend: Backend) -> None:
    """More rows than one statement takes."""
    store = await backend.open(COMPOSITE)
    records = [((f"m{number % 7}", number), {"cents": number}) for number in range(1201)]

    first = await store.put_many(records, FENCE)
    again = await store.put_many([(key, {"cents": -1}) for key, _ in records], FENCE)

    assert [first.result.status, again.result.status] == [PutStatus.OK, PutStatus.OK]
    found = await store.read_range(EVERY_KEY, 2000)
    assert len(found) == 1201
    assert {record["cents"] for _, record in found} == {-1}


async def _all(backend: Backend) -> dict[Key, Record]:
    return dict(await (await backend.open(SIMPLE)).read_range(EVERY_KEY, 1000))


async def test_deleting_under_a_key_that_no_row_can_have_is_done(backend: Backend) -> None:
    """The sides agree that there is nothing; the token is kept all the same."""
    store = await backend.open(SIMPLE)

    result = await store.put(("no number",), None, FENCE)

    assert result.status is PutStatus.OK
    assert await backend.database().highest_token() == FENCE.token
