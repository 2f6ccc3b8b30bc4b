"""Counts add up, and what an operator has called mended no longer counts."""

import pytest

from crossfade.model.observation import (
    COUNTERS,
    MismatchGroup,
    MismatchKind,
    MismatchSample,
    ObservationDelta,
    ObservedOperation,
    OperationCounts,
    counted,
    group_fingerprint,
    group_in_generation,
    in_generation,
    mended,
)


def make_group(
    count: int = 1, *, opened: int = 1, samples: int = 1, at: float = 10.0
) -> MismatchGroup:
    """A group whose samples tell when they were made."""
    return MismatchGroup(
        fingerprint="f",
        operation="GET /a",
        entity="a",
        kind=MismatchKind.READ,
        paths=("$.a",),
        count=count,
        open=opened,
        first_at=at,
        last_at=at,
        samples=tuple(MismatchSample(at + number, "#1", ()) for number in range(samples)),
    )


def times(group: MismatchGroup) -> list[float]:
    """When the group's samples were made."""
    return [sample.at for sample in group.samples]


@pytest.mark.parametrize("name", COUNTERS)
def test_every_counter_adds_up(name: str) -> None:
    """None is forgotten when one is added to the class."""
    one, two = OperationCounts(**{name: 1}), OperationCounts(**{name: 2})

    assert one.plus(two) == OperationCounts(**{name: 3})
    assert one.plus(OperationCounts()) == one


def test_compared_is_what_was_judged() -> None:
    """Errors and skipped comparisons are no sample."""
    counts = OperationCounts(matched=3, mismatched=2, errors=10, skipped=10, replays=10)

    assert counts.compared == 5


def test_what_is_found_counts_in_all_and_since() -> None:
    """Both sums start equal."""
    operation = counted(
        ObservedOperation(operation="GET /a", entity="a"), OperationCounts(matched=2)
    )

    assert (operation.total.matched, operation.since.matched) == (2, 2)


def test_a_group_adds_up_and_keeps_its_first_samples() -> None:
    """The time of the last mismatch moves on, that of the first stays."""
    group = make_group(samples=2).plus(make_group(count=5, opened=5, samples=3, at=50.0), 4)

    assert (group.count, group.open, group.first_at, group.last_at) == (6, 6, 10.0, 50.0)
    assert times(group) == [10.0, 11.0, 50.0, 51.0]


def test_samples_from_before_a_fix_make_way() -> None:
    """A mismatch that comes back is shown as it is now."""
    group = make_group(opened=0, samples=2).plus(make_group(at=50.0), 4)

    assert (group.count, group.open) == (2, 1)
    assert times(group) == [50.0]


def test_another_generation_begins_anew() -> None:
    """What was found before everything was copied again proves nothing; totals stay."""
    found = OperationCounts(matched=7, mismatched=1)
    operation = ObservedOperation(operation="GET /a", entity="a", total=found, since=found)

    assert in_generation(operation, 0) is operation
    later = in_generation(operation, 1)
    assert (later.generation, later.total, later.since) == (1, found, OperationCounts())

    group = make_group(count=9, opened=9)
    assert group_in_generation(group, 0) is group
    assert (group_in_generation(group, 1).count, group_in_generation(group, 1).open) == (9, 0)


def test_resolving_a_group_takes_its_mismatches_and_begins_a_new_sample() -> None:
    """Mismatches of other groups still count; matches from before the fix do not."""
    found = OperationCounts(matched=70, mismatched=5, errors=2, refused_replays=1, ungrouped=1)
    operation = ObservedOperation(operation="GET /a", entity="a", total=found, since=found)

    later = mended(operation, make_group(count=9, opened=3), at=99.0)

    assert later.since == OperationCounts(mismatched=2, refused_replays=1, ungrouped=1)
    assert (later.total, later.since_at) == (found, 99.0)


def test_resolving_refused_replays_takes_those() -> None:
    """They are counted apart from mismatches."""
    found = OperationCounts(mismatched=5, refused_replays=4)
    operation = ObservedOperation(operation="PUT /a", entity="a", total=found, since=found)
    group = MismatchGroup(
        **{name: getattr(make_group(opened=3), name) for name in ("fingerprint", "operation",
           "entity", "kind", "paths", "count", "open", "first_at", "last_at")},
        refused=True,
    )  # fmt: skip

    assert mended(operation, group, at=1.0).since == OperationCounts(
        mismatched=5, refused_replays=1
    )


def test_counts_never_fall_below_nothing() -> None:
    """A group that counts more than its operation (documents cleared by hand) does no harm."""
    operation = ObservedOperation(operation="GET /a", entity="a")

    assert mended(operation, make_group(opened=3), at=1.0).since == OperationCounts()


def test_a_group_is_named_by_operation_kind_and_shape() -> None:
    """Each of the three makes another group; the same three the same one, in every process."""
    names = {
        group_fingerprint(operation, kind, shape)
        for operation in ("GET /a", "GET /b")
        for kind in MismatchKind
        for shape in ("1", "2")
    }

    assert len(names) == 16
    assert group_fingerprint("GET /a", MismatchKind.READ, "1") in names


def test_an_empty_delta_is_nothing_to_keep() -> None:
    """So that an idle node writes nothing."""
    assert not ObservationDelta((), (), 3)
    assert ObservationDelta((), (make_group(),), 3)
