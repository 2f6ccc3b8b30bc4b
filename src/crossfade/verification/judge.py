"""Look again at a key that differed: an alarm, lag, or a key that is known not to converge."""

from enum import Enum
from functools import partial

from crossfade.convergence.sides import EntityStores
from crossfade.errors import MappingError
from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import RowsView
from crossfade.ledger.transitions.keys import Agreement, agreement
from crossfade.model.key import Key
from crossfade.model.key_state import KeyState
from crossfade.model.plan import KeyStanding
from crossfade.model.side import Side
from crossfade.store.base import Record
from crossfade.verification.record_difference import UNMAPPABLE, different_columns


class Judgement(Enum):
    """What a difference means."""

    ALARM = "known to agree, untouched while both sides were read, and different"
    TOUCHED = "different, and something happened to the key: converge is to look at it"
    LAG = "different and dirty, or equal by now: convergence is under way"
    QUARANTINED = "cannot converge; counted apart"
    WAIVED = "cannot converge, and an operator lets the cut-over pass it"


class Judge:
    """Compares single keys of one entity, with the ledger read before and after (rule 11)."""

    def __init__(self, ledger: Ledger, stores: EntityStores) -> None:
        self._ledger = ledger
        self._stores = stores

    def columns(
        self, record: Record | None, found: Record | None, mirror: Side
    ) -> tuple[str, ...]:
        """In which columns the mirror's record is not what the authority's one maps to."""
        try:
            wanted = self._stores.entity.map_record(record, mirror)
        except MappingError:
            return (UNMAPPABLE,)
        description = self._stores.entity.store(mirror)
        children = getattr(description, "children", None) or ()
        return different_columns(wanted, found, children)

    async def judge(self, key: Key) -> tuple[Judgement, tuple[str, ...]]:
        """Read one key again, and say what its difference means, and where it is.

        Raises:
            StoreError: a side cannot be read.

        """
        before, state = self._look(key)
        if state.quarantine is not None:
            return (Judgement.WAIVED if state.waived else Judgement.QUARANTINED), ()
        mirror = before.authority.other
        record = await self._stores.side(before.authority).read(key)
        found = await self._stores.side(mirror).read(key)
        columns = self.columns(record, found, mirror)
        after, state = self._look(key)
        if not columns:
            return Judgement.LAG, ()
        if before.standing is KeyStanding.AGREES and after == before:
            return Judgement.ALARM, columns
        return (Judgement.LAG if state.dirty else Judgement.TOUCHED), columns

    def _look(self, key: Key) -> tuple[Agreement, KeyState]:
        name = self._stores.entity.name
        return self._ledger.look(partial(_agreement_and_row, entity=name, key=key))


def _agreement_and_row(rows: RowsView, entity: str, key: Key) -> tuple[Agreement, KeyState]:
    return agreement(rows, entity, key), rows.key(entity, key)
