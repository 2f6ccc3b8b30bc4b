"""The memory twin fails on request, and only then."""

import pytest

from crossfade.errors import StoreOutcomeUnknownError, StoreUnreachableError
from crossfade.store.base import Fence, PutStatus, StoreEpoch
from crossfade.store.memory import MemoryDatabase, MemoryTable
from crossfade.store.memory_faults import Applied
from crossfade.store.memory_store import MemoryStore

TABLE = MemoryTable("things", key=("id",))


@pytest.fixture
async def store() -> MemoryStore:
    """A store whose database is at epoch 1."""
    database = MemoryDatabase(name="new")
    await database.prepare()
    await database.raise_epoch(StoreEpoch("ledger-1", 1, 1))
    return MemoryStore(database, "thing", TABLE)


async def test_an_unreachable_database_refuses_everything(store: MemoryStore) -> None:
    """And is as it was when it comes back."""
    faults = store.database.faults
    await store.put((1,), {"name": "a"}, Fence(1, 1))

    faults.unreachable = True
    with pytest.raises(StoreUnreachableError):
        await store.put((1,), {"name": "b"}, Fence(2, 1))
    with pytest.raises(StoreUnreachableError):
        await store.read((1,))
    with pytest.raises(StoreUnreachableError):
        await store.database.raise_epoch(StoreEpoch("ledger-1", 1, 2))
    faults.unreachable = False

    assert await store.read((1,)) == {"id": 1, "name": "a"}


@pytest.mark.parametrize(
    ("applied", "name"),
    [(Applied.AT_ONCE, "b"), (Applied.NEVER, "a"), (Applied.LATER, "a")],
)
async def test_a_lost_answer_may_mean_either(
    store: MemoryStore, applied: Applied, name: str
) -> None:
    """The caller cannot tell; only a higher token settles it."""
    await store.put((1,), {"name": "a"}, Fence(1, 1))
    store.database.faults.lose_answers(applied)

    with pytest.raises(StoreOutcomeUnknownError):
        await store.put((1,), {"name": "b"}, Fence(2, 1))

    assert store.rows[1,]["name"] == name
    assert (await store.put((1,), {"name": "c"}, Fence(3, 1))).status is PutStatus.OK


async def test_a_late_put_takes_place_when_it_arrives(store: MemoryStore) -> None:
    """With the record as it was when it was sent."""
    record = {"name": "late"}
    store.database.faults.lose_answers(Applied.LATER)
    with pytest.raises(StoreOutcomeUnknownError):
        await store.put((1,), record, Fence(2, 1))
    record["name"] = "changed"
    assert store.database.faults.late == 1

    store.database.faults.apply_late()

    assert await store.read((1,)) == {"id": 1, "name": "late"}
    assert store.database.faults.late == 0


@pytest.mark.parametrize("fence", ["token", "epoch"])
async def test_a_late_put_is_fenced_like_any_other(store: MemoryStore, fence: str) -> None:
    """That is what tokens and epochs are for."""
    store.database.faults.lose_answers(Applied.LATER)
    with pytest.raises(StoreOutcomeUnknownError):
        await store.put((1,), {"name": "late"}, Fence(2, 1))
    if fence == "token":
        await store.put((1,), {"name": "newer"}, Fence(3, 1))
    else:
        await store.database.raise_epoch(StoreEpoch("ledger-1", 1, 2))

    store.database.faults.apply_late()

    assert [record["name"] for record in store.rows.values()] == (
        ["newer"] if fence == "token" else []
    )


async def test_a_refused_record_changes_nothing(store: MemoryStore) -> None:
    """`refuse` stands for a CHECK of somebody's schema."""
    store.refuse = lambda _, record: "too long" if len(record["name"]) > 3 else None

    put = await store.put((1,), {"name": "long name"}, Fence(1, 1))
    many = await store.put_many([((2,), {"name": "ok"}), ((3,), {"name": "no no"})], Fence(1, 1))

    assert (put.status, put.reason) == (PutStatus.REFUSED, "too long")
    assert many.result.status is PutStatus.REFUSED
    assert store.rows == {}


async def test_the_hook_sees_each_call_before_and_after_it_took_place() -> None:
    """A scheduler that holds the hook orders calls; one that raises there is a crash."""
    seen: list[tuple[str, int]] = []
    stores: list[MemoryStore] = []

    async def pause(name: str) -> None:
        if stores:
            seen.append((name, len(stores[0].rows)))

    database = MemoryDatabase(name="new", pause=pause)
    await database.prepare()
    await database.raise_epoch(StoreEpoch("ledger-1", 1, 1))
    stores.append(MemoryStore(database, "thing", TABLE))

    await stores[0].put((1,), {"name": "a"}, Fence(1, 1))

    assert seen == [("new.thing.put.before", 0), ("new.thing.put.after", 1)]


async def test_a_fake_order_is_only_a_word(store: MemoryStore) -> None:
    """What does not trust the order of keys can be tested without another engine."""
    unordered = MemoryStore(store.database, "thing", TABLE, ordered=False)

    assert (store.ordered, unordered.ordered) == (True, False)
