"""Sweep one entity: fix the bound, then copy range after range, reading one chunk ahead."""

import asyncio
from dataclasses import dataclass
from functools import partial

from crossfade.backfill.chunk_copy import ChunkCopier, ReadChunk
from crossfade.backfill.lanes import Lanes
from crossfade.backfill.planner import cut_range, plan_range
from crossfade.convergence.key_scan import in_order
from crossfade.convergence.sides import EntityStores
from crossfade.ledger.base import Ledger
from crossfade.ledger.transitions.sweeps import (
    OpenedChunk,
    Sweep,
    SweepState,
    bound_sweep,
    finish_sweep,
    look_sweep,
)
from crossfade.model.key import KeyRange
from crossfade.observability.events import SweepFinished
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams


@dataclass(slots=True)
class _Ahead:
    """A chunk that is being read while another one is put; at most one."""

    task: asyncio.Task[None] | None = None
    chunk: ReadChunk | None = None
    error: Exception | None = None


class EntitySweep:
    """Copies one entity, a chunk a step; all its progress is in the ledger, so it may die."""

    def __init__(
        self, ledger: Ledger, stores: EntityStores, copier: ChunkCopier, hooks: Hooks, seams: Seams
    ) -> None:
        self._ledger = ledger
        self._stores = stores
        self._copier = copier
        self._hooks = hooks
        self._seams = seams
        self._ahead: _Ahead | None = None
        self._lanes = Lanes(seams.tasks)
        self._planning = asyncio.Lock()
        self._own: dict[int, KeyRange] = {}

    @property
    def entity(self) -> str:
        """The entity's name."""
        return self._stores.entity.name

    async def step(self, sweep: Sweep) -> int | None:
        """Fix the bound, or copy one chunk; the rows copied, None where nothing is left to do.

        Raises:
            GateError: nothing may be copied now.
            StoreError, TimeoutError: a side failed; a chunk may stay open, to be run again.

        """
        if not sweep.bounded:
            await self._fix_bound(sweep)
            return 0
        if self._copier.chunks_at_once > 1:
            return await self._step_together(sweep)
        chunk = await self._next_chunk(sweep)
        if chunk is None:
            await self._finish()
            return None
        if self._copier.options.read_ahead:
            self._read_ahead(sweep)
        try:
            counts = await self._copier.put(chunk)
        except Exception:
            # No chunk is left behind but this one, however often it fails.
            await self.drop_ahead()
            raise
        finally:
            self._own.pop(chunk.opened.chunk.token, None)
        self._tell_if_done()
        return chunk.tally.rows if counts else 0

    async def _step_together(self, sweep: Sweep) -> int | None:
        """Have as many chunks under way as wanted, and wait for one of them."""
        self._lanes.fill(self._copier.chunks_at_once, partial(self._copy_next, sweep))
        rows = await self._lanes.first_done()
        if rows is None:
            await self._finish()
        return rows

    async def _copy_next(self, sweep: Sweep) -> int | None:
        """Copy the next chunk that nobody copies; its rows, None where nothing is left."""
        async with self._planning:
            opened = await self._open_next(sweep)
        if opened is None:
            return None
        try:
            chunk = await self._copier.read(opened)
            counts = await self._copier.put(chunk)
        finally:
            self._own.pop(opened.chunk.token, None)
        self._tell_if_done()
        return chunk.tally.rows if counts else 0

    async def drop_ahead(self) -> None:
        """Let go of the chunk that was read ahead; chunks under way together are finished."""
        await self._lanes.drain()
        ahead, self._ahead = self._ahead, None
        if ahead is None or ahead.task is None:
            return
        await asyncio.wait([ahead.task])
        if ahead.chunk is not None:
            self._own.pop(ahead.chunk.opened.chunk.token, None)
            await self._copier.abandon(ahead.chunk.opened)

    def close(self) -> None:
        """Stop reading ahead at once; a chunk that was opened stays open and is run again."""
        if self._ahead is not None and self._ahead.task is not None:
            self._ahead.task.cancel()
        self._ahead = None
        self._lanes.close()
        self._own.clear()

    async def _fix_bound(self, sweep: Sweep) -> None:
        """The authority's highest key as it is now; every newer key comes by an intent."""
        authority = self._stores.side(self._ledger.migration.authority)
        seconds_max = self._copier.options.store_seconds_max
        async with asyncio.timeout(seconds_max):
            bound = await authority.last_key()
            estimate = await authority.rows_estimate()
        fix = partial(bound_sweep, sweep=sweep, bound=bound, rows_estimate=estimate)
        await self._ledger.transact(fix)

    async def _next_chunk(self, sweep: Sweep) -> ReadChunk | None:
        """The chunk that was read ahead, or one that is read now."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead.task is not None:
            await asyncio.wait([ahead.task])
            if ahead.error is not None:
                raise ahead.error
            if ahead.chunk is not None:
                return ahead.chunk
        return await self._read(sweep)

    def _read_ahead(self, sweep: Sweep) -> None:
        ahead = _Ahead()
        ahead.task = self._seams.tasks.spawn(self._read_into(ahead, sweep), name="backfill ahead")
        self._ahead = ahead

    async def _read_into(self, ahead: _Ahead, sweep: Sweep) -> None:
        try:
            ahead.chunk = await self._read(sweep)
        except Exception as error:  # noqa: BLE001 - raised where the chunk is taken
            ahead.error = error

    async def _read(self, sweep: Sweep) -> ReadChunk | None:
        """Plan the next range, open a chunk over it and read its first page."""
        opened = await self._open_next(sweep)
        if opened is None:
            return None
        try:
            return await self._copier.read(opened)
        except BaseException:
            self._own.pop(opened.chunk.token, None)
            raise

    async def _open_next(self, sweep: Sweep) -> OpenedChunk | None:
        """Plan the next range and open a chunk over it."""
        range_ = await self._next_range(sweep)
        if range_ is None:
            return None
        opened = await self._copier.open(sweep, range_)
        self._own[opened.chunk.token] = range_
        return opened

    async def _next_range(self, sweep: Sweep) -> KeyRange | None:
        name = self.entity
        coverage = self._ledger.look(lambda rows: rows.entity(name)).coverage
        open_chunks = self._ledger.look(lambda rows: rows.open_chunks(name))
        under_way = list(self._own.values())
        # A chunk that is run again right now stays open until that run closes it.
        left_behind = [chunk.range for chunk in open_chunks if chunk.range not in under_way]
        ordered = in_order(self._stores.legacy, self._stores.new)
        plan = plan_range(coverage, left_behind, under_way, ordered=ordered)
        if plan is None or not plan.peek:
            return None if plan is None else plan.within
        authority = self._stores.side(self._ledger.migration.authority)
        async with asyncio.timeout(self._copier.options.store_seconds_max):
            peeked = await authority.key_after(plan.within.lower, self._copier.chunk_rows)
        return cut_range(plan.within, peeked, sweep.bound)

    async def _finish(self) -> None:
        at = self._seams.clock.now().timestamp()
        await self._ledger.transact(partial(finish_sweep, entity=self.entity, at=at))
        self._tell_if_done()

    def _tell_if_done(self) -> None:
        name = self.entity
        sweep = self._ledger.look(lambda rows: look_sweep(rows, name))
        if sweep is not None and sweep.state is SweepState.DONE:
            self._hooks.emit(SweepFinished(name, sweep.rows, sweep.quarantined))
