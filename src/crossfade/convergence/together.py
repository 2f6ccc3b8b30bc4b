"""Put a key together with what stands in its way: values that swap, records that need each other.

The mirror refuses a put where another record has a value that must be unique, where a parent is
missing, or where rows point to what shall be deleted. Those records are converged with the key:
leased, read from the authority whatever the ledger thinks of them, and put in one transaction.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from crossfade.convergence.options import ConvergenceOptions
from crossfade.convergence.sides import Sides
from crossfade.convergence.waiting import Seen, fingerprint
from crossfade.errors import MappingError, StoreError, StoreOutcomeUnknownError
from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import RowsQueries
from crossfade.ledger.transitions.keys import (
    LeaseGrant,
    abandon_leases,
    mark_dirty,
    take_leases,
)
from crossfade.model.key import RecordName
from crossfade.model.key_state import AUTHORITY_LACKS_IT, POINTS_TO_IT, DirtyReason
from crossfade.seams.bundle import Seams
from crossfade.store.base import Fence, PutResult, PutStatus, Record, Together


@dataclass(frozen=True, slots=True)
class JointPut:
    """How it ended; unless it is `OK`, the leases of the others are given back."""

    result: PutResult
    members: tuple["LeasedRecord", ...]
    """All that were put together, the key itself first."""
    waits_for: tuple[RecordName, ...] = ()
    """What stands in the way still."""
    stuck: str = ""
    """Why it would end the same way if it were tried again now; empty where it may not."""
    final: bool = False
    """Whether only a person can decide: two records want one value."""
    seen: Seen = field(default_factory=dict)
    """What those were like that it waits for."""


@dataclass(frozen=True, slots=True)
class LeasedRecord:
    """A key under a lease, and what its record should be."""

    grant: LeaseGrant
    wanted: Record | None


class _CannotJoinError(Exception):
    """A record that is in the way cannot be put now; carries how that ends."""

    def __init__(self, ended: JointPut) -> None:
        super().__init__(ended.stuck)
        self.ended = ended


_TWO = 2
_LEFT_MAX = 1000
"""Keys of which it is remembered who was in their way."""
_CYCLE = "which points back to it by columns that can be neither NULL nor checked at the end"
_Members = dict[RecordName, LeasedRecord]


class JointPuts:
    """Widens the circle of records until the mirror takes them all, or cannot."""

    def __init__(
        self,
        ledger: Ledger,
        sides: Sides,
        seams: Seams,
        node: str,
        options: ConvergenceOptions,
    ) -> None:
        self._ledger = ledger
        self._sides = sides
        self._seams = seams
        self._node = node
        self.options = options
        # Two circles that share a key would take it from each other for ever.
        self._one_at_a_time = asyncio.Lock()
        self._left_to_others: dict[RecordName, tuple[RecordName, ...]] = {}
        """By key that met too many: who they were. Forgotten by a crash, or beyond the bound."""

    async def put(self, grant: LeaseGrant, wanted: Record | None, result: PutResult) -> JointPut:
        """Put a key whose own put ended with `result`, with whatever is in its way.

        Crash: every key that was touched is dirty, before anything was put; the next attempt
        takes higher tokens.

        Raises:
            StoreOutcomeUnknownError, TimeoutError: the put may still be applied: all leases stay.
            StoreError: certainly not applied; the leases of the others were given back.

        """
        async with self._one_at_a_time:
            if not self._ledger.look(partial(_is_current, grant=grant)):
                # Whoever put it meanwhile did so with a higher token.
                fenced = PutResult(PutStatus.FENCED, PutStatus.FENCED.value)
                return JointPut(fenced, (LeasedRecord(grant, wanted),))
            members = {_name(grant): LeasedRecord(grant, wanted)}
            try:
                ended = await self._widen(members, result)
            except _CannotJoinError as error:
                ended = error.ended
            except (StoreOutcomeUnknownError, TimeoutError):
                raise
            except StoreError:
                await self._let_go(members)
                raise
            if ended.result.status is not PutStatus.OK:
                await self._let_go(members)
            return ended

    async def _widen(self, members: _Members, result: PutResult) -> JointPut:
        grant = next(iter(members.values())).grant
        first = True
        while True:
            found = _obstacles(grant.entity, result)
            new = tuple([name for name in dict.fromkeys(found) if name not in members])
            # Alone once more, too: its children exchange values, or it points to itself.
            if not new and not (first and not found):
                return await self._stuck(members, result, found)
            if len(members) + len(new) > self.options.together_max:
                return await self._too_many(members, result, new)
            first = False
            await self._join(members, new, result)
            result = await self._put(members)
            if result.status not in (PutStatus.UNIQUE, PutStatus.FOREIGN_KEY):
                return self._ended(members, result)

    async def _join(
        self, members: _Members, names: Sequence[RecordName], result: PutResult
    ) -> None:
        at = self._seams.clock.now().timestamp()
        take = partial(take_leases, names=names, owner=self._node, at=at)
        grants = await self._ledger.transact(take) if names else ()
        own = next(iter(members.values()))
        if grants is None:
            # Held since a forced roll-back, or a flip has drained all keys: another time.
            raise _CannotJoinError(JointPut(result, (own,), tuple(names)))
        for grant in grants:
            # Held for the moment without a record: whatever fails, its lease is given back.
            members[_name(grant)] = LeasedRecord(grant, None)
        # Crash here: the others are dirty and leased, nothing was put; each is converged again.
        await self._seams.failpoint("converge.joined")
        for grant in grants:
            try:
                wanted = await self._read(grant)
            except MappingError as error:
                why = f"which cannot be copied: {error}"
                ended = JointPut(result, (own,), (_name(grant),), why)
                raise _CannotJoinError(ended) from error
            members[_name(grant)] = LeasedRecord(grant, wanted)

    async def _read(self, grant: LeaseGrant) -> Record | None:
        stores = self._sides.entities[grant.entity]
        try:
            async with asyncio.timeout(self.options.store_seconds_max):
                record = await stores.side(grant.authority).read(grant.key)
        except TimeoutError as error:
            raise StoreError(f"{grant.authority} does not answer in time.") from error
        return stores.entity.map_record(record, grant.authority.other)

    async def _put(self, members: _Members, *, parked: bool = False) -> PutResult:
        own = next(iter(members.values())).grant
        mirror = self._sides.entities[own.entity].side(own.authority.other)
        records = [
            Together(name, one.wanted, Fence(one.grant.lease.token, one.grant.epoch), parked)
            for name, one in members.items()
        ]
        async with asyncio.timeout(self.options.store_seconds_max):
            result = await mirror.put_together(records)
        # Crash here: the mirror has all of them or none, the ledger calls every one dirty.
        await self._seams.failpoint("converge.put_together")
        return result

    def _ended(self, members: _Members, result: PutResult) -> JointPut:
        every = tuple(members.values())
        if result.status is not PutStatus.REFUSED:
            return JointPut(result, every)
        others = tuple(members)[1:]
        if not others:
            return JointPut(result, every, stuck=result.reason, final=True)
        why = f"and something that has to be put with it is refused: {result.reason}"
        return JointPut(result, every, others, why)

    async def _stuck(
        self, members: _Members, result: PutResult, found: tuple[RecordName, ...]
    ) -> JointPut:
        """Everything that is in the way was looked at, and is as the authority has it."""
        own = next(iter(members.values()))
        unique = result.status is PutStatus.UNIQUE
        if not found or (unique and len(members) == 1):
            return JointPut(result, (own,))
        other = found[0]
        if not await self._unchanged(members):
            return JointPut(result, (own,), found)
        if unique:
            # With more of them it is others that clash: one of those is quarantined by itself.
            taken = tuple(members)[1]
            why = f"{result.reason}; the value belongs to {taken}, too"
            return JointPut(result, (own,), (taken,), why, final=len(members) == _TWO)
        why = POINTS_TO_IT
        if result.missing and other == _name(own.grant) and len(members) > 1:
            other = tuple(members)[1]
        elif result.missing:
            gone = members[other].wanted is None
            why = AUTHORITY_LACKS_IT if gone else _CYCLE
        names = tuple(dict.fromkeys((other, *found)))
        seen = {name: fingerprint(members[name].wanted) for name in names}
        return JointPut(result, (own,), names, why, seen=seen)

    async def _unchanged(self, members: _Members) -> bool:
        """Whether what was read of each record at its own moment holds for all of them now."""
        for one in members.values():
            try:
                same = await self._read(one.grant) == one.wanted
            except MappingError:
                same = False
            if not same or not self._ledger.look(partial(_is_untouched, grant=one.grant)):
                return False
        return True

    async def _too_many(
        self, members: _Members, result: PutResult, new: Sequence[RecordName]
    ) -> JointPut:
        """They converge one by one, before the key does: children go before their parent.

        Records that point to one another in a long circle never would: what is here is put
        without its pointers, so that there is something to point to. All of it stays dirty.
        """
        own = next(iter(members.values()))
        settled = [name for name in new if not self._ledger.look(partial(_is_due, name=name))]
        known = self._left_to_others.pop(_name(own.grant), ())
        if len(self._left_to_others) < _LEFT_MAX:
            self._left_to_others[_name(own.grant)] = tuple(new)
        again = [name for name in settled if name in known]
        if again:
            # Converged since then; whether before or after this put was tried, the next one tells.
            result = await self._put(members)
            if result.status not in (PutStatus.UNIQUE, PutStatus.FOREIGN_KEY):
                return self._ended(members, result)
            found = _obstacles(own.grant.entity, result)
            again = [name for name in again if name in found]
        if again:
            # They are in the way as the authority has them.
            why = AUTHORITY_LACKS_IT if result.missing else POINTS_TO_IT
            return JointPut(result, (own,), tuple(again), why)
        at = self._seams.clock.now().timestamp()
        for entity in dict.fromkeys(name.entity for name in settled):
            keys = [name.key for name in settled if name.entity == entity]
            reason = DirtyReason.CONVERGE
            mark = partial(mark_dirty, entity=entity, keys=keys, reason=reason, at=at)
            await self._ledger.transact(mark)
        if result.missing:
            # Crash here: what is parked is dirty, like everything that was leased.
            await self._put(members, parked=True)
        return JointPut(result, (own,), tuple(new))

    async def _let_go(self, members: _Members) -> None:
        others = [one.grant for one in list(members.values())[1:]]
        if others:
            await self._ledger.transact(partial(abandon_leases, grants=others))


def _name(grant: LeaseGrant) -> RecordName:
    return RecordName(grant.entity, grant.key)


def _obstacles(entity: str, result: PutResult) -> tuple[RecordName, ...]:
    if result.status is PutStatus.UNIQUE:
        other = result.other_key
        return () if other is None else (RecordName(result.of or entity, other),)
    return (*result.missing, *result.in_the_way)


def _is_current(rows: RowsQueries, grant: LeaseGrant) -> bool:
    return rows.key(grant.entity, grant.key).lease == grant.lease


def _is_due(rows: RowsQueries, name: RecordName) -> bool:
    """Whether a key is to be converged anyway."""
    state = rows.key(name.entity, name.key)
    return state.dirty and state.quarantine is None


def _is_untouched(rows: RowsQueries, grant: LeaseGrant) -> bool:
    state = rows.key(grant.entity, grant.key)
    return state.seq == grant.lease.token and state.open_intents == 0
