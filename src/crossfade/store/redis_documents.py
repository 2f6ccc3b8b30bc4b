"""Redis as the store of one entity: JSON documents, fenced and indexed by scripts."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from crossfade.errors import ConfigurationError, StoreUnreachableError
from crossfade.model.key import Key, KeyRange
from crossfade.model.key_pattern import KeyPattern
from crossfade.model.store_documents import RedisDocuments
from crossfade.store import redis_scripts
from crossfade.store.base import (
    BatchResult,
    Digest,
    Fence,
    PutResult,
    PutStatus,
    Record,
    Together,
)
from crossfade.store.document_form import DocumentForm, parsed
from crossfade.store.ordered_text import AFTER, key_of_bytes, ordered_bytes
from crossfade.store.redis_connection import Answer
from crossfade.store.redis_database import RedisDatabase, escaped
from crossfade.store.redis_putting import FENCED, RedisPutting, Wanted, member_of
from crossfade.store.sql_dialect import CannotHoldError
from crossfade.store.table_shape import TableShape


class RedisStore:
    """A `Store`: the documents of one entity on one `RedisDatabase`.

    A put merges the mapped fields into the document that it read, and its script writes the
    result only where the document is still that one; else it is made anew. What the service
    changes in between is never lost.
    """

    ordered = True
    """See `Store.ordered`."""

    def __init__(self, database: RedisDatabase, entity: str, description: RedisDocuments) -> None:
        self._database = database
        self._description = description
        self._form = DocumentForm(description)
        self._pattern = KeyPattern(description.documents, description.key)
        self._state = database.state_key
        self._index = database.index_key(entity)
        self._putting = RedisPutting(database, entity, self._form, self._pattern)
        self._indexed_at = float("-inf")
        database.stores[entity] = self

    @property
    def key_types(self) -> tuple[type, ...]:
        """`int` or `str` for each field of the key."""
        return self._description.key_types

    @property
    def shape(self) -> TableShape:
        """The documents as they were described; for `doctor`."""
        return self._form.shape(self._description.documents)

    def as_read(self, key: Key, record: Record) -> Record:
        """See `DocumentForm.as_read`."""
        return self._form.as_read(key, record)

    def wanted(self, one: Together) -> Wanted:
        """One record of several stores' put.

        Raises:
            CannotHoldError: the documents cannot hold it.

        """
        return self._putting.wanted(one.name.key, one.record, one.fence.token)

    async def read(self, key: Key) -> Record | None:
        """See `RecordReader.read`."""
        text = self._pattern.format(key)
        if text is None:
            return None
        found = await self._look(
            redis_scripts.READ, [self._state, self._index, text], [member_of(key, text)]
        )
        return None if found is None else self._form.record(key, parsed(found))

    async def read_range(self, range_: KeyRange, rows_max: int) -> Sequence[tuple[Key, Record]]:
        """See `RecordReader.read_range`; one snapshot, unless documents vanish by thousands."""
        found = await self._range(range_, rows_max, "documents")
        return [(key, self._form.record(key, parsed(document))) for key, document in found]

    async def keys_in_range(self, range_: KeyRange, rows_max: int) -> Sequence[Key]:
        """See `RecordReader.keys_in_range`."""
        return [key for key, _ in await self._range(range_, rows_max, "keys")]

    async def key_after(self, lower: Key | None, rows: int) -> Key | None:
        """See `RecordReader.key_after`."""
        keys = await self.keys_in_range(KeyRange(lower), rows)
        return keys[-1] if len(keys) >= rows else None

    async def last_key(self) -> Key | None:
        """See `RecordReader.last_key`."""
        if not await self._is_indexed(from_start=True):
            return max(await self._scanned(), default=None)
        member = await self._look(redis_scripts.LAST, [self._index], [])
        return None if member is None else key_of_bytes(member, self.key_types)

    async def rows_estimate(self) -> int:
        """See `RecordReader.rows_estimate`."""
        if not await self._is_indexed(from_start=False):
            return len(await self._scanned())
        return int(await self._command("ZCARD", self._index))

    async def put(self, key: Key, record: Record | None, fence: Fence) -> PutResult:
        """See `RecordWriter.put`."""
        ended = await self._putting.put([(key, record)], fence)
        return FENCED if ended.fenced else ended.result

    async def put_many(
        self,
        records: Sequence[tuple[Key, Record]],
        fence: Fence,
        digests: Sequence[Digest] | None = None,  # noqa: ARG002 - Redis computes none
    ) -> BatchResult:
        """See `RecordWriter.put_many`; of a key that comes twice the last record counts."""
        return await self._putting.put(list(dict(records).items()), fence)

    async def put_together(self, records: Sequence[Together]) -> PutResult:
        """See `RecordWriter.put_together`."""
        try:
            wanted = [self._database.stores[one.name.entity].wanted(one) for one in records]
            result, fenced = await self._putting.run(
                wanted, records[0].fence.epoch, all_or_none=True
            )
        except CannotHoldError as error:
            return PutResult(PutStatus.REFUSED, str(error))
        return FENCED if fenced else result

    async def raise_token(self, key: Key, fence: Fence) -> PutResult:
        """See `RecordWriter.raise_token`."""
        return await self._putting.raise_token(key, fence)

    async def move_sequences(self) -> None:
        """See `RecordWriter.move_sequences`; the counter that `sequence=` names."""
        counter = self._description.sequence
        if counter is None or self.key_types != (int,):
            return
        last = await self.last_key()
        if last is not None and int(last[0]) >= 0:
            await self._look(redis_scripts.RAISE_COUNTER, [counter], [str(last[0])])

    async def _range(self, range_: KeyRange, rows_max: int, what: str) -> list[tuple[Key, bytes]]:
        if rows_max <= 0 or _is_empty(range_):
            return []
        if not await self._is_indexed(from_start=range_.lower is None):
            return await self._range_unindexed(range_, rows_max)
        low = b"-" if range_.lower is None else b"(" + ordered_bytes(range_.lower) + AFTER
        high = b"+" if range_.upper is None else b"[" + ordered_bytes(range_.upper) + AFTER
        found: list[tuple[Key, bytes]] = []
        ended = False
        while not ended and len(found) < rows_max:
            left = str(rows_max - len(found))
            ended, low, page = await self._look(
                redis_scripts.RANGE, [self._index], [low, high, left, what]
            )
            found += [(key_of_bytes(member, self.key_types), value) for member, value in page]
        return found

    async def _range_unindexed(self, range_: KeyRange, rows_max: int) -> list[tuple[Key, bytes]]:
        """Before our own keys may be written: `doctor` looks at a server for the first time."""
        keys = [key for key in await self._scanned() if range_.contains(key)][:rows_max]
        texts = [text for key in keys if (text := self._pattern.format(key)) is not None]
        values = await self._command("MGET", *texts) if texts else []
        pairs = zip(keys, values, strict=True)
        return [(key, value) for key, value in pairs if value is not None]

    async def _is_indexed(self, *, from_start: bool) -> bool:
        """Complete the index where a walk begins, or it is old; False before `prepare`.

        The service makes documents that we have not seen. Those of a key that convergence has
        read are in the index already; the others are found by a scan of the whole server.
        """
        if not await self._prepared():
            return False
        now = asyncio.get_running_loop().time()
        if from_start or now - self._indexed_at > self._database.options.index_seconds_max:
            async for keys in self._scan():
                scores = [part for key, text in keys for part in (0, member_of(key, text))]
                if scores:
                    await self._command("ZADD", self._index, *scores)
            self._indexed_at = now
        return True

    async def _scanned(self) -> list[Key]:
        """The keys of all documents on the server, in order."""
        return sorted({key async for keys in self._scan() for key, _ in keys})

    async def _scan(self) -> AsyncIterator[list[tuple[Key, str]]]:
        """Keys of documents and where they are, a page at a time; some may come twice."""
        glob = "*".join(escaped(literal) for literal in self._pattern.literals)
        try:
            async for texts in self._database.scan(glob, "TYPE", "string"):
                # What is no UTF-8 is the key of no document.
                places = [text.decode(errors="replace") for text in texts]
                pairs = [(self._pattern.parse(place), place) for place in places]
                yield [(key, place) for key, place in pairs if key is not None]
        except ConfigurationError as error:
            raise StoreUnreachableError(str(error)) from error

    async def _prepared(self) -> bool:
        try:
            return await self._database.prepared()
        except ConfigurationError as error:
            raise StoreUnreachableError(str(error)) from error

    async def _command(self, *command: object) -> Answer:
        try:
            return await self._database.connections.read(*command)
        except ConfigurationError as error:
            raise StoreUnreachableError(str(error)) from error

    async def _look(self, text: str, keys: Sequence[str], values: Sequence[str | bytes]) -> Answer:
        try:
            return await self._database.look(text, keys, values)
        except ConfigurationError as error:
            raise StoreUnreachableError(str(error)) from error


def _is_empty(range_: KeyRange) -> bool:
    lower, upper = range_.lower, range_.upper
    return lower is not None and upper is not None and lower >= upper


async def open_redis_store(
    description: RedisDocuments, *, entity: str, database: RedisDatabase
) -> RedisStore:
    """See that the server answers and may be used, and make the store; writes nothing.

    Raises:
        ConfigurationError: a cluster, one that throws keys away, or refused credentials.
        StoreUnreachableError: the server does not answer.

    """
    await database.check_server()
    return RedisStore(database, entity, description)
