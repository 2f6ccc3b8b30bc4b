"""Make keys dirty by name, as `crossfade repair` does, and leave the rest to convergence."""

from collections.abc import Sequence
from functools import partial

from crossfade.ledger.base import Ledger
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.model.key import Key
from crossfade.model.key_state import DirtyReason


class Repair:
    """Marks keys of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def keys(self, entity: str, keys: Sequence[Key]) -> int:
        """Converge these keys again; a quarantined one gets another chance. Returns how many."""
        mark = partial(mark_dirty, entity=entity, keys=keys, reason=DirtyReason.REPAIR, at=1.0)
        return await self._ledger.transact(mark)
