"""Whether a side that was lost in a forced roll-back came back with older data than it had."""

from crossfade.convergence.sides import EntityStores, Sides
from crossfade.errors import MappingError
from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import RowsQueries
from crossfade.model.comparison import compare_records
from crossfade.model.key import Key
from crossfade.model.key_state import KeyState
from crossfade.model.side import Side

ROWS_MAX = 100_000
KEYS_COMPARED_MAX = 200
"""Of each entity, the ones written last: a copy that lacks anything lacks one of them."""


class ReturnedSide:
    """Compares keys that agreed when the side was lost, and that nobody has touched since.

    An epoch changes only with a stage, so a copy of the database that was made within the stage
    has the right one. Nothing but our own puts, which are refused until the side is taken back,
    can make such a key differ on an honest side. What this cannot see: a copy that lacks only
    writes which had not converged when the side was lost.
    """

    def __init__(self, ledger: Ledger, sides: Sides) -> None:
        self._ledger = ledger
        self._sides = sides

    async def lacks_writes(self, lost: Side) -> bool:
        """Whether a key that was known to agree differs. Changes nothing.

        Raises:
            StoreError: a side cannot be read; to be asked again.

        """
        for name, stores in self._sides.entities.items():
            for state in self._newest_agreed(name):
                if await self._differs(stores, state, lost):
                    return True
        return False

    def _newest_agreed(self, entity: str) -> list[KeyState]:
        rows = self._ledger.look(lambda rows: rows.forgettable_keys(entity, ROWS_MAX))
        return list(rows[-KEYS_COMPARED_MAX:])

    async def _differs(self, stores: EntityStores, state: KeyState, lost: Side) -> bool:
        reachable = lost.other
        there = await stores.side(lost).read(state.key)
        here = await stores.side(reachable).read(state.key)
        try:
            wanted = stores.entity.map_record(there, reachable)
        except MappingError:
            return True
        if not compare_records(wanted, here, mirror=reachable).differences:
            return False
        now = self._ledger.look(lambda rows: _seq(rows, stores.entity.name, state.key))
        return now == state.seq


def _seq(rows: RowsQueries, entity: str, key: Key) -> int:
    return rows.key(entity, key).seq
