"""MongoDB as the store of one entity: a collection's documents, put in transactions.

Not tested against a real server: none could be had where this is built.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import ASCENDING, DESCENDING, DeleteOne, ReplaceOne, UpdateOne
from pymongo.errors import PyMongoError

from crossfade.errors import ConfigurationError, StoreUnreachableError
from crossfade.model.key import Key, KeyRange, encode_key
from crossfade.model.key_pattern import fits
from crossfade.model.store_documents import MongoCollection
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
from crossfade.store.bson_form import BsonForm
from crossfade.store.document_form import Document
from crossfade.store.mongo_database import FENCES, AbortedError, MongoDatabase, Session
from crossfade.store.mongo_errors import duplicate_of, is_refused, translated
from crossfade.store.sql_dialect import CannotHoldError
from crossfade.store.table_shape import TableShape

FENCED = PutResult(PutStatus.FENCED, "a higher token was seen for this key")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One record to put: its fence's identity, and the mapped fields (None deletes)."""

    store: "MongoStore"
    key: Key
    token: int
    document: Document | None
    only_token: bool = False

    @property
    def fence_id(self) -> str:
        """The `_id` of its fence; text without Unicode is written as it is escaped."""
        name = (self.store.database.migration, self.store.entity, encode_key(self.key))
        return " ".join(name).encode(errors="backslashreplace").decode()


class MongoStore:
    """A `Store`: one collection of a `MongoDatabase`."""

    ordered = True
    """See `Store.ordered`; text is compared byte by byte, which is by code point."""

    def __init__(self, database: MongoDatabase, entity: str, description: MongoCollection) -> None:
        self.database = database
        self.entity = entity
        self._description = description
        self._form = BsonForm(description)
        self._names = description.key_names
        self.collection = database.database[description.collection]
        database.stores[entity] = self

    @property
    def key_types(self) -> tuple[type, ...]:
        """`int` or `str` for each field of the key."""
        return self._description.key_types

    @property
    def shape(self) -> TableShape:
        """The documents as they were described; for `doctor`."""
        return self._form.shape(self._description.collection)

    def as_read(self, key: Key, record: Record) -> Record:
        """See `DocumentForm.as_read`."""
        return self._form.as_read(key, record)

    async def read(self, key: Key) -> Record | None:
        """See `RecordReader.read`."""
        if not fits(key, self.key_types):
            return None
        found = await self._run(self.collection.find_one(self.filter_of(key)))
        return None if found is None else self._form.record(key, self._own(found))

    async def read_range(self, range_: KeyRange, rows_max: int) -> Sequence[tuple[Key, Record]]:
        """See `RecordReader.read_range`."""
        found = await self._find(range_, rows_max, None)
        return [
            (self._key_of(one), self._form.record(self._key_of(one), self._own(one)))
            for one in found
        ]

    async def keys_in_range(self, range_: KeyRange, rows_max: int) -> Sequence[Key]:
        """See `RecordReader.keys_in_range`."""
        found = await self._find(range_, rows_max, dict.fromkeys(self._names, 1))
        return [self._key_of(one) for one in found]

    async def key_after(self, lower: Key | None, rows: int) -> Key | None:
        """See `RecordReader.key_after`."""
        keys = await self.keys_in_range(KeyRange(lower), rows)
        return keys[-1] if len(keys) >= rows else None

    async def last_key(self) -> Key | None:
        """See `RecordReader.last_key`."""
        order = [(name, DESCENDING) for name in self._names]
        found = await self._run(self.collection.find_one(self._typed(), sort=order))
        return None if found is None else self._key_of(found)

    async def rows_estimate(self) -> int:
        """See `RecordReader.rows_estimate`."""
        return int(await self._run(self.collection.estimated_document_count()))

    async def put(self, key: Key, record: Record | None, fence: Fence) -> PutResult:
        """See `RecordWriter.put`."""
        try:
            wanted = self._wanted(key, record, fence.token)
        except CannotHoldError as error:
            return PutResult(PutStatus.REFUSED, str(error))
        result, fenced = await self._put([wanted], fence.epoch)
        return FENCED if fenced else result

    async def put_many(
        self,
        records: Sequence[tuple[Key, Record]],
        fence: Fence,
        digests: Sequence[Digest] | None = None,  # noqa: ARG002 - MongoDB computes none
    ) -> BatchResult:
        """See `RecordWriter.put_many`; of a key that comes twice the last record counts."""
        try:
            wanted = [
                self._wanted(key, record, fence.token) for key, record in dict(records).items()
            ]
        except CannotHoldError as error:
            return BatchResult(PutResult(PutStatus.REFUSED, str(error)))
        result, fenced = await self._put(wanted, fence.epoch)
        return BatchResult(result, tuple(wanted[number].key for number in fenced))

    async def put_together(self, records: Sequence[Together]) -> PutResult:
        """See `RecordWriter.put_together`."""
        try:
            wanted = [self.database.stores[one.name.entity].wanted(one) for one in records]
        except CannotHoldError as error:
            return PutResult(PutStatus.REFUSED, str(error))
        result, fenced = await self._put(wanted, records[0].fence.epoch, all_or_none=True)
        return FENCED if fenced else result

    async def raise_token(self, key: Key, fence: Fence) -> PutResult:
        """See `RecordWriter.raise_token`."""
        wanted = _Wanted(self, key, fence.token, None, only_token=True)
        result, fenced = await self._put([wanted], fence.epoch)
        return FENCED if fenced else result

    async def move_sequences(self) -> None:
        """See `RecordWriter.move_sequences`; MongoDB counts no ids."""

    def wanted(self, one: Together) -> _Wanted:
        """One record of several stores' put; raises `CannotHoldError`."""
        return self._wanted(one.name.key, one.record, one.fence.token)

    def filter_of(self, key: Key) -> dict[str, Any]:
        """What finds the document of a key."""
        return dict(zip(self._names, key, strict=True))

    def merged(self, found: Mapping[str, Any] | None, wanted: Document) -> Document:
        """The document after a put."""
        return self._form.merged(None if found is None else dict(found), wanted)

    async def _put(
        self, wanted: Sequence[_Wanted], epoch: int, *, all_or_none: bool = False
    ) -> tuple[PutResult, Sequence[int]]:
        async def work(session: Session) -> tuple[PutResult, Sequence[int]]:
            first = encode_key(wanted[0].key) if wanted else ""
            standing = await self.database.check_epoch(session, epoch, first)
            if standing.status is not PutStatus.OK:
                raise AbortedError(standing)
            fenced = await self._fenced(session, wanted)
            if fenced and all_or_none:
                raise AbortedError(FENCED)
            left = [one for number, one in enumerate(wanted) if number not in fenced]
            await self._write(session, left)
            return OK, sorted(fenced)

        try:
            return await self.database.transaction(work)
        except AbortedError as error:
            return error.result, ()
        except PyMongoError as error:
            return await self._judged(error), ()
        except ConfigurationError as error:
            raise StoreUnreachableError(str(error)) from error

    async def _judged(self, error: PyMongoError) -> PutResult:
        taken = duplicate_of(error)
        if taken is not None:
            names = ", ".join(taken) or "an index"
            found = await self._run(self.collection.find_one(taken)) if taken else None
            other = None if found is None else self._key_of(found)
            return PutResult(PutStatus.UNIQUE, f"must be unique: {names}", other)
        if is_refused(error):
            return PutResult(PutStatus.REFUSED, "the collection's validation refuses the document")
        ours = translated(error, self.database.name)
        if isinstance(ours, ConfigurationError):
            raise StoreUnreachableError(str(ours)) from error
        raise ours from error

    async def _fenced(self, session: Session, wanted: Sequence[_Wanted]) -> frozenset[int]:
        """Keep the tokens; gives the numbers of those that have a higher one."""
        if not wanted:
            return frozenset()
        fences = self.database.database[FENCES]
        ids = [one.fence_id for one in wanted]
        found = await fences.find({"_id": {"$in": ids}}, session=session).to_list(len(ids))
        kept = {one["_id"]: int(one["token"]) for one in found}
        higher = frozenset(
            number for number, one in enumerate(wanted) if kept.get(ids[number], 0) > one.token
        )
        mine = self.database.migration
        changes = [
            UpdateOne(
                {"_id": ids[number]},
                {"$set": {"migration": mine, "token": one.token}},
                upsert=True,
            )
            for number, one in enumerate(wanted)
            if number not in higher
        ]
        if changes:
            await fences.bulk_write(changes, ordered=True, session=session)
        return higher

    async def _write(self, session: Session, wanted: Sequence[_Wanted]) -> None:
        by_store: dict[int, list[_Wanted]] = {}
        for one in wanted:
            if not one.only_token and fits(one.key, one.store.key_types):
                by_store.setdefault(id(one.store), []).append(one)
        for group in by_store.values():
            await group[0].store.write_group(session, group)

    async def write_group(self, session: Session, wanted: Sequence[_Wanted]) -> None:
        """Replace and delete documents of this collection inside a transaction."""
        filters = [self.filter_of(one.key) for one in wanted]
        found = await self.collection.find({"$or": filters}, session=session).to_list(None)
        there = {self._key_of(one): one for one in found}
        changes: list[Any] = []
        for one, filter_ in zip(wanted, filters, strict=True):
            before = there.get(one.key)
            if one.document is None:
                changes += [DeleteOne(filter_)] if before is not None else []
                continue
            after = self.merged(before, one.document)
            if after != before:
                changes.append(ReplaceOne(filter_, after, upsert=True))
        if changes:
            await self.collection.bulk_write(changes, ordered=True, session=session)

    async def _find(
        self, range_: KeyRange, rows_max: int, fields: dict[str, int] | None
    ) -> list[dict[str, Any]]:
        if rows_max <= 0:
            return []
        parts = [self._typed()]
        if range_.lower is not None:
            parts.append(_beyond(self._names, range_.lower, "$gt", last="$gt"))
        if range_.upper is not None:
            parts.append(_beyond(self._names, range_.upper, "$lt", last="$lte"))
        order = [(name, ASCENDING) for name in self._names]
        cursor = self.collection.find({"$and": parts}, fields).sort(order).limit(rows_max)
        found: list[dict[str, Any]] = await self._run(cursor.to_list(rows_max))
        return found

    def _typed(self) -> dict[str, Any]:
        """Only documents whose key is of the key's types: others are none of the entity's."""
        kinds = {int: ["int", "long"], str: ["string"]}
        types = zip(self._names, self.key_types, strict=True)
        return {name: {"$type": kinds[type_]} for name, type_ in types}

    def _wanted(self, key: Key, record: Record | None, token: int) -> _Wanted:
        if record is None:
            return _Wanted(self, key, token, None)
        bound = self._form.bound(key, record)
        self._form.through_store(bound)
        return _Wanted(self, key, token, bound)

    def _key_of(self, document: Mapping[str, Any]) -> Key:
        parts = [document[name] for name in self._names]
        return tuple(part if isinstance(part, str) else int(part) for part in parts)

    def _own(self, document: dict[str, Any]) -> dict[str, Any]:
        """Without the identity that MongoDB gave the document by itself."""
        if "_id" in self._names:
            return document
        return {name: value for name, value in document.items() if name != "_id"}

    async def _run(self, command: Any) -> Any:  # noqa: ANN401 - what the driver gives
        try:
            return await self.database.run(command)
        except ConfigurationError as error:
            raise StoreUnreachableError(str(error)) from error


def _beyond(names: Sequence[str], key: Key, beyond: str, *, last: str) -> dict[str, Any]:
    """Keys on one side of a bound, part by part."""
    choices = []
    for number, name in enumerate(names):
        equal = dict(zip(names[:number], key[:number], strict=True))
        how = last if number == len(names) - 1 else beyond
        choices.append({**equal, name: {how: key[number]}})
    return {"$or": choices}


async def open_mongo_store(
    description: MongoCollection, *, entity: str, database: MongoDatabase
) -> MongoStore:
    """See that the key has a unique index, and make the store; writes nothing.

    Raises:
        ConfigurationError: no replica set, or no index that makes the key unique.
        StoreUnreachableError: the server does not answer.

    """
    await database.check_server()
    store = MongoStore(database, entity, description)
    if description.key_names == ("_id",):
        return store
    indexes = await database.run(store.collection.index_information())
    wanted = set(description.key_names)
    for index in indexes.values():
        if index.get("unique") and {name for name, _ in index["key"]} == wanted:
            return store
    names = ", ".join(f"{name}: 1" for name in description.key_names)
    raise ConfigurationError(
        f"the key of {description.collection} is not unique. Run "
        f"db.{description.collection}.createIndex({{{names}}}, {{unique: true}})."
    )
