"""What a node stands on in tests: a ledger and stores that pause, fail, hang and die as told."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any, TypeVar

from crossfade.errors import (
    LedgerUnavailableError,
    StoreOutcomeUnknownError,
    StoreUnreachableError,
)
from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.rows import LedgerIdentity, Rows, RowsQueries
from crossfade.model.entity_graph import EntityLinks
from crossfade.model.key import Key, KeyRange
from crossfade.model.migration_state import MigrationState
from crossfade.store.base import (
    BatchResult,
    Digest,
    Fence,
    FencedDatabase,
    PutResult,
    Record,
    Store,
    StoreEpoch,
    Together,
    links_of,
)

Result = TypeVar("Result")


class NodeDiedError(BaseException):
    """The process of a node is gone: nothing that it had under way goes on."""


class Turns:
    """Pauses of a random length between the steps of everybody, all from one seed."""

    def __init__(self, seed: int = 0, most: int = 0) -> None:
        self._generator = random.Random(seed)
        self.most = most

    async def __call__(self) -> None:
        """Let others run, up to `most` times."""
        for _ in range(self._generator.randint(0, self.most) if self.most else 0):
            await asyncio.sleep(0)


@dataclass(slots=True)
class Life:
    """Whether a node lives; everything that it does outside itself asks first."""

    dead: bool = False

    def check(self) -> None:
        """A dead node does nothing more."""
        if self.dead:
            raise NodeDiedError


class CrashingFailpoint:
    """Notes every name that is reached; kills the node at one of them."""

    def __init__(self, life: Life, turns: Turns) -> None:
        self._life = life
        self._turns = turns
        self.reached: list[str] = []
        self.name = ""
        self.left = 1
        """The node dies when `name` is reached for the so many-th time."""
        self.pause: Callable[[str], Awaitable[None]] | None = None
        """Called at every name; a test lets things happen there."""

    async def __call__(self, name: str) -> None:
        """See `Failpoint`."""
        self._life.check()
        self.reached.append(name)
        if name == self.name:
            self.left -= 1
            self._life.dead = self._life.dead or self.left == 0
        self._life.check()
        if self.pause is not None:
            await self.pause(name)
        await self._turns()


class LedgerFault(Enum):
    """How the next transaction goes wrong."""

    NOT_MADE = "it was not committed, and says so"
    MADE = "it was committed, and the ledger then says that it does not know"


class NodeLedger:
    """A node's way to its ledger: a queue, as SQLite's is, in front of the shared memory twin.

    What was handed over takes place in that order, whether or not somebody still waits for it.
    """

    def __init__(self, rows: MemoryLedger, life: Life, turns: Turns) -> None:
        self._rows = rows
        self._life = life
        self._turns = turns
        self._before: asyncio.Future[None] | None = None
        self.faults: deque[LedgerFault | None] = deque()
        """What happens to the next transactions; beyond the end, nothing bad."""
        self.down = False
        self.before: Callable[[str], Awaitable[None]] | None = None
        """Called with `before NAME` of a transition that waits in the queue."""
        self._running: set[asyncio.Task[None]] = set()

    @property
    def identity(self) -> LedgerIdentity:
        """See `Ledger.identity`."""
        return self._rows.identity

    @property
    def migration(self) -> MigrationState:
        """See `Ledger.migration`."""
        self._life.check()
        return self._rows.migration

    async def transact(self, transition: Callable[[Rows], Result]) -> Result:
        """See `Ledger.transact`."""
        self._life.check()
        if self.before is not None:
            await self.before(f"before {_name_of(transition)}")
        if self._turns.most == 0 and self._before is None:
            return self._commit(transition)
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Result] = loop.create_future()
        before, mine = self._before, loop.create_future()
        self._before = mine
        task = loop.create_task(self._serve(transition, outcome, before, mine))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await outcome

    async def _serve(
        self,
        transition: Callable[[Rows], Result],
        outcome: "asyncio.Future[Result]",
        before: "asyncio.Future[None] | None",
        mine: "asyncio.Future[None]",
    ) -> None:
        try:
            if before is not None:
                await before
            await self._turns()
            result = self._commit(transition)
            # Here others see what was committed; whoever asked for it does not know yet.
            await self._turns()
            self._life.check()
        except BaseException as error:  # noqa: BLE001 - handed to whoever asked
            if not outcome.done():
                outcome.set_exception(error)
                outcome.exception()
        else:
            if not outcome.done():
                outcome.set_result(result)
        finally:
            mine.set_result(None)

    def _commit(self, transition: Callable[[Rows], Result]) -> Result:
        self._life.check()
        fault = self.faults.popleft() if self.faults else None
        if self.down or fault is LedgerFault.NOT_MADE:
            raise LedgerUnavailableError("the disk is full. Make room, then try again.")
        result = self._rows.apply(transition)
        if fault is LedgerFault.MADE:
            self.down = True
            raise LedgerUnavailableError("a commit failed. Open the ledger anew.")
        return result

    def look(self, query: Callable[[RowsQueries], Result]) -> Result:
        """See `Ledger.look`."""
        self._life.check()
        return self._rows.look(query)

    async def close(self) -> None:
        """See `Ledger.close`; the shared twin stays open for the next node."""


def _name_of(transition: Callable[..., object]) -> str:
    while isinstance(transition, partial):
        transition = transition.func
    return transition.__name__


class StoreFault(Enum):
    """How a call of a store goes wrong."""

    UNREACHABLE = "certainly not applied"
    LOST = "not answered, and never applied"
    APPLIED = "applied, and not answered"
    LATE = "not answered, applied when `land` is called"
    HANG = "never answered: whoever waits gives up"
    BROKEN = "the driver raises what nobody expects"


@dataclass(slots=True)
class StoreFaults:
    """What goes wrong with one side's stores and databases; shared by all nodes."""

    dead: bool = False
    """Everything is refused, the epoch rows too."""
    reads: deque[StoreFault | None] = field(default_factory=deque)
    puts: deque[StoreFault | PutResult | None] = field(default_factory=deque)
    """A result is answered in place of the put."""
    epochs: deque[StoreFault | None] = field(default_factory=deque)
    sequences: deque[StoreFault | None] = field(default_factory=deque)
    choose: Callable[[str], StoreFault | None] | None = None
    """Asked with `read`, `put`, `epoch` or `sequences` where no fault is queued."""
    late: list[Callable[[], Awaitable[object]]] = field(default_factory=list)

    async def land(self) -> None:
        """Apply what was sent and not applied; what is fenced off does no harm."""
        late, self.late = self.late, []
        for apply in late:
            await apply()

    def next(self, kind: str) -> StoreFault | PutResult | None:
        """What goes wrong with this call."""
        if self.dead:
            return StoreFault.UNREACHABLE
        queues: dict[str, deque[Any]] = {
            "read": self.reads, "put": self.puts, "epoch": self.epochs,
            "sequences": self.sequences,
        }  # fmt: skip
        queue = queues[kind]
        if queue:
            fault: StoreFault | PutResult | None = queue.popleft()
            return fault
        return self.choose(kind) if self.choose is not None else None

    async def carry_out(self, kind: str, call: Callable[[], Awaitable[Result]]) -> Result:
        """Make the call, or let it go wrong."""
        fault = self.next(kind)
        match fault:
            case None:
                return await call()
            case StoreFault.UNREACHABLE:
                raise StoreUnreachableError("connection refused")
            case StoreFault.BROKEN:
                raise RuntimeError("the driver is broken")
            case StoreFault.HANG:
                await asyncio.Event().wait()
            case StoreFault.APPLIED:
                await call()
            case StoreFault.LATE:
                self.late.append(call)
            case PutResult():
                return fault  # type: ignore[return-value] # only puts are answered so
        raise StoreOutcomeUnknownError("the connection was cut")


class NodeStore:
    """A node's way to one store of a side."""

    def __init__(self, rows: Store, faults: StoreFaults, life: Life, turns: Turns) -> None:
        self._rows = rows
        self._faults = faults
        self._life = life
        self._turns = turns

    @property
    def ordered(self) -> bool:
        """See `Store.ordered`."""
        return self._rows.ordered

    @property
    def links(self) -> EntityLinks | None:
        """See `Linked.links`."""
        return links_of(self._rows)

    async def _call(self, kind: str, call: Callable[[], Awaitable[Result]]) -> Result:
        self._life.check()
        await self._turns()
        self._life.check()
        result = await self._faults.carry_out(kind, call)
        await self._turns()
        self._life.check()
        return result

    async def read(self, key: Key) -> Record | None:
        """See `RecordReader.read`."""
        return await self._call("read", lambda: self._rows.read(key))

    async def read_range(self, range_: KeyRange, rows_max: int) -> Sequence[tuple[Key, Record]]:
        """See `RecordReader.read_range`."""
        return await self._call("read", lambda: self._rows.read_range(range_, rows_max))

    async def keys_in_range(self, range_: KeyRange, rows_max: int) -> Sequence[Key]:
        """See `RecordReader.keys_in_range`."""
        return await self._call("read", lambda: self._rows.keys_in_range(range_, rows_max))

    async def key_after(self, lower: Key | None, rows: int) -> Key | None:
        """See `RecordReader.key_after`."""
        return await self._call("read", lambda: self._rows.key_after(lower, rows))

    async def last_key(self) -> Key | None:
        """See `RecordReader.last_key`."""
        return await self._call("read", self._rows.last_key)

    async def rows_estimate(self) -> int:
        """See `RecordReader.rows_estimate`."""
        return await self._call("read", self._rows.rows_estimate)

    async def put(self, key: Key, record: Record | None, fence: Fence) -> PutResult:
        """See `RecordWriter.put`."""
        return await self._call("put", lambda: self._rows.put(key, record, fence))

    async def put_many(
        self,
        records: Sequence[tuple[Key, Record]],
        fence: Fence,
        digests: Sequence[Digest] | None = None,
    ) -> BatchResult:
        """See `RecordWriter.put_many`."""
        return await self._call("put", lambda: self._rows.put_many(records, fence, digests))

    async def raise_token(self, key: Key, fence: Fence) -> PutResult:
        """See `RecordWriter.raise_token`."""
        return await self._call("put", lambda: self._rows.raise_token(key, fence))

    async def put_together(self, records: Sequence[Together]) -> PutResult:
        """See `RecordWriter.put_together`."""
        return await self._call("put", lambda: self._rows.put_together(records))

    async def move_sequences(self) -> None:
        """See `RecordWriter.move_sequences`."""
        await self._call("sequences", self._rows.move_sequences)


class NodeDatabase:
    """A node's way to one database of a side."""

    def __init__(
        self, database: FencedDatabase, faults: StoreFaults, life: Life, turns: Turns
    ) -> None:
        self._database = database
        self._faults = faults
        self._life = life
        self._turns = turns

    @property
    def name(self) -> str:
        """See `FencedDatabase.name`."""
        return self._database.name

    async def _call(self, call: Callable[[], Awaitable[Result]]) -> Result:
        self._life.check()
        await self._turns()
        self._life.check()
        result = await self._faults.carry_out("epoch", call)
        await self._turns()
        self._life.check()
        return result

    async def epoch(self) -> StoreEpoch | None:
        """See `FencedDatabase.epoch`."""
        return await self._call(self._database.epoch)

    async def raise_epoch(self, wanted: StoreEpoch) -> StoreEpoch:
        """See `FencedDatabase.raise_epoch`."""
        return await self._call(lambda: self._database.raise_epoch(wanted))

    async def adopt(self, wanted: StoreEpoch) -> None:
        """See `FencedDatabase.adopt`."""
        await self._call(lambda: self._database.adopt(wanted))

    async def highest_token(self) -> int:
        """See `FencedDatabase.highest_token`."""
        return await self._call(self._database.highest_token)

    async def prepare(self) -> None:
        """See `FencedDatabase.prepare`."""
        await self._database.prepare()

    async def remove(self) -> None:
        """See `FencedDatabase.remove`."""
        await self._database.remove()

    def ddl(self) -> str:
        """See `FencedDatabase.ddl`."""
        return self._database.ddl()

    async def close(self) -> None:
        """See `FencedDatabase.close`."""
