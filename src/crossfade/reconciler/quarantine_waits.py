"""Quarantined keys that wait for another record: has that moved? Asked of the mirror itself."""

from functools import partial

from crossfade.convergence.sides import Sides
from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import RowsQueries
from crossfade.ledger.transitions.keys import retry_waiting_key
from crossfade.model.key import RecordName
from crossfade.model.key_state import AUTHORITY_LACKS_IT, POINTS_TO_IT, KeyState, needed
from crossfade.reconciler.options import ReconcilerOptions
from crossfade.seams.bundle import Seams

_IS_THERE = {AUTHORITY_LACKS_IT: True, POINTS_TO_IT: False}
"""How a reason ends, and whether the other record is on the mirror once the key may go on."""


class QuarantineWaits:
    """Looks at some of them a round; whoever names no record waits for a sweep."""

    def __init__(
        self, ledger: Ledger, sides: Sides, seams: Seams, options: ReconcilerOptions
    ) -> None:
        self._ledger = ledger
        self._sides = sides
        self._seams = seams
        self._options = options
        self._after = 0

    async def retry(self) -> int:
        """Give those another chance whose obstacle has moved; returns how many.

        Raises:
            StoreError: the mirror cannot be read.

        """
        waiting = self._ledger.look(self._waiting)
        begin = self._after if self._after < len(waiting) else 0
        page = waiting[begin : begin + self._options.waits_looked_at]
        self._after = begin + len(page)
        count = 0
        for state in page:
            if await self._has_moved(state):
                name = RecordName(state.entity, state.key)
                at = self._seams.clock.now().timestamp()
                retry = partial(retry_waiting_key, name=name, at=at)
                count += await self._ledger.transact(retry)
        return count

    def _waiting(self, rows: RowsQueries) -> list[KeyState]:
        found = rows.quarantined_keys(None, self._options.quarantined_at_once)
        return [state for state in found if not state.waived and needed(state.quarantine)]

    async def _has_moved(self, state: KeyState) -> bool:
        other = needed(state.quarantine)
        reason = state.quarantine or ""
        ends = [there for words, there in _IS_THERE.items() if reason.endswith(words)]
        if other is None or not ends or other.entity not in self._sides.entities:
            return False
        mirror = self._ledger.migration.authority.other
        found = await self._sides.entities[other.entity].side(mirror).read(other.key)
        return (found is not None) is ends[0]
