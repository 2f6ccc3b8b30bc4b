"""One MongoDB database that a migration copies into: epoch and tokens beside the documents.

Not tested against a real server: none could be had where this is built.

Two documents that a transaction only reads may change before it commits, so a put has to *write*
what a change of epoch writes. That would make every put wait for every other one; the epoch is
therefore kept in several equal documents, its lanes. A put writes one of them, a change of epoch
all, one after the other; each waits for the puts under way on it.
"""

import zlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from pymongo import AsyncMongoClient, ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from crossfade.errors import ConfigurationError, NotPreparedError, StoreUnreachableError
from crossfade.model.store_description import without_secrets
from crossfade.store.base import OK, PutResult, PutStatus, StoreEpoch
from crossfade.store.bson_form import CODEC
from crossfade.store.mongo_errors import is_passing, translated
from crossfade.store.sql_fence import raised_epoch

Result = TypeVar("Result")
Session = AsyncClientSession
Work = Callable[[Session], Awaitable[Result]]

LANES = 16
TRIES = 30
"""Of one put, when others write the same documents at the same moment."""
SECONDS_MAX = 20.0
"""Longest wait for one command."""
EPOCHS, FENCES = "crossfade_epoch", "crossfade_fence"


class AbortedError(Exception):
    """Ends a transaction without a change; carries what the put returns."""

    def __init__(self, result: PutResult) -> None:
        super().__init__(result.reason)
        self.result = result


class MongoDatabase:
    """A `FencedDatabase`; the stores of all entities in one database share it.

    Raises:
        ConfigurationError: the URL names no database.

    """

    def __init__(self, url: str, *, migration: str) -> None:
        self.url = url
        self.migration = migration
        self.ledger: tuple[str, int] | None = None
        self.stores: dict[str, Any] = {}
        """The stores in this database by entity: several are put in one transaction."""
        self._name = without_secrets(url)
        try:
            self.client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
                url,
                serverSelectionTimeoutMS=int(SECONDS_MAX * 250),
                timeoutMS=int(SECONDS_MAX * 1000),
                retryWrites=False,
                connect=False,
            )
            self.database = self.client.get_default_database().with_options(
                codec_options=CODEC,
                write_concern=WriteConcern("majority", j=True),
                read_concern=ReadConcern("majority"),
            )
        except PyMongoError as error:
            raise ConfigurationError(
                f"{self._name!r} names no database of MongoDB. "
                "Write mongodb://host:27017/database?replicaSet=name."
            ) from error

    @property
    def name(self) -> str:
        """See `FencedDatabase.name`."""
        return self._name

    async def epoch(self) -> StoreEpoch | None:
        """See `FencedDatabase.epoch`; the lowest of the lanes: the others were raised already."""
        lanes = await self._lanes()
        if len(lanes) < LANES:
            raise self.unprepared()
        found = [_epoch_of(lane) for lane in lanes]
        known = [one for one in found if one is not None]
        if len(known) < LANES:
            return None
        return min(known, key=lambda one: (one.incarnation, one.epoch))

    async def raise_epoch(self, wanted: StoreEpoch) -> StoreEpoch:
        """See `FencedDatabase.raise_epoch`; a crash between two lanes is repeated."""
        found = await self.epoch()
        held = wanted if found is None else raised_epoch(found, wanted, self.name)
        for lane in await self._lanes():
            before = _epoch_of(lane)
            after = held if before is None else raised_epoch(before, held, self.name)
            if after != before:
                await self._set_lane(lane, after)
            held = after if after.epoch > held.epoch else held
        self.ledger = (held.ledger_id, held.incarnation)
        return held

    async def adopt(self, wanted: StoreEpoch) -> None:
        """See `FencedDatabase.adopt`."""
        await self.epoch()
        for lane in await self._lanes():
            await self._set_lane(lane, wanted)
        self.ledger = (wanted.ledger_id, wanted.incarnation)

    async def highest_token(self) -> int:
        """See `FencedDatabase.highest_token`."""
        mine = {"migration": self.migration}
        found = await self.run(
            self.database[FENCES].find_one(mine, {"token": 1}, sort=[("token", -1)])
        )
        return 0 if found is None else int(found["token"])

    async def prepare(self) -> None:
        """See `FencedDatabase.prepare`. Raises ConfigurationError where it is no replica set."""
        await self.check_server()
        for number in range(LANES):
            lane = {"_id": self._lane(number)}
            made = {"$setOnInsert": {"migration": self.migration, "puts": 0}}
            await self.run(self.database[EPOCHS].update_one(lane, made, upsert=True))
        await self.run(self.database[FENCES].create_index([("migration", 1), ("token", -1)]))

    async def remove(self) -> None:
        """See `FencedDatabase.remove`."""
        mine = {"migration": self.migration}
        for name in (FENCES, EPOCHS):
            await self.run(self.database[name].delete_many(mine))
            if await self.run(self.database[name].find_one({})) is None:
                await self.run(self.database.drop_collection(name))

    def ddl(self) -> str:
        """See `FencedDatabase.ddl`; collections make themselves."""
        return f"# crossfade doctor --apply: makes {EPOCHS} and {FENCES}\n"

    async def close(self) -> None:
        """See `FencedDatabase.close`."""
        await self.client.close()

    async def check_server(self) -> None:
        """Refuse a server without transactions.

        Raises:
            ConfigurationError: it is no replica set.
            StoreUnreachableError: no answer.

        """
        hello = await self.run(self.client.admin.command("hello"))
        if "setName" not in hello and hello.get("msg") != "isdbgrid":
            raise ConfigurationError(
                f"{self.name} is no replica set, and only those have transactions. "
                "Start it with --replSet, and run rs.initiate()."
            )

    async def run(self, command: Awaitable[Result]) -> Result:
        """Run one command; raises our errors."""
        try:
            return await command
        except PyMongoError as error:
            raise translated(error, self.name) from error

    async def transaction(self, work: Work[Result]) -> Result:
        """Run work in one transaction, again where others were in its way.

        Raises:
            AbortedError: the work gave it up; nothing was changed.
            PyMongoError: what the work raised, for the store to judge.
            StoreOutcomeUnknownError: nobody knows how the commit ended.
            StoreUnreachableError: certainly not applied.

        """
        for _ in range(TRIES):
            try:
                return await self._once(work)
            except PyMongoError as error:
                if not is_passing(error):
                    raise
        raise StoreUnreachableError(
            f"others keep writing the same documents of {self.name}. They are put again later."
        )

    async def _once(self, work: Work[Result]) -> Result:
        async with self.client.start_session() as session:
            concerns = ReadConcern("snapshot"), WriteConcern("majority", j=True)
            async with await session.start_transaction(*concerns):
                return await work(session)

    async def check_epoch(self, session: Session, epoch: int, key: str) -> PutResult:
        """Whether a put of that epoch may go on; from here on it holds up a change of epoch."""
        lane = zlib.crc32(key.encode(errors="surrogatepass")) % LANES
        found = await self.database[EPOCHS].find_one_and_update(
            {"_id": self._lane(lane)},
            {"$inc": {"puts": 1}},
            return_document=ReturnDocument.AFTER,
            session=session,
        )
        if found is None:
            raise StoreUnreachableError(str(self.unprepared()))
        held = _epoch_of(found)
        if held is None:
            return PutResult(PutStatus.FENCED_EPOCH, "the database has no epoch of the migration")
        if self.ledger not in (None, (held.ledger_id, held.incarnation)):
            return PutResult(PutStatus.FENCED_EPOCH, "the database is fenced by another ledger")
        if held.epoch != epoch:
            return PutResult(PutStatus.FENCED_EPOCH, "the database has another epoch")
        return OK

    def unprepared(self) -> NotPreparedError:
        """What stands in the way of a database that was not prepared."""
        return NotPreparedError(
            f"{self.name} has no {EPOCHS} of this migration. Run `crossfade doctor --apply`."
        )

    def _lane(self, number: int) -> str:
        return f"{self.migration}:{number}"

    async def _lanes(self) -> Sequence[dict[str, Any]]:
        mine = {"migration": self.migration}
        return await self.run(self.database[EPOCHS].find(mine).to_list(LANES))

    async def _set_lane(self, lane: dict[str, Any], held: StoreEpoch) -> None:
        values = {
            "ledger": held.ledger_id,
            "incarnation": held.incarnation,
            "epoch": held.epoch,
        }
        # Outside a transaction: it waits for the puts under way instead of giving up.
        update = self.database[EPOCHS].update_one({"_id": lane["_id"]}, {"$set": values})
        await self.run(update)


def _epoch_of(lane: dict[str, Any]) -> StoreEpoch | None:
    if "epoch" not in lane:
        return None
    return StoreEpoch(lane["ledger"], int(lane["incarnation"]), int(lane["epoch"]))
