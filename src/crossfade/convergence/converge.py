"""Converge one key: read the authority, map, put on the mirror; the only way to become clean."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial

from crossfade.convergence.key_counter import KeyCounter
from crossfade.convergence.key_holds import HOLD_SECONDS_MAX, POLL_SECONDS, KeyHolds
from crossfade.convergence.options import ConvergenceOptions
from crossfade.convergence.sides import EntityStores, Sides
from crossfade.errors import MappingError, StoreError, StoreOutcomeUnknownError
from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import RowsQueries
from crossfade.ledger.transitions.keys import (
    LeaseGrant,
    abandon_lease,
    quarantine_key,
    release_lease,
    take_lease,
)
from crossfade.ledger.transitions.moves import entity_names
from crossfade.model.coverage import covers, is_complete
from crossfade.model.key import Key
from crossfade.model.key_state import NEEDS_OTHERS, Lease
from crossfade.observability.events import (
    ConvergeFailed,
    HotKeyHeld,
    KeyConverged,
    KeyQuarantined,
)
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams
from crossfade.store.base import Fence, PutResult, PutStatus, Record


class ConvergeEnd(Enum):
    """How one attempt ended; everything but `CLEAN` and `NOTHING` leaves the key dirty."""

    CLEAN = "the sides agree"
    NOTHING = "the key was not dirty, or is quarantined"
    TOUCHED = "something happened to the key meanwhile"
    FENCED = "somebody newer owns the key, or the epoch is changing"
    UNREACHABLE = "a store does not answer, nothing was changed"
    UNKNOWN = "the put was not answered; the lease stays until a higher token takes over"
    BLOCKED = "another key or a parent is in the way; tried again later"
    QUARANTINED = "the mirror refuses the record, or it cannot be mapped"


_SETTLED = (ConvergeEnd.CLEAN, ConvergeEnd.NOTHING, ConvergeEnd.QUARANTINED)


@dataclass(frozen=True, slots=True)
class Effect:
    """What a put was about to change; shows what a replay had done to the mirror."""

    entity: str
    key: Key
    wanted: Record | None
    found: Record | None
    token: int = 0
    """Of the lease under which both were read; while it is the key's `seq`, nobody else wrote."""


Observer = Callable[[Effect], None]


class Convergence:
    """The one procedure that makes keys clean (PROTOCOL.md `converge`)."""

    def __init__(
        self, ledger: Ledger, sides: Sides, hooks: Hooks, seams: Seams, node: str
    ) -> None:
        self._ledger = ledger
        self._sides = sides
        self._hooks = hooks
        self._seams = seams
        self._node = node
        self.options = ConvergenceOptions()
        self.key_holds = KeyHolds(seams.clock)
        self._touched = KeyCounter()
        self._blocks = KeyCounter()
        self.cleaned = 0
        """Keys that became clean since this process started; the pace of convergence."""

    async def converge(
        self, entity: str, key: Key, *, observer: Observer | None = None
    ) -> ConvergeEnd:
        """Make one attempt on one key; safe to run beside any other attempt on it.

        Args:
            entity: name of the entity.
            key: the key.
            observer: told what the mirror had and what it should have, before the put.

        Raises:
            LedgerUnavailableError: nothing is known to have changed.

        """
        if not self.is_hot(entity, key):
            return await self._attempt(entity, key, observer)
        began = self._seams.clock.monotonic()
        with self.key_holds.hold(entity, key):
            await self._until_idle(entity, key, began + HOLD_SECONDS_MAX / 2)
            end = await self._attempt(entity, key, observer)
        # A hold that did not help (a write in doubt stays open) is not repeated at once.
        self._touched.forget(entity, key)
        held_ms = (self._seams.clock.monotonic() - began) * 1000
        self._hooks.emit(HotKeyHeld(entity, held_ms))
        return end

    def is_hot(self, entity: str, key: Key) -> bool:
        """Whether attempts on the key failed so often that writers are held for the next one."""
        return self._touched.count(entity, key) >= self.options.hot_key_tries

    async def converge_leased(
        self, grant: LeaseGrant, *, observer: Observer | None = None
    ) -> ConvergeEnd:
        """One attempt under a lease that was taken already; else like `converge`."""
        # Crash here: the key stays dirty and leased; the next attempt takes a higher token.
        await self._seams.failpoint("converge.leased")
        end = await self._copy(self._sides.entities[grant.entity], grant, observer)
        self._count(grant.entity, grant.key, end)
        return end

    async def _until_idle(self, entity: str, key: Key, until: float) -> None:
        """Wait for the writes that had begun before the key was held; then the rest of the hold.

        An attempt beside an open write can never clear the key, however often it is made.
        """
        while self._ledger.look(lambda rows: rows.key(entity, key)).open_intents:
            if self._seams.clock.monotonic() >= until:
                return
            await self._seams.clock.sleep(POLL_SECONDS)

    async def _attempt(self, entity: str, key: Key, observer: Observer | None) -> ConvergeEnd:
        """Lease, copy, release."""
        at = self._seams.clock.now().timestamp()
        lease = partial(take_lease, entity=entity, key=key, owner=self._node, at=at)
        grant = await self._ledger.transact(lease)
        if grant is not None:
            return await self.converge_leased(grant, observer=observer)
        self._count(entity, key, ConvergeEnd.NOTHING)
        return ConvergeEnd.NOTHING

    def _count(self, entity: str, key: Key, end: ConvergeEnd) -> None:
        """How attempts on the key end decides how the next one is made."""
        if end is ConvergeEnd.TOUCHED:
            self._touched.add(entity, key)
        elif end in _SETTLED:
            self._touched.forget(entity, key)
            self._blocks.forget(entity, key)

    async def _copy(
        self, stores: EntityStores, grant: LeaseGrant, observer: Observer | None
    ) -> ConvergeEnd:
        mirror = grant.authority.other
        try:
            async with asyncio.timeout(self.options.store_seconds_max):
                found = await stores.side(mirror).read(grant.key) if observer else None
                record = await stores.side(grant.authority).read(grant.key)
            wanted = stores.entity.map_record(record, mirror)
        except MappingError as error:
            return await self._quarantine(grant, str(error))
        except (StoreError, TimeoutError) as error:
            return await self._give_up(grant, ConvergeEnd.UNREACHABLE, _reason(error))
        if observer is not None:
            observer(Effect(grant.entity, grant.key, wanted, found, grant.lease.token))
        await self._seams.failpoint("converge.read")
        try:
            async with asyncio.timeout(self.options.store_seconds_max):
                fence = Fence(grant.lease.token, grant.epoch)
                result = await stores.side(mirror).put(grant.key, wanted, fence)
        except (StoreOutcomeUnknownError, TimeoutError) as error:
            # The lease stays: only a put with a higher token can be sure of the mirror.
            self._hooks.emit(ConvergeFailed(grant.entity, _reason(error)))
            return ConvergeEnd.UNKNOWN
        except StoreError as error:
            return await self._give_up(grant, ConvergeEnd.UNREACHABLE, _reason(error))
        # Crash here: the mirror is right, the ledger does not know; the next attempt finds out.
        await self._seams.failpoint("converge.put")
        return await self._finish(grant, result)

    async def _finish(self, grant: LeaseGrant, result: PutResult) -> ConvergeEnd:
        """What the store said decides what the ledger is told."""
        if result.status is PutStatus.OK:
            cleared = await self._ledger.transact(partial(release_lease, grant=grant))
            if not cleared:
                return ConvergeEnd.TOUCHED
            self.cleaned += 1
            self._hooks.emit(KeyConverged(grant.entity, grant.tries))
            return ConvergeEnd.CLEAN
        if result.status in (PutStatus.FENCED, PutStatus.FENCED_EPOCH):
            return await self._give_up(grant, ConvergeEnd.FENCED, result.status.value)
        if result.status is PutStatus.REFUSED:
            return await self._quarantine(grant, result.reason)
        return await self._blocked(grant, result)

    async def _blocked(self, grant: LeaseGrant, result: PutResult) -> ConvergeEnd:
        """Another key or a parent is in the way: wait for it, or quarantine if it is clean."""
        other = result.other_key
        if result.status is PutStatus.UNIQUE and other is not None:
            needs = partial(_keeps_its_values, entity=grant.entity, key=other, since=grant.lease)
            if self._ledger.look(needs):
                return await self._quarantine(
                    grant, f"{result.reason}; the value belongs to another key that is clean"
                )
        reason = result.reason
        if result.status is PutStatus.FOREIGN_KEY:
            if not self._ledger.look(_everything_copied):
                # What is in the way may only not have been copied yet: that counts for nothing.
                return await self._give_up(grant, ConvergeEnd.BLOCKED, reason)
            reason = f"{NEEDS_OTHERS}{reason}"
        if self._blocks.add(grant.entity, grant.key) >= self.options.refused_tries_max:
            return await self._quarantine(grant, reason)
        return await self._give_up(grant, ConvergeEnd.BLOCKED, reason)

    async def _give_up(self, grant: LeaseGrant, end: ConvergeEnd, reason: str) -> ConvergeEnd:
        await self._ledger.transact(partial(abandon_lease, grant=grant))
        self._hooks.emit(ConvergeFailed(grant.entity, reason))
        return end

    async def _quarantine(self, grant: LeaseGrant, reason: str) -> ConvergeEnd:
        await self._ledger.transact(partial(quarantine_key, grant=grant, reason=reason))
        self._hooks.emit(KeyQuarantined(grant.entity, reason))
        return ConvergeEnd.QUARANTINED


def _keeps_its_values(rows: RowsQueries, entity: str, key: Key, since: Lease) -> bool:
    """Whether a key was copied and clean before the lease was taken, and untouched since.

    A key that became clean meanwhile may have given up the value for which a put was refused.
    """
    state = rows.key(entity, key)
    covered = covers(rows.entity(entity).coverage, key)
    return covered and not state.dirty and state.seq < since.token


def _everything_copied(rows: RowsQueries) -> bool:
    return all(is_complete(rows.entity(name).coverage) for name in entity_names(rows))


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
