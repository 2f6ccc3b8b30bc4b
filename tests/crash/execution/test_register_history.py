"""The judge of histories finds lost writes, stale reads, reads from nowhere, nothing else."""

import pytest

from tests.crash.execution.register_history import History, KeyHistory, Read, Write


def _history(writes: list[Write], *reads: Read) -> list[str]:
    return list(KeyHistory({write.value: write for write in writes}, list(reads)).problems())


ONE, TWO = Write("one", 1, 2), Write("two", 3, 4)
IN_DOUBT = Write("doubt", 1)


@pytest.mark.parametrize(
    ("writes", "reads"),
    [
        ([ONE, TWO], [Read("one", 2.5, 2.6), Read("two", 5, 6)]),
        ([ONE, TWO], [Read("one", 2, 5), Read("two", 6, 7)]),
        ([Write("a", 1, 5), Write("b", 2, 6)], [Read("a", 7, 8)]),
        ([Write("a", 1, 5), Write("b", 2, 6)], [Read("b", 7, 8)]),
        ([ONE, IN_DOUBT], [Read("one", 3, 4), Read("doubt", 9, 10)]),
        ([ONE, IN_DOUBT], [Read("one", 9, 10)]),
    ],
)
def test_what_one_register_could_answer_is_right(writes: list[Write], reads: list[Read]) -> None:
    """Overlapping writes end in any order; a write in doubt happens late, or never."""
    assert _history(writes, *reads) == []


@pytest.mark.parametrize(
    ("writes", "reads"),
    [
        ([ONE, TWO], [Read("one", 5, 6)]),
        ([ONE, TWO], [Read("two", 5, 6), Read("one", 7, 8)]),
        (
            [Write("a", 1, 9), Write("b", 1, 9)],
            [Read("a", 2, 3), Read("b", 4, 5), Read("a", 6, 7)],
        ),
        ([ONE, IN_DOUBT], [Read("doubt", 3, 4), Read("one", 5, 6)]),
        ([ONE], [Read("nowhere", 3, 4)]),
        ([Write("no", 1, refused=True)], [Read("no", 3, 4)]),
        ([Write("later", 5, 6)], [Read("later", 1, 2)]),
    ],
)
def test_what_no_register_could_answer_is_found(writes: list[Write], reads: list[Read]) -> None:
    """Stale, lost, inverted, from nowhere, refused and yet there, from the future."""
    assert _history(writes, *reads) != []


def test_keys_are_judged_on_their_own() -> None:
    """And the value that was there before counts as written."""
    history = History()
    history.was_there((1,), "old")
    write = history.begin_write((2,), "fresh")
    write.ended = history.now()

    history.read((1,), "old", history.now())
    history.read((2,), "fresh", history.now())
    right = history.problems()
    history.read((1,), "fresh", history.now())

    assert (right, len(history.problems())) == ([], 1)
