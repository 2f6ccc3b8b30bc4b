"""The records of both sides, key by key, a bounded page at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from crossfade.convergence.key_scan import OneSidedWalk, PairedPages, in_order, itself
from crossfade.model.key import EVERY_KEY, Key, KeyRange
from crossfade.store.base import Record, Store
from crossfade.store.digests import DigestPair
from crossfade.verification.sampler import Sampler


@dataclass(frozen=True, slots=True)
class RecordPair:
    """What both sides have under one key; None is no record."""

    key: Key
    authority: Record | None
    mirror: Record | None


@dataclass(frozen=True, slots=True)
class Page:
    """What was read at once."""

    pairs: Sequence[RecordPair] = ()
    equal: int = 0
    """Further keys: digests have shown that both sides have the same."""
    seen: int = 0
    """Rows that were read or added up for it, of one side."""
    proofs: Mapping[Key, DigestPair] = field(default_factory=dict)
    """Digests of pairs, read with them: worth keeping of those that are equal."""


def page_of(pairs: Sequence[RecordPair]) -> Page:
    """A page of records that were all read."""
    return Page(pairs, seen=len(pairs))


class RecordPages(Protocol):
    """Pages of pairs."""

    async def next_page(self) -> Page | None:
        """The next page, possibly empty; None behind the last one.

        Raises:
            StoreUnreachableError: a side gave no answer; the page may be asked for again.

        """


def record_pages(
    authority: Store, mirror: Store, range_: KeyRange, rows_max: int, sampler: Sampler
) -> RecordPages:
    """The cheapest way to see a share of the keys of a range on both sides."""
    if not in_order(authority, mirror):
        return _UnorderedPages(authority, mirror, rows_max, sampler)
    if sampler.everything:
        return _WholePages(authority, mirror, range_, rows_max)
    return _SampledPages(authority, mirror, range_, rows_max, sampler)


class _WholePages:
    """Ranges of whole records, merged by key."""

    def __init__(self, authority: Store, mirror: Store, range_: KeyRange, rows_max: int) -> None:
        self._pages = PairedPages(
            authority.read_range, mirror.read_range, range_, rows_max, _key_of
        )

    async def next_page(self) -> Page | None:
        """See `RecordPages`."""
        page = await self._pages.next_page()
        if page is None:
            return None
        ours, theirs = dict(page.authority), dict(page.mirror)
        keys = sorted(ours.keys() | theirs.keys())
        return page_of([RecordPair(key, ours.get(key), theirs.get(key)) for key in keys])


class _SampledPages:
    """Ranges of keys, of which only the chosen ones are read."""

    def __init__(
        self, authority: Store, mirror: Store, range_: KeyRange, rows_max: int, sampler: Sampler
    ) -> None:
        self._sides = (authority, mirror)
        self._sampler = sampler
        self._pages = PairedPages(
            authority.keys_in_range, mirror.keys_in_range, range_, rows_max, itself
        )
        self._unread: Sequence[Key] | None = None
        """Keys of a page whose records could not all be read: they come first."""

    async def next_page(self) -> Page | None:
        """See `RecordPages`."""
        if self._unread is None:
            page = await self._pages.next_page()
            if page is None:
                return None
            self._unread = sorted({*page.authority, *page.mirror})
        pairs = await read_pairs(*self._sides, self._unread, self._sampler)
        self._unread = None
        return page_of(pairs)


class _UnorderedPages:
    """For stores without a common order: every key of one side, then those of the other alone."""

    def __init__(self, authority: Store, mirror: Store, rows_max: int, sampler: Sampler) -> None:
        self._sides = (authority, mirror)
        self._rows_max = rows_max
        self._sampler = sampler
        self._left: KeyRange | None = EVERY_KEY
        self._extra = OneSidedWalk(mirror, authority, rows_max)
        self._unread: Sequence[Key] | None = None
        """Keys of a page whose records could not all be read: they come first."""

    async def next_page(self) -> Page | None:
        """See `RecordPages`."""
        if self._unread is None:
            self._unread = await self._next_keys()
            if self._unread is None:
                return None
        pairs = await read_pairs(*self._sides, self._unread, self._sampler)
        self._unread = None
        return page_of(pairs)

    async def _next_keys(self) -> Sequence[Key] | None:
        if self._left is None:
            return await self._extra.next_page()
        keys = await self._sides[0].keys_in_range(self._left, self._rows_max)
        self._left = KeyRange(keys[-1], None) if len(keys) >= self._rows_max else None
        return keys


async def read_pairs(
    authority: Store, mirror: Store, keys: Sequence[Key], sampler: Sampler
) -> list[RecordPair]:
    """The records of those of the keys that are in the share, one by one."""
    return [
        RecordPair(key, await authority.read(key), await mirror.read(key))
        for key in keys
        if sampler.includes(key)
    ]


def _key_of(item: tuple[Key, Record]) -> Key:
    return item[0]
