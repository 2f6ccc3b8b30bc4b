"""Repair: make keys dirty by name, by range or by verdict; convergence does the rest."""

from collections.abc import Sequence
from functools import partial

from crossfade.convergence.backlog import Backlog
from crossfade.convergence.sides import EntityStores, Sides
from crossfade.errors import DefinitionError
from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import RowsView
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.ledger.transitions.verdicts import look_verdict
from crossfade.model.key import EVERY_KEY, Key, KeyRange
from crossfade.model.key_state import DirtyReason, KeyState
from crossfade.seams.bundle import Seams

KEYS_AT_ONCE = 500
"""Keys marked in one transaction of the ledger."""


class Repair:
    """Marks keys; each call may be repeated, and one that was cut off has marked some of them."""

    def __init__(self, ledger: Ledger, sides: Sides, seams: Seams) -> None:
        self._ledger = ledger
        self._sides = sides
        self._seams = seams
        self._backlog = Backlog(ledger, seams.clock)

    async def keys(self, entity: str, keys: Sequence[Key]) -> int:
        """Converge these keys again; a quarantined one gets another chance. Returns how many.

        Raises:
            DefinitionError: there is no such entity.

        """
        self._stores(entity)
        for begin in range(0, len(keys), KEYS_AT_ONCE):
            await self._backlog.room(entity)
            some = keys[begin : begin + KEYS_AT_ONCE]
            at = self._seams.clock.now().timestamp()
            reason = DirtyReason.REPAIR
            mark = partial(mark_dirty, entity=entity, keys=some, reason=reason, at=at)
            await self._ledger.transact(mark)
            # Crash here: these keys converge, the others were not marked; run it again.
            await self._seams.failpoint("repair.marked")
        return len(keys)

    async def range(self, entity: str, range_: KeyRange = EVERY_KEY) -> int:
        """Converge every key of a range that either side has; returns how many were marked.

        Raises:
            DefinitionError: there is no such entity.
            StoreError: a side cannot be read; the keys up to there are marked.

        """
        stores = self._stores(entity)
        count = 0
        for store in (stores.legacy, stores.new):
            left: KeyRange | None = range_
            while left is not None:
                keys = await store.keys_in_range(left, KEYS_AT_ONCE)
                count += await self.keys(entity, self._not_marked(entity, keys))
                full = len(keys) >= KEYS_AT_ONCE and keys[-1] != range_.upper
                left = KeyRange(keys[-1], range_.upper) if full else None
        return count

    async def alarms(self, entity: str) -> int:
        """Converge the keys that the last verdict names; returns how many."""
        verdict = self._ledger.look(partial(look_verdict, entity=entity))
        return 0 if verdict is None else await self.keys(entity, verdict.alarm_keys)

    def _not_marked(self, entity: str, keys: Sequence[Key]) -> list[Key]:
        """Keys that do not converge already, as those of the other side do by now."""
        states = [self._ledger.look(partial(_key_state, entity=entity, key=key)) for key in keys]
        return [state.key for state in states if not state.dirty or state.quarantine is not None]

    def _stores(self, entity: str) -> EntityStores:
        stores = self._sides.entities.get(entity)
        if stores is None:
            known = ", ".join(self._sides.entities)
            raise DefinitionError(f'there is no entity "{entity}". There are: {known}.')
        return stores


def _key_state(rows: RowsView, entity: str, key: Key) -> KeyState:
    return rows.key(entity, key)
