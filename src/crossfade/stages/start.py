"""What a node does before it serves: make entities known, and check whose stores these are."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from crossfade.convergence.forgotten_store import ForgottenStores
from crossfade.convergence.sides import Sides
from crossfade.errors import ForeignLedgerError, StoreError
from crossfade.ledger.base import Ledger
from crossfade.ledger.transitions.chunks import declare_entities
from crossfade.ledger.transitions.moves import note_untracked_writes
from crossfade.model.migration_state import MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import WorkerFailed
from crossfade.observability.hooks import Hooks
from crossfade.seams.clock import Clock, SystemClock
from crossfade.store.base import FencedDatabase, StoreEpoch

_EPOCHS_AHEAD_MAX = 2
"""A change of epoch that was cut off leaves a store at most this far ahead of the ledger."""


class NodeStart:
    """The checks and repairs at the start of a node; each may be repeated."""

    def __init__(
        self,
        ledger: Ledger,
        sides: Sides,
        hooks: Hooks,
        store_seconds_max: float,
        clock: Clock | None = None,
    ) -> None:
        self._ledger = ledger
        self._sides = sides
        self._hooks = hooks
        self._store_seconds_max = store_seconds_max
        self._forgotten = ForgottenStores(ledger, hooks, clock or SystemClock())

    async def declare_entities(self) -> tuple[str, ...]:
        """Make the definition's entities known; returns those that need a new sweep (rule 12)."""
        versions = {name: stores.entity.version for name, stores in self._sides.entities.items()}
        return await self._ledger.transact(partial(declare_entities, versions=versions))

    async def note_untracked(self) -> bool:
        """Say that this node may send writes without intent; True if an earlier one may have."""
        before = self._ledger.migration.untracked_served
        if self._ledger.migration.stage is Stage.OFF:
            await self._ledger.transact(note_untracked_writes)
        return before

    async def check_stores(self) -> None:
        """Refuse stores that another ledger fences, or that know more than this one does.

        A store that does not answer is told as an event and checked by its first copy.

        Raises:
            ForeignLedgerError: names the store and `crossfade ledger adopt`.
            ConfigurationError: the two tables are missing.

        """
        sequence = await self._ledger.transact(lambda rows: rows.next_sequence())
        lost_side = self._ledger.migration.lost_side
        known: list[tuple[Side, FencedDatabase, StoreEpoch | None]] = []
        for side, databases in self._sides.databases.items():
            for database in databases:
                with self._told(database):
                    async with asyncio.timeout(self._store_seconds_max):
                        found = await self._own_epoch(database, sequence)
                        known.append((side, database, found))
        # What a lost side remembers says how old its data is: upkeep takes it back.
        known = [one for one in known if one[0] is not lost_side]
        free = [database for _, database, found in known if found is None]
        # Only now: a ledger that is refused by one store must not have taken another.
        if free:
            names = [database.name for database in free]
            await self._ledger.transact(lambda rows: rows.set_document("stores", "taken", names))
        for side, database, found in known:
            await self._forgotten.check(side, database.name, found)
        # Crash here: what they had is void, so they may be taken as if they were new.
        for database in free:
            with self._told(database):
                async with asyncio.timeout(self._store_seconds_max):
                    await self._take(database)

    @contextmanager
    def _told(self, database: FencedDatabase) -> Iterator[None]:
        """A database that does not answer is told as an event."""
        try:
            yield
        except (StoreError, TimeoutError) as error:
            reason = str(error) or f"{database.name} does not answer"
            self._hooks.emit(WorkerFailed("start", reason))

    async def _take(self, database: FencedDatabase) -> None:
        identity = self._ledger.identity
        epoch = self._ledger.migration.epoch
        await database.raise_epoch(StoreEpoch(identity.ledger_id, identity.incarnation, epoch))

    async def _own_epoch(self, database: FencedDatabase, sequence: int) -> StoreEpoch | None:
        """The epoch row, None where no ledger has one; raises where another ledger has."""
        found = await database.epoch()
        migration = self._ledger.migration
        if found is None:
            return None
        problem = self._problem(found, migration)
        if problem is None and await database.highest_token() > sequence:
            problem = (
                "it has copies that this ledger does not know of: the ledger is an older copy"
            )
        if problem is not None:
            raise ForeignLedgerError(
                f"{database.name} is fenced by another state of the ledger: {problem}. "
                "Bring the right ledger back, or run `crossfade ledger adopt`."
            )
        return found

    def _problem(self, found: StoreEpoch, migration: MigrationState) -> str | None:
        identity = self._ledger.identity
        if found.ledger_id != identity.ledger_id:
            return "its ledger has another identity"
        if found.incarnation > identity.incarnation:
            return "its ledger was adopted later"
        ahead = _EPOCHS_AHEAD_MAX if migration.flip is not None else 0
        if found.epoch > migration.epoch + ahead:
            return f"its epoch is {found.epoch}, the ledger's {migration.epoch}"
        return None
