"""Copy one page: read it, map it, put it; the same code in the node and in its processes."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from crossfade.backfill.batch_put import Row, put_rows
from crossfade.backfill.options import BackfillOptions
from crossfade.backfill.page_size import bytes_of_a_row
from crossfade.convergence.sides import EntityStores
from crossfade.errors import MappingError
from crossfade.ledger.transitions.sweeps import BadRow
from crossfade.model.key import Key, KeyRange
from crossfade.model.side import Side
from crossfade.seams.clock import Clock
from crossfade.store.base import Digest, Fence, Record
from crossfade.store.digests import RowDigest, digests_of


@dataclass(frozen=True, slots=True)
class PageAsked:
    """What is to be copied; plain values, so that another process can be asked for it."""

    entity: str
    towards: Side
    """The mirror."""
    part: KeyRange
    rows_max: int
    ordered: bool
    """Whether both stores order keys as Python does: only then pages of both compare."""
    fence: Fence
    digest: RowDigest | None = None
    """What is to be kept of the authority's rows."""


@dataclass(slots=True)
class ReadPage:
    """A page in memory: read and mapped, not put yet."""

    rows: list[Row]
    digests: list[Digest] | None
    bad: list[BadRow]
    extra: tuple[Key, ...]
    """Keys of the mirror in the page's range that the authority lacks."""
    count: int
    left: KeyRange | None
    """What of the part comes after this page; None where nothing does."""
    read_seconds: float
    row_bytes: int
    """About how much memory a row takes."""


@dataclass(frozen=True, slots=True)
class CopiedPage:
    """A page that was put: what is left to do with it is the ledger's."""

    bad: tuple[BadRow, ...]
    extra: tuple[Key, ...]
    count: int
    left: KeyRange | None
    read_seconds: float
    row_bytes: int


class PageCopier:
    """Copies pages of one entity; knows no ledger."""

    def __init__(self, stores: EntityStores, clock: Clock, options: BackfillOptions) -> None:
        self._stores = stores
        self._clock = clock
        self._options = options

    async def copy(self, asked: PageAsked) -> CopiedPage:
        """Read, map and put one page.

        Raises:
            EpochFencedError: the mirror's epoch is another one; nothing more was put.
            StoreError, TimeoutError: a side failed; some rows may have been put, or may yet be.

        """
        page = await self.read(asked)
        bad = [*page.bad, *await self.put(asked, page)]
        return CopiedPage(
            tuple(bad), page.extra, page.count, page.left, page.read_seconds, page.row_bytes
        )

    async def read(self, asked: PageAsked) -> ReadPage:
        """Read and map at most `rows_max` rows, and the mirror's keys of the same range."""
        began = self._clock.monotonic()
        async with asyncio.timeout(self._options.store_seconds_max):
            records, digests = await self._records(asked)
        seconds = self._clock.monotonic() - began
        part = asked.part
        full = len(records) >= asked.rows_max
        end = records[-1][0] if full else part.upper
        left = KeyRange(end, part.upper) if full and end != part.upper else None
        extra: tuple[Key, ...] = ()
        if asked.ordered:
            present = {key for key, _ in records}
            extra = await self._extra(asked, KeyRange(part.lower, end), present)
        mapped, bad = await self._mapped(records, asked.towards)
        if digests is not None and bad:
            missing = {one.key for one in bad}
            pairs = zip(records, digests, strict=True)
            digests = [digest for (key, _), digest in pairs if key not in missing]
        size = bytes_of_a_row(records)
        return ReadPage(mapped, digests, bad, extra, len(records), left, seconds, size)

    async def put(self, asked: PageAsked, page: ReadPage) -> list[BadRow]:
        """Put the page's rows; those that the mirror refuses are returned."""
        mirror = self._stores.side(asked.towards)
        seconds_max = self._options.store_seconds_max
        return await put_rows(mirror, page.rows, asked.fence, seconds_max, page.digests)

    async def _records(
        self, asked: PageAsked
    ) -> tuple[Sequence[tuple[Key, Record]], list[Digest] | None]:
        authority = self._stores.side(asked.towards.other)
        digests = digests_of(authority)
        if asked.digest is None or digests is None:
            return await authority.read_range(asked.part, asked.rows_max), None
        rows, found = await digests.read_range(asked.digest, asked.part, asked.rows_max)
        return rows, list(found)

    async def _extra(
        self, asked: PageAsked, range_: KeyRange, present: set[Key]
    ) -> tuple[Key, ...]:
        """The mirror's keys of a range that are not present on the authority.

        A key that is created meanwhile may be among them: converging it once more does no harm.
        """
        mirror = self._stores.side(asked.towards)
        found: list[Key] = []
        left: KeyRange | None = range_
        while left is not None:
            keys = await mirror.keys_in_range(left, asked.rows_max)
            found += [key for key in keys if key not in present]
            full = len(keys) >= asked.rows_max
            left = KeyRange(keys[-1], range_.upper) if full and keys[-1] != range_.upper else None
        return tuple(found)

    async def _mapped(
        self, records: Sequence[tuple[Key, Record]], towards: Side
    ) -> tuple[list[Row], list[BadRow]]:
        """The mapped rows, a slice at a time so that other tasks of the process get their turn."""
        rows: list[Row] = []
        bad: list[BadRow] = []
        step = self._options.map_slice_rows
        for start in range(0, len(records), step):
            part = records[start : start + step]
            together = self._stores.entity.map_together([one for _, one in part], towards)
            if together is None:
                await self._map_singly(part, towards, rows, bad)
            else:
                rows += zip([key for key, _ in part], together, strict=True)
            await self._clock.sleep(0)
        return rows, bad

    async def _map_singly(
        self,
        records: Sequence[tuple[Key, Record]],
        towards: Side,
        rows: list[Row],
        bad: list[BadRow],
    ) -> None:
        map_record = self._stores.entity.map_record
        for key, record in records:
            try:
                mapped = map_record(record, towards)
            except MappingError as error:
                bad.append(BadRow(key, str(error), final=True))
                continue
            if mapped is None:
                # Skipped, it would be covered without having been copied.
                bad.append(BadRow(key, "the mapping gives no record", final=True))
                continue
            rows.append((key, mapped))
