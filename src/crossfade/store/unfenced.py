"""Stores that cannot fence (level L3): copies exclude one another in this process, and wait.

A database refuses a copy that comes too late. A plain HTTP service cannot, so here no two puts of
a key are under way at once, lower tokens are refused from memory, and a key whose last put had no
answer is left alone until `answers_within` has certainly ended it. What an earlier process has
sent ends likewise: nothing is put in the first `answers_within` after the start. Both are counted
on this process's own clock (rule 13). All that holds for one process: a ledger that several share
does not go with such a store.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from crossfade.errors import StoreError, StoreOutcomeUnknownError, StoreUnreachableError
from crossfade.model.key import Key, KeyRange
from crossfade.model.side import Side
from crossfade.seams.clock import Clock
from crossfade.store.base import (
    OK,
    BatchResult,
    Digest,
    Fence,
    PutResult,
    PutStatus,
    Record,
    StoreEpoch,
    Together,
)
from crossfade.store.plain_store import PlainStore
from crossfade.store.sql_dialect import CannotHoldError
from crossfade.store.sql_fence import raised_epoch
from crossfade.store.table_shape import TableShape

KEYS_REMEMBERED_MAX = 100_000
"""Keys whose highest token is in memory."""
PUTS_AT_ONCE = 8
"""Of one batch: what a service is asked at the same time."""

Result = TypeVar("Result")
FENCED = PutResult(PutStatus.FENCED, "a higher token was seen for this key")


@dataclass(frozen=True, slots=True)
class Standing:
    """What the ledger of this process says now."""

    epoch: StoreEpoch
    authority: Side


LookUp = Callable[[], Standing]


@dataclass(slots=True)
class _Slot:
    """One key: who puts it now, the highest token, until when a lost put may still act."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    token: int = 0
    lost_until: float = float("-inf")


class UnfencedDatabase:
    """A `FencedDatabase` in name: its epoch is the ledger's, and lives in this process alone."""

    def __init__(
        self,
        store: PlainStore,
        *,
        clock: Clock,
        answers_within_seconds: float,
        standing: LookUp | None = None,
    ) -> None:
        """Send nothing.

        Args:
            store: what cannot fence.
            clock: this process's clock.
            answers_within_seconds: after that a call has certainly ended.
            standing: the ledger; None where there is none, as in `doctor`.

        """
        self.plain = store
        self._clock = clock
        self._standing = standing
        self._answers_within = answers_within_seconds
        self._quiet_from = clock.monotonic() + answers_within_seconds
        self._slots: OrderedDict[Key, _Slot] = OrderedDict()
        self._forgotten_token = 0
        self._epoch: StoreEpoch | None = None
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def name(self) -> str:
        """See `FencedDatabase.name`."""
        return self.plain.name

    @property
    def answers_within_seconds(self) -> float:
        """After that a call has certainly ended."""
        return self._answers_within

    def authority(self) -> Side | None:
        """The side that has authority now, where that is known."""
        return None if self._standing is None else self._standing().authority

    async def epoch(self) -> StoreEpoch | None:
        """See `FencedDatabase.epoch`; asks whether there is somebody."""
        await self.plain.answers()
        return self._held()

    async def raise_epoch(self, wanted: StoreEpoch) -> StoreEpoch:
        """See `FencedDatabase.raise_epoch`; a lost put may still act, so that is waited for.

        Raises:
            StoreUnreachableError: it may act for some seconds more; to be tried again.

        """
        found = self._held()
        held = wanted if found is None else raised_epoch(found, wanted, self.name)
        if held != found:
            # Refused from now on, whether or not the rest can be waited for.
            self._epoch = held
            try:
                await self._idle.wait()
                lost = max(
                    (slot.lost_until for slot in self._slots.values()), default=float("-inf")
                )
                self._check_quiet(max(self._quiet_from, lost))
            except BaseException:
                # Cancelled, too: whoever asks again must not find it raised without the wait.
                self._epoch = found
                raise
        return held

    async def adopt(self, wanted: StoreEpoch) -> None:
        """See `FencedDatabase.adopt`; nothing is kept there."""
        self._epoch = wanted

    async def highest_token(self) -> int:
        """See `FencedDatabase.highest_token`; none is kept there."""
        return 0

    async def prepare(self) -> None:
        """See `FencedDatabase.prepare`; there is nothing to make."""

    async def remove(self) -> None:
        """See `FencedDatabase.remove`; there is nothing to remove."""

    def ddl(self) -> str:
        """See `FencedDatabase.ddl`; there is none."""
        return ""

    async def close(self) -> None:
        """See `FencedDatabase.close`."""
        await self.plain.close()

    async def put(self, key: Key, record: Record | None, fence: Fence) -> PutResult:
        """One put, alone on its key; see `RecordWriter.put`."""
        async with self._alone(key) as slot:
            refused = self._refused(slot, fence)
            if refused is not None:
                return refused
            self._check_quiet(max(self._quiet_from, slot.lost_until))
            before = slot.token
            # Kept from here on: whatever the outcome is, nothing older may come after it.
            slot.token = fence.token
            result = await self._sent(slot, key, record, fence)
            if result.status is not PutStatus.OK:
                slot.token = before
            return result

    async def raise_token(self, key: Key, fence: Fence) -> PutResult:
        """See `RecordWriter.raise_token`."""
        async with self._alone(key) as slot:
            refused = self._refused(slot, fence)
            if refused is None:
                slot.token = fence.token
            return refused or OK

    async def _sent(self, slot: _Slot, key: Key, record: Record | None, fence: Fence) -> PutResult:
        self._under_way += 1
        self._idle.clear()
        try:
            return await self.plain.put(key, record, fence.token)
        except (StoreOutcomeUnknownError, TimeoutError, asyncio.CancelledError):
            slot.lost_until = self._clock.monotonic() + self._answers_within
            raise
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    @asynccontextmanager
    async def _alone(self, key: Key) -> AsyncIterator[_Slot]:
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = _Slot(token=0)
            self._forget_some()
        self._slots.move_to_end(key)
        slot.users += 1
        try:
            async with slot.lock:
                yield slot
        finally:
            slot.users -= 1

    def _refused(self, slot: _Slot, fence: Fence) -> PutResult | None:
        held = self._held()
        if held is None or held.epoch != fence.epoch:
            return PutResult(PutStatus.FENCED_EPOCH, "the ledger has another epoch")
        if slot.token > fence.token:
            return FENCED
        if not slot.token and fence.token < self._forgotten_token:
            # Whether it is too old nobody knows any more: a higher token certainly is not.
            raise StoreUnreachableError(
                f"too many keys of {self.name} were put meanwhile. It is tried again."
            )
        return None

    def _check_quiet(self, quiet_from: float) -> None:
        left = quiet_from - self._clock.monotonic()
        if left > 0:
            raise StoreUnreachableError(
                f"a call to {self.name} may still take place: nothing is written before it has "
                f"certainly ended, in {left:.1f} s at most (answers_within)."
            )

    def _forget_some(self) -> None:
        """Bound the memory; of keys that are forgotten the highest token is kept for all."""
        now = self._clock.monotonic()
        while len(self._slots) > KEYS_REMEMBERED_MAX:
            key, slot = next(iter(self._slots.items()))
            if slot.users or slot.lost_until > now:
                return
            del self._slots[key]
            self._forgotten_token = max(self._forgotten_token, slot.token)

    def _held(self) -> StoreEpoch | None:
        if self._epoch is None and self._standing is not None:
            self._epoch = self._standing().epoch
        return self._epoch


class UnfencedStore:
    """A `Store` over what cannot fence."""

    def __init__(self, database: UnfencedDatabase) -> None:
        self._database = database
        self.plain = database.plain

    @property
    def ordered(self) -> bool:
        """See `Store.ordered`."""
        return self.plain.ordered

    @property
    def key_types(self) -> tuple[type, ...]:
        """`int` or `str` for each part of the key."""
        return self.plain.key_types

    @property
    def enumerable(self) -> bool:
        """Whether keys can be listed."""
        return self.plain.enumerable

    @property
    def shape(self) -> TableShape:
        """What records look like, for `doctor`."""
        return self.plain.shape

    def as_read(self, key: Key, record: Record) -> Record:
        """See `PlainStore.as_read`."""
        return self.plain.as_read(key, record)

    async def read(self, key: Key) -> Record | None:
        """See `RecordReader.read`."""
        return await self.plain.read(key)

    async def read_range(self, range_: KeyRange, rows_max: int) -> Sequence[tuple[Key, Record]]:
        """See `RecordReader.read_range`; each record is whole, all of them no snapshot."""
        return await self.plain.records(range_, rows_max) if rows_max > 0 else []

    async def keys_in_range(self, range_: KeyRange, rows_max: int) -> Sequence[Key]:
        """See `RecordReader.keys_in_range`."""
        return await self.plain.keys(range_, rows_max) if rows_max > 0 else []

    async def key_after(self, lower: Key | None, rows: int) -> Key | None:
        """See `RecordReader.key_after`."""
        keys = await self.keys_in_range(KeyRange(lower), rows)
        return keys[-1] if len(keys) >= rows else None

    async def last_key(self) -> Key | None:
        """See `RecordReader.last_key`; all keys are listed, since nothing else tells."""
        last: Key | None = None
        while keys := await self.keys_in_range(KeyRange(last), _LISTED_AT_ONCE):
            last = max(keys) if self.ordered else keys[-1]
            if len(keys) < _LISTED_AT_ONCE:
                break
        return last

    async def rows_estimate(self) -> int:
        """See `RecordReader.rows_estimate`; nobody counts them."""
        return 0

    async def put(self, key: Key, record: Record | None, fence: Fence) -> PutResult:
        """See `RecordWriter.put`."""
        if record is not None:
            try:
                self.plain.as_read(key, record)
            except CannotHoldError as error:
                return PutResult(PutStatus.REFUSED, str(error))
        return await self._database.put(key, record, fence)

    async def put_many(
        self,
        records: Sequence[tuple[Key, Record]],
        fence: Fence,
        digests: Sequence[Digest] | None = None,  # noqa: ARG002 - nothing is kept there
    ) -> BatchResult:
        """Put many records, each by itself: where one is refused, others may have been put."""
        room = asyncio.Semaphore(PUTS_AT_ONCE)

        async def put_one(key: Key, record: Record) -> PutResult:
            async with room:
                return await self.put(key, record, fence)

        unique = dict(records)
        ends = await asyncio.gather(
            *(put_one(key, record) for key, record in unique.items()), return_exceptions=True
        )
        results = _results(ends)
        fenced = [
            key for key, end in zip(unique, results, strict=True) if end.status is PutStatus.FENCED
        ]
        refused = [end for end in results if end.status not in (PutStatus.OK, PutStatus.FENCED)]
        return BatchResult(refused[0]) if refused else BatchResult(OK, tuple(fenced))

    async def put_together(self, records: Sequence[Together]) -> PutResult:
        """See `RecordWriter.put_together`; one after the other, since there is no transaction."""
        for one in records:
            result = await self.put(one.name.key, one.record, one.fence)
            if result.status is not PutStatus.OK:
                return result
        return OK

    async def raise_token(self, key: Key, fence: Fence) -> PutResult:
        """See `RecordWriter.raise_token`."""
        return await self._database.raise_token(key, fence)

    async def move_sequences(self) -> None:
        """See `RecordWriter.move_sequences`; a service moves its own."""


_LISTED_AT_ONCE = 1000


def _results(ends: Sequence[PutResult | BaseException]) -> list[PutResult]:
    """The results, where every put has one; else the worst of the errors is raised."""
    errors = [end for end in ends if isinstance(end, BaseException)]
    for kind in (asyncio.CancelledError, StoreOutcomeUnknownError, StoreError):
        for error in errors:
            if isinstance(error, kind):
                raise error
    if errors:
        raise errors[0]
    return [end for end in ends if isinstance(end, PutResult)]
