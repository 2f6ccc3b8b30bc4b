"""Small things that must not be forgotten: lagging epochs, a lost side's return, clean rows."""

from collections.abc import Awaitable, Callable
from functools import partial

from crossfade.convergence.forgotten_store import ForgottenStores
from crossfade.convergence.sides import Sides
from crossfade.errors import ForeignLedgerError, NotPreparedError, StoreUnreachableError
from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import RowsQueries
from crossfade.ledger.transitions.flips import confirm_epoch
from crossfade.ledger.transitions.held import note_nothing_held, take_back
from crossfade.ledger.transitions.keys import forget_clean_keys, retry_blocked_keys
from crossfade.ledger.transitions.moves import Decision
from crossfade.model.side import Side
from crossfade.observability.events import SideReturned
from crossfade.observability.hooks import Hooks
from crossfade.reconciler.options import ReconcilerOptions
from crossfade.reconciler.quarantine_waits import QuarantineWaits
from crossfade.reconciler.returned_side import ReturnedSide
from crossfade.seams.bundle import Seams
from crossfade.store.base import FencedDatabase, StoreEpoch

ACTOR = "reconciler"


class Upkeep:
    """Each task may be repeated at any time, and none keeps another one from its turn."""

    def __init__(
        self, ledger: Ledger, sides: Sides, hooks: Hooks, seams: Seams, options: ReconcilerOptions
    ) -> None:
        self._ledger = ledger
        self._sides = sides
        self._hooks = hooks
        self._seams = seams
        self._options = options
        self._returned = ReturnedSide(ledger, sides)
        self._forgotten = ForgottenStores(ledger, hooks, seams.clock)
        self._waits = QuarantineWaits(ledger, sides, seams, options)
        self._retried = False

    async def step(self) -> list[str]:
        """Look after everything once; returns what failed, in words."""
        tasks: tuple[Callable[[], Awaitable[None]], ...] = (
            self.take_lost_side_back,
            self.raise_lagging_epochs,
            self.note_nothing_held,
            self.retry_waiting_keys,
            self.forget_clean_rows,
        )
        failures = []
        for task in tasks:
            try:
                await task()
            except StoreUnreachableError:
                # Convergence tells of it; here it only means that the time has not come.
                continue
            except Exception as error:  # noqa: BLE001 - returned, and told by the worker
                failures.append(f"{type(error).__name__}: {error}")
        return failures

    async def take_lost_side_back(self) -> None:
        """A side that was dead in a forced roll-back answers again: its held keys may converge.

        Raises:
            StoreUnreachableError: it does not answer yet.
            ForeignLedgerError: it came back with another ledger's epoch.
            StoreError: a side cannot be read; tried again.

        """
        side = self._ledger.migration.lost_side
        if side is None:
            return
        lowest = self._ledger.migration.lost_epoch
        for database in self._sides.databases[side]:
            found = await database.epoch()
            if found is not None and found.ledger_id != self._ledger.identity.ledger_id:
                raise ForeignLedgerError(
                    f"{database.name} came back fenced by another ledger. "
                    "Run `crossfade ledger adopt` if that is meant."
                )
            lowest = min(lowest, 0 if found is None else found.epoch)
        older = lowest < self._ledger.migration.lost_epoch
        if not older and await self._returned.lacks_writes(side):
            # Of the right epoch, yet a copy from before writes that the other side has.
            older, lowest = True, self._ledger.migration.lost_epoch - 1
        reason = "it answers again, with older data" if older else "it answers again"
        decision = Decision(ACTOR, reason, self._seams.clock.now().timestamp())
        await self._ledger.transact(partial(take_back, store_epoch=lowest, decision=decision))
        # Crash here: the side's epoch lags behind the ledger's, and is raised like any other.
        await self._seams.failpoint("upkeep.taken_back")
        self._hooks.emit(SideReturned(side.value, older))

    async def raise_lagging_epochs(self) -> None:
        """Raise a store's epoch that lags behind the ledger's, never above it.

        One that lags further than can be explained lost what was copied into it, which is voided
        first.

        Raises:
            StoreUnreachableError: a database does not answer; the others were looked after.

        """
        unreachable: StoreUnreachableError | None = None
        for side in Side:
            try:
                await self._raise_side(side)
            except StoreUnreachableError as error:
                unreachable = error
        if unreachable is not None:
            raise unreachable

    async def _raise_side(self, side: Side) -> None:
        epoch = self._ledger.migration.epoch
        for database in self._sides.databases[side]:
            migration = self._ledger.migration
            if not migration.copies_allowed or migration.lost_side is side:
                return
            found = await self._epoch_of(side, database)
            await self._forgotten.check(side, database.name, found)
            identity = self._ledger.identity
            wanted = StoreEpoch(identity.ledger_id, identity.incarnation, migration.epoch)
            if found is not None and _holds(found, wanted):
                continue
            if self._ledger.migration.flip is not None:
                return
            # Crash here: what the database had is void; its epoch is raised by the next one.
            await self._seams.failpoint("upkeep.lagging")
            await database.raise_epoch(wanted)
        if self._ledger.migration.confirmed(side) < epoch:
            await self._ledger.transact(partial(confirm_epoch, side=side, epoch=epoch))

    async def _epoch_of(self, side: Side, database: FencedDatabase) -> StoreEpoch | None:
        try:
            return await database.epoch()
        except NotPreparedError:
            # Our own tables went with what was copied; who prepares them anew finds it void.
            await self._forgotten.check(side, database.name, None)
            raise

    async def note_nothing_held(self) -> None:
        """Reads stop asking for held keys once there is none."""
        if self._ledger.migration.holds_keys and not self._ledger.look(
            lambda rows: rows.held_keys(None, 1)
        ):
            await self._ledger.transact(note_nothing_held)

    async def retry_waiting_keys(self) -> None:
        """Quarantined keys that waited for others come back where those have moved.

        Once in a process all of them, since nobody knows what has happened before; afterwards
        those whose parent is on the mirror now, or whose child no longer is. Within a process
        convergence itself is faster (`WaitingKeys`).

        Raises:
            StoreError: a side cannot be read; tried again.

        """
        if not self._retried:
            at = self._seams.clock.now().timestamp()
            if self._ledger.look(lambda rows: rows.counts()).quarantined:
                await self._ledger.transact(partial(retry_blocked_keys, at=at))
            self._retried = True
            return
        await self._waits.retry()

    async def forget_clean_rows(self) -> None:
        """Remove rows of quiet keys, some thousand at a time, so that the ledger stays small.

        Not while a side is lost: they show whether it comes back with older data.
        """
        if self._ledger.migration.lost_side is not None:
            return
        for name in self._sides.entities:
            least = self._options.forget_rows_min
            if self._ledger.look(partial(_has_forgettable, entity=name, least=least)):
                limit = self._options.forget_rows_max
                await self._ledger.transact(partial(forget_clean_keys, entity=name, limit=limit))


def _holds(found: StoreEpoch, wanted: StoreEpoch) -> bool:
    """Whether a row of our own ledger needs no raising; an older incarnation's does."""
    return found.epoch >= wanted.epoch and found.incarnation == wanted.incarnation


def _has_forgettable(rows: RowsQueries, entity: str, least: int) -> bool:
    return len(rows.forgettable_keys(entity, least)) >= least
