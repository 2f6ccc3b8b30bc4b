"""The memory twin: deterministic, immediate, and cheap to copy."""

from functools import partial

import pytest

from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.rows import LedgerIdentity, Rows
from crossfade.model.key_state import KeyState


def _write(rows: Rows, number: int) -> int:
    rows.set_key(KeyState("order", (number,), seq=rows.next_sequence()))
    rows.set_document("kind", "name", [number])
    return rows.next_sequence()


def test_a_copy_lives_its_own_life() -> None:
    """A model checker branches: neither branch sees what the other writes."""
    ledger = MemoryLedger(LedgerIdentity("a" * 32, 3))
    ledger.apply(partial(_write, number=1))
    twin = ledger.copy()
    ledger.apply(partial(_write, number=2))
    twin.apply(partial(_write, number=3))

    assert sorted(key for _, key in ledger.tables.keys) == [(1,), (2,)]
    assert sorted(key for _, key in twin.tables.keys) == [(1,), (3,)]
    assert twin.identity == ledger.identity
    assert twin.look(lambda rows: rows.document("kind", "name")) == [3]


def test_a_snapshot_is_restored_as_often_as_one_likes() -> None:
    """Going back forgets what came after, also the numbers, so that a branch repeats itself."""
    ledger = MemoryLedger()
    ledger.apply(partial(_write, number=1))
    snapshot = ledger.snapshot()

    results = []
    for _ in range(2):
        ledger.restore(snapshot)
        results.append(ledger.apply(partial(_write, number=2)))

    assert results[0] == results[1]
    assert ledger.look(lambda rows: rows.counts()).dirty == 2


async def test_a_transition_takes_place_without_a_pause() -> None:
    """`transact` never lets another task in between: a simulation stays in control."""
    ledger = MemoryLedger()
    running = ledger.transact(partial(_write, number=1))

    with pytest.raises(StopIteration) as ended:
        running.send(None)

    assert ended.value.value == 2
