"""Pages of what differs where the models differ: digests kept beside the fence vouch for the rest.

A pair beside the fence says: a row of the authority with this digest maps to a row of the mirror
with that one. So a range is equal where the authority's rows add up to the first digests of its
pairs, and the mirror's rows to the second ones. What no pair vouches for is read, mapped and
compared, and a pair is kept of what is equal: the next verification has less to read.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from crossfade.convergence.key_scan import PairedPages, ReadPage
from crossfade.model.key import Key, KeyRange
from crossfade.store.base import Digest, Record
from crossfade.store.digests import DigestPair, FencePairs, PairSum, Start
from crossfade.verification.options import VerificationOptions
from crossfade.verification.record_pages import Page, RecordPair
from crossfade.verification.sum_walk import DigestSide, SumPair, SumWalk, both, key_digests

Item = tuple[Key, Record, Digest]
Differs = Callable[[RecordPair], bool]
"""Whether the mirror's record is not what the authority's one maps to."""

SAMPLES_MAX = 20
"""Ranges of which some rows are compared although digests vouch for them."""
DISTRUSTED_FROM = 3
"""Rows of the samples that differ; fewer may have been written just now."""
GAP_ROWS = 8
"""Keys that are read for nothing rather than asking once more."""


@dataclass(frozen=True, slots=True)
class Unproved:
    """A range of which some keys have to be read; None is all of them."""

    range: KeyRange
    keys: frozenset[Key] | None


class VouchedPages:
    """See the module; goes over the range once for the sums, then over what they left open."""

    def __init__(
        self,
        authority: DigestSide,
        mirror: DigestSide,
        kept: FencePairs,
        range_: KeyRange,
        options: VerificationOptions,
        differs: Differs,
    ) -> None:
        self._authority = authority
        self._mirror = mirror
        self._kept = kept
        self._options = options
        self._differs = differs
        self._walk: SumWalk | None = SumWalk(authority, mirror, range_, options)
        self._sums: list[SumPair] = []
        self._vouching: Vouching | None = None
        self._open: list[SumPair] = []
        """Ranges that no sum has shown equal, the next one last."""
        self._unproved: list[Unproved] = []
        self._reading: PairedPages[Item] | None = None

    async def next_page(self) -> Page | None:
        """See `RecordPages`."""
        if self._walk is not None:
            return await self._add_up(self._walk)
        if self._vouching is not None:
            return await self._vouch(self._vouching)
        if self._unproved:
            page = await self._read(self._unproved[-1])
            if self._reading is None:
                self._unproved.pop()
            return page
        if not self._open:
            return None
        page, self._unproved = await self._narrow(self._open[-1])
        self._open.pop()
        return page

    async def _add_up(self, walk: SumWalk) -> Page:
        pairs = await walk.next()
        if pairs is not None:
            self._sums += pairs
            return Page(seen=sum(one.authority.rows for one in pairs))
        self._walk = None
        self._vouching = Vouching(self._kept, self._sums)
        return Page()

    async def _vouch(self, vouching: "Vouching") -> Page:
        if not await vouching.read_part():
            return Page()
        vouched = vouching.vouched()
        step = len(vouched) // SAMPLES_MAX + 1
        samples = [await self._sample(pair) for pair in vouched[::step]]
        pairs = [pair for sample in samples for pair in sample]
        self._vouching = None
        if sum(map(self._differs, pairs)) >= DISTRUSTED_FROM:
            # Digests were kept for a mapping that gave something else: they prove nothing.
            self._unproved = [Unproved(one.range, None) for one in reversed(self._sums)]
            self._sums = []
            return Page()
        found = set(map(id, vouched))
        self._open = [one for one in reversed(self._sums) if id(one) not in found]
        equal = sum(one.authority.rows for one in vouched) - len(pairs)
        self._sums = []
        return Page(pairs, equal=max(0, equal))

    async def _sample(self, pair: SumPair) -> Sequence[RecordPair]:
        rows_max = self._options.distrust_rows
        first, second = await both(
            self._authority.store.read_range(pair.range, rows_max),
            self._mirror.store.read_range(pair.range, rows_max),
        )
        ours, theirs = dict(first), dict(second)
        return [
            RecordPair(key, ours[key], theirs[key]) for key in sorted(ours.keys() & theirs.keys())
        ]

    async def _narrow(self, pair: SumPair) -> tuple[Page, list[Unproved]]:
        """Which keys of a range have no pair that vouches for both of their rows as they are."""
        rows_max = 2 * max(pair.authority.rows, self._options.part_rows)
        if pair.mirror.rows >= rows_max or not await self._worth_narrowing(pair):
            return Page(), [Unproved(pair.range, None)]
        (ours,), (theirs,) = await both(
            key_digests(self._authority, [pair.range], rows_max),
            key_digests(self._mirror, [pair.range], rows_max),
        )
        if max(len(ours), len(theirs)) >= rows_max:
            return Page(), [Unproved(pair.range, None)]
        kept = await self._kept.pairs(sorted(ours.keys() & theirs.keys()))
        keys = sorted(ours.keys() | theirs.keys())
        proved = {key for key, one in kept.items() if one == DigestPair(ours[key], theirs[key])}
        unproved = segments(pair.range, keys, proved, self._options.page_rows)
        return Page(equal=len(proved), seen=len(proved)), unproved[::-1]

    async def _worth_narrowing(self, pair: SumPair) -> bool:
        """Whether a few keys of the range have pairs: without any all its records are read."""
        rows_max = self._options.distrust_rows
        digest = self._authority.digest
        (some,) = await self._authority.rows.digests(digest, [pair.range], rows_max)
        return not some or bool(await self._kept.pairs([key for key, _ in some]))

    async def _read(self, unproved: Unproved) -> Page:
        if self._reading is None:
            readers = (self._reader(self._authority), self._reader(self._mirror))
            rows_max = self._options.page_rows
            self._reading = PairedPages(*readers, unproved.range, rows_max, _key_of)
        page = await self._reading.next_page()
        if page is None:
            self._reading = None
            return Page()
        ours = {key: (record, digest) for key, record, digest in page.authority}
        theirs = {key: (record, digest) for key, record, digest in page.mirror}
        keys = sorted(ours.keys() | theirs.keys())
        wanted = [key for key in keys if unproved.keys is None or key in unproved.keys]
        pairs = [
            RecordPair(key, _record(ours.get(key)), _record(theirs.get(key))) for key in wanted
        ]
        proofs = {
            key: DigestPair(ours[key][1], theirs[key][1])
            for key in wanted
            if key in ours and key in theirs
        }
        return Page(pairs, seen=len(pairs), proofs=proofs)

    def _reader(self, side: DigestSide) -> ReadPage[Item]:
        async def read(range_: KeyRange, rows_max: int) -> Sequence[Item]:
            records, digests = await side.rows.read_range(side.digest, range_, rows_max)
            return [
                (key, record, digest)
                for (key, record), digest in zip(records, digests, strict=True)
            ]

        return read


class Vouching:
    """Adds up the pairs of all ranges, part by part, and tells which ranges they vouch for."""

    def __init__(self, kept: FencePairs, sums: Sequence[SumPair]) -> None:
        self._kept = kept
        self._sums = sums
        self._start: Start = None
        # Keys below the first range and above the last one have sums of their own.
        lowest = sums[0].range.lower if sums else None
        uppers = [one.range.upper for one in sums]
        bounds = [lowest, *uppers] if lowest is not None else uppers
        self._bounds: list[Key] = [bound for bound in bounds if bound is not None]
        self._skipped = 0 if lowest is None else 1
        self._found: list[PairSum] | None = None

    async def read_part(self) -> bool:
        """Add up the next part; whether it was the last one."""
        part = await self._kept.sums(self._bounds, self._start)
        if part is None:
            # Keys that no engine can tell apart are added up all together.
            self._bounds, self._skipped = [], 0
            part = await self._kept.sums([], self._start)
            if part is None:
                return True
        before = self._found or [PairSum(0, 0, 0)] * len(part.sums)
        self._found = [_plus(one, other) for one, other in zip(before, part.sums, strict=True)]
        self._start = part.next
        return part.next is None

    def vouched(self) -> list[SumPair]:
        """The ranges whose rows are those that the pairs are of."""
        found = (self._found or [])[self._skipped :]
        sums = list(self._sums)
        if len(found) < len(sums):
            total = PairSum(
                sum(one.authority.rows for one in sums),
                sum(one.authority.total for one in sums),
                sum(one.mirror.total for one in sums),
            )
            same_rows = all(one.authority.rows == one.mirror.rows for one in sums)
            return sums if found and same_rows and found[0] == total else []
        return [
            one
            for one, kept in zip(sums, found, strict=False)
            if one.authority.rows == one.mirror.rows
            and kept == PairSum(one.authority.rows, one.authority.total, one.mirror.total)
        ]


def segments(
    range_: KeyRange, keys: Sequence[Key], proved: Collection[Key], rows_max: int
) -> list[Unproved]:
    """Short ranges, ascending, that hold all the keys that are not proved."""
    places = [place for place, key in enumerate(keys) if key not in proved]
    groups: list[list[int]] = []
    for place in places:
        near = groups and place - groups[-1][-1] <= GAP_ROWS
        if near and place - groups[-1][0] < rows_max:
            groups[-1].append(place)
        else:
            groups.append([place])
    return [
        Unproved(
            KeyRange(keys[group[0] - 1] if group[0] else range_.lower, keys[group[-1]]),
            frozenset(keys[place] for place in group),
        )
        for group in groups
    ]


def usual_names(records: Sequence[Record]) -> tuple[str, ...] | None:
    """The columns that most of some mapped records name; None without any."""
    counts = Counter(tuple(sorted(record)) for record in records)
    return counts.most_common(1)[0][0] if counts else None


def _plus(one: PairSum, other: PairSum) -> PairSum:
    return PairSum(
        one.rows + other.rows, one.authority + other.authority, one.mirror + other.mirror
    )


def _key_of(item: Item) -> Key:
    return item[0]


def _record(item: tuple[Record, Digest] | None) -> Record | None:
    return None if item is None else item[0]
