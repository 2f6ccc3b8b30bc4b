"""The memory twin of a fenced database: for tests, simulation, and users' own tests.

Everything happens between two awaits, so a call is as atomic as a transaction. The `pause` hook
is awaited before and after each call: a scheduler that holds a call there interleaves calls in
any order, and one that raises there is a crash before or after the call took place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from crossfade.errors import ForeignLedgerError, NotPreparedError
from crossfade.model.key import Key
from crossfade.seams.failpoint import Failpoint, unarmed
from crossfade.store.base import OK, Fence, PutResult, PutStatus, Record, StoreEpoch
from crossfade.store.memory_faults import MemoryFaults

_NO_TABLES = "has no fence tables yet. Call `prepare` first."


@dataclass(frozen=True, slots=True)
class MemoryTable:
    """What a table is like; a child's table only matters to the records of its parent."""

    name: str
    key: tuple[str, ...]
    columns: Mapping[str, object] | None = None
    """Every column and what it is where an insert does not name it; None takes any column."""
    children: Mapping[str, "MemoryTable"] = field(default_factory=dict)
    parent: tuple[str, ...] = ()
    """For a child: its columns that hold the parent's key."""
    unique: tuple[tuple[str, ...], ...] = ()
    references: Mapping[str, str] = field(default_factory=dict)
    """Column to the name of the table whose key it holds, or None."""


@dataclass(slots=True)
class MemoryDisk:
    """What survives a crash; several databases may be opened over one, as nodes do."""

    tables: dict[str, dict[Key, Record]] = field(default_factory=dict)
    references: dict[str, dict[str, str]] = field(default_factory=dict)
    """Table to its foreign keys, as in `MemoryTable.references`."""
    entities: dict[str, str] = field(default_factory=dict)
    """Table to the entity whose records it holds."""
    fences: dict[tuple[str, str, Key], int] = field(default_factory=dict)
    """Migration, entity and key to the highest token; stays when the record is deleted."""
    epochs: dict[str, StoreEpoch] = field(default_factory=dict)
    prepared: bool = False


class RowHolder(Protocol):
    """What a transaction over several entities needs of each store."""

    def set_row(self, key: Key, record: Record | None) -> PutResult:
        """The row, whatever points where."""

    def what_holds(self, key: Key) -> PutResult:
        """What the constraints say of the row as it is."""

    def without_pointers(self, record: Record | None) -> Record | None:
        """The record without what it points to."""


class MemoryDatabase:
    """A `FencedDatabase` without a database."""

    def __init__(
        self,
        disk: MemoryDisk | None = None,
        *,
        migration: str = "migration",
        name: str = "memory",
        pause: Failpoint = unarmed,
    ) -> None:
        self.disk = disk or MemoryDisk()
        self.faults = MemoryFaults(name)
        self.migration = migration
        self.stores: dict[str, RowHolder] = {}
        """The stores over this database, by entity."""
        self._name = name
        self._pause = pause
        self._ledger: tuple[str, int] | None = None

    @property
    def name(self) -> str:
        """See `FencedDatabase.name`."""
        return self._name

    async def before(self, call: str) -> None:
        """Let a scheduler act before a call; then the database must be reachable."""
        await self._pause(f"{self._name}.{call}.before")
        self.faults.check_reachable()

    async def after(self, call: str) -> None:
        """Let a scheduler act between a call that took place and its answer."""
        await self._pause(f"{self._name}.{call}.after")

    async def epoch(self) -> StoreEpoch | None:
        """See `FencedDatabase.epoch`."""
        await self.before("epoch")
        self._check_prepared()
        found = self.disk.epochs.get(self.migration)
        await self.after("epoch")
        return found

    async def raise_epoch(self, wanted: StoreEpoch) -> StoreEpoch:
        """See `FencedDatabase.raise_epoch`."""
        await self.before("raise_epoch")
        self._check_prepared()
        found = self.disk.epochs.get(self.migration, wanted)
        if found.ledger_id != wanted.ledger_id or found.incarnation > wanted.incarnation:
            raise ForeignLedgerError(
                f"the database {self._name} is fenced by another ledger, or by a later state of "
                f"this one. Use that ledger, or run `crossfade ledger adopt`."
            )
        held = StoreEpoch(wanted.ledger_id, wanted.incarnation, max(found.epoch, wanted.epoch))
        self._set_epoch(held)
        await self.after("raise_epoch")
        return held

    async def adopt(self, wanted: StoreEpoch) -> None:
        """See `FencedDatabase.adopt`."""
        await self.before("adopt")
        self._check_prepared()
        self._set_epoch(wanted)
        await self.after("adopt")

    async def highest_token(self) -> int:
        """See `FencedDatabase.highest_token`."""
        await self.before("highest_token")
        self._check_prepared()
        fences = self.disk.fences.items()
        highest = max((token for fence, token in fences if fence[0] == self.migration), default=0)
        await self.after("highest_token")
        return highest

    async def prepare(self) -> None:
        """See `FencedDatabase.prepare`."""
        await self.before("prepare")
        self.disk.prepared = True
        await self.after("prepare")

    async def remove(self) -> None:
        """See `FencedDatabase.remove`."""
        await self.before("remove")
        fences = self.disk.fences
        for fence in [fence for fence in fences if fence[0] == self.migration]:
            del fences[fence]
        self.disk.epochs.pop(self.migration, None)
        self.disk.prepared = bool(fences or self.disk.epochs)
        await self.after("remove")

    def ddl(self) -> str:
        """See `FencedDatabase.ddl`; memory has no statements."""
        return ""

    async def close(self) -> None:
        """See `FencedDatabase.close`; what the disk holds stays."""

    def check_epoch(self, fence: Fence) -> PutResult:
        """Inside a put: whether its epoch and ledger are the database's."""
        self._check_prepared()
        found = self.disk.epochs.get(self.migration)
        if found is None or found.epoch != fence.epoch:
            return PutResult(PutStatus.FENCED_EPOCH, "the database has another epoch")
        if self._ledger not in {None, (found.ledger_id, found.incarnation)}:
            return PutResult(PutStatus.FENCED_EPOCH, "the database is fenced by another ledger")
        return OK

    def keep_token(self, entity: str, key: Key, fence: Fence) -> PutResult:
        """Inside a put, after `check_epoch`: keep the token unless a higher one was seen."""
        place = (self.migration, entity, key)
        if self.disk.fences.get(place, 0) > fence.token:
            return PutResult(PutStatus.FENCED, "a higher token was seen for this key")
        self.disk.fences[place] = fence.token
        return OK

    def _set_epoch(self, epoch: StoreEpoch) -> None:
        self.disk.epochs[self.migration] = epoch
        self._ledger = (epoch.ledger_id, epoch.incarnation)

    def _check_prepared(self) -> None:
        if not self.disk.prepared:
            raise NotPreparedError(f"the database {self._name} {_NO_TABLES}")
