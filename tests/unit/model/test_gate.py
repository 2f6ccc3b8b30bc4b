"""A move forward waits for its gates, each says why not yet, and a move back has none."""

from dataclasses import replace
from typing import Any

import pytest

from crossfade.model.evidence import (
    EntityEvidence,
    Evidence,
    GateOptions,
    OperationEvidence,
    VerificationEvidence,
)
from crossfade.model.gate import (
    GATES,
    GateResult,
    evaluate,
    gates_of,
    reasons_against,
    unknown_waivers,
)
from crossfade.model.stage import MOVES, Stage, is_forward

OPTIONS = GateOptions()
ALARM_STANDS = (
    "alarms: keys of customer (until 10% of its keys are verified) "
    "differed though nothing we know of wrote them"
)

ORDER = EntityEvidence(
    name="order",
    generation=2,
    covered=True,
    verification=VerificationEvidence(passed=True, generation=2, age_seconds=60.0),
)
READ = OperationEvidence(name="GET /orders/{id}", compared=20)
WRITE = OperationEvidence(name="PUT /orders/{id}", compares=False)


def make_evidence(
    current: Stage = Stage.SHADOW, wanted: Stage = Stage.LIVE, **changes: object
) -> Evidence:
    """Evidence with which every move may go on."""
    evidence = Evidence(
        current=current,
        wanted=wanted,
        entities=(ORDER,),
        operations=(READ, WRITE),
        barrier_passed=True,
        stage_seconds=3600.0,
    )
    return replace(evidence, **changes)  # type: ignore[arg-type]


def blocking(evidence: Evidence, options: GateOptions = OPTIONS) -> list[str]:
    """Names of the gates that block."""
    return [result.name for result in evaluate(evidence, options) if result.blocks]


def of_entity(**changes: object) -> dict[str, Any]:
    """The entities, with one changed."""
    return {"entities": (ORDER, replace(ORDER, name="customer", **changes))}  # type: ignore[arg-type]


def of_operation(**changes: object) -> dict[str, Any]:
    """The operations, with one changed."""
    return {"operations": (WRITE, replace(READ, **changes))}  # type: ignore[arg-type]


def verified(**changes: object) -> dict[str, Any]:
    """The entities, with one verification changed."""
    assert ORDER.verification is not None
    return of_entity(verification=replace(ORDER.verification, **changes))  # type: ignore[arg-type]


def test_every_move_forward_has_gates_and_no_move_back_has() -> None:
    """A move back is never blocked by a red gate."""
    forward = {move for move in MOVES if is_forward(*move)}

    assert set(GATES) == forward
    assert all(gates for gates in GATES.values())
    assert evaluate(make_evidence(Stage.LIVE, Stage.SHADOW), OPTIONS) == ()
    assert gates_of(Stage.COMPLETED, Stage.LIVE) == ()


@pytest.mark.parametrize("move", GATES, ids=lambda move: f"{move[0]}-{move[1]}")
def test_with_good_evidence_every_move_may_go_on(move: tuple[Stage, Stage]) -> None:
    """Every gate passes, says what it saw, and asks for nothing."""
    results = evaluate(make_evidence(*move), OPTIONS)

    assert len(results) == len(GATES[move])
    assert reasons_against(results) == ()
    assert all(result.passed and result.reason and not result.todo for result in results)


LEAVING_OFF = {"reachable", "node", "prepared"}


@pytest.mark.parametrize(
    ("move", "names"),
    [
        ((Stage.OFF, Stage.READ_ONLY), LEAVING_OFF),
        ((Stage.OFF, Stage.SHADOW), LEAVING_OFF),
        ((Stage.READ_ONLY, Stage.SHADOW), LEAVING_OFF | {"held"}),
        (
            (Stage.SHADOW, Stage.LIVE),
            LEAVING_OFF
            | {"barrier", "coverage", "quarantine", "held", "verification"}
            | {"alarms", "in_doubt", "backlog", "age", "drain", "sample", "mismatches"}
            | {"refused_replays", "errors"},
        ),
        (
            (Stage.LIVE, Stage.COMPLETED),
            {"reachable", "node", "quarantine", "held", "in_doubt", "backlog", "age", "answers"}
            | {"refused_replays", "soak"},
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_each_move_has_its_gates(move: tuple[Stage, Stage], names: set[str]) -> None:
    """Nothing has to be copied before `shadow`; everything before `live`."""
    assert {gate.name for gate in gates_of(*move)} == names


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"unreachable": ("new's database",)}, "reachable: no answer from new's database"),
        ({"node_alive": False}, "node: no node is running"),
        (
            {"unprepared": ("shop.db",)},
            "prepared: shop.db cannot be guarded: tables or rights are missing",
        ),
        ({"barrier_passed": False}, "barrier: writes without intent may still be under way"),
        (of_entity(covered=False), "coverage: customer is not completely copied"),
        (of_entity(quarantined=1), "quarantine: 1 key of customer cannot be copied"),
        (of_entity(quarantined=1200), "quarantine: 1,200 keys of customer cannot be copied"),
        ({"held_keys": 2}, "held: 2 keys held since a forced roll-back"),
        (of_entity(verification=None), "verification: customer was never verified"),
        (
            verified(generation=1),
            "verification: customer was verified before it was copied anew",
        ),
        (verified(passed=False), "verification: customer did not pass verification"),
        (
            verified(fraction=0.5),
            "verification: customer was verified by 50% of its keys, at least 100% asked",
        ),
        (
            of_entity(must_cover=0.1),
            ALARM_STANDS,
        ),
        (verified(age_seconds=90_000.0), "verification: customer was verified 25 h ago"),
        (
            verified(alarms=3),
            "alarms: 3 keys of customer differed though nothing we know of wrote them",
        ),
        ({"doubtful_intents": 1}, "in_doubt: 1 write in doubt, at most 0 allowed"),
        (
            {"dirty_keys": 1001, "keys_converged_per_second": 5000.0},
            "backlog: 1,001 dirty keys, at most 1,000 allowed",
        ),
        (
            {
                "dirty_keys": 1, "oldest_dirty_seconds": 31.0, "keys_converged_per_second": 100.0
            },
            "age: the oldest dirty key is 31 s old, at most 30 s allowed",
        ),
        ({"dirty_keys": 1}, "drain: how fast keys converge is not known yet"),
        (
            {"dirty_keys": 150, "open_intents": 50, "keys_converged_per_second": 100.0},
            "drain: the backlog would take 2,000 ms to converge, at most 1,000 ms allowed",
        ),
        (of_operation(compared=19), "sample: too few comparisons of GET /orders/{id} (19 of 20)"),
        (
            of_operation(compared=1000, mismatched=1),
            "mismatches: the sides differ in GET /orders/{id} (1 of 1,000)",
        ),
        (
            of_operation(refused_replays=1),
            "refused_replays: 1 replay refused (GET /orders/{id}), at most 0 allowed",
        ),
        (
            of_operation(compared=94, errors=6),
            "errors: no answer to compare from GET /orders/{id} (6 of 100)",
        ),
    ],
)  # fmt: skip
def test_a_flip_waits_for_each_of_its_gates(changes: dict[str, Any], expected: str) -> None:
    """One thing wrong: one reason, in plain words, and what to do about it."""
    results = evaluate(make_evidence(**changes), OPTIONS)

    assert reasons_against(results) == (expected,)
    assert results[0].blocks
    assert results[0].todo != ""


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"failed_answers": 2}, "answers: 2 failed answers since live began, at most 0 allowed"),
        ({"stage_seconds": 59.0}, "soak: live has held for 59 s of 60 s"),
    ],
)
def test_completion_waits_for_each_of_its_gates(changes: dict[str, Any], expected: str) -> None:
    """What only shows once new has authority."""
    evidence = make_evidence(Stage.LIVE, Stage.COMPLETED, **changes)

    assert reasons_against(evaluate(evidence, OPTIONS)) == (expected,)


@pytest.mark.parametrize(
    "changes",
    [
        {"dirty_keys": 1000, "keys_converged_per_second": 1000.0, "oldest_dirty_seconds": 30.0},
        {"open_intents": 50, "keys_converged_per_second": 50.0},
        {"oldest_dirty_seconds": 99.0},
        verified(age_seconds=86_400.0),
        of_operation(compared=95, errors=5),
        of_operation(compared=0, compares=False),
        {"operations": ()},
    ],
)
def test_a_threshold_itself_is_allowed(changes: dict[str, Any]) -> None:
    """Zero dirty keys is the flip's own condition, never a gate."""
    assert blocking(make_evidence(**changes)) == []


@pytest.mark.parametrize(
    ("changes", "options", "name"),
    [
        ({"dirty_keys": 5}, GateOptions(pause_budget_ms=float("inf")), "drain"),
        (
            {"dirty_keys": 5, "keys_converged_per_second": 1e6},
            GateOptions(backlog_keys_max=4),
            "backlog",
        ),
        (of_operation(compared=20), GateOptions(compared_min=21), "sample"),
        (
            {"stage_seconds": 3599.0},
            GateOptions(verification_age_seconds_max=59.0),
            "verification",
        ),
    ],
)
def test_every_threshold_can_be_moved(
    changes: dict[str, Any], options: GateOptions, name: str
) -> None:
    """A stricter operator waits longer."""
    assert blocking(make_evidence(**changes), options) == [name]


@pytest.mark.parametrize(("mismatched", "blocks"), [(1, False), (2, False), (3, True)])
def test_a_share_of_mismatches_may_be_allowed(mismatched: int, *, blocks: bool) -> None:
    """Two of a hundred, where the operator says so."""
    evidence = make_evidence(**of_operation(compared=100, mismatched=mismatched))

    assert bool(blocking(evidence, GateOptions(mismatch_ratio_max=0.02))) is blocks


def test_a_mismatch_without_a_comparison_since_blocks() -> None:
    """After one of two causes was mended, the other still counts."""
    evidence = make_evidence(**of_operation(compares=False, compared=0, mismatched=1))

    assert blocking(evidence) == ["mismatches"]


def test_everything_wrong_is_told_at_once() -> None:
    """The gates that block come first, and long lists are cut."""
    entities = tuple(EntityEvidence(name=f"entity {number}") for number in range(7))
    evidence = make_evidence(entities=entities, barrier_passed=False, operations=())

    results = evaluate(evidence, OPTIONS)

    assert [result.name for result in results[:4]] == [
        "barrier", "coverage", "verification", "reachable"
    ]  # fmt: skip
    assert results[1].reason == (
        "entity 0, entity 1, entity 2, entity 3, entity 4 and 2 more is not completely copied"
    )


NOT_WAIVABLE = {
    "reachable", "node", "prepared", "barrier", "coverage", "quarantine", "held",
}  # fmt: skip


def test_what_would_lose_data_cannot_be_waived() -> None:
    """And what would make the move fail anyway; everything else is the operator's decision."""
    gates = {gate.name: gate.waivable for of_move in GATES.values() for gate in of_move}

    assert {name for name, waivable in gates.items() if not waivable} == NOT_WAIVABLE


def test_a_waived_gate_is_red_but_does_not_block() -> None:
    """What is waived is still shown for what it is."""
    red = make_evidence(**of_operation(mismatched=3))
    waived = replace(red, waived=frozenset({"mismatches"}))

    (result,) = [one for one in evaluate(waived, OPTIONS) if one.name == "mismatches"]

    assert blocking(red) == ["mismatches"]
    assert blocking(waived) == []
    assert (result.passed, result.waived, result.blocks) == (False, True, False)
    assert result.todo != ""


def test_waiving_a_gate_that_passed_changes_nothing() -> None:
    """It is not shown as waived."""
    evidence = make_evidence(waived=frozenset({"mismatches", "sample"}))

    assert not any(result.waived for result in evaluate(evidence, OPTIONS))


@pytest.mark.parametrize("name", sorted(NOT_WAIVABLE))
def test_waiving_a_gate_that_cannot_be_waived_has_no_effect(name: str) -> None:
    """Whoever asks is told that the name is none that can be waived."""
    evidence = make_evidence(
        entities=(replace(ORDER, covered=False, quarantined=1),),
        unreachable=("new",), unprepared=("new",), node_alive=False, barrier_passed=False,
        held_keys=1, waived=frozenset({name}),
    )  # fmt: skip

    assert set(blocking(evidence)) == NOT_WAIVABLE
    assert unknown_waivers(frozenset({name}), Stage.SHADOW, Stage.LIVE) == (name,)


def test_waivers_that_name_no_gate_of_the_move_are_told() -> None:
    """A typing error must not pass for a waiver."""
    names = frozenset({"backlog", "sample", "soak", "baklog"})

    assert unknown_waivers(names, Stage.SHADOW, Stage.LIVE) == ("baklog", "soak")
    assert unknown_waivers(names, Stage.LIVE, Stage.SHADOW) == (
        "backlog", "baklog", "sample", "soak"
    )  # fmt: skip


def test_a_result_is_a_plain_value() -> None:
    """What `plan` prints and the API answers."""
    result = evaluate(make_evidence(Stage.OFF, Stage.SHADOW, node_alive=False), OPTIONS)[0]

    assert result == GateResult(
        name="node",
        passed=False,
        reason="no node is running",
        todo="start it with `crossfade up`",
        waivable=False,
    )


@pytest.mark.parametrize(
    ("dirty", "intents", "rate", "expected"),
    [
        (0, 0, 0.0, 0.0),
        (0, 0, 9.0, 0.0),
        (10, 0, 0.0, None),
        (10, 10, 40.0, 0.5),
        (1, 0, -1.0, None),
    ],
)
def test_the_projected_drain_is_backlog_over_pace(
    dirty: int, intents: int, rate: float, expected: float | None
) -> None:
    """Nothing waits: no time; no pace measured: not known."""
    evidence = make_evidence(
        dirty_keys=dirty, open_intents=intents, keys_converged_per_second=rate
    )

    assert evidence.drain_seconds == expected
