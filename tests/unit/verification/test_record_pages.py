"""A page that failed is asked for again: no key is skipped, whichever read it was."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.convergence.key_scan import KeyDifferences
from crossfade.errors import StoreUnreachableError
from crossfade.model.key import EVERY_KEY, Key, KeyRange
from crossfade.store.base import Record
from crossfade.store.memory import MemoryDatabase, MemoryTable
from crossfade.store.memory_store import MemoryStore
from crossfade.verification.record_pages import RecordPair, record_pages
from crossfade.verification.sampler import Sampler

NEARLY_ALL = 0.999_999
"""A sample that has every key of these tests, yet is read as a sample."""
KEYS = st.sets(st.integers(1, 12))
FAILING = st.sets(st.integers(1, 40), max_size=8)


class FlakyStore(MemoryStore):
    """Reads that fail by their number."""

    def __init__(self, keys: set[int], failing: set[int], *, ordered: bool) -> None:
        super().__init__(
            MemoryDatabase(), "things", MemoryTable("things", key=("id",)), ordered=ordered
        )
        for key in keys:
            self.rows[(key,)] = {"id": key}
        self._failing = failing
        self._reads = 0

    def _count(self) -> None:
        self._reads += 1
        if self._reads in self._failing:
            raise StoreUnreachableError("no answer")

    async def read(self, key: Key) -> Record | None:
        """See `RecordReader.read`."""
        self._count()
        return await super().read(key)

    async def read_range(self, range_: KeyRange, rows_max: int) -> Sequence[tuple[Key, Record]]:
        """See `RecordReader.read_range`."""
        self._count()
        return await super().read_range(range_, rows_max)

    async def keys_in_range(self, range_: KeyRange, rows_max: int) -> Sequence[Key]:
        """See `RecordReader.keys_in_range`."""
        self._count()
        return await super().keys_in_range(range_, rows_max)


async def _seen(
    authority: MemoryStore, mirror: MemoryStore, rows_max: int, fraction: float
) -> list[RecordPair]:
    pages = record_pages(authority, mirror, EVERY_KEY, rows_max, Sampler("things", fraction))
    seen: list[RecordPair] = []
    while True:
        try:
            page = await pages.next_page()
        except StoreUnreachableError:
            continue
        if page is None:
            return seen
        seen += page.pairs


@pytest.mark.parametrize("fraction", [1.0, NEARLY_ALL], ids=["whole", "sampled"])
@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])
@given(ours=KEYS, theirs=KEYS, first=FAILING, second=FAILING, rows_max=st.integers(1, 5))
def test_no_key_is_skipped_whichever_read_fails(  # noqa: PLR0913 - what hypothesis varies
    ours: set[int], theirs: set[int], first: set[int], second: set[int], rows_max: int,
    *, ordered: bool, fraction: float,
) -> None:  # fmt: skip
    """And none is seen twice."""
    authority = FlakyStore(ours, first, ordered=ordered)
    mirror = FlakyStore(theirs, second, ordered=ordered)

    seen = asyncio.run(_seen(authority, mirror, rows_max, fraction))

    assert sorted(pair.key for pair in seen) == sorted((key,) for key in ours | theirs)
    assert all((pair.authority is None) == (pair.key[0] not in ours) for pair in seen)
    assert all((pair.mirror is None) == (pair.key[0] not in theirs) for pair in seen)


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])
@given(ours=KEYS, theirs=KEYS, first=FAILING, second=FAILING, rows_max=st.integers(1, 5))
def test_no_difference_is_skipped_whichever_read_fails(
    ours: set[int], theirs: set[int], first: set[int], second: set[int], rows_max: int,
    *, ordered: bool,
) -> None:  # fmt: skip
    """What a search for records without a known id relies on."""
    authority = FlakyStore(ours, first, ordered=ordered)
    mirror = FlakyStore(theirs, second, ordered=ordered)

    mine, others = asyncio.run(_differences(authority, mirror, rows_max))

    assert sorted(mine) == sorted((key,) for key in ours - theirs)
    assert sorted(others) == sorted((key,) for key in theirs - ours)


async def _differences(
    authority: MemoryStore, mirror: MemoryStore, rows_max: int
) -> tuple[list[Key], list[Key]]:
    walk = KeyDifferences(authority, mirror, EVERY_KEY, rows_max)
    mine: list[Key] = []
    others: list[Key] = []
    while True:
        try:
            page = await walk.next_page()
        except StoreUnreachableError:
            continue
        if page is None:
            return mine, others
        mine += page.only_authority
        others += page.only_mirror
