"""Looking at a ledger from inside a look: the same snapshot, and nobody waits for ever."""

from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import RowsQueries
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.model.key_state import DirtyReason


async def test_a_look_inside_a_look_sees_the_same_snapshot(ledger: Ledger) -> None:
    """Whoever gathers from several places must not freeze the node."""
    reason = DirtyReason.REPAIR
    await ledger.transact(lambda rows: mark_dirty(rows, "order", [(1,)], reason, 1.0))

    def outer(rows: RowsQueries) -> tuple[int, int, int]:
        inner = ledger.look(lambda again: again.counts("order").dirty)
        return rows.counts("order").dirty, inner, rows.counts("order").dirty

    assert ledger.look(outer) == (1, 1, 1)
    assert ledger.look(lambda rows: rows.counts("order").dirty) == 1
