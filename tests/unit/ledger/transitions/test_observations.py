"""What was found is kept by transitions that add up, and an operator's word resets it."""

from dataclasses import replace
from functools import partial

from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.moves import Decision, move_stage
from crossfade.ledger.transitions.observations import (
    group_in,
    merge_observations,
    mismatch_groups,
    observed_operations,
    operation_evidence,
    operation_in,
    resolve_group,
)
from crossfade.model.evidence import OperationEvidence
from crossfade.model.json_difference import Difference, DifferenceKind
from crossfade.model.observation import (
    MismatchGroup,
    MismatchKind,
    MismatchSample,
    ObservationDelta,
    ObservedOperation,
    OperationCounts,
)
from crossfade.model.stage import Stage

DECISION = Decision("anna", "a test", 1.0)
READ = "GET /orders/{id}"
FOUND = OperationCounts(matched=8, mismatched=2, errors=1, skipped=4)


def make_group(fingerprint: str = "f1", *, operation: str = READ, count: int = 2) -> MismatchGroup:
    """A group with one sample that has every field."""
    difference = Difference("$.total", DifferenceKind.VALUE, "number, #1", "number, #2")
    return MismatchGroup(
        fingerprint=fingerprint,
        operation=operation,
        entity="order",
        kind=MismatchKind.READ,
        paths=("$.total",),
        count=count,
        open=count,
        first_at=10.0,
        last_at=20.0,
        samples=(MismatchSample(20.0, "#abcd", (difference,)),),
    )


def make_delta(
    *groups: MismatchGroup, operation: str = READ, found: OperationCounts = FOUND
) -> ObservationDelta:
    """What one flush brings."""
    observed = ObservedOperation(operation=operation, entity="order", total=found)
    return ObservationDelta((observed,), groups, samples_max=3)


def ledger_with(*deltas: ObservationDelta) -> MemoryLedger:
    """A ledger in which the deltas were merged, one after the other."""
    ledger = MemoryLedger()
    for delta in deltas:
        ledger.apply(partial(merge_observations, delta=delta))
    return ledger


def begin_generation(rows: Rows) -> None:
    """Everything is copied again."""
    entity = rows.entity("order")
    rows.set_entity(replace(entity, generation=entity.generation + 1))


def evidence(ledger: MemoryLedger, operation: str = READ) -> OperationEvidence:
    """What the gates see."""
    return ledger.look(lambda rows: operation_evidence(rows, operation, "order", compares=True))


def test_nothing_found_is_evidence_of_nothing() -> None:
    """An operation without traffic has zeros, not an error."""
    assert evidence(MemoryLedger()) == OperationEvidence(name=READ, compares=True)


def test_flushes_add_up() -> None:
    """Counts, groups and samples of two flushes are those of one."""
    ledger = ledger_with(make_delta(make_group()), make_delta(make_group(count=3)))

    (operation,) = ledger.look(observed_operations)
    (group,) = ledger.look(mismatch_groups)

    assert operation.total == operation.since == FOUND.plus(FOUND)
    assert (group.count, group.open) == (5, 5)
    assert evidence(ledger) == OperationEvidence(
        name=READ, compares=True, compared=20, mismatched=4, errors=2
    )


def test_a_group_comes_back_as_it_was_kept() -> None:
    """Every field survives its document."""
    group = make_group()

    assert ledger_with(make_delta(group)).look(lambda rows: group_in(rows, "f1")) == group


def test_samples_are_bounded() -> None:
    """By the first flush as well as by later ones."""
    sample = make_group().samples[0]
    many = replace(make_group(), samples=(sample,) * 10)

    ledger = ledger_with(make_delta(many), make_delta(many))

    assert len(ledger.look(mismatch_groups)[0].samples) == 3


def test_resolving_a_group_takes_it_out_of_the_evidence() -> None:
    """The minimum sample must be met again with what is found after the fix."""
    ledger = ledger_with(make_delta(make_group()))

    assert ledger.apply(lambda rows: resolve_group(rows, "f1", 99.0)) is True

    assert evidence(ledger) == OperationEvidence(name=READ, compares=True)
    assert ledger.look(mismatch_groups) == ()
    (group,) = ledger.look(lambda rows: mismatch_groups(rows, resolved=True))
    assert (group.count, group.open, group.resolved_at) == (2, 0, 99.0)


def test_resolving_twice_changes_nothing_more() -> None:
    """What was found meanwhile of other kinds stays."""
    ledger = ledger_with(make_delta(make_group()))
    ledger.apply(lambda rows: resolve_group(rows, "f1", 99.0))
    ledger.apply(lambda rows: merge_observations(rows, make_delta(make_group("f2"))))

    ledger.apply(lambda rows: resolve_group(rows, "f1", 100.0))

    assert evidence(ledger).mismatched == 2


def test_a_mismatch_that_comes_back_counts_again() -> None:
    """From the time of the fix only."""
    ledger = ledger_with(make_delta(make_group()))
    ledger.apply(lambda rows: resolve_group(rows, "f1", 99.0))

    ledger.apply(lambda rows: merge_observations(rows, make_delta(make_group(count=2))))

    assert evidence(ledger).mismatched == 2
    assert ledger.look(mismatch_groups)[0].count == 4


def test_resolving_what_is_unknown_is_told() -> None:
    """A wrong fingerprint changes nothing."""
    ledger = ledger_with(make_delta(make_group()))

    assert ledger.apply(lambda rows: resolve_group(rows, "unknown", 99.0)) is False
    assert evidence(ledger).mismatched == 2


def test_a_new_generation_of_the_entity_begins_a_new_sample() -> None:
    """At once, without anybody writing to the counts; totals stay."""
    ledger = ledger_with(make_delta(make_group()))

    ledger.apply(begin_generation)

    assert evidence(ledger) == OperationEvidence(name=READ, compares=True)
    assert ledger.look(mismatch_groups) == ()
    assert ledger.look(observed_operations)[0].total == FOUND

    ledger.apply(lambda rows: merge_observations(rows, make_delta(make_group(count=1))))

    assert evidence(ledger).compared == 10
    assert (ledger.look(mismatch_groups)[0].open, ledger.look(mismatch_groups)[0].count) == (1, 3)


def test_what_was_found_in_off_counts_no_more_when_off_is_left() -> None:
    """Another process has left it, and the one that found this has not heard of it yet."""
    found = replace(make_delta(make_group()), stage=Stage.OFF)
    ledger = ledger_with(found)
    ledger.apply(lambda rows: rows.set_document("entities", "declared", ["order"]))
    assert ledger.look(mismatch_groups) != ()
    ledger.apply(lambda rows: move_stage(rows, wanted=Stage.SHADOW, decision=DECISION))

    ledger.apply(partial(merge_observations, delta=found))

    assert ledger.look(mismatch_groups) == ()
    assert evidence(ledger).compared == 0


def test_a_group_found_in_a_later_generation_belongs_to_it() -> None:
    """It does not vanish for having been made without knowing the generation."""
    ledger = MemoryLedger()
    ledger.apply(begin_generation)

    ledger.apply(lambda rows: merge_observations(rows, make_delta(make_group())))

    assert ledger.look(mismatch_groups)[0].open == 2


def test_groups_are_listed_by_how_often_they_are_met() -> None:
    """The most frequent first, in a fixed order."""
    groups = [make_group(name, count=count) for name, count in (("a", 1), ("c", 5), ("b", 5))]

    listed = ledger_with(make_delta(*groups)).look(mismatch_groups)

    assert [group.fingerprint for group in listed] == ["b", "c", "a"]


def test_counters_of_another_release_do_no_harm() -> None:
    """An unknown counter is left out, a missing one is zero."""
    ledger = ledger_with(make_delta())
    rest = {"entity": "order", "generation": 0, "since_at": 0.0}
    counts = {"matched": 3, "of_a_later_release": 9}
    document = {**rest, "total": counts, "since": counts}
    ledger.apply(lambda rows: rows.set_document("comparisons", READ, document))

    operation = ledger.look(lambda rows: operation_in(rows, READ, "order"))

    assert operation.since == OperationCounts(matched=3)
