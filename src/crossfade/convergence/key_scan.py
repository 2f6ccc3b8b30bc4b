"""Walk one range of both sides page by page, so that neither side is ever held in memory whole."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from crossfade.model.key import EVERY_KEY, Key, KeyRange
from crossfade.store.base import RecordReader, Store

ItemT = TypeVar("ItemT")
ReadPage = Callable[[KeyRange, int], Awaitable[Sequence[ItemT]]]
"""The first items of a range by ascending key, at most so many."""


@dataclass(frozen=True, slots=True)
class PagePair(Generic[ItemT]):
    """What both sides have in one and the same range."""

    range: KeyRange
    authority: tuple[ItemT, ...]
    mirror: tuple[ItemT, ...]


@dataclass(frozen=True, slots=True)
class KeyDifference:
    """Keys of a range that only one side has."""

    only_authority: tuple[Key, ...]
    only_mirror: tuple[Key, ...]


class PairedPages(Generic[ItemT]):
    """Pages over the union of both sides' keys; for stores that order keys as Python does."""

    def __init__(
        self,
        authority: ReadPage[ItemT],
        mirror: ReadPage[ItemT],
        range_: KeyRange,
        rows_max: int,
        key_of: Callable[[ItemT], Key],
    ) -> None:
        self._authority = authority
        self._mirror = mirror
        self._left: KeyRange | None = range_
        self._rows_max = rows_max
        self._key_of = key_of

    async def next_page(self) -> PagePair[ItemT] | None:
        """The next page, at most `rows_max` items a side; None behind the last one.

        The authority is read first, so what it has and the mirror lacks was certainly there
        before the mirror was asked.

        Raises:
            StoreUnreachableError: a side gave no answer; the same page may be asked for again.

        """
        left = self._left
        if left is None:
            return None
        ours = await self._authority(left, self._rows_max)
        theirs = await self._mirror(left, self._rows_max)
        ends = [
            self._key_of(items[-1]) for items in (ours, theirs) if len(items) >= self._rows_max
        ]
        end = min(ends, default=None)
        if end is None:
            self._left = None
            return PagePair(left, tuple(ours), tuple(theirs))
        page = KeyRange(left.lower, end)
        self._left = None if end == left.upper else KeyRange(end, left.upper)
        return PagePair(page, self._within(ours, end), self._within(theirs, end))

    def _within(self, items: Sequence[ItemT], end: Key) -> tuple[ItemT, ...]:
        return tuple(item for item in items if self._key_of(item) <= end)


class KeyDifferences:
    """Which keys of a range only one side has; reads keys alone, a page at a time."""

    def __init__(self, authority: Store, mirror: Store, range_: KeyRange, rows_max: int) -> None:
        """Begin at the lower end of the range.

        Args:
            authority: the side whose answer stands.
            mirror: the side that follows.
            range_: the range; every key where a store does not order keys as Python does.
            rows_max: keys read at once from each side.

        """
        self._sides = (authority, mirror)
        self._rows_max = rows_max
        self._pages: PairedPages[Key] | None = None
        self._walks: list[OneSidedWalk] = []
        if in_order(authority, mirror):
            self._pages = PairedPages(
                authority.keys_in_range, mirror.keys_in_range, range_, rows_max, itself
            )
        else:
            self._walks = [
                OneSidedWalk(authority, mirror, rows_max),
                OneSidedWalk(mirror, authority, rows_max),
            ]

    async def next_page(self) -> KeyDifference | None:
        """The differences of the next page, often none; None behind the last page.

        Raises:
            StoreUnreachableError: a side gave no answer; the same page may be asked for again.

        """
        if self._pages is not None:
            page = await self._pages.next_page()
            return None if page is None else _difference(page)
        while self._walks:
            lacking = await self._walks[0].next_page()
            if lacking is None:
                self._walks.pop(0)
                continue
            on_authority = len(self._walks) == len(self._sides)
            return KeyDifference(lacking, ()) if on_authority else KeyDifference((), lacking)
        return None


class OneSidedWalk:
    """Keys that one store has and the other lacks, asked one by one: for stores without order."""

    def __init__(self, having: RecordReader, lacking: RecordReader, rows_max: int) -> None:
        self._having = having
        self._lacking = lacking
        self._rows_max = rows_max
        self._left: KeyRange | None = EVERY_KEY

    async def next_page(self) -> tuple[Key, ...] | None:
        """The lacking keys of the next page, often none; None behind the last page.

        Raises:
            StoreUnreachableError: a store gave no answer; the same page may be asked for again.

        """
        if self._left is None:
            return None
        keys = await self._having.keys_in_range(self._left, self._rows_max)
        lacking = tuple([key for key in keys if await self._lacking.read(key) is None])
        # Only now: a page whose reads failed is asked for again.
        self._left = KeyRange(keys[-1], None) if len(keys) >= self._rows_max else None
        return lacking


def in_order(authority: Store, mirror: Store) -> bool:
    """Whether both stores order keys as Python does: only then does a range mean one thing."""
    return authority.ordered and mirror.ordered


def itself(key: Key) -> Key:
    """The key of an item that is a key."""
    return key


def _difference(page: PagePair[Key]) -> KeyDifference:
    ours, theirs = set(page.authority), set(page.mirror)
    return KeyDifference(
        only_authority=tuple(key for key in page.authority if key not in theirs),
        only_mirror=tuple(key for key in page.mirror if key not in ours),
    )
