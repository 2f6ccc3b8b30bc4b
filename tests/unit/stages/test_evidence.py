"""What an alarm leaves behind stops a cut-over until as many keys were verified again."""

from functools import partial

import pytest

from crossfade.ledger.transitions.verdicts import Verdict, record_alarm, record_verdict
from crossfade.model.stage import Stage
from tests.builders import CUSTOMERS, Node
from tests.settling import start_shadow
from tests.unit.backfill.workers import void_generation


def _verdict(node: Node, fraction: float, different: int = 0) -> Verdict:
    generation = node.ledger.look(lambda rows: rows.entity(CUSTOMERS)).generation
    return Verdict(
        entity=CUSTOMERS, generation=generation, decision=1, epoch=1, fraction=fraction,
        started_at=1.0, different=different,
    )  # fmt: skip


async def _finished(node: Node, fraction: float, different: int = 0) -> None:
    now = node.world.clock.now().timestamp()
    done = {"finished_at": now, "compared": 10}
    verdict = _verdict(node, fraction, different)
    values = {name: getattr(verdict, name) for name in Verdict.__dataclass_fields__}
    await node.ledger.transact(partial(record_verdict, verdict=Verdict(**{**values, **done})))


async def _alarm(node: Node, fraction: float) -> None:
    """A verification raises an alarm, and then its process dies."""
    raising = partial(record_alarm, verdict=_verdict(node, fraction, 1), keys=[(1,)], at=1.0)
    await node.ledger.transact(raising)


async def _red(node: Node) -> set[str]:
    plan = await node.stages.plan(Stage.LIVE)
    return {gate.name for gate in plan.gates if not gate.passed} & {"alarms", "verification"}


async def test_an_alarm_of_a_run_that_was_cut_off_is_red() -> None:
    """It was stored at once so that no crash loses it."""
    node = await start_shadow(values={(1,): "old"})
    await _alarm(node, 1.0)

    assert await _red(node) == {"alarms", "verification"}


async def test_a_smaller_sample_does_not_clear_an_alarm() -> None:
    """It may well have left out the keys that differed."""
    node = await start_shadow(values={(1,): "old"})
    await _alarm(node, 0.5)
    await _finished(node, 0.1)

    assert await _red(node) == {"alarms", "verification"}
    await _finished(node, 1.0)
    assert await _red(node) == set()


@pytest.mark.parametrize(("fraction", "red"), [(0.001, {"verification"}), (1.0, set())])
async def test_a_sample_is_no_verification(fraction: float, red: set[str]) -> None:
    """One key of a thousand says nothing of the others."""
    node = await start_shadow(values={(1,): "old"})
    await _finished(node, fraction)

    assert await _red(node) == red


async def test_an_alarm_of_an_earlier_generation_is_over() -> None:
    """Everything is copied anew, and must be verified anew."""
    node = await start_shadow(values={(1,): "old"})
    await _alarm(node, 1.0)
    void_generation(node.world)

    assert await _red(node) == {"verification"}
