"""Copy one chunk: open it, copy page after page, look for keys that only the mirror has, close it.

The pages are copied by the node itself, or by processes beside it; chunks are the node's alone.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from crossfade.backfill.batch_put import EpochFencedError
from crossfade.backfill.lost import ProcessLostError
from crossfade.backfill.options import BackfillOptions
from crossfade.backfill.page_copy import CopiedPage, PageAsked, PageCopier, ReadPage
from crossfade.backfill.page_size import PageSize
from crossfade.backfill.planner import copied_part, tail_of
from crossfade.convergence.backlog import Backlog
from crossfade.convergence.digesting import copy_digest
from crossfade.convergence.key_scan import OneSidedWalk, PairedPages, in_order, itself
from crossfade.convergence.sides import EntityStores
from crossfade.convergence.throttle import Throttle
from crossfade.errors import GateError
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
from crossfade.store.base import Fence

LIMITED_CHUNK_SECONDS = 10.0
"""How long a chunk should take where the user limits the rows per second."""


@dataclass(slots=True)
class ReadChunk:
    """An open chunk, whose first page is in memory unless other processes copy its pages."""

    opened: OpenedChunk
    end: Key | None
    """Of an open-ended chunk: the authority's highest key after it was opened."""
    began: float
    part: KeyRange | None
    """What is to be copied row by row, from the page in memory on."""
    asked: PageAsked | None = None
    page: ReadPage | None = None
    tally: ChunkTally = field(default_factory=ChunkTally)


class PageProcesses(Protocol):
    """Copies pages somewhere else."""

    async def copy(self, asked: PageAsked) -> CopiedPage:
        """See `PageCopier.copy`.

        Raises:
            ProcessLostError: whoever copied it is gone; what it put may still be applied.

        """


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
        self.processes: PageProcesses | None = None
        self._losses: dict[KeyRange, int] = {}
        """How often a process was lost over a chunk's range: its pages are smaller next time."""
        self._sizes: PageSize | None = None

    @property
    def chunk_rows(self) -> int:
        """About how many rows a chunk should have."""
        rows = self.options.chunk_rows
        if self.processes is not None:
            rows = max(rows, self.options.process_chunk_rows)
        limit = self._throttle.rows_per_second_max
        # A limited sweep goes on evenly rather than by leaps.
        return rows if limit is None else max(1, min(rows, round(limit * LIMITED_CHUNK_SECONDS)))

    @property
    def chunks_at_once(self) -> int:
        """How many chunks may be under way together; with processes, so that each is kept busy."""
        if self.processes is not None:
            return 2 * self.options.processes
        return self.options.chunks_at_once

    async def open(self, sweep: Sweep, range_: KeyRange) -> OpenedChunk:
        """Open a chunk; nothing is read.

        Crash after: the chunk stays open, and is run again with a higher token.

        Raises:
            GateError: nothing may be copied now.

        """
        opened = await self._ledger.transact(
            partial(open_sweep_chunk, sweep=sweep, range_=range_, owner=self._node)
        )
        # Crash here: the chunk is open and empty; it is run again.
        await self._seams.failpoint("chunk.opened")
        return opened

    async def read(self, opened: OpenedChunk) -> ReadChunk:
        """Find out what is to be copied, and read its first page; nothing is put.

        Raises:
            GateError: too many keys stay dirty; the chunk was abandoned.
            StoreError: a side cannot be read; the chunk was abandoned, since nothing was put.

        """
        began = self._seams.clock.monotonic()
        try:
            extra = 0 if self._ordered else await self._mark_unordered_extra(opened)
            end = await self._end_of(opened)
            part = copied_part(opened.chunk.range, end, ordered=self._ordered)
            chunk = ReadChunk(opened, end, began, part, tally=ChunkTally(extra=extra))
            if self.processes is None:
                await self._read_page(chunk)
        except Exception:
            await self.abandon(opened)
            raise
        # Crash here: nothing was put; what was read is forgotten with the process.
        await self._seams.failpoint("chunk.read")
        return chunk

    async def put(self, chunk: ReadChunk) -> bool:
        """Put the chunk's rows and close it; False where it covers nothing and is to run again.

        Raises:
            StoreOutcomeUnknownError, TimeoutError: a batch may still be applied: the chunk stays
                open until it was run again under a higher token.
            StoreError: a side does not answer; the chunk stays open, too.
            GateError: too many keys stay dirty; the chunk was abandoned.

        """
        range_ = chunk.opened.chunk.range
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
        except ProcessLostError:
            self._losses[range_] = self._losses.get(range_, 0) + 1
            raise
        at = self._seams.clock.now().timestamp()
        close = partial(close_sweep_chunk, chunk=chunk.opened.chunk, tally=chunk.tally, at=at)
        counts = await self._ledger.transact(close)
        # Crash here: the range is covered, or is run again; nothing is lost either way.
        await self._seams.failpoint("chunk.closed")
        self._losses.pop(range_, None)
        if counts:
            seconds = self._seams.clock.monotonic() - chunk.began
            self._hooks.emit(ChunkCopied(self._stores.entity.name, chunk.tally.rows, seconds))
        return counts

    async def abandon(self, opened: OpenedChunk) -> None:
        """Forget a chunk of which certainly nothing is under way; it is run again."""
        await self._ledger.transact(partial(abandon_chunk, chunk=opened.chunk))

    async def _put_pages(self, chunk: ReadChunk) -> None:
        while chunk.part is not None:
            copied = await self._copied(chunk)
            # Crash here: some rows were put under this token; the next run's token is higher.
            await self._seams.failpoint("chunk.put")
            await self._mark(chunk.opened.chunk.entity, copied.extra, DirtyReason.EXTRA)
            await self._note(chunk, copied)
            chunk.part = copied.left

    async def _copied(self, chunk: ReadChunk) -> CopiedPage:
        """Copy the chunk's next page."""
        if self.processes is None:
            if chunk.page is None:
                await self._read_page(chunk)
            asked, page = chunk.asked, chunk.page
            assert asked is not None and page is not None  # noqa: PT018, S101 - was read just now
            chunk.page = None
            refused = await self._pages.put(asked, page)
            return CopiedPage(
                (*page.bad, *refused), (), page.count, page.left, page.read_seconds, page.row_bytes
            )
        asked = self._asked(chunk)
        try:
            copied = await self.processes.copy(asked)
        except ProcessLostError:
            if asked.rows_max > 1:
                raise
            return await self._row_that_ends_processes(asked)
        self._told(copied.count, copied.read_seconds, copied.row_bytes)
        return copied

    async def _row_that_ends_processes(self, asked: PageAsked) -> CopiedPage:
        """Set the one row of a page aside that no process survives.

        What was put of it may still be applied: its key is dirty, and the next put's token higher.
        """
        authority = self._stores.side(asked.towards.other)
        async with asyncio.timeout(self.options.store_seconds_max):
            key = await authority.key_after(asked.part.lower, 1)
        upper = asked.part.upper
        if key is None or (upper is not None and key > upper):
            return CopiedPage((), (), 0, None, 0.0, 0)
        bad = BadRow(key, "its process was lost while it copied this row alone", final=True)
        left = None if key == upper else KeyRange(key, upper)
        return CopiedPage((bad,), (), 1, left, 0.0, 0)

    async def _note(self, chunk: ReadChunk, page: CopiedPage) -> None:
        """Set bad rows aside before the chunk can cover them, and count the page."""
        quarantined: Sequence[BadRow] = ()
        opened = chunk.opened.chunk
        if page.bad:
            at = self._seams.clock.now().timestamp()
            aside = partial(set_rows_aside, chunk=opened, bad_rows=page.bad, at=at)
            quarantined = await self._ledger.transact(aside)
        for row in quarantined:
            self._hooks.emit(KeyQuarantined(opened.entity, row.reason))
        self._count(chunk, ChunkTally(page.count, len(quarantined), len(page.extra)))

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

    async def _read_page(self, chunk: ReadChunk) -> None:
        """Read the chunk's next page into memory; the mirror's extra keys are dirty then."""
        if chunk.part is None:
            return
        asked = self._asked(chunk)
        page = await self._pages.read(asked)
        self._told(page.count, page.read_seconds, page.row_bytes)
        await self._mark(asked.entity, page.extra, DirtyReason.EXTRA)
        self._count(chunk, ChunkTally(extra=len(page.extra)))
        chunk.asked, chunk.page = asked, page

    def _asked(self, chunk: ReadChunk) -> PageAsked:
        opened = chunk.opened.chunk
        towards = chunk.opened.authority.other
        assert chunk.part is not None  # noqa: S101 - else nothing is asked for
        smaller = 3 * self._losses.get(opened.range, 0)
        return PageAsked(
            entity=opened.entity,
            towards=towards,
            part=chunk.part,
            rows_max=max(1, self._size.rows(self.chunk_rows) >> smaller),
            ordered=self._ordered,
            fence=Fence(opened.token, opened.epoch),
            digest=(
                copy_digest(self._stores, towards, opened.generation)
                if self.options.keep_digests
                else None
            ),
        )

    def _told(self, rows: int, seconds: float, row_bytes: int) -> None:
        self._throttle.page_read(rows, seconds)
        self._size.note(row_bytes)

    @property
    def _pages(self) -> PageCopier:
        return PageCopier(self._stores, self._seams.clock, self.options)

    @property
    def _size(self) -> PageSize:
        if self._sizes is None:
            self._sizes = PageSize(self.options.page_bytes_max)
        return self._sizes

    @property
    def _rows_max(self) -> int:
        return self.options.chunk_rows

    @property
    def _ordered(self) -> bool:
        return in_order(self._stores.legacy, self._stores.new)
