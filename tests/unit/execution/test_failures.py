"""Failed answers are counted by stage decision, and survive a restart of the node."""

import asyncio

import pytest

from crossfade.errors import LedgerUnavailableError
from crossfade.execution.failures import Failures
from crossfade.ledger.memory import MemoryLedger
from tests.builders import make_node
from tests.fake_seams import LedgerFault


async def test_a_restart_forgets_none() -> None:
    """The gate `answers` would turn green for the asking otherwise."""
    ledger = MemoryLedger()
    failures = Failures(ledger)
    for _ in range(3):
        failures.note(7)
    await failures.flush()

    heir = Failures(ledger)
    heir.note(7)

    assert (failures.count(7), heir.count(7)) == (3, 4)
    await heir.flush()
    assert Failures(ledger).count(7) == 4


async def test_each_decision_counts_anew() -> None:
    """Those of an earlier stage count for nothing, whenever they are written."""
    ledger = MemoryLedger()
    late, failures = Failures(ledger), Failures(ledger)
    late.note(7)
    failures.note(8)
    await failures.flush()
    await late.flush()

    failures.note(9)

    assert [failures.count(decision) for decision in (7, 8, 9)] == [0, 1, 1]


async def test_nothing_is_counted_twice() -> None:
    """Neither by two flushes at once nor by one that has nothing to write."""
    failures = Failures(MemoryLedger())
    failures.note(7)

    await asyncio.gather(failures.flush(), failures.flush())
    await failures.flush()

    assert failures.count(7) == 1


async def test_what_cannot_be_written_is_kept() -> None:
    """Until the ledger can."""
    node = make_node()
    failures = node.observations.failures
    failures.note(0)
    node.ledger.faults.append(LedgerFault.NOT_MADE)

    with pytest.raises(LedgerUnavailableError):
        await node.observations.flush()
    failures.note(0)
    await node.observations.flush()

    assert Failures(node.ledger).count(0) == 2
