"""An SQL database as the store of one entity."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from crossfade.errors import ConfigurationError, StoreError, StoreUnreachableError
from crossfade.model.entity_graph import EntityLinks
from crossfade.model.key import Key, KeyRange
from crossfade.store.base import BatchResult, Digest, Fence, PutResult, PutStatus, Record, Together
from crossfade.store.sql_binding import BoundBatch, RecordBinder, key_text
from crossfade.store.sql_bulk import NotInBulkError, SqlBulk
from crossfade.store.sql_bulk_engines import sql_bulk
from crossfade.store.sql_conflict import other_key
from crossfade.store.sql_connections import Work
from crossfade.store.sql_database import SqlDatabase
from crossfade.store.sql_dialect import (
    CannotHoldError,
    Cursor,
    KeyKind,
    Violation,
    ViolationError,
)
from crossfade.store.sql_digest import SqlDigests, can_digest
from crossfade.store.sql_fence_pairs import SqlFencePairs
from crossfade.store.sql_parts import StoreParts
from crossfade.store.sql_putting import FENCED, SqlPutting
from crossfade.store.sql_reading import SqlReading
from crossfade.store.sql_tables import StoreTable
from crossfade.store.sql_together import SqlTogether
from crossfade.store.table_shape import TableShape

Result = TypeVar("Result")


class SqlStore:
    """A `Store`: one table, or an aggregate of several, in one `SqlDatabase`.

    A put reads the row that is there and writes only what differs, so that a repeated put costs
    no write and fires no trigger. What it wrote is durable when it returns `OK`; a crash before
    leaves nothing of it, neither rows nor token.
    """

    def __init__(self, database: SqlDatabase, entity: str, table: StoreTable) -> None:
        self._database = database
        self._table = table
        self._binder = RecordBinder(table)
        self._reading = SqlReading(table, database.dialect)
        self._putting = SqlPutting(
            self._reading, self._binder, database.fences, database.points, entity
        )
        self._bulk: SqlBulk | None = sql_bulk(database, self._reading, self._binder, entity)
        self._digests: SqlDigests | None = None
        self._fence_pairs: SqlFencePairs | None = None
        if can_digest(database.dialect, table):
            self._digests = SqlDigests(database.connections, database.dialect, self._reading)
            self._fence_pairs = SqlFencePairs(database, entity)
        self._entity = entity
        self._group = database.schema.group_of(table.name)
        parts = StoreParts(entity, self._reading, self._binder, self._putting)
        database.parts[self._group, entity] = parts

    @property
    def ordered(self) -> bool:
        """See `Store.ordered`."""
        return self._table.ordered

    @property
    def digests(self) -> SqlDigests | None:
        """See `Digesting.digests`."""
        return self._digests

    @property
    def fence_pairs(self) -> SqlFencePairs | None:
        """See `Digesting.fence_pairs`."""
        return self._fence_pairs

    @property
    def links(self) -> EntityLinks:
        """See `Linked.links`."""
        return self._database.schema.of(self._entity, self._group)

    @property
    def table(self) -> StoreTable:
        """What the catalogue says of the table, as it was when the store was opened."""
        return self._table

    @property
    def database(self) -> SqlDatabase:
        """The database that it is in."""
        return self._database

    @property
    def shape(self) -> TableShape:
        """The table as it was when the store was opened; for `doctor`."""
        return self._table.shape()

    @property
    def key_types(self) -> tuple[type, ...]:
        """`int` or `str` for each column of the key."""
        kinds = (column.key_kind for column in self._table.only(self._table.key))
        return tuple(int if kind is KeyKind.WHOLE else str for kind in kinds)

    def as_read(self, key: Key, record: Record) -> Record:
        """The columns that the record names, and its key, as a read gives them after a put.

        Children are in order and have their parent's columns. Touches no database.

        Raises:
            CannotHoldError: a put would be refused for the same reason.

        """
        return self._binder.as_read(key, record)

    async def read(self, key: Key) -> Record | None:
        """See `RecordReader.read`."""
        try:
            self._binder.check_key(key)
        except CannotHoldError:
            return None
        return await self._read(lambda cursor: self._reading.read(cursor, key))

    async def read_range(self, range_: KeyRange, rows_max: int) -> Sequence[tuple[Key, Record]]:
        """See `RecordReader.read_range`."""
        return await self._read(lambda cursor: self._reading.read_range(cursor, range_, rows_max))

    async def keys_in_range(self, range_: KeyRange, rows_max: int) -> Sequence[Key]:
        """See `RecordReader.keys_in_range`."""
        return await self._read(
            lambda cursor: self._reading.keys_in_range(cursor, range_, rows_max)
        )

    async def key_after(self, lower: Key | None, rows: int) -> Key | None:
        """See `RecordReader.key_after`."""
        return await self._read(lambda cursor: self._reading.key_after(cursor, lower, rows))

    async def last_key(self) -> Key | None:
        """See `RecordReader.last_key`."""
        return await self._read(self._reading.last_key)

    async def rows_estimate(self) -> int:
        """See `RecordReader.rows_estimate`."""
        return await self._read(self._reading.estimate)

    async def put(self, key: Key, record: Record | None, fence: Fence) -> PutResult:
        """See `RecordWriter.put`."""
        if record is None:
            return await self._delete(key, fence)
        try:
            batch = self._binder.bind({key: record})
        except CannotHoldError as error:
            return PutResult(PutStatus.REFUSED, str(error))
        ledger = self._database.ledger
        try:
            ended = await self._write(
                lambda: lambda cursor: self._putting.put(cursor, batch, fence, ledger)
            )
        except ViolationError as error:
            return await self._explained(error.violation, batch)
        return FENCED if ended.fenced else ended.result

    async def put_many(
        self,
        records: Sequence[tuple[Key, Record]],
        fence: Fence,
        digests: Sequence[Digest] | None = None,
    ) -> BatchResult:
        """See `RecordWriter.put_many`; of a key that comes twice the last record counts.

        A large batch goes the bulk way where it can; only there digests are kept.
        """
        ledger = self._database.ledger
        bulk = self._bulk

        def bound() -> Work[BatchResult]:
            work = bulk and bulk.prepared(records, fence, digests, ledger)
            return work or ordinary()

        def ordinary() -> Work[BatchResult]:
            batch = self._binder.bind(dict(records))
            return lambda cursor: self._putting.put(cursor, batch, fence, ledger)

        try:
            try:
                return await self._write(bound)
            except NotInBulkError as error:
                if bulk is not None:
                    bulk.give_up(error)
                return await self._write(ordinary)
        except CannotHoldError as error:
            return BatchResult(PutResult(PutStatus.REFUSED, str(error)))
        except ViolationError as error:
            return BatchResult(_refusal(error.violation))

    async def put_together(self, records: Sequence[Together]) -> PutResult:
        """See `RecordWriter.put_together`."""
        together = SqlTogether(self._database, self._group, records)
        try:
            return await self._write(together.prepared)
        except CannotHoldError as error:
            return PutResult(PutStatus.REFUSED, str(error), of=together.entity)
        except ViolationError as error:
            violation = error.violation
            return await self._read(lambda cursor: together.explained(cursor, violation))

    async def raise_token(self, key: Key, fence: Fence) -> PutResult:
        """See `RecordWriter.raise_token`."""
        text = key_text(key)
        ledger = self._database.ledger
        try:
            return await self._write(
                lambda: lambda cursor: self._putting.keep_token(cursor, text, fence, ledger)
            )
        except ViolationError as error:
            return _refusal(error.violation)

    async def move_sequences(self) -> None:
        """See `RecordWriter.move_sequences`; the children's tables have sequences, too."""
        tables = [self._table.name, *(child.name for child in self._table.children.values())]

        def move(cursor: Cursor) -> None:
            for table in tables:
                self._database.dialect.move_sequences(cursor, table)

        try:
            await self._write(lambda: move)
        except ViolationError as error:
            raise StoreError(
                f"the database {self._database.name} does not let its sequences be moved: "
                f"{error}. Run `crossfade doctor`."
            ) from error

    async def _delete(self, key: Key, fence: Fence) -> PutResult:
        try:
            self._binder.check_key(key)
        except CannotHoldError:
            # No row can have that key, so only the token is to be kept.
            return await self.raise_token(key, fence)
        text = key_text(key)
        ledger = self._database.ledger
        try:
            return await self._write(
                lambda: lambda cursor: self._putting.delete(cursor, key, text, fence, ledger)
            )
        except ViolationError as error:
            return _refusal(error.violation)

    async def _explained(self, violation: Violation, batch: BoundBatch) -> PutResult:
        if violation.status is PutStatus.FOREIGN_KEY and not violation.in_the_way:
            points = self._database.points
            missing = await self._read(
                lambda cursor: tuple(points.missing(cursor, self._reading, batch))
            )
            return PutResult(violation.status, violation.reason, missing=missing)
        if violation.status is not PutStatus.UNIQUE:
            return _refusal(violation)
        other = await self._read(
            lambda cursor: other_key(cursor, self._reading, violation.place, batch)
        )
        return PutResult(violation.status, violation.reason, other)

    async def _read(self, work: Work[Result]) -> Result:
        try:
            return await self._database.connections.read(work)
        except ConfigurationError as error:
            raise StoreUnreachableError(str(error)) from error

    async def _write(self, prepare: Callable[[], Work[Result]]) -> Result:
        try:
            return await self._database.connections.write(prepare)
        except ConfigurationError as error:
            # It was right when the store was opened: somebody dropped the tables or the file.
            raise StoreUnreachableError(str(error)) from error


def _refusal(violation: Violation) -> PutResult:
    return PutResult(violation.status, violation.reason, in_the_way=violation.in_the_way)
