"""A higher token wins whatever the order, and is never forgotten (rules 5 and 6)."""

import asyncio
from itertools import permutations

import pytest

from crossfade.model.key import EVERY_KEY, KeyRange
from crossfade.store.base import Fence, PutStatus, Store
from tests.contract.store.backends import Backend
from tests.contract.store.layouts import NAMED, SIMPLE

EPOCH = 3


async def test_a_lower_token_changes_nothing(backend: Backend) -> None:
    """The copy of somebody who was superseded is refused."""
    store = await backend.open(SIMPLE)
    await store.put((1,), {"name": "new"}, Fence(8, EPOCH))

    result = await store.put((1,), {"name": "stale"}, Fence(7, EPOCH))

    assert result.status is PutStatus.FENCED
    assert await _name(backend) == "new"


async def test_the_same_token_may_put_again(backend: Backend) -> None:
    """Repeating a put with the same fence is harmless."""
    store = await backend.open(SIMPLE)
    first = await store.put((1,), {"name": "a"}, Fence(8, EPOCH))

    again = await store.put((1,), {"name": "a"}, Fence(8, EPOCH))

    assert [first.status, again.status] == [PutStatus.OK, PutStatus.OK]
    assert await _name(backend) == "a"


async def test_a_higher_token_puts(backend: Backend) -> None:
    """Whoever comes later with a higher token is the one."""
    store = await backend.open(SIMPLE)
    await store.put((1,), {"name": "a"}, Fence(8, EPOCH))

    result = await store.put((1,), {"name": "b"}, Fence(9, EPOCH))

    assert result.status is PutStatus.OK
    assert await _name(backend) == "b"


async def test_a_deleted_record_keeps_its_token(backend: Backend) -> None:
    """The tombstone refuses a late copy that would bring the record back."""
    store = await backend.open(SIMPLE)
    await store.put((1,), {"name": "a"}, Fence(8, EPOCH))
    await store.put((1,), None, Fence(9, EPOCH))

    result = await store.put((1,), {"name": "back"}, Fence(8, EPOCH))

    assert result.status is PutStatus.FENCED
    assert await store.read((1,)) is None


async def test_deleting_what_does_not_exist_keeps_the_token(backend: Backend) -> None:
    """There was nothing to delete; the late copy is refused all the same."""
    store = await backend.open(SIMPLE)

    deleted = await store.put((1,), None, Fence(9, EPOCH))
    late = await store.put((1,), {"name": "late"}, Fence(8, EPOCH))

    assert [deleted.status, late.status] == [PutStatus.OK, PutStatus.FENCED]


async def test_a_put_that_changes_nothing_keeps_its_token(backend: Backend) -> None:
    """The row was as wanted; an earlier copy must still not undo it."""
    store = await backend.open(SIMPLE)
    await store.put((1,), {"name": "a"}, Fence(5, EPOCH))
    await store.put((1,), {"name": "a"}, Fence(9, EPOCH))

    result = await store.put((1,), {"name": "stale"}, Fence(7, EPOCH))

    assert result.status is PutStatus.FENCED


async def test_a_refused_put_keeps_no_token(backend: Backend) -> None:
    """Anything but OK changes nothing, the fence included."""
    store = await backend.open(SIMPLE)
    await store.put((1,), {"no such column": 1}, Fence(9, EPOCH))

    result = await store.put((1,), {"name": "a"}, Fence(8, EPOCH))

    assert result.status is PutStatus.OK


async def test_raising_a_token_refuses_earlier_puts_and_touches_no_row(backend: Backend) -> None:
    """How an operator or a forced roll-back shuts out whoever held the lease."""
    store = await backend.open(SIMPLE)
    await store.put((1,), {"name": "a"}, Fence(5, EPOCH))

    raised = await store.raise_token((1,), Fence(9, EPOCH))
    late = await store.put((1,), {"name": "late"}, Fence(8, EPOCH))

    assert [raised.status, late.status] == [PutStatus.OK, PutStatus.FENCED]
    assert await _name(backend) == "a"


async def test_a_token_is_never_lowered(backend: Backend) -> None:
    """Raising to a lower token is refused and leaves the higher one."""
    store = await backend.open(SIMPLE)
    await store.raise_token((1,), Fence(9, EPOCH))

    lower = await store.raise_token((1,), Fence(8, EPOCH))

    assert lower.status is PutStatus.FENCED
    assert await backend.database().highest_token() == 9


async def test_fences_of_keys_and_entities_are_apart(backend: Backend) -> None:
    """A token fences one key of one entity."""
    customers = await backend.open(SIMPLE)
    people = await backend.open(SIMPLE, entity="people")
    await customers.raise_token((1,), Fence(9, EPOCH))

    other_key = await customers.put((2,), {"name": "b"}, Fence(1, EPOCH))
    other_entity = await people.put((1,), {"name": "c"}, Fence(1, EPOCH))

    assert [other_key.status, other_entity.status] == [PutStatus.OK, PutStatus.OK]


async def test_text_keys_that_look_alike_have_their_own_fences(backend: Backend) -> None:
    """A key is compared code point by code point."""
    keys = ["a", "A", "a ", "\u00e5", "a\u030a", '"', "\\", "[1]", "1", ""]
    if backend.holds_nul:
        keys.append("a\x00b")
    store = await backend.open(NAMED)
    for token, code in enumerate(keys, start=1):
        await store.put((code,), {"name": code}, Fence(token, EPOCH))

    found = {key: record["name"] for key, record in await store.read_range(*_everything())}

    assert found == {(code,): code for code in keys}
    for token, code in enumerate(keys, start=1):
        assert (await store.raise_token((code,), Fence(token, EPOCH))).status is PutStatus.OK


async def test_a_batch_skips_fenced_keys_and_reports_them(backend: Backend) -> None:
    """The backfill goes on with the rest; somebody newer owns those keys."""
    store = await backend.open(SIMPLE)
    await store.put((2,), {"name": "newer"}, Fence(9, EPOCH))
    await store.put((4,), None, Fence(9, EPOCH))

    batch = await store.put_many(
        [((number,), {"name": "copied"}) for number in range(1, 6)], Fence(8, EPOCH)
    )

    assert batch.result.status is PutStatus.OK
    assert batch.fenced == ((2,), (4,))
    names = {key: record["name"] for key, record in await store.read_range(*_everything())}
    assert names == {(1,): "copied", (2,): "newer", (3,): "copied", (5,): "copied"}


async def test_a_batch_keeps_the_token_of_each_key(backend: Backend) -> None:
    """Rows that were as wanted are fenced too."""
    store = await backend.open(SIMPLE)
    records = [((number,), {"name": "a"}) for number in range(1, 4)]
    await store.put_many(records, Fence(5, EPOCH))
    await store.put_many(records, Fence(8, EPOCH))

    late = await store.put_many([(key, {"name": "late"}) for key, _ in records], Fence(7, EPOCH))

    assert late.fenced == ((1,), (2,), (3,))
    assert await _name(backend) == "a"


@pytest.mark.parametrize("order", list(permutations([7, 8, 9])))
async def test_the_higher_token_wins_in_any_order(
    backend: Backend, order: tuple[int, ...]
) -> None:
    """Three copiers, one key, any order of arrival: the newest stays."""
    store = await backend.open(SIMPLE)

    for token in order:
        await store.put((1,), {"name": f"by {token}"}, Fence(token, EPOCH))

    assert await _name(backend) == "by 9"


async def test_two_nodes_at_once_leave_the_higher_token(backend: Backend) -> None:
    """Two processes put the same keys concurrently; no key ends with the lower token's value."""
    mine = await backend.open(SIMPLE)
    theirs = await backend.other_node(SIMPLE)
    keys = [(number,) for number in range(20)]

    async def put_all(store: Store, token: int) -> None:
        for key in keys:
            await store.put(key, {"name": f"by {token}"}, Fence(token, EPOCH))

    await asyncio.gather(put_all(mine, 7), put_all(theirs, 9), put_all(mine, 8))

    names = {record["name"] for _, record in await mine.read_range(*_everything())}
    assert names == {"by 9"}


def _everything() -> tuple[KeyRange, int]:
    return EVERY_KEY, 1000


async def _name(backend: Backend) -> object:
    record = await (await backend.open(SIMPLE)).read((1,))
    return record and record["name"]
