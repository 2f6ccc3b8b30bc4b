"""Which range comes next, where it ends, and what of it is copied."""

import pytest

from crossfade.backfill.planner import RangePlan, copied_part, cut_range, plan_range, tail_of
from crossfade.model.coverage import Coverage
from crossfade.model.key import EVERY_KEY, Key, KeyRange


def _range(lower: int | None, upper: int | None) -> KeyRange:
    return KeyRange(None if lower is None else (lower,), None if upper is None else (upper,))


@pytest.mark.parametrize(
    ("coverage", "under_way", "expected"),
    [
        pytest.param((), (), RangePlan(EVERY_KEY, peek=True), id="nothing-yet"),
        pytest.param((_range(None, 5),), (), RangePlan(_range(5, None), peek=True), id="further"),
        pytest.param(
            (_range(None, 5),), (_range(5, 9),), RangePlan(_range(9, None), peek=True), id="ahead"
        ),
        pytest.param(
            (_range(None, 5), _range(8, None)), (), RangePlan(_range(5, 8), peek=True), id="gap"
        ),
        pytest.param((EVERY_KEY,), (), None, id="done"),
        pytest.param((_range(None, 5),), (_range(5, None),), None, id="last-one-under-way"),
    ],
)
def test_the_first_gap_comes_next(
    coverage: Coverage, under_way: tuple[KeyRange, ...], expected: RangePlan | None
) -> None:
    """What is under way counts as covered."""
    assert plan_range(coverage, [], under_way, ordered=True) == expected


def test_what_was_left_behind_comes_first() -> None:
    """Over its own range, whatever is covered, so that its close removes the old chunk."""
    left = [_range(3, 7), _range(8, 9)]

    assert plan_range((EVERY_KEY,), left, [], ordered=True) == RangePlan(_range(3, 7), peek=False)


def test_without_order_everything_is_one_range() -> None:
    """Neither side's pages can be told to be a part of the other's."""
    whole = RangePlan(EVERY_KEY, peek=False)

    assert plan_range((), [], [], ordered=False) == whole
    assert plan_range((), [_range(1, 2)], [], ordered=False) == whole
    assert plan_range((), [], [EVERY_KEY], ordered=False) is None


@pytest.mark.parametrize(
    ("gap", "peeked", "bound", "expected"),
    [
        (_range(5, None), (9,), (20,), _range(5, 9)),
        (_range(5, None), (20,), (20,), _range(5, None)),
        (_range(5, None), (25,), (20,), _range(5, None)),
        (_range(5, None), None, (20,), _range(5, None)),
        (_range(5, None), (9,), None, _range(5, None)),
        (_range(5, 12), (9,), (20,), _range(5, 9)),
        (_range(5, 12), (12,), (20,), _range(5, 12)),
        (_range(5, 12), None, (20,), _range(5, 12)),
        (_range(5, 12), (9,), None, _range(5, 9)),
    ],
)
def test_a_range_ends_at_the_key_that_was_peeked(
    gap: KeyRange, peeked: Key | None, bound: Key | None, expected: KeyRange
) -> None:
    """The last one has no end, and begins once the bound is reached."""
    assert cut_range(gap, peeked, bound) == expected


@pytest.mark.parametrize(
    ("range_", "end", "copied", "tail"),
    [
        (_range(5, 9), (20,), _range(5, 9), None),
        (_range(5, None), (20,), _range(5, 20), _range(20, None)),
        (_range(None, None), (20,), _range(None, 20), _range(20, None)),
        (_range(20, None), (20,), None, _range(20, None)),
        (_range(5, None), None, None, _range(5, None)),
        (_range(None, None), None, None, EVERY_KEY),
        (_range(25, None), (20,), None, _range(25, None)),
    ],
)
def test_an_open_range_is_copied_up_to_its_end_and_the_rest_becomes_dirty(
    range_: KeyRange, end: Key | None, copied: KeyRange | None, tail: KeyRange | None
) -> None:
    """Both together are the whole range."""
    assert copied_part(range_, end, ordered=True) == copied
    assert tail_of(range_, end) == tail


def test_without_order_the_whole_range_is_copied() -> None:
    """There is no end that both sides agree on."""
    assert copied_part(EVERY_KEY, (20,), ordered=False) == EVERY_KEY
