"""Coverage: which keys were copied, as ranges that join when they touch."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from crossfade.model.coverage import NOTHING, add_range, covers, first_gap, is_complete
from crossfade.model.key import EVERY_KEY, KeyRange

BOUNDS = st.one_of(st.none(), st.integers(0, 30).map(lambda number: (number,)))


@st.composite
def ranges(draw: st.DrawFn) -> KeyRange:
    """A range over small whole numbers; possibly open at either end."""
    lower, upper = draw(BOUNDS), draw(BOUNDS)
    if lower is not None and upper is not None and upper <= lower:
        lower, upper = upper, (lower[0] + 1,)
    return KeyRange(lower, upper)


@given(st.lists(ranges(), max_size=8))
def test_a_key_is_covered_when_one_of_the_ranges_has_it(added: list[KeyRange]) -> None:
    """Joining ranges neither loses nor invents keys."""
    coverage = NOTHING
    for one in added:
        coverage = add_range(coverage, one)

    for number in range(-1, 33):
        expected = any(one.contains((number,)) for one in added)
        assert covers(coverage, (number,)) == expected


@given(st.lists(ranges(), max_size=8))
def test_ranges_stay_apart_and_ascending(added: list[KeyRange]) -> None:
    """Neighbours are joined, so that a finished sweep is one range."""
    coverage = NOTHING
    for one in added:
        coverage = add_range(coverage, one)

    for first, second in itertools.pairwise(coverage):
        assert first.upper is not None
        assert second.lower is not None
        assert first.upper < second.lower


@given(st.lists(ranges(), max_size=8))
def test_filling_every_gap_completes_the_coverage(added: list[KeyRange]) -> None:
    """`first_gap` walks a sweep to its end."""
    coverage = NOTHING
    for one in added:
        coverage = add_range(coverage, one)
    for _ in range(20):
        gap = first_gap(coverage)
        if gap is None:
            break
        assert not any(covers(coverage, (n,)) for n in range(-1, 33) if gap.contains((n,)))
        coverage = add_range(coverage, gap)

    assert is_complete(coverage)
    assert coverage == (EVERY_KEY,)


def test_nothing_is_covered_at_first() -> None:
    """A new generation begins with one gap: every key."""
    assert first_gap(NOTHING) == EVERY_KEY
    assert not is_complete(NOTHING)
