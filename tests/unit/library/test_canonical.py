"""Returned values take the one form in which the two sides can be compared."""

import dataclasses
import datetime as dt
import enum
import uuid
from collections import OrderedDict
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
import pydantic
import pytest

from crossfade.library import canonical
from crossfade.model.comparison import Outcome, compare_answers


@dataclasses.dataclass
class Data:
    """A data class."""

    id: int
    name: str


class Struct(msgspec.Struct):
    """A msgspec structure."""

    id: int
    name: str


class Model(pydantic.BaseModel):
    """A Pydantic model."""

    id: int
    name: str


class Plain:
    """An object with fields, some of them its own business."""

    def __init__(self, id_: int, name: str) -> None:
        self.id = id_
        self.name = name
        self._session = object()


class Colour(enum.Enum):
    """A member counts as its value."""

    RED = "red"


class Pair(NamedTuple):
    """A tuple with names."""

    id: int
    name: str


SAME = [
    Data(1, "x"), Struct(1, "x"), Model(id=1, name="x"), Plain(1, "x"),
    SimpleNamespace(id=1, name="x"), {"name": "x", "id": 1}, OrderedDict(id=1, name="x"),
]  # fmt: skip
WHEN = dt.datetime(2026, 11, 22, 1, 2, 3, tzinfo=dt.UTC)


@pytest.mark.parametrize("value", SAME, ids=lambda value: type(value).__name__)
def test_the_same_fields_are_the_same_value(value: object) -> None:
    """Whatever kind of object holds them."""
    assert _judged(SAME[0], value) is Outcome.MATCH


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (Decimal("1.10"), Decimal("1.1"), Outcome.MATCH),
        (Decimal("0.1"), 0.1, Outcome.MATCH),
        (Decimal("1.10"), Decimal("1.11"), Outcome.MISMATCH),
        (10**30, 10**30 + 1, Outcome.MISMATCH),
        (WHEN, WHEN, Outcome.MATCH),
        (WHEN, WHEN.replace(tzinfo=None), Outcome.MISMATCH),
        (WHEN.date(), WHEN, Outcome.MISMATCH),
        (uuid.UUID(int=1), uuid.UUID(int=1), Outcome.MATCH),
        ({3, 1, 2}, {2, 3, 1}, Outcome.MATCH),
        ({"b", "a"}, {"a"}, Outcome.MISMATCH),
        ((1, 2), [1, 2], Outcome.MATCH),
        (Colour.RED, "red", Outcome.MATCH),
        (None, {}, Outcome.MISMATCH),
        (b"ab", b"ab", Outcome.MATCH),
        ({1: "x"}, {1: "x"}, Outcome.MATCH),
        ([Data(1, "x")], [Data(2, "x")], Outcome.MISMATCH),
        (True, 1, Outcome.MISMATCH),
        (Pair(1, "x"), [1, "x"], Outcome.MATCH),
    ],
)  # fmt: skip
def test_values_of_programs(ours: object, theirs: object, expected: Outcome) -> None:
    """Exact numbers, times, sets without order, members, nested objects."""
    assert _judged(ours, theirs) is expected


@pytest.mark.parametrize("value", [object(), print, Data, ValueError("x"), iter([1]), lambda: 1])
def test_what_has_no_form_is_not_compared(value: object) -> None:
    """No address or text of an object ever stands for its value."""
    assert canonical.returned(value) is None
    nonsense = canonical.returned_nonsense(value)
    assert compare_answers(_seen(1), nonsense).outcome is Outcome.MISMATCH


def test_exceptions_are_compared_by_type() -> None:
    """Messages hold values, and differ with every release."""
    same = compare_answers(canonical.raised(KeyError(1)), canonical.raised(KeyError(2)))
    other = compare_answers(canonical.raised(KeyError(1)), canonical.raised(ValueError(1)))
    one = compare_answers(_seen(None), canonical.raised(ValueError("a secret")))
    away = compare_answers(_seen(None), canonical.unanswered(TimeoutError()))

    assert (same.outcome, other.outcome) == (Outcome.MATCH, Outcome.MISMATCH)
    (difference,) = one.differences
    assert (difference.legacy, difference.new) == ("returned", "raised ValueError")
    assert away.outcome is Outcome.ERROR


def _seen(value: Any) -> Any:  # noqa: ANN401 - any value
    seen = canonical.returned(value)
    assert seen is not None
    return seen


def _judged(ours: object, theirs: object) -> Outcome:
    return compare_answers(_seen(ours), _seen(theirs)).outcome
