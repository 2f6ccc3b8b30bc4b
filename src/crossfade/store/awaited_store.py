"""A store whose database was away when the node started; opened by the first use that can."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from crossfade.errors import ConfigurationError, StoreUnreachableError
from crossfade.model.entity_graph import EntityLinks
from crossfade.model.key import Key, KeyRange
from crossfade.store.base import (
    BatchResult,
    Digest,
    Fence,
    PutResult,
    Record,
    Store,
    Together,
    links_of,
)
from crossfade.store.digests import FencePairs, RowDigests, digests_of, pairs_of


class TypedStore(Store, Protocol):
    """A `Store` that knows the types of its keys."""

    @property
    def key_types(self) -> tuple[type, ...]:
        """`int` or `str` for each column of the key."""


class AwaitedStore:
    """A `Store` that does not answer until its database does.

    A node must be able to start while one side is dead: after a forced roll-back it is all that
    callers have. Every call tries to open the store, and raises `StoreUnreachableError` where
    that fails, whatever the reason is; nothing is changed then.
    """

    def __init__(
        self, opened: Callable[[], Awaitable[TypedStore]], key_types: tuple[type, ...]
    ) -> None:
        """Open nothing.

        Args:
            opened: opens the store, checked against its catalogue; may be called again.
            key_types: of the other side's keys, which these have to be like.

        """
        self._opened = opened
        self._key_types = key_types
        self._store: Store | None = None

    @property
    def ordered(self) -> bool:
        """See `Store.ordered`; as long as nobody knows, a chunk counts as one of every key."""
        return self._store is not None and self._store.ordered

    @property
    def links(self) -> EntityLinks | None:
        """See `Linked.links`; unknown until the store is open."""
        return links_of(self._store)

    @property
    def digests(self) -> RowDigests | None:
        """See `Digesting.digests`; none until the store is open."""
        return digests_of(self._store)

    @property
    def fence_pairs(self) -> FencePairs | None:
        """See `Digesting.fence_pairs`; none until the store is open."""
        return pairs_of(self._store)

    async def read(self, key: Key) -> Record | None:
        """See `RecordReader.read`."""
        return await (await self._now()).read(key)

    async def read_range(self, range_: KeyRange, rows_max: int) -> Sequence[tuple[Key, Record]]:
        """See `RecordReader.read_range`."""
        return await (await self._now()).read_range(range_, rows_max)

    async def keys_in_range(self, range_: KeyRange, rows_max: int) -> Sequence[Key]:
        """See `RecordReader.keys_in_range`."""
        return await (await self._now()).keys_in_range(range_, rows_max)

    async def key_after(self, lower: Key | None, rows: int) -> Key | None:
        """See `RecordReader.key_after`."""
        return await (await self._now()).key_after(lower, rows)

    async def last_key(self) -> Key | None:
        """See `RecordReader.last_key`."""
        return await (await self._now()).last_key()

    async def rows_estimate(self) -> int:
        """See `RecordReader.rows_estimate`."""
        return await (await self._now()).rows_estimate()

    async def put(self, key: Key, record: Record | None, fence: Fence) -> PutResult:
        """See `RecordWriter.put`."""
        return await (await self._now()).put(key, record, fence)

    async def put_many(
        self,
        records: Sequence[tuple[Key, Record]],
        fence: Fence,
        digests: Sequence[Digest] | None = None,
    ) -> BatchResult:
        """See `RecordWriter.put_many`."""
        return await (await self._now()).put_many(records, fence, digests)

    async def put_together(self, records: Sequence[Together]) -> PutResult:
        """See `RecordWriter.put_together`."""
        return await (await self._now()).put_together(records)

    async def move_sequences(self) -> None:
        """See `RecordWriter.move_sequences`."""
        await (await self._now()).move_sequences()

    async def raise_token(self, key: Key, fence: Fence) -> PutResult:
        """See `RecordWriter.raise_token`."""
        return await (await self._now()).raise_token(key, fence)

    async def _now(self) -> Store:
        if self._store is not None:
            return self._store
        try:
            store = await self._opened()
        except ConfigurationError as error:
            raise StoreUnreachableError(str(error)) from error
        if store.key_types != self._key_types:
            raise StoreUnreachableError(
                "the keys are of another type than on the other side. Run `crossfade doctor`."
            )
        self._store = store
        return store
