"""Which range a sweep copies next; pure, so that every case can be listed."""

from collections.abc import Sequence
from dataclasses import dataclass

from crossfade.model.coverage import Coverage, add_range, first_gap
from crossfade.model.key import EVERY_KEY, Key, KeyRange


@dataclass(frozen=True, slots=True)
class RangePlan:
    """The next range of a sweep; its upper end may still have to be found."""

    within: KeyRange
    """The range, or the gap that it begins."""
    peek: bool
    """Whether the range ends at the n-th key of `within`: the authority must be asked for it."""


def plan_range(
    coverage: Coverage,
    left_behind: Sequence[KeyRange],
    under_way: Sequence[KeyRange],
    *,
    ordered: bool,
) -> RangePlan | None:
    """The next range to copy; None where nothing is left that nobody works on.

    Args:
        coverage: what was copied in this generation.
        left_behind: open chunks that nobody works on, oldest first. Each is run again over its
            own range, so that its close removes the old one.
        under_way: chunks that this process works on.
        ordered: whether both stores order keys as Python does; else all keys are one range.

    """
    if left_behind:
        return RangePlan(left_behind[0] if ordered else EVERY_KEY, peek=False)
    taken = coverage
    for range_ in under_way:
        taken = add_range(taken, range_)
    gap = first_gap(taken)
    if gap is None:
        return None
    return RangePlan(gap if ordered else EVERY_KEY, peek=ordered)


def cut_range(gap: KeyRange, peeked: Key | None, bound: Key | None) -> KeyRange:
    """The beginning of a gap up to the key that was peeked, or the whole gap.

    The last range of a sweep has no upper end: it begins once the bound is reached, so a sweep
    ends however fast new keys come.
    """
    reached = peeked is None or bound is None or peeked >= bound
    if gap.upper is None:
        return gap if reached else KeyRange(gap.lower, peeked)
    if peeked is None or peeked >= gap.upper:
        return gap
    return KeyRange(gap.lower, peeked)


def copied_part(range_: KeyRange, end: Key | None, *, ordered: bool) -> KeyRange | None:
    """What of a range is copied row by row; None where nothing is.

    Args:
        range_: the chunk's range.
        end: the authority's highest key after an open-ended chunk was opened.
        ordered: whether both stores order keys as Python does.

    """
    if range_.upper is not None or not ordered:
        return range_
    if end is None or (range_.lower is not None and end <= range_.lower):
        return None
    return KeyRange(range_.lower, end)


def tail_of(range_: KeyRange, end: Key | None) -> KeyRange | None:
    """What lies above the end of an open-ended range: every key there becomes dirty.

    Those are keys that were made while the chunk was copied, and keys that only the mirror has.
    A key may be both: a create whose id nobody learned, over a row that the mirror had before.
    """
    if range_.upper is not None:
        return None
    if end is None:
        return range_
    return KeyRange(end if range_.lower is None else max(end, range_.lower), None)
