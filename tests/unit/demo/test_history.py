"""The history file says what was attempted and how it ended, whatever happened between."""

import math
from pathlib import Path

from crossfade.demo.history import (
    Ending,
    HistoryWriter,
    Kind,
    Outcome,
    Request,
    read_history,
    value_of,
)

PUT = Request(
    kind=Kind.WRITE,
    entity="customer",
    key=7,
    method="PUT",
    path="/customers/7",
    body={"id": 7},
    value="v",
)


def test_an_attempt_and_its_ending_become_one_operation(tmp_path: Path) -> None:
    """With the times, the value written and the value that the answer showed."""
    history = HistoryWriter(tmp_path / "history")
    attempt = history.attempt("w1", PUT, 1.5)
    history.ended(attempt, Ending(outcome=Outcome.ACKNOWLEDGED, status=200, value="shown"), 2.5)
    history.close()

    (operation,) = read_history(tmp_path / "history")

    assert (operation.kind, operation.entity, operation.key) == (Kind.WRITE, "customer", 7)
    assert (operation.value, operation.shown) == ("v", "shown")
    assert (operation.start, operation.end, operation.status) == (1.5, 2.5, 200)
    assert (operation.name, operation.client) == ("history:1", "w1")


def test_an_attempt_is_in_the_file_before_it_is_sent(tmp_path: Path) -> None:
    """A generator that dies meanwhile leaves it without end: cut."""
    history = HistoryWriter(tmp_path / "history")
    history.attempt("w1", PUT, 1.5)

    (operation,) = read_history(tmp_path / "history")
    history.close()

    assert (operation.outcome, operation.end) == (Outcome.CUT, math.inf)


def test_a_create_has_the_key_of_its_answer(tmp_path: Path) -> None:
    """Before, it has none."""
    create = Request(
        kind=Kind.CREATE, entity="order", method="POST", path="/orders", body={}, value="v"
    )
    history = HistoryWriter(tmp_path / "history")
    first, second = history.attempt("w1", create, 1.0), history.attempt("w1", create, 2.0)
    history.ended(first, Ending(outcome=Outcome.ACKNOWLEDGED, key=12), 1.5)
    history.ended(second, Ending(outcome=Outcome.CUT), 2.5)
    history.close()

    assert [operation.key for operation in read_history(tmp_path / "history")] == [12, None]


def test_reads_have_the_values_of_their_answers(tmp_path: Path) -> None:
    """One, none, or one a row."""
    read = Request(kind=Kind.READ, entity="order", key=3, method="GET", path="/orders/3")
    page = Request(kind=Kind.LIST, entity="customer", method="GET", path="/customers")
    history = HistoryWriter(tmp_path / "history")
    numbers = [history.attempt("r1", request, 1.0) for request in (read, read, page)]
    endings = [
        Ending(outcome=Outcome.ACKNOWLEDGED, value="v"),
        Ending(outcome=Outcome.ACKNOWLEDGED, status=404),
        Ending(outcome=Outcome.ACKNOWLEDGED, values={4: "a", 5: "b"}),
    ]
    for number, ending in zip(numbers, endings, strict=True):
        history.ended(number, ending, 2.0)
    history.close()

    operations = read_history(tmp_path / "history")

    assert [operation.value for operation in operations] == ["v", None, None]
    assert operations[2].values == {4: "a", 5: "b"}


def test_a_value_is_the_whole_content_but_the_id() -> None:
    """Spelling does not matter, any field does."""
    body = {"id": 1, "name": "Zoë", "city": None, "lines": [{"line": 1}]}

    assert value_of(body) == value_of({**dict(reversed(body.items())), "id": 2})
    assert value_of(body) != value_of({**body, "city": ""})
    assert value_of(body) != value_of({**body, "lines": []})
