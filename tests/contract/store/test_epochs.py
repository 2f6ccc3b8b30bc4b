"""A database takes puts of one epoch of one ledger; its epoch never goes down."""

import asyncio

import pytest

from crossfade.errors import ConfigurationError, ForeignLedgerError
from crossfade.model.key import EVERY_KEY, KeyRange
from crossfade.store.base import Fence, PutStatus, StoreEpoch
from tests.contract.store.backends import Backend
from tests.contract.store.layouts import SIMPLE


@pytest.mark.parametrize("epoch", [2, 4])
async def test_another_epoch_is_refused_both_ways(backend: Backend, epoch: int) -> None:
    """A stale node and one that is ahead of the store both change nothing."""
    store = await backend.open(SIMPLE)

    put = await store.put((1,), {"name": "a"}, Fence(9, epoch))
    deleted = await store.put((1,), None, Fence(9, epoch))
    many = await store.put_many([((2,), {"name": "b"})], Fence(9, epoch))
    empty = await store.put_many([], Fence(9, epoch))
    raised = await store.raise_token((3,), Fence(9, epoch))

    statuses = [put.status, deleted.status, many.result.status, empty.result.status, raised.status]
    assert statuses == [PutStatus.FENCED_EPOCH] * 5
    assert await store.last_key() is None
    assert await backend.database().highest_token() == 0


async def test_a_raised_epoch_refuses_the_one_before(backend: Backend) -> None:
    """After the flip no copy in the other direction is applied."""
    store = await backend.open(SIMPLE)
    await backend.database().raise_epoch(StoreEpoch("ledger-1", 1, 4))

    result = await store.put((1,), {"name": "late"}, Fence(9, 3))

    assert result.status is PutStatus.FENCED_EPOCH
    assert (await store.put((1,), {"name": "a"}, Fence(1, 4))).status is PutStatus.OK


async def test_an_epoch_never_goes_down(backend: Backend) -> None:
    """Raising to a lower one leaves the higher one, and says so."""
    held = await backend.database().raise_epoch(StoreEpoch("ledger-1", 1, 2))

    assert held == StoreEpoch("ledger-1", 1, 3)
    assert await backend.database().epoch() == StoreEpoch("ledger-1", 1, 3)


async def test_raising_to_the_same_epoch_changes_nothing(backend: Backend) -> None:
    """A flip that is completed twice is completed once."""
    held = await backend.database().raise_epoch(StoreEpoch("ledger-1", 1, 3))

    assert held == StoreEpoch("ledger-1", 1, 3)


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(StoreEpoch("ledger-2", 1, 9), id="another-ledger"),
        pytest.param(StoreEpoch("ledger-1", 0, 9), id="an-earlier-incarnation"),
    ],
)
async def test_a_foreign_ledger_is_an_error(backend: Backend, wanted: StoreEpoch) -> None:
    """A database never follows two ledgers, nor a restored copy of its own."""
    with pytest.raises(ForeignLedgerError, match="crossfade ledger adopt"):
        await backend.database().raise_epoch(wanted)

    assert await backend.database().epoch() == StoreEpoch("ledger-1", 1, 3)


async def test_a_later_incarnation_takes_over_without_lowering_the_epoch(backend: Backend) -> None:
    """A ledger that was adopted properly goes on where the database is."""
    held = await backend.database().raise_epoch(StoreEpoch("ledger-1", 2, 1))

    assert held == StoreEpoch("ledger-1", 2, 3)


async def test_adopting_makes_the_epoch_so(backend: Backend) -> None:
    """`ledger adopt` is the one way to another ledger."""
    await backend.database().adopt(StoreEpoch("ledger-2", 1, 1))

    assert await backend.database().epoch() == StoreEpoch("ledger-2", 1, 1)


async def test_puts_are_refused_once_another_ledger_adopted_the_database(
    backend: Backend,
) -> None:
    """Even of the same epoch number: this process serves the ledger that it raised for."""
    mine = await backend.open(SIMPLE)
    theirs = await backend.other_node(SIMPLE)
    await backend.database().raise_epoch(StoreEpoch("ledger-1", 1, 3))
    await backend.database("other").prepare()
    await _adopt_from_elsewhere(backend)

    result = await mine.put((1,), {"name": "a"}, Fence(9, 3))

    assert result.status is PutStatus.FENCED_EPOCH
    assert (await theirs.put((1,), {"name": "b"}, Fence(9, 3))).status is PutStatus.OK


async def test_a_database_without_an_epoch_takes_no_put(empty_backend: Backend) -> None:
    """Before the migration has a say there, nothing is copied."""
    await empty_backend.database().prepare()
    store = await empty_backend.open(SIMPLE)

    result = await store.put((1,), {"name": "a"}, Fence(1, 0))

    assert result.status is PutStatus.FENCED_EPOCH
    assert await empty_backend.database().epoch() is None


async def test_a_database_without_the_tables_says_how_to_make_them(empty_backend: Backend) -> None:
    """The error names what is missing."""
    with pytest.raises(ConfigurationError, match="has no"):
        await empty_backend.database().epoch()


async def test_preparing_twice_keeps_what_is_there(backend: Backend) -> None:
    """`prepare` is idempotent."""
    store = await backend.open(SIMPLE)
    await store.put((1,), {"name": "a"}, Fence(9, 3))

    await backend.database().prepare()

    assert await backend.database().epoch() == StoreEpoch("ledger-1", 1, 3)
    assert await backend.database().highest_token() == 9


async def test_removing_forgets_the_migration_and_keeps_the_rows(backend: Backend) -> None:
    """`retire` leaves the service's data alone; removing twice is removing once."""
    store = await backend.open(SIMPLE)
    await store.put((1,), {"name": "a"}, Fence(9, 3))

    await backend.database().remove()
    await backend.database().remove()

    with pytest.raises(ConfigurationError):
        await backend.database().epoch()
    assert await store.read((1,)) is not None


async def test_two_migrations_live_side_by_side(backend: Backend) -> None:
    """Each has its epoch and its fences; removing one leaves the other."""
    other = backend.database("other")
    await other.prepare()
    await other.raise_epoch(StoreEpoch("ledger-2", 1, 70))
    mine = await backend.open(SIMPLE)
    theirs = await backend.open(SIMPLE, migration="other")
    await mine.put((1,), {"name": "mine"}, Fence(50, 3))

    put = await theirs.put((1,), {"note": "theirs"}, Fence(5, 70))
    await backend.database().remove()

    assert put.status is PutStatus.OK
    assert await other.highest_token() == 5
    assert await other.epoch() == StoreEpoch("ledger-2", 1, 70)
    record = await theirs.read((1,))
    assert record is not None
    assert (record["name"], record["note"]) == ("mine", "theirs")


async def test_no_put_of_a_lower_epoch_lands_after_a_raise(backend: Backend) -> None:
    """Whatever was under way when the epoch was raised, nothing changes once it returned."""
    store = await backend.other_node(SIMPLE)
    puts = [
        asyncio.ensure_future(store.put((number,), {"name": "late"}, Fence(1, 3)))
        for number in range(30)
    ]
    await asyncio.sleep(0)

    await backend.database().raise_epoch(StoreEpoch("ledger-1", 1, 4))
    keys = await store.keys_in_range(*_everything())
    results = await asyncio.gather(*puts)

    assert len(keys) <= sum(result.status is PutStatus.OK for result in results)
    assert len(await store.keys_in_range(*_everything())) == len(keys)


async def _adopt_from_elsewhere(backend: Backend) -> None:
    """Another process adopts the database for its ledger."""
    elsewhere = backend.other_database()
    await elsewhere.adopt(StoreEpoch("ledger-2", 1, 3))


def _everything() -> tuple[KeyRange, int]:
    return EVERY_KEY, 1000
