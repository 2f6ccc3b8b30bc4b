"""Dual writes through a real writer and the SQLite ledger; both sides are memory."""

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Any

from crossfade.convergence.converge import Convergence
from crossfade.convergence.sides import EntityStores, Sides
from crossfade.execution.calls import CallTag, Request
from crossfade.execution.comparison_options import ComparisonOptions
from crossfade.execution.observations import Observations
from crossfade.execution.replaying import Replaying
from crossfade.execution.writer import Writer
from crossfade.ledger.sqlite import SqliteLedger
from crossfade.model.comparison import Observed
from crossfade.model.entity import Entity
from crossfade.model.key import Key
from crossfade.model.operation import KeyFrom, KeyPlace, MirrorWhen, Operation
from crossfade.model.plan import OperationKind
from crossfade.model.side import Side
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams
from crossfade.seams.clock import SystemClock
from crossfade.seams.failpoint import unarmed
from crossfade.seams.randomness import SystemRandomness
from crossfade.seams.tasks import TaskOwner
from crossfade.store.base import StoreEpoch
from crossfade.store.memory import MemoryDatabase, MemoryTable
from crossfade.store.memory_store import MemoryStore

CALLERS = 64
KEYS = 2_000
"""Few enough that the memory twin, which copies its rows for each put, is not what is measured."""
NAME = "order"

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Done:
    """What the service in memory answers: it did it."""

    acknowledged = True
    failed = False
    refused = False
    deferred = False
    ambiguous = False

    def observed(self) -> Observed | None:
        """See `Answer.observed`."""
        return None

    def created_key(self) -> Key | None:
        """See `Answer.created_key`."""
        return None


class Bench:
    """One writer over two stores in memory."""

    def __init__(self, ledger: SqliteLedger) -> None:
        self._ledger = ledger
        self._databases = {side: MemoryDatabase(name=str(side)) for side in Side}
        self._stores = {
            side: MemoryStore(database, NAME, MemoryTable(NAME, key=("id",)))
            for side, database in self._databases.items()
        }
        entity = Entity(
            name=NAME,
            legacy=None,
            new=None,
            to_new=lambda row: {"id": row["id"], "cents": round(row["price"] * 100)},
            to_legacy=lambda row: {"id": row["id"], "price": row["cents"] / 100},
        )
        stores = EntityStores(entity, self._stores[Side.LEGACY], self._stores[Side.NEW])
        databases = {side: (database,) for side, database in self._databases.items()}
        sides = Sides({NAME: stores}, databases, dict.fromkeys(Side, 1.0))
        hooks, self._clock = Hooks(), SystemClock()
        seams = Seams(self._clock, SystemRandomness(), TaskOwner(), unarmed)
        observations = Observations(ledger, hooks, self._clock, ComparisonOptions())
        self._writer: Writer[Done] = Writer(
            ledger,
            Convergence(ledger, sides, hooks, seams, "bench"),
            Replaying(observations, hooks),
            hooks,
            seams,
            "bench",
        )
        put = Operation.of(f"PUT /{NAME}s/{{id}}", NAME, KeyFrom(KeyPlace.PATH, ("id",)))
        # The caller waits for the mirror, so that what is counted has reached both sides.
        self._operation = replace(
            put, kind=OperationKind.WRITE, mirror_when=MirrorWhen.BEFORE_ANSWER
        )

    async def prepare(self) -> None:
        """Fence both stores for the ledger."""
        identity, epoch = self._ledger.identity, self._ledger.migration.epoch
        for database in self._databases.values():
            await database.prepare()
            wanted = StoreEpoch(identity.ledger_id, identity.incarnation, epoch)
            await database.raise_epoch(wanted)

    async def write(self, key: Key, cents: int) -> None:
        """One write that the authority does and the mirror follows."""

        async def call(side: Side, _tag: CallTag) -> Done:
            self._stores[side].rows[key] = {"id": key[0], "price": cents / 100}
            return Done()

        await self._writer.write(Request(self._operation, (key,), call))

    def check(self) -> None:
        """Both sides must hold the same, and nothing may be left over."""
        counts = self._ledger.look(lambda rows: rows.counts(NAME))
        legacy, new = self._stores[Side.LEGACY].rows, self._stores[Side.NEW].rows
        assert counts.open_intents == 0
        different = sum(round(legacy[key]["price"] * 100) != new[key]["cents"] for key in new)
        # A key that two callers wrote at once is left dirty for the reconciler.
        assert different <= counts.dirty, f"{different} keys differ, {counts.dirty} are dirty"


async def dual_writes(ledger: SqliteLedger, writes: int) -> float:
    """Write so many records from 64 callers; the seconds until all have reached both sides."""
    bench = Bench(ledger)
    await bench.prepare()

    async def caller(number: int) -> None:
        for step in range(writes // CALLERS):
            await bench.write(((number * 7919 + step * 104_729) % KEYS,), step)

    start = time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(CALLERS)))
    seconds = time.perf_counter() - start
    bench.check()
    return seconds
