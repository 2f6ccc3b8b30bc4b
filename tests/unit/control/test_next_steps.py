"""The next steps: what is wrong first, and no move while a side does not answer."""

from typing import Any

from crossfade.control.next_steps import next_steps
from crossfade.control.standing import Standing
from tests.unit.control.ledgers import make_ledger, make_telling

NOW: dict[str, Any] = {"unreachable": [], "unprepared": [], "ledger_problem": None}


def steps(**now: object) -> list[str]:
    """The commands for a new migration, with what its node sees."""
    status = Standing(make_telling(make_ledger())).status()
    return [step["command"] for step in next_steps({**status, "now": {**NOW, **now}})]


def test_with_both_sides_there_the_way_is_forward() -> None:
    """Nothing is wrong."""
    assert steps() == ["crossfade stage promote shadow"]


def test_while_something_does_not_answer_nobody_is_told_to_move() -> None:
    """A database, our tables, the ledger."""
    assert steps(unreachable=["new.db"]) == ["crossfade doctor"]
    assert steps(unprepared=["new.db"]) == ["crossfade doctor --apply"]
    assert steps(ledger_problem="disk full") == ["crossfade doctor"]
