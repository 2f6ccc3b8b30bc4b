"""Coverage: the key ranges of an entity that were copied in its present generation."""

from collections.abc import Iterable

from crossfade.model.key import EVERY_KEY, Key, KeyRange

Coverage = tuple[KeyRange, ...]
"""Ranges in ascending order; no two of them touch."""

NOTHING: Coverage = ()


def covers(coverage: Coverage, key: Key) -> bool:
    """Whether the key lies in a range that was copied."""
    return any(covered.contains(key) for covered in coverage)


def is_complete(coverage: Coverage) -> bool:
    """Whether every key of the entity was copied."""
    return coverage == (EVERY_KEY,)


def add_range(coverage: Coverage, added: KeyRange) -> Coverage:
    """The coverage with one more range, neighbours joined."""
    joined: list[KeyRange] = []
    for covered in sorted((*coverage, added), key=_by_lower_bound):
        if joined and _touch(joined[-1], covered):
            joined[-1] = KeyRange(joined[-1].lower, _higher(joined[-1].upper, covered.upper))
        else:
            joined.append(covered)
    return tuple(joined)


def first_gap(coverage: Coverage) -> KeyRange | None:
    """The lowest range that was not copied, or None where the coverage is complete."""
    lower: Key | None = None
    for covered in coverage:
        if covered.lower != lower:
            return KeyRange(lower, covered.lower)
        if covered.upper is None:
            return None
        lower = covered.upper
    return KeyRange(lower, None)


def _by_lower_bound(covered: KeyRange) -> tuple[bool, Key]:
    return (covered.lower is not None, covered.lower or ())


def _touch(first: KeyRange, second: KeyRange) -> bool:
    return first.upper is None or second.lower is None or second.lower <= first.upper


def _higher(first: Key | None, second: Key | None) -> Key | None:
    if first is None or second is None:
        return None
    return max(first, second)


def ranges_from(bounds: Iterable[tuple[Key | None, Key | None]]) -> Coverage:
    """A coverage from pairs of bounds, as the ledger keeps them."""
    return tuple(KeyRange(lower, upper) for lower, upper in bounds)
