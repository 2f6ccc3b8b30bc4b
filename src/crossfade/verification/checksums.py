"""Pages of what differs, found by sums of digests that both databases make."""

from collections.abc import Sequence

from crossfade.model.key import Key, KeyRange
from crossfade.store.digests import RangeSum
from crossfade.verification.options import VerificationOptions
from crossfade.verification.record_pages import Page, RecordPages, read_pairs, record_pages
from crossfade.verification.sampler import Sampler
from crossfade.verification.sum_walk import (
    DigestSide,
    SumPair,
    SumWalk,
    at_once,
    both,
    key_digests,
)

PARTS_MAX = 1_000_000
"""Parts of one range; more than any has."""
PARTS_AT_ONCE = 32
"""Parts whose digests are read at once, key by key."""


class ChecksumPages:
    """Pages of what differs, where both sides compute one digest; what is equal is only counted.

    Ranges whose sums differ are cut into parts, parts that differ into digests of single keys,
    and the records of keys that differ are read.
    """

    def __init__(
        self,
        authority: DigestSide,
        mirror: DigestSide,
        range_: KeyRange,
        options: VerificationOptions,
        sampler: Sampler,
    ) -> None:
        self._authority = authority
        self._mirror = mirror
        self._options = options
        self._sampler = sampler
        self._walk = SumWalk(authority, mirror, range_, options)
        self._ranges: list[SumPair] = []
        """Those that differ and were not cut into parts yet."""
        self._parts: list[KeyRange] = []
        self._whole: RecordPages | None = None
        """All records of a part in which much differs."""

    async def next_page(self) -> Page | None:
        """See `RecordPages`."""
        if self._whole is not None:
            page = await self._whole.next_page()
            if page is None:
                self._whole = None
            return page or Page()
        if self._parts:
            return await self._of_parts(self._parts[:PARTS_AT_ONCE])
        if self._ranges:
            pairs = await self._cut(self._ranges)
            # Keys that came or went since the range was added up are in no part of its sum.
            self._ranges = []
            self._parts = [one.range for one in pairs if not one.equal]
            equal = sum(one.authority.rows for one in pairs if one.equal)
            return Page(equal=equal, seen=sum(one.authority.rows for one in pairs))
        found = await self._walk.next()
        if found is None:
            return None
        self._ranges = [one for one in found if not one.equal]
        equal = sum(one.authority.rows for one in found if one.equal)
        return Page(equal=equal, seen=sum(one.authority.rows for one in found))

    async def _cut(self, ranges: Sequence[SumPair]) -> list[SumPair]:
        """The parts of ranges, in order."""
        even = [one.range for one in ranges if _has_whole_bounds(one.range)]
        pairs = await self._cut_evenly(even, max(one.authority.rows for one in ranges))
        for one in ranges:
            if not _has_whole_bounds(one.range):
                pairs += await self._cut_by_rows(one.range)
        return sorted(pairs, key=_by_lower)

    async def _cut_evenly(self, ranges: Sequence[KeyRange], rows: int) -> list[SumPair]:
        if not ranges:
            return []
        span = max(_span(one) for one in ranges)
        length = max(1, span * self._options.part_rows // max(rows, self._options.part_rows))
        authority, mirror = self._authority, self._mirror
        ours, theirs = await both(
            at_once(
                lambda some: authority.rows.even_sums(authority.digest, some, length),
                ranges,
                self._options.sums_at_once,
            ),
            at_once(
                lambda some: mirror.rows.even_sums(mirror.digest, some, length),
                ranges,
                self._options.sums_at_once,
            ),
        )
        mine = {one.range: one for one in ours}
        others = {one.range: one for one in theirs}
        parts = mine.keys() | others.keys()
        nothing = {one: RangeSum(one, 0, 0) for one in parts}
        return [
            SumPair(*(side.get(one, nothing[one]) for side in (mine, others))) for one in parts
        ]

    async def _cut_by_rows(self, range_: KeyRange) -> list[SumPair]:
        authority, mirror = self._authority, self._mirror
        rows_max = self._options.part_rows
        ours = await authority.rows.first_sums(authority.digest, range_, rows_max, PARTS_MAX)
        ranges = [one.range for one in ours]
        theirs = await mirror.rows.sums(mirror.digest, ranges, 2 * rows_max)
        return [SumPair(one, other) for one, other in zip(ours, theirs, strict=True)]

    async def _of_parts(self, parts: Sequence[KeyRange]) -> Page:
        rows_max = 2 * self._options.part_rows
        ours, theirs = await both(
            key_digests(self._authority, parts, rows_max),
            key_digests(self._mirror, parts, rows_max),
        )
        different: list[Key] = []
        whole: RecordPages | None = None
        equal = seen = done = 0
        stores = (self._authority.store, self._mirror.store)
        for part, mine, others in zip(parts, ours, theirs, strict=True):
            done += 1
            keys = sorted(mine.keys() | others.keys())
            unlike = [key for key in keys if mine.get(key) != others.get(key)]
            full = max(len(mine), len(others)) >= rows_max
            if full or len(unlike) > self._options.read_keys_max:
                options = self._options
                whole = record_pages(*stores, part, options.page_rows, self._sampler)
                # The parts behind it wait, so that keys come in order.
                break
            equal += len(keys) - len(unlike)
            seen += len(keys)
            different += unlike
        pairs = await read_pairs(*stores, different, self._sampler)
        self._whole = whole
        del self._parts[:done]
        return Page(pairs, equal=equal, seen=seen)


def _has_whole_bounds(range_: KeyRange) -> bool:
    bounds = (range_.lower, range_.upper)
    return all(one is not None and len(one) == 1 and type(one[0]) is int for one in bounds)


def _span(range_: KeyRange) -> int:
    lower, upper = range_.lower, range_.upper
    return 0 if lower is None or upper is None else int(upper[0]) - int(lower[0])


def _by_lower(pair: SumPair) -> tuple[bool, Key]:
    lower = pair.range.lower
    return lower is not None, lower or ()
