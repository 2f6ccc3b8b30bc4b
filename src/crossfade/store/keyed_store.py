"""A store whose keys nobody can list: it is walked by the keys of the other side."""

from collections.abc import Sequence

from crossfade.errors import StoreError
from crossfade.model.key import Key, KeyRange
from crossfade.model.side import Side
from crossfade.store.base import (
    BatchResult,
    Digest,
    Fence,
    PutResult,
    Record,
    Store,
    Together,
)
from crossfade.store.unfenced import UnfencedDatabase


class KeyedStore:
    """A `Store`: those of the other side's keys that exist here, as far as anybody can tell.

    Good enough for a mirror, where it means that keys which only the mirror has are not found.
    Never for an authority: while its side is one, listing its keys is an error.
    """

    def __init__(self, store: Store, other: Store, side: Side, database: UnfencedDatabase) -> None:
        self.store = store
        self._other = other
        self._side = side
        self._database = database

    @property
    def ordered(self) -> bool:
        """See `Store.ordered`; as the other side's."""
        return self._other.ordered

    async def read(self, key: Key) -> Record | None:
        """See `RecordReader.read`."""
        return await self.store.read(key)

    async def read_range(self, range_: KeyRange, rows_max: int) -> Sequence[tuple[Key, Record]]:
        """See `RecordReader.read_range`."""
        self._check_mirror()
        found: list[tuple[Key, Record]] = []
        left: KeyRange | None = range_
        while left is not None and len(found) < rows_max:
            limit = rows_max - len(found)
            keys = await self._other.keys_in_range(left, limit)
            for key in keys:
                record = await self.store.read(key)
                if record is not None:
                    found.append((key, record))
            left = KeyRange(keys[-1], range_.upper) if len(keys) >= limit else None
        return found

    async def keys_in_range(self, range_: KeyRange, rows_max: int) -> Sequence[Key]:
        """See `RecordReader.keys_in_range`."""
        return [key for key, _ in await self.read_range(range_, rows_max)]

    async def key_after(self, lower: Key | None, rows: int) -> Key | None:
        """See `RecordReader.key_after`."""
        self._check_mirror()
        return await self._other.key_after(lower, rows)

    async def last_key(self) -> Key | None:
        """See `RecordReader.last_key`."""
        self._check_mirror()
        return await self._other.last_key()

    async def rows_estimate(self) -> int:
        """See `RecordReader.rows_estimate`."""
        return await self._other.rows_estimate()

    async def put(self, key: Key, record: Record | None, fence: Fence) -> PutResult:
        """See `RecordWriter.put`."""
        return await self.store.put(key, record, fence)

    async def put_many(
        self,
        records: Sequence[tuple[Key, Record]],
        fence: Fence,
        digests: Sequence[Digest] | None = None,
    ) -> BatchResult:
        """See `RecordWriter.put_many`."""
        return await self.store.put_many(records, fence, digests)

    async def put_together(self, records: Sequence[Together]) -> PutResult:
        """See `RecordWriter.put_together`."""
        return await self.store.put_together(records)

    async def raise_token(self, key: Key, fence: Fence) -> PutResult:
        """See `RecordWriter.raise_token`."""
        return await self.store.raise_token(key, fence)

    async def move_sequences(self) -> None:
        """See `RecordWriter.move_sequences`."""
        await self.store.move_sequences()

    def _check_mirror(self) -> None:
        if self._database.authority() is self._side:
            raise StoreError(
                f"{self._database.name} has authority now, and its keys cannot be listed. Give "
                "list= of the HttpResource, or keys= of the Functions."
            )
