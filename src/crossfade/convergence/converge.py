"""Converge one key: read the authority, map, put on the mirror; the only way to become clean."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial

from crossfade.convergence.key_counter import KeyCounter
from crossfade.convergence.key_holds import HOLD_SECONDS_MAX, POLL_SECONDS, KeyHolds
from crossfade.convergence.options import ConvergenceOptions
from crossfade.convergence.sides import EntityStores, Sides
from crossfade.convergence.together import JointPut, JointPuts, LeasedRecord
from crossfade.convergence.waiting import WaitingKeys
from crossfade.errors import MappingError, StoreError, StoreOutcomeUnknownError
from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import RowsQueries
from crossfade.ledger.transitions.keys import (
    LeaseGrant,
    abandon_lease,
    quarantine_key,
    release_lease,
    release_leases,
    retry_waiting_key,
    take_lease,
)
from crossfade.ledger.transitions.moves import entity_names
from crossfade.model.coverage import is_complete
from crossfade.model.key import Key, RecordName
from crossfade.model.key_state import NEEDS_OTHERS, needs
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
        self.waiting = WaitingKeys()
        self._joint = JointPuts(ledger, sides, seams, node, self.options)
        self.on_freed: Callable[[RecordName], None] = _nobody
        """Told of a key whose obstacle has moved, so that it is tried again at once."""
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
        return await self._finish(grant, wanted, result)

    async def _finish(
        self, grant: LeaseGrant, wanted: Record | None, result: PutResult
    ) -> ConvergeEnd:
        """What the store said decides what the ledger is told."""
        if result.status is PutStatus.OK:
            cleared = await self._ledger.transact(partial(release_lease, grant=grant))
            if not cleared:
                return ConvergeEnd.TOUCHED
            await self._is_clean(grant, wanted)
            return ConvergeEnd.CLEAN
        if result.status in (PutStatus.FENCED, PutStatus.FENCED_EPOCH):
            return await self._give_up(grant, ConvergeEnd.FENCED, result.status.value)
        if result.status is PutStatus.REFUSED:
            return await self._quarantine(grant, result.reason)
        return await self._blocked(grant, wanted, result)

    async def _blocked(
        self, grant: LeaseGrant, wanted: Record | None, result: PutResult
    ) -> ConvergeEnd:
        """Another record is in the way: put both, wait for it, or quarantine."""
        self._joint.options = self.options
        try:
            ended = await self._joint.put(grant, wanted, result)
        except (StoreOutcomeUnknownError, TimeoutError) as error:
            self._hooks.emit(ConvergeFailed(grant.entity, _reason(error)))
            return ConvergeEnd.UNKNOWN
        except StoreError as error:
            return await self._give_up(grant, ConvergeEnd.UNREACHABLE, _reason(error))
        own = ended.members[0].grant
        if ended.result.status is PutStatus.OK:
            return await self._finish_joint(ended.members)
        if ended.result.status in (PutStatus.FENCED, PutStatus.FENCED_EPOCH):
            return await self._give_up(own, ConvergeEnd.FENCED, ended.result.status.value)
        if ended.final:
            return await self._quarantine(own, ended.stuck)
        return await self._wait_or_quarantine(own, ended)

    async def _finish_joint(self, members: Sequence[LeasedRecord]) -> ConvergeEnd:
        """All were put in one transaction; each is cleared if nothing has happened to it."""
        grants = [one.grant for one in members]
        cleared = await self._ledger.transact(partial(release_leases, grants=grants))
        for one, clear in zip(members, cleared, strict=True):
            if clear:
                await self._is_clean(one.grant, one.wanted)
        return ConvergeEnd.CLEAN if cleared[0] else ConvergeEnd.TOUCHED

    async def _wait_or_quarantine(self, grant: LeaseGrant, ended: JointPut) -> ConvergeEnd:
        """Wait for what is in the way; quarantine what was tried often enough."""
        reason = ended.stuck or ended.result.reason
        if ended.waits_for and ended.stuck:
            reason = needs(ended.waits_for[0], ended.stuck)
        elif ended.result.status is PutStatus.FOREIGN_KEY and not ended.waits_for:
            if not self._ledger.look(_everything_copied):
                # What is in the way may only not have been copied yet: that counts for nothing.
                return await self._give_up(grant, ConvergeEnd.BLOCKED, reason)
            reason = f"{NEEDS_OTHERS}{reason}"
        name = RecordName(grant.entity, grant.key)
        self.waiting.add(name, ended.waits_for, ended.seen)
        only_waits = bool(ended.waits_for) and not ended.stuck
        if not only_waits and self._tried_enough(grant):
            return await self._quarantine(grant, reason)
        return await self._give_up(grant, ConvergeEnd.BLOCKED, reason)

    def _tried_enough(self, grant: LeaseGrant) -> bool:
        return self._blocks.add(grant.entity, grant.key) >= self.options.refused_tries_max

    async def _is_clean(self, grant: LeaseGrant, wanted: Record | None) -> None:
        """A key agrees: tell whoever listens, and let those try again that waited for it."""
        self.cleaned += 1
        self._hooks.emit(KeyConverged(grant.entity, grant.tries))
        at = self._seams.clock.now().timestamp()
        for name in self.waiting.ended(RecordName(grant.entity, grant.key), wanted):
            # Crash here: the reconciler's upkeep finds those that stay quarantined without need.
            if self._ledger.look(partial(_is_quarantined, name=name)):
                await self._ledger.transact(partial(retry_waiting_key, name=name, at=at))
            self.on_freed(name)

    async def _give_up(self, grant: LeaseGrant, end: ConvergeEnd, reason: str) -> ConvergeEnd:
        await self._ledger.transact(partial(abandon_lease, grant=grant))
        self._hooks.emit(ConvergeFailed(grant.entity, reason))
        return end

    async def _quarantine(self, grant: LeaseGrant, reason: str) -> ConvergeEnd:
        await self._ledger.transact(partial(quarantine_key, grant=grant, reason=reason))
        self._hooks.emit(KeyQuarantined(grant.entity, reason))
        return ConvergeEnd.QUARANTINED


def _is_quarantined(rows: RowsQueries, name: RecordName) -> bool:
    return rows.key(name.entity, name.key).quarantine is not None


def _nobody(_: RecordName) -> None:
    """Nobody waits to be told."""


def _everything_copied(rows: RowsQueries) -> bool:
    return all(is_complete(rows.entity(name).coverage) for name in entity_names(rows))


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
