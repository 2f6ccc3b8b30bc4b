"""The status tells where a migration stands, and what to do next."""

from functools import partial

import pytest

from crossfade.codec import encode
from crossfade.control.standing import Standing
from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.transitions.flips import begin_flip
from crossfade.ledger.transitions.moves import FREEZE, set_hold
from crossfade.ledger.transitions.verdicts import Verdict, record_verdict
from crossfade.model.migration_state import Hold
from crossfade.model.stage import Stage
from tests.unit.control.ledgers import (
    DECISION,
    commands,
    cover,
    make_ledger,
    make_telling,
    move,
    quarantine,
    reach_shadow,
)


def standing(ledger: MemoryLedger) -> Standing:
    """What is told of a ledger."""
    return Standing(make_telling(ledger))


def test_a_new_migration_is_off_and_told_to_begin() -> None:
    """Nothing is open; the first step is shadow."""
    status = standing(make_ledger()).status()

    assert (status["schema"], status["migration"]) == ("crossfade.status/1", "shop")
    assert (status["stage"], status["authority"], status["read_from"]) == (
        "off",
        "legacy",
        "ledger",
    )
    assert [one["covered"] for one in status["entities"]] == [False, False]
    assert commands(status) == ["crossfade stage promote shadow"]


def test_every_document_can_be_written_as_json() -> None:
    """No value of the model leaks into a document."""
    ledger = make_ledger()
    reach_shadow(ledger)
    cover(ledger, "customer")
    quarantine(ledger, "order", (1,), "too long")
    told = standing(ledger)

    for look in (told.status, told.stage, told.history, told.canary, told.ledger):
        assert encode(look())


def test_the_level_is_that_of_the_weakest_writer() -> None:
    """An entity that others write is L4, and why is told."""
    entities = standing(make_ledger()).status()["entities"]

    assert [(one["name"], one["level"]) for one in entities] == [
        ("customer", "L2"),
        ("order", "L4"),
    ]
    assert "behind our back" in entities[1]["level_meaning"]


def test_behind_the_barrier_comes_the_backfill() -> None:
    """While writes without intent may be under way there is nothing to do but wait."""
    ledger = make_ledger()
    move(ledger, Stage.SHADOW)
    assert commands(standing(ledger).status()) == ["crossfade status --watch"]

    ledger = make_ledger()
    reach_shadow(ledger)

    assert commands(standing(ledger).status()) == ["crossfade backfill start"]


def test_what_is_copied_has_to_be_verified_and_then_planned() -> None:
    """The way forward has one next step."""
    ledger = make_ledger()
    reach_shadow(ledger)
    for name in ("customer", "order"):
        cover(ledger, name)
    assert commands(standing(ledger).status()) == ["crossfade verify"]

    for one in standing(ledger).status()["entities"]:
        verdict = Verdict(
            one["name"],
            one["generation"],
            decision=1,
            epoch=1,
            fraction=1.0,
            started_at=1.0,
            compared=3,
        )
        ledger.apply(partial(record_verdict, verdict=verdict))
    status = standing(ledger).status()

    assert [one["verification"]["compared"] for one in status["entities"]] == [3, 3]
    assert commands(status) == ["crossfade plan live"]


def test_a_verdict_of_another_generation_counts_for_nothing() -> None:
    """Entering `off` voids what was verified."""
    ledger = make_ledger()
    verdict = Verdict("order", 0, decision=1, epoch=1, fraction=1.0, started_at=1.0)
    ledger.apply(partial(record_verdict, verdict=verdict))
    reach_shadow(ledger)
    move(ledger, Stage.OFF)

    assert standing(ledger).status()["entities"][1]["verification"] is None


def test_what_is_wrong_comes_before_the_way_forward() -> None:
    """A freeze and quarantined keys are told first."""
    ledger = make_ledger()
    reach_shadow(ledger)
    quarantine(ledger, "order", (7,), "the column total cannot be null")
    ledger.apply(partial(set_hold, hold=Hold(FREEZE, "restoring"), decision=DECISION))

    status = standing(ledger).status()

    assert (status["frozen"], status["totals"]["quarantined"]) == (True, 1)
    assert commands(status) == [
        "crossfade freeze --off",
        "crossfade quarantine list",
        "crossfade backfill start",
    ]


def test_a_change_of_authority_under_way_is_told() -> None:
    """Its kind, its phase and who began it."""
    ledger = make_ledger()
    reach_shadow(ledger)
    ledger.apply(partial(begin_flip, wanted=Stage.LIVE, decision=DECISION))

    flip = standing(ledger).status()["flip"]

    assert flip is not None
    assert (flip["kind"], flip["phase"], flip["wanted"], flip["actor"]) == (
        "flip",
        "holding",
        "live",
        "tester",
    )


@pytest.mark.parametrize(("limit", "count"), [(1, 1), (0, 1), (50, 2), (10**9, 2)])
def test_the_history_is_bounded_and_newest_first(limit: int, count: int) -> None:
    """A limit that makes no sense is put right."""
    ledger = make_ledger()
    reach_shadow(ledger)

    entries = standing(ledger).history(limit)["entries"]

    assert len(entries) == count
    assert (entries[0]["action"], entries[0]["detail"]["reason"]) == (
        "barrier passed",
        "a test asks for it",
    )


def test_the_stage_names_its_last_decision() -> None:
    """Who decided, and nobody where nobody did."""
    ledger = make_ledger()
    assert standing(ledger).stage()["last_decision"] is None

    move(ledger, Stage.SHADOW)

    assert standing(ledger).stage()["last_decision"]["actor"] == "tester"
