"""The judge of one key finds every fault and accuses nobody who is innocent."""

import math
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.demo.key_history import (
    KeyHistory,
    Read,
    Value,
    Write,
    finally_holds,
    initially,
    judge,
)

Operation = Write | Read


def test_a_quiet_key_that_kept_its_content_is_fine() -> None:
    """Nobody wrote, and the end is as the start."""
    assert faults("initial", final="initial") == []


def test_a_write_is_seen_after_it_and_at_the_end() -> None:
    """The plain course of things."""
    assert faults("initial", write("a", 1, 2), read("initial", 0, 1), read("a", 3, 4)) == []


def test_a_lost_write_is_found_at_the_end() -> None:
    """An acknowledged write of which nothing is left."""
    assert faults("initial", write("a", 1, 2), final="initial") == ["lost"]


def test_the_earlier_of_two_writes_must_not_win() -> None:
    """The later began when the earlier had been acknowledged."""
    assert faults("initial", write("a", 1, 2), write("b", 3, 4), final="a") == ["lost"]


@pytest.mark.parametrize("final", ["a", "b"])
def test_either_of_two_writes_at_once_may_win(final: str) -> None:
    """They overlapped, so their order is anybody's guess."""
    assert faults("initial", write("a", 1, 3), write("b", 2, 4), final=final) == []


@pytest.mark.parametrize("final", ["a", "b", "initial"])
def test_a_write_in_doubt_may_win_at_any_time(final: str) -> None:
    """Cut off, it may have been done at once, much later, or never."""
    expected = ["lost"] if final == "initial" else []

    assert faults("initial", in_doubt("a", 1), write("b", 5, 6), final=final) == expected


def test_a_write_in_doubt_that_was_seen_has_happened() -> None:
    """Somebody read it before the next write began, so it can not come again."""
    history: list[Operation] = [in_doubt("a", 1), read("a", 2, 3), write("b", 5, 6)]

    assert faults("initial", *history, final="a") == ["lost"]


def test_a_key_that_vanished_is_lost() -> None:
    """Nobody deleted it."""
    assert faults("initial", write("a", 1, 2), final=None) == ["lost"]


def test_a_deleted_key_that_came_back_is_lost() -> None:
    """The delete was acknowledged after every write."""
    assert faults("initial", delete(1, 2), final="initial") == ["lost"]


def test_a_deleted_key_may_be_written_again() -> None:
    """Each of its reads has an explanation."""
    history: list[Operation] = [
        delete(1, 2),
        read(None, 3, 4),
        write("a", 5, 6),
        read("a", 7, 8),
        delete(9, 10),
    ]

    assert faults("initial", *history, final=None) == []


def test_an_absence_between_two_presences_needs_a_delete_there() -> None:
    """Both deletes happened, but neither of them between this write and this read."""
    history: list[Operation] = [delete(1, 2), write("a", 3, 4), read(None, 5, 6), delete(7, 8)]

    assert faults("initial", *history, final=None) == ["stale"]


def test_a_read_that_is_behind_is_stale() -> None:
    """The write was acknowledged before the read began."""
    assert faults("initial", write("a", 1, 2), read("initial", 3, 4)) == ["stale"]


def test_a_read_during_the_write_may_see_either() -> None:
    """The write was acknowledged only after the read had begun."""
    assert faults("initial", write("a", 1, 3), read("initial", 2, 4)) == []


def test_reads_must_not_go_back() -> None:
    """New, then initial again, though the write itself has not ended."""
    history: list[Operation] = [in_doubt("a", 1), read("a", 2, 3), read("initial", 4, 5)]

    assert faults("initial", *history) == ["stale"]


def test_reads_of_two_writes_at_once_must_agree_on_an_order() -> None:
    """Either order is right, both are not."""
    both = [write("a", 1, 9), write("b", 1, 9)]

    assert faults("x", *both, read("a", 2, 3), read("b", 4, 5), final="b") == []
    assert faults("x", *both, read("a", 2, 3), read("b", 4, 5), read("a", 6, 7), final="b") == [
        "stale"
    ]


def test_a_value_that_nobody_wrote_is_corrupt() -> None:
    """Seen by a reader, or left at the end."""
    assert faults("initial", read("mixture", 1, 2)) == ["corrupt"]
    assert faults("initial", final="mixture") == ["lost"]


def test_a_value_from_the_future_is_corrupt() -> None:
    """The read ended before anybody had begun to write it."""
    assert faults("initial", read("a", 1, 2), write("a", 3, 4), final="a") == ["corrupt"]


def test_every_stale_read_is_counted() -> None:
    """Not the key once: each caller who was told something wrong."""
    history: list[Operation] = [
        write("a", 1, 2),
        *(read("initial", 3 + n, 4 + n) for n in range(5)),
    ]

    assert faults("initial", *history, final="a") == ["stale"] * 5


def write(value: Value, start: float, end: float) -> Write:
    """An acknowledged write."""
    return Write(f"write of {value}", value, start, end)


def in_doubt(value: Value, start: float) -> Write:
    """A write of which nobody knows."""
    return Write(f"write of {value}", value, start, math.inf)


def delete(start: float, end: float) -> Write:
    """An acknowledged delete."""
    return write(None, start, end)


def read(value: Value, start: float, end: float) -> Read:
    """A read."""
    return Read(f"read at {start}", value, start, end)


def faults(initial: Value, *operations: Operation, final: Value = "unsaid") -> list[str]:
    """Judge a history; the final look is left out where nothing is said about it."""
    history = KeyHistory([initially(initial)])
    for operation in operations:
        if isinstance(operation, Write):
            history.writes.append(operation)
        else:
            history.reads.append(operation)
    if final != "unsaid":
        history.reads.append(finally_holds(final))
    findings = judge(history)
    return ["lost" if found.read.is_final else found.fault.value for found in findings]


# The judgement against a search of all orders: slow, obviously right, and of small histories.

MOMENTS = st.tuples(st.integers(0, 12), st.integers(1, 5))


@st.composite
def histories(draw: st.DrawFn, *, with_deletes: bool) -> KeyHistory:
    """A few overlapping writes and reads, right or wrong."""
    written: list[Value] = list("abc"[: draw(st.integers(0, 3))])
    if with_deletes:
        written = [value if draw(st.booleans()) else None for value in written]
    writes = [initially("x")]
    for value in written:
        start, length = draw(MOMENTS)
        end = start + length if draw(st.booleans()) else math.inf
        writes.append(Write("write", value, start, end))
    reads = []
    for _ in range(draw(st.integers(0, 4))):
        start, length = draw(MOMENTS)
        value = draw(st.sampled_from(["x", *written]))
        reads.append(Read("read", value, start, start + length))
    if draw(st.booleans()):
        reads.append(finally_holds(draw(st.sampled_from(["x", *written]))))
    return KeyHistory(writes, reads)


@given(histories(with_deletes=False))
def test_the_verdict_is_that_of_a_search_of_all_orders(history: KeyHistory) -> None:
    """With a value of its own for each write the judgement is exact, both ways."""
    assert (judge(history) == []) == has_an_order(history)


@given(histories(with_deletes=True))
def test_nobody_is_accused_where_an_order_exists(history: KeyHistory) -> None:
    """With deletes, which share one value, it may overlook something; it never invents."""
    if has_an_order(history):
        assert judge(history) == []


def has_an_order(history: KeyHistory) -> bool:
    """Try every order that respects time; writes in doubt may be left out."""
    certain = [each for each in history.writes[1:] if each.is_certain]
    doubtful = [each for each in history.writes[1:] if not each.is_certain]
    must: list[Operation] = [*certain, *history.reads]
    for chosen in range(2 ** len(doubtful)):
        extra = [each for bit, each in enumerate(doubtful) if chosen >> bit & 1]
        if search([*must, *extra], "x"):
            return True
    return False


def search(remaining: list[Operation], holds: Value) -> bool:
    """Place one operation that may come first, then the rest."""
    if not remaining:
        return True
    earliest_end = min(each.end for each in remaining)
    for each in remaining:
        if each.start > earliest_end or (isinstance(each, Read) and each.value != holds):
            continue
        rest = [other for other in remaining if other is not each]
        if search(rest, each.value):
            return True
    return False


def test_the_search_itself_knows_right_from_wrong() -> None:
    """The yardstick of the two tests above."""
    for first, second in permutations(["a", "x"]):
        history = KeyHistory(
            [initially("x"), write("a", 1, 9)], [read(first, 2, 3), read(second, 4, 5)]
        )

        assert has_an_order(history) == (second == "a")
