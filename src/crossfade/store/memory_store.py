"""The memory twin of one entity's store, over a `MemoryDatabase`."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace

from crossfade.errors import ConfigurationError, StoreUnreachableError
from crossfade.model.entity_graph import EntityLinks, LinkedTable, Reference
from crossfade.model.key import EVERY_KEY, Key, KeyRange
from crossfade.store.base import (
    OK,
    BatchResult,
    Digest,
    Fence,
    PutResult,
    PutStatus,
    Record,
    Together,
)
from crossfade.store.memory import MemoryDatabase, MemoryTable
from crossfade.store.memory_rows import RefusedError, checked, in_the_way, merged, points_here
from crossfade.store.memory_together import put_together

Refusal = Callable[[Key, Record], str | None]
"""Why a record is refused, or None; stands for a CHECK of a user's schema."""


class MemoryStore:
    """A `Store` in memory; keeps values as they are, and refuses what every store refuses."""

    def __init__(
        self,
        database: MemoryDatabase,
        entity: str,
        table: MemoryTable,
        *,
        refuse: Refusal | None = None,
        ordered: bool = True,
    ) -> None:
        self.database = database
        self._entity = entity
        self._table = table
        self._ordered = ordered
        self.refuse = refuse
        """May be exchanged under way."""
        self.sequences_past: Key | None = None
        """The highest key when the sequences were moved last."""
        database.disk.tables.setdefault(table.name, {})
        database.disk.references[table.name] = dict(table.references)
        database.disk.entities[table.name] = entity
        database.stores[entity] = self

    @property
    def ordered(self) -> bool:
        """See `Store.ordered`."""
        return self._ordered

    @property
    def links(self) -> EntityLinks:
        """See `Linked.links`."""
        columns = self._table.columns or {}
        references = [
            Reference((column,), parent, ("key",), optional=columns.get(column) is None)
            for column, parent in self._table.references.items()
        ]
        table = LinkedTable(self._table.name, self._table.key, tuple(references))
        return EntityLinks(self._entity, self.database.name, (table,))

    @property
    def rows(self) -> dict[Key, Record]:
        """What the table holds, for a test to arrange or look at; no call of the store."""
        return self.database.disk.tables[self._table.name]

    def as_read(self, key: Key, record: Record) -> Record:
        """The columns that the record names, and its key, as a read gives them after a put.

        Raises:
            RefusedError: a put would be refused for the same reason.

        """
        return checked(self._table, key, record)

    async def read(self, key: Key) -> Record | None:
        """See `RecordReader.read`."""
        await self._before("read")
        found = deepcopy(self.rows.get(key))
        await self._after("read")
        return found

    async def read_range(self, range_: KeyRange, rows_max: int) -> Sequence[tuple[Key, Record]]:
        """See `RecordReader.read_range`."""
        await self._before("read_range")
        found = [(key, deepcopy(self.rows[key])) for key in self._keys(range_)[:rows_max]]
        await self._after("read_range")
        return found

    async def keys_in_range(self, range_: KeyRange, rows_max: int) -> Sequence[Key]:
        """See `RecordReader.keys_in_range`."""
        await self._before("keys_in_range")
        found = self._keys(range_)[:rows_max]
        await self._after("keys_in_range")
        return found

    async def key_after(self, lower: Key | None, rows: int) -> Key | None:
        """See `RecordReader.key_after`."""
        await self._before("key_after")
        keys = self._keys(KeyRange(lower=lower))
        await self._after("key_after")
        return keys[rows - 1] if len(keys) >= rows else None

    async def last_key(self) -> Key | None:
        """See `RecordReader.last_key`."""
        await self._before("last_key")
        keys = self._keys(EVERY_KEY)
        await self._after("last_key")
        return keys[-1] if keys else None

    async def rows_estimate(self) -> int:
        """See `RecordReader.rows_estimate`."""
        await self._before("rows_estimate")
        rows = len(self.rows)
        await self._after("rows_estimate")
        return rows

    async def put(self, key: Key, record: Record | None, fence: Fence) -> PutResult:
        """See `RecordWriter.put`."""
        await self._before("put")
        wanted = deepcopy(record)
        result = self._run(lambda: self._put_all([(key, wanted)], fence))
        await self._after("put")
        return _FENCED if result.fenced else result.result

    async def put_many(
        self,
        records: Sequence[tuple[Key, Record]],
        fence: Fence,
        digests: Sequence[Digest] | None = None,  # noqa: ARG002 - kept by the bulk path only
    ) -> BatchResult:
        """See `RecordWriter.put_many`; of a key that comes twice the last record counts."""
        await self._before("put_many")
        wanted: dict[Key, Record | None] = {key: deepcopy(record) for key, record in records}
        result = self._run(lambda: self._put_all(list(wanted.items()), fence))
        await self._after("put_many")
        return result

    async def raise_token(self, key: Key, fence: Fence) -> PutResult:
        """See `RecordWriter.raise_token`."""
        await self._before("raise_token")
        kept = self._run(lambda: self._keep_token(key, fence))
        await self._after("raise_token")
        return kept.result

    async def put_together(self, records: Sequence[Together]) -> PutResult:
        """See `RecordWriter.put_together`; what holds is only looked at when all are put."""
        await self._before("put_together")
        wanted = [replace(one, record=deepcopy(one.record)) for one in records]
        result = self._run(lambda: BatchResult(put_together(self.database, wanted)))
        await self._after("put_together")
        return result.result

    async def move_sequences(self) -> None:
        """See `RecordWriter.move_sequences`; the twin makes no ids, and notes how far it got."""
        await self._before("move_sequences")
        self.sequences_past = max(self.rows, default=None)
        await self._after("move_sequences")

    def set_row(self, key: Key, record: Record | None) -> PutResult:
        """Inside `put_together`: the row, whatever points where."""
        try:
            row = self._checked(key, record)
        except RefusedError as error:
            return PutResult(PutStatus.REFUSED, str(error))
        if row is None:
            self.rows.pop(key, None)
            return OK
        reason = self.refuse(key, row) if self.refuse else None
        if reason is not None:
            return PutResult(PutStatus.REFUSED, reason)
        self.rows[key] = merged(self._table, self.rows.get(key), row)
        return OK

    def without_pointers(self, record: Record | None) -> Record | None:
        """Inside `put_together`: the record without what it points to."""
        if record is None:
            return None
        return record | {name: None for name in self._table.references if name in record}

    def what_holds(self, key: Key) -> PutResult:
        """Inside `put_together`: what the constraints say of the row as it is."""
        disk = self.database.disk
        check = in_the_way if key in self.rows else points_here
        return check(disk, self._table, key) or OK

    def _put_all(self, records: Sequence[tuple[Key, Record | None]], fence: Fence) -> BatchResult:
        """All but the fenced, or none: one transaction."""
        try:
            rows = [(key, self._checked(key, record)) for key, record in records]
        except RefusedError as error:
            return BatchResult(PutResult(PutStatus.REFUSED, str(error)))
        epoch = self.database.check_epoch(fence)
        if epoch.status is not PutStatus.OK:
            return BatchResult(epoch)
        disk = self.database.disk
        rows_before, fences_before = dict(self.rows), dict(disk.fences)
        fenced = []
        result = OK
        for key, row in rows:
            kept = self.database.keep_token(self._entity, key, fence)
            if kept.status is PutStatus.OK:
                result = self.set_row(key, row)
            else:
                fenced.append(key)
            if result.status is not PutStatus.OK:
                break
        held = (self.what_holds(key) for key, _ in rows if key not in fenced)
        if result.status is PutStatus.OK:
            result = next((one for one in held if one.status is not PutStatus.OK), OK)
        if result.status is not PutStatus.OK:
            disk.tables[self._table.name] = rows_before
            disk.fences = fences_before
            return BatchResult(result)
        return BatchResult(OK, tuple(fenced))

    def _keep_token(self, key: Key, fence: Fence) -> BatchResult:
        epoch = self.database.check_epoch(fence)
        if epoch.status is not PutStatus.OK:
            return BatchResult(epoch)
        return BatchResult(self.database.keep_token(self._entity, key, fence))

    def _checked(self, key: Key, record: Record | None) -> Record | None:
        return None if record is None else checked(self._table, key, record)

    def _run(self, transaction: Callable[[], BatchResult]) -> BatchResult:
        try:
            return self.database.faults.run(transaction)
        except ConfigurationError as error:
            raise StoreUnreachableError(str(error)) from error

    def _keys(self, range_: KeyRange) -> list[Key]:
        return sorted(key for key in self.rows if range_.contains(key))

    async def _before(self, call: str) -> None:
        await self.database.before(f"{self._entity}.{call}")

    async def _after(self, call: str) -> None:
        await self.database.after(f"{self._entity}.{call}")


_FENCED = PutResult(PutStatus.FENCED, "a higher token was seen for this key")
