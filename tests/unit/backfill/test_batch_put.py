"""Bad rows are found by bisection; the others of the batch are put."""

from collections.abc import Sequence

import pytest

from crossfade.backfill.batch_put import EpochFencedError, Row, put_rows
from crossfade.model.key import Key
from crossfade.store.base import (
    OK,
    BatchResult,
    Digest,
    Fence,
    PutResult,
    PutStatus,
    Record,
    Together,
)

FENCE = Fence(7, 1)


class PickyStore:
    """Refuses batches that hold certain keys, and counts the calls."""

    def __init__(self, refused: dict[int, PutResult]) -> None:
        self._refused = refused
        self.put_keys: list[Key] = []
        self.calls = 0

    async def put_many(
        self,
        records: Sequence[tuple[Key, Record]],
        fence: Fence,
        digests: Sequence[Digest] | None = None,  # noqa: ARG002 - none here
    ) -> BatchResult:
        """All or none."""
        assert fence == FENCE
        self.calls += 1
        for (number, *_), _record in records:
            if number in self._refused:
                return BatchResult(self._refused[int(number)])
        self.put_keys += [key for key, _ in records]
        return BatchResult(OK)

    async def put(self, key: Key, record: Record | None, fence: Fence) -> PutResult:
        """Not used here."""
        raise NotImplementedError

    async def raise_token(self, key: Key, fence: Fence) -> PutResult:
        """Not used here."""
        raise NotImplementedError

    async def put_together(self, records: Sequence[Together]) -> PutResult:
        """Not used here."""
        raise NotImplementedError

    async def move_sequences(self) -> None:
        """Not used here."""
        raise NotImplementedError


def _rows(count: int) -> list[Row]:
    return [((number,), {"id": number}) for number in range(count)]


REFUSED = PutResult(PutStatus.REFUSED, "a constraint")


@pytest.mark.parametrize("bad", [[0], [99], [0, 99], [10, 11, 12], [5, 50, 77], []])
async def test_every_good_row_is_put_and_every_bad_one_is_named(bad: list[int]) -> None:
    """In a number of calls that grows with the bad rows, not with the batch."""
    store = PickyStore(dict.fromkeys(bad, REFUSED))

    found = await put_rows(store, _rows(100), FENCE, 1.0)

    assert sorted(row.key for row in found) == [(number,) for number in bad]
    assert sorted(store.put_keys) == [(n,) for n in range(100) if n not in bad]
    assert store.calls <= 1 + 2 * 7 * len(bad)
    assert all(row.final and row.reason == "a constraint" for row in found)


async def test_a_batch_of_bad_rows_alone_ends() -> None:
    """Each is named."""
    store = PickyStore(dict.fromkeys(range(8), REFUSED))

    assert len(await put_rows(store, _rows(8), FENCE, 1.0)) == 8
    assert store.put_keys == []


@pytest.mark.parametrize("status", [PutStatus.UNIQUE, PutStatus.FOREIGN_KEY])
async def test_a_row_that_another_key_is_in_the_way_of_is_not_final(status: PutStatus) -> None:
    """Convergence tries again once that has moved."""
    store = PickyStore({2: PutResult(status, other_key=(9,))})

    found = await put_rows(store, _rows(4), FENCE, 1.0)

    assert [(row.key, row.final, row.other_key) for row in found] == [((2,), False, (9,))]
    assert found[0].reason == status.value


async def test_a_row_that_is_fenced_by_itself_is_fine() -> None:
    """Somebody newer has decided on it."""
    store = PickyStore({2: PutResult(PutStatus.FENCED)})

    assert await put_rows(store, _rows(4), FENCE, 1.0) == []


async def test_another_epoch_ends_it() -> None:
    """Nothing more is put."""
    store = PickyStore({0: PutResult(PutStatus.FENCED_EPOCH)})

    with pytest.raises(EpochFencedError):
        await put_rows(store, _rows(4), FENCE, 1.0)


async def test_no_rows_need_no_call() -> None:
    """An empty page."""
    store = PickyStore({})

    assert (await put_rows(store, [], FENCE, 1.0), store.calls) == ([], 0)
