"""Copy one chunk: open it, read, map, put, look for keys that only the mirror has, close it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from crossfade.backfill.batch_put import EpochFencedError, Row, put_rows
from crossfade.backfill.options import BackfillOptions
from crossfade.backfill.planner import copied_part, tail_of
from crossfade.convergence.backlog import Backlog
from crossfade.convergence.key_scan import OneSidedWalk, PairedPages, in_order, itself
from crossfade.convergence.sides import EntityStores
from crossfade.convergence.throttle import Throttle
from crossfade.errors import GateError, MappingError
from crossfade.ledger.base import Ledger
from crossfade.ledger.transitions.chunks import abandon_chunk
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.ledger.transitions.sweeps import (
    BadRow,
    ChunkTally,
    OpenedChunk,
    Sweep,
    close_sweep_chunk,
    open_sweep_chunk,
    set_rows_aside,
)
from crossfade.model.key import Key, KeyRange
from crossfade.model.key_state import DirtyReason
from crossfade.observability.events import ChunkCopied, KeyQuarantined
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams
from crossfade.store.base import Fence, Record


@dataclass(slots=True)
class Page:
    """Rows of a chunk that were read and mapped, and are not put yet."""

    rows: list[Row]
    bad: list[BadRow]
    extra: int
    """Keys of the mirror in the page's range that the authority lacks; they are dirty already."""
    count: int
    left: KeyRange | None
    """What of the copied part comes after this page; None where nothing does."""


@dataclass(slots=True)
class ReadChunk:
    """An open chunk whose first page is in memory."""

    opened: OpenedChunk
    end: Key | None
    """Of an open-ended chunk: the authority's highest key after it was opened."""
    began: float
    page: Page
    tally: ChunkTally = field(default_factory=ChunkTally)


class ChunkCopier:
    """Copies chunks of one entity; several may be open at once, in any order (rule 8)."""

    def __init__(
        self,
        ledger: Ledger,
        stores: EntityStores,
        hooks: Hooks,
        seams: Seams,
        throttle: Throttle,
        node: str,
    ) -> None:
        self._ledger = ledger
        self._backlog = Backlog(ledger, seams.clock)
        self._stores = stores
        self._hooks = hooks
        self._seams = seams
        self._node = node
        self._throttle = throttle
        self.options = BackfillOptions()

    async def read(self, sweep: Sweep, range_: KeyRange) -> ReadChunk:
        """Open a chunk and read its first page; nothing is put.

        Crash after: the chunk stays open, and is run again with a higher token.

        Raises:
            GateError: nothing may be copied now, or too many keys stay dirty.
            StoreError: a side cannot be read; the chunk was abandoned, since nothing was put.

        """
        opened = await self._ledger.transact(
            partial(open_sweep_chunk, sweep=sweep, range_=range_, owner=self._node)
        )
        began = self._seams.clock.monotonic()
        # Crash here: the chunk is open and empty; it is run again.
        await self._seams.failpoint("chunk.opened")
        try:
            extra = 0 if self._ordered else await self._mark_unordered_extra(opened)
            end = await self._end_of(opened)
            part = copied_part(range_, end, ordered=self._ordered)
            page = await self._read_page(opened, part)
        except Exception:
            await self.abandon(opened)
            raise
        # Crash here: nothing was put; what was read is forgotten with the process.
        await self._seams.failpoint("chunk.read")
        return ReadChunk(opened, end, began, page, ChunkTally(extra=extra))

    async def put(self, chunk: ReadChunk) -> bool:
        """Put the chunk's rows and close it; False where it covers nothing and is to run again.

        Raises:
            StoreOutcomeUnknownError, TimeoutError: a batch may still be applied: the chunk stays
                open until it was run again under a higher token.
            StoreError: a side does not answer; the chunk stays open, too.
            GateError: too many keys stay dirty; the chunk was abandoned.

        """
        try:
            await self._put_pages(chunk)
            await self._mark_tail(chunk)
        except EpochFencedError:
            await self.abandon(chunk.opened)
            return False
        except GateError:
            # What was put has ended, and is put again under a higher token.
            await self.abandon(chunk.opened)
            raise
        at = self._seams.clock.now().timestamp()
        close = partial(close_sweep_chunk, chunk=chunk.opened.chunk, tally=chunk.tally, at=at)
        counts = await self._ledger.transact(close)
        # Crash here: the range is covered, or is run again; nothing is lost either way.
        await self._seams.failpoint("chunk.closed")
        if counts:
            seconds = self._seams.clock.monotonic() - chunk.began
            self._hooks.emit(ChunkCopied(self._stores.entity.name, chunk.tally.rows, seconds))
        return counts

    async def abandon(self, opened: OpenedChunk) -> None:
        """Forget a chunk of which certainly nothing is under way; it is run again."""
        await self._ledger.transact(partial(abandon_chunk, chunk=opened.chunk))

    async def _put_pages(self, chunk: ReadChunk) -> None:
        opened = chunk.opened
        fence = Fence(opened.chunk.token, opened.chunk.epoch)
        mirror = self._stores.side(opened.authority.other)
        page: Page | None = chunk.page
        while page is not None:
            refused = await put_rows(mirror, page.rows, fence, self.options.store_seconds_max)
            # Crash here: some rows were put under this token; the next run's token is higher.
            await self._seams.failpoint("chunk.put")
            await self._note(chunk, page, [*page.bad, *refused])
            page = await self._read_page(opened, page.left) if page.left is not None else None

    async def _note(self, chunk: ReadChunk, page: Page, bad: Sequence[BadRow]) -> None:
        """Set bad rows aside before the chunk can cover them, and count the page."""
        quarantined: Sequence[BadRow] = ()
        opened = chunk.opened.chunk
        if bad:
            at = self._seams.clock.now().timestamp()
            aside = partial(set_rows_aside, chunk=opened, bad_rows=bad, at=at)
            quarantined = await self._ledger.transact(aside)
        for row in quarantined:
            self._hooks.emit(KeyQuarantined(opened.entity, row.reason))
        self._count(chunk, ChunkTally(page.count, len(quarantined), page.extra))

    def _count(self, chunk: ReadChunk, more: ChunkTally) -> None:
        tally = chunk.tally
        chunk.tally = ChunkTally(
            rows=tally.rows + more.rows,
            quarantined=tally.quarantined + more.quarantined,
            extra=tally.extra + more.extra,
        )

    async def _mark_tail(self, chunk: ReadChunk) -> None:
        """Make every key dirty that no page could cover: those above the end, on both sides."""
        opened = chunk.opened
        if not self._ordered:
            return
        entity = opened.chunk.entity
        authority = self._stores.side(opened.authority)
        mirror = self._stores.side(opened.authority.other)
        tail = tail_of(opened.chunk.range, chunk.end)
        if tail is None:
            return
        pages = PairedPages(
            authority.keys_in_range, mirror.keys_in_range, tail, self._rows_max, itself
        )
        while (page := await pages.next_page()) is not None:
            ours = set(page.authority)
            extra = [key for key in page.mirror if key not in ours]
            await self._mark(entity, page.authority, DirtyReason.CHUNK)
            await self._mark(entity, extra, DirtyReason.EXTRA)
            self._count(chunk, ChunkTally(extra=len(extra)))

    async def _mark_unordered_extra(self, opened: OpenedChunk) -> int:
        """Without a common order pages cannot be compared: ask the authority for each key.

        Before its first page is read: a record that is made later, over a row that the mirror
        had before, is dirty by then.
        """
        authority = self._stores.side(opened.authority)
        mirror = self._stores.side(opened.authority.other)
        only_mirror = OneSidedWalk(mirror, authority, self._rows_max)
        count = 0
        while (extra := await only_mirror.next_page()) is not None:
            await self._mark(opened.chunk.entity, extra, DirtyReason.EXTRA)
            count += len(extra)
        return count

    async def _mark(self, entity: str, keys: Sequence[Key], reason: DirtyReason) -> None:
        if keys:
            if not await self._backlog.room(entity, self.options.room_seconds_max):
                # An open chunk stands in the way of a flip, and of the search for new records.
                raise GateError(f"{self._backlog.full(entity)}: the chunk is copied again later.")
            at = self._seams.clock.now().timestamp()
            mark = partial(mark_dirty, entity=entity, keys=keys, reason=reason, at=at)
            await self._ledger.transact(mark)

    async def _end_of(self, opened: OpenedChunk) -> Key | None:
        """How far an open-ended chunk is copied; newer keys are made dirty (`tail_of`)."""
        if opened.chunk.range.upper is not None or not self._ordered:
            return None
        async with asyncio.timeout(self.options.store_seconds_max):
            return await self._stores.side(opened.authority).last_key()

    async def _read_page(self, opened: OpenedChunk, part: KeyRange | None) -> Page:
        """Read and map at most `chunk_rows` rows, and the mirror's keys of the same range."""
        if part is None:
            return Page([], [], 0, 0, None)
        authority = self._stores.side(opened.authority)
        began = self._seams.clock.monotonic()
        async with asyncio.timeout(self.options.store_seconds_max):
            records = await authority.read_range(part, self._rows_max)
        self._throttle.page_read(len(records), self._seams.clock.monotonic() - began)
        full = len(records) >= self._rows_max
        end = records[-1][0] if full else part.upper
        left = KeyRange(end, part.upper) if full and end != part.upper else None
        extra = 0
        if self._ordered:
            present = {key for key, _ in records}
            extra = await self._mark_extra(opened, KeyRange(part.lower, end), present)
        rows, bad = await self._mapped(records, opened)
        return Page(rows, bad, extra, len(records), left)

    async def _mark_extra(self, opened: OpenedChunk, range_: KeyRange, present: set[Key]) -> int:
        """Make the mirror's keys of a range that are not present on the authority dirty.

        A key that is created meanwhile may be among them: converging it once more does no harm.
        """
        mirror = self._stores.side(opened.authority.other)
        count = 0
        left: KeyRange | None = range_
        while left is not None:
            keys = await mirror.keys_in_range(left, self._rows_max)
            extra = [key for key in keys if key not in present]
            await self._mark(opened.chunk.entity, extra, DirtyReason.EXTRA)
            count += len(extra)
            full = len(keys) >= self._rows_max
            left = KeyRange(keys[-1], range_.upper) if full and keys[-1] != range_.upper else None
        return count

    async def _mapped(
        self, records: Sequence[tuple[Key, Record]], opened: OpenedChunk
    ) -> tuple[list[Row], list[BadRow]]:
        rows: list[Row] = []
        bad: list[BadRow] = []
        map_record = self._stores.entity.map_record
        towards = opened.authority.other
        for number, (key, record) in enumerate(records, start=1):
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
            if number % self.options.map_slice_rows == 0:
                await self._seams.clock.sleep(0)
        return rows, bad

    @property
    def _rows_max(self) -> int:
        return self.options.chunk_rows

    @property
    def _ordered(self) -> bool:
        return in_order(self._stores.legacy, self._stores.new)
