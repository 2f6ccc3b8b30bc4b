"""Sums of digests over one range of keys after another, made by both databases at once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from crossfade.model.key import Key, KeyRange
from crossfade.store.base import Digest, Store
from crossfade.store.digests import RangeSum, RowDigest, RowDigests
from crossfade.verification.options import VerificationOptions

First = TypeVar("First")
Second = TypeVar("Second")

RANGES_AT_ONCE = 10
"""Ranges that one connection of a side adds up before it waits for the other side."""
CROWDED = 4
"""A range of whole numbers with this many times the usual rows is asked for again by parts."""


@dataclass(frozen=True, slots=True)
class DigestSide:
    """One side, and the digest that it computes."""

    store: Store
    rows: RowDigests
    digest: RowDigest


@dataclass(frozen=True, slots=True)
class SumPair:
    """What both sides have in one range; the authority was read first."""

    authority: RangeSum
    mirror: RangeSum

    @property
    def range(self) -> KeyRange:
        """The range."""
        return self.authority.range

    @property
    def equal(self) -> bool:
        """Whether both sides have equal rows, as far as one digest for both can tell."""
        return (self.authority.rows, self.authority.total) == (self.mirror.rows, self.mirror.total)


class SumWalk:
    """Both sides' sums of a range, part by part; a part is one short statement on each side.

    Parts that take too long are asked for again by halves.
    """

    def __init__(
        self,
        authority: DigestSide,
        mirror: DigestSide,
        range_: KeyRange,
        options: VerificationOptions,
    ) -> None:
        self._authority = authority
        self._mirror = mirror
        self._left: KeyRange | None = range_
        self._end = range_.upper
        self._rows = options.sum_rows
        self._rows_min = options.sum_rows_min
        self._calls = options.sums_at_once
        self._bounds: tuple[int, int] | None = None
        """The authority's first and last key, where they are whole numbers; the keys in between
        are cut into parts of equal length, which needs no look at them."""
        self._length = 0
        self._ahead: RangeSum | None = None
        self._began = False

    async def next(self) -> list[SumPair] | None:
        """The next few parts; None behind the last one.

        Raises:
            StoreUnreachableError: a side gave no answer; may be asked for again.

        """
        if self._left is None:
            return None
        try:
            if not self._began:
                await self._begin(self._left)
            if self._bounds is None:
                return [await self._by_rows(self._left)]
            pairs: list[SumPair] = []
            while not pairs:
                pairs = await self._by_length(self._left, *self._bounds)
        except Exception:
            self._rows = max(self._rows_min, self._rows // 2)
            self._length = max(1, self._length // 2)
            self._ahead = None
            raise
        return pairs

    async def _begin(self, range_: KeyRange) -> None:
        first, last = await both(
            self._authority.store.keys_in_range(range_, 1), self._authority.store.last_key()
        )
        if first and last is not None and type(first[0][0]) is int and len(last) == 1:
            highest = last if self._end is None else min(last, self._end)
            self._bounds = (int(first[0][0]), int(highest[0]))
            self._length = self._rows
        self._began = True

    async def _by_length(self, left: KeyRange, lowest: int, highest: int) -> list[SumPair]:
        """Add up the next few parts of equal length; none where they have too many rows."""
        ranges = self._parts(left, lowest, highest)
        spread = self._length > CROWDED * self._rows
        rows_max = CROWDED * self._rows if spread else None
        authority, mirror = self._authority, self._mirror
        ours, theirs = await both(
            at_once(
                lambda some: authority.rows.sums(authority.digest, some, rows_max),
                ranges,
                self._calls,
            ),
            at_once(
                lambda some: mirror.rows.sums(mirror.digest, some, rows_max), ranges, self._calls
            ),
        )
        by_range = {one.range: one for one in theirs}
        ours.sort(key=lambda one: ranges.index(one.range))
        pairs = [SumPair(one, by_range[one.range]) for one in ours]
        if rows_max is not None:
            crowded = [place for place, one in enumerate(ours) if one.rows >= rows_max]
            if crowded:
                # There a shorter part has all the rows that one may have.
                self._length = max(1, self._length // (2 * CROWDED))
                pairs = pairs[: crowded[0]]
        most = max((one.rows for one in ours), default=0)
        if 2 * most < self._rows and not (rows_max is not None and len(pairs) < len(ours)):
            self._length *= 2 if 4 * most > self._rows else CROWDED
        if pairs:
            upper = pairs[-1].range.upper
            self._left = None if upper == self._end else KeyRange(upper, self._end)
        return pairs

    def _parts(self, left: KeyRange, lowest: int, highest: int) -> list[KeyRange]:
        lower = left.lower
        reached = lowest - 1 if lower is None else max(lowest - 1, int(lower[0]))
        parts: list[KeyRange] = []
        while len(parts) < RANGES_AT_ONCE * self._calls:
            reached += self._length
            if reached >= highest:
                if lower is None or int(lower[0]) < highest:
                    parts.append(KeyRange(lower, (highest,)))
                    lower = (highest,)
                if self._end != (highest,):
                    # What the mirror has above the authority's last key, and what is new.
                    parts.append(KeyRange(lower, self._end))
                break
            parts.append(KeyRange(lower, (reached,)))
            lower = (reached,)
        return parts

    async def _by_rows(self, left: KeyRange) -> SumPair:
        """While the mirror adds up a part, the authority is at the next one."""
        current = self._ahead or await self._first(left)
        upper = current.range.upper
        rest = None if upper == self._end else KeyRange(upper, self._end)
        # A mirror that has more rows than that differs anyhow.
        rows_max = 2 * max(self._rows, current.rows)
        theirs = self._mirror.rows.sums(self._mirror.digest, [current.range], rows_max)
        (mirror,), ahead = await both(
            theirs, self._nothing() if rest is None else self._first(rest)
        )
        self._ahead, self._left = ahead, rest
        return SumPair(current, mirror)

    async def _first(self, range_: KeyRange) -> RangeSum:
        digest = self._authority.digest
        return (await self._authority.rows.first_sums(digest, range_, self._rows, 1))[0]

    async def _nothing(self) -> None:
        return None


async def key_digests(
    side: DigestSide, ranges: Sequence[KeyRange], rows_max: int
) -> list[dict[Key, Digest]]:
    """The digests of the rows of each range, at most so many."""
    return [dict(one) for one in await side.rows.digests(side.digest, ranges, rows_max)]


async def at_once(
    ask: Callable[[Sequence[KeyRange]], Awaitable[Sequence[RangeSum]]],
    ranges: Sequence[KeyRange],
    calls: int,
) -> list[RangeSum]:
    """The sums of ranges, asked for by several calls at the same time; raises when all ended."""
    shares = [ranges[number::calls] for number in range(calls)]
    found = await asyncio.gather(
        *(ask(share) for share in shares if share), return_exceptions=True
    )
    sums: list[RangeSum] = []
    for one in found:
        if isinstance(one, BaseException):
            raise one
        sums += one
    return sums


async def both(first: Awaitable[First], second: Awaitable[Second]) -> tuple[First, Second]:
    """Wait for two answers at once; raises when both have ended."""
    one, other = await asyncio.gather(first, second, return_exceptions=True)
    if isinstance(one, BaseException):
        raise one
    if isinstance(other, BaseException):
        raise other
    return one, other
