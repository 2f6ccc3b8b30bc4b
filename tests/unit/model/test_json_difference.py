"""The walk finds where two JSON values differ, and nothing where they do not."""

import json
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.model.comparison import Compare
from crossfade.model.json_difference import DifferenceKind, differences_between

PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.decimals(allow_nan=False)
    | st.text(max_size=8)
)
JSON = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)


def differing(legacy: object, new: object, **compare: Any) -> list[tuple[str, str]]:  # noqa: ANN401
    """Path and kind of each difference."""
    found = differences_between(legacy, new, Compare(**compare).rules, 20)
    return [(difference.path, difference.kind.value) for difference in found]


@pytest.mark.parametrize(
    ("legacy", "new"),
    [
        (1, 1),
        (1, 1.0),
        (Decimal("1.10"), Decimal("1.1")),
        (Decimal("1E+2"), 100),
        (10**40, Decimal(10**40)),
        (0.5, Decimal("0.5")),
        (None, None),
        ("é", "é"),
        ({}, {}),
        ([], []),
        ({"a": 1, "b": {"c": [1, 2]}}, {"b": {"c": [1, 2]}, "a": 1}),
        (float("nan"), float("nan")),
    ],
)
def test_equal_values_do_not_differ(legacy: object, new: object) -> None:
    """Numbers are equal where they are exactly the same number; order of members is nothing."""
    assert differing(legacy, new) == []
    assert differing({"a": [legacy]}, {"a": [new]}) == []


@pytest.mark.parametrize(
    ("legacy", "new", "kind"),
    [
        (1, 2, "value"),
        ("a", "b", "value"),
        (True, False, "value"),
        (Decimal("19.99"), Decimal("19.98"), "value"),
        (10**20, 10**20 + 1, "value"),
        (2**53 + 1, float(2**53), "value"),
        (0.1, Decimal("0.1"), "value"),
        (True, 1, "type"),
        (0, False, "type"),
        ("1", 1, "type"),
        (None, 0, "type"),
        (None, "", "type"),
        ({}, [], "type"),
        ({}, None, "type"),
        ([1], [1, 2], "length"),
        ("é", "e\u0301", "value"),
    ],
)
def test_different_values_differ_by_their_kind(legacy: object, new: object, kind: str) -> None:
    """True is no number, null is no zero, and 2**53 + 1 is not rounded away."""
    assert differing(legacy, new) == [("$", kind)]
    assert differing({"a": [legacy]}, {"a": [new]}) == [("$.a[0]", kind)]
    assert differing({"a": {"b": new}}, {"a": {"b": legacy}}) == [("$.a.b", kind)]


def test_missing_members_are_told_by_the_side_that_misses_them() -> None:
    """A member that is null is there."""
    legacy = {"a": 1, "b": None, "c": {"d": 1}}
    new = {"a": 1, "c": {}, "e": [1]}

    assert differing(legacy, new) == [
        ("$.b", "missing_in_new"),
        ("$.c.d", "missing_in_new"),
        ("$.e", "missing_in_legacy"),
    ]


def test_values_are_named_legacy_first() -> None:
    """The first argument is legacy's, also where only one side has something."""
    legacy = {"status": "open", "gone": "here"}
    new = {"status": "paid", "extra": 7}

    found = differences_between(legacy, new, Compare(show=["$"]).rules, 20)

    assert [(one.path, one.legacy, one.new) for one in found] == [
        ("$.extra", "nothing", "7"),
        ("$.gone", '"here"', "nothing"),
        ("$.status", '"open"', '"paid"'),
    ]


def test_values_are_redacted_unless_their_path_is_shown() -> None:
    """Only what is on the list, and no secret even then."""
    legacy = {"price": 1999, "name": "Ada", "card": {"pin": "1234"}}
    new = {"price": 1998, "name": "Eve", "card": {"pin": "4321"}}

    price, name, pin = sorted(
        differences_between(legacy, new, Compare(show=["$.price", "$.card"]).rules, 20),
        key=lambda found: ["$.price", "$.name", "$.card.pin"].index(found.path),
    )

    assert (price.legacy, price.new) == ("1999", "1998")
    assert name.legacy.startswith("text, 3 characters, #")
    assert (pin.legacy, pin.new) == ("secret, not shown", "secret, not shown")


def test_ignored_places_may_differ() -> None:
    """In value, in type, by being missing, and with all that is below them."""
    legacy = {"at": 1, "lines": [{"id": 1, "sku": "a"}, {"id": 2, "sku": "b"}], "meta": {"x": 1}}
    new = {"lines": [{"id": 7, "sku": "a"}, {"sku": "b"}], "meta": [], "trace": "t"}
    ignore = ["$.at", "$.lines[*].id", "$.meta", "$..trace"]

    assert differing(legacy, new, ignore=ignore) == []
    assert differing(new, legacy, ignore=ignore) == []
    assert differing(legacy, new) != []


@pytest.mark.parametrize(
    ("legacy", "new", "expected"),
    [
        ([{"id": 1, "v": 1}, {"id": 2, "v": 2}], [{"id": 2, "v": 2}, {"id": 1, "v": 1}], []),
        ([{"id": 1, "v": 1}], [{"id": 1, "v": 9}], [("$.items[0].v", "value")]),
        ([{"id": 1}, {"id": 2}], [{"id": 2}], [("$.items[0]", "missing_in_new")]),
        ([{"id": 2}], [{"id": 2}, {"id": 1}], [("$.items[1]", "missing_in_legacy")]),
        ([], [{"id": 1}], [("$.items[0]", "missing_in_legacy")]),
        # What cannot be told apart is compared in order.
        ([{"id": 1}, {"id": 1}], [{"id": 1}, {"id": 1}], []),
        ([{"id": 1, "v": 1}, {"id": 1}], [{"id": 1}, {"id": 1, "v": 1}],
         [("$.items[0].v", "missing_in_new"), ("$.items[1].v", "missing_in_legacy")]),
        ([{"id": None}], [{"id": None}], []),
        ([{"id": [1]}], [{"id": [1]}], []),
        ([1, 2], [2, 1], [("$.items[0]", "value"), ("$.items[1]", "value")]),
        ([{"id": 1}], [{"id": "1"}],
         [("$.items[0]", "missing_in_legacy"), ("$.items[0]", "missing_in_new")]),
        ([{"id": 1}], [{"id": True}],
         [("$.items[0]", "missing_in_legacy"), ("$.items[0]", "missing_in_new")]),
        ({"id": 1}, [{"id": 1}], [("$.items", "type")]),
    ],
)  # fmt: skip
def test_unordered_items_are_matched_by_their_member(
    legacy: object, new: object, expected: list[tuple[str, str]]
) -> None:
    """An item is found wherever it stands; without an identity order counts again."""
    unordered = {"$.items": "id"}

    assert differing({"items": legacy}, {"items": new}, unordered=unordered) == expected


@pytest.mark.parametrize(
    ("legacy", "new", "expected"),
    [
        (["a", "b", "a"], ["a", "a", "b"], []),
        ([1, True], [True, 1.0], []),
        (["a", "b"], ["a", "c"], [("$.tags", "value")]),
        (["a", "a"], ["a"], [("$.tags", "length")]),
        ([1], [True], [("$.tags", "value")]),
        ([["a"], ["b"]], [["b"], ["a"]], [("$.tags[0][0]", "value"), ("$.tags[1][0]", "value")]),
    ],
)
def test_a_bag_of_plain_values_has_no_order(
    legacy: object, new: object, expected: list[tuple[str, str]]
) -> None:
    """Each value counts as often as it is there."""
    assert differing({"tags": legacy}, {"tags": new}, unordered={"$.tags": ""}) == expected


def test_findings_are_bounded() -> None:
    """Two documents that differ everywhere give the first findings only."""
    legacy = {f"name {number}": number for number in range(10_000)}
    new = {f"name {number}": -1 for number in range(10_000)}

    assert len(differences_between(legacy, new, Compare().rules, 20)) == 20
    assert len(differences_between(legacy, {}, Compare().rules, 20)) == 20


def test_depth_is_no_danger() -> None:
    """The walk does not recurse: a document may be deeper than Python's stack."""
    legacy: list[Any] = [1]
    new: list[Any] = [2]
    for _ in range(50_000):
        legacy, new = [legacy], [new]

    found = differences_between(legacy, new, Compare().rules, 20)

    assert [one.kind for one in found] == [DifferenceKind.VALUE]


@given(JSON, JSON)
def test_the_walk_is_symmetric_and_never_fails(legacy: Any, new: Any) -> None:  # noqa: ANN401
    """Exchanging the sides exchanges what is missing where, and nothing else."""
    there = differing(legacy, new)
    back = differing(new, legacy)

    exchanged = {"missing_in_new": "missing_in_legacy", "missing_in_legacy": "missing_in_new"}
    assert {(path, exchanged.get(kind, kind)) for path, kind in back} == set(there)


@given(JSON, st.randoms(use_true_random=False))
def test_a_value_equals_itself_in_any_order_of_its_members(
    value: Any,  # noqa: ANN401
    chance: random.Random,
) -> None:
    """Shuffling the members of every object changes nothing."""
    assert differing(value, _shuffled(value, chance)) == []


@given(JSON, JSON)
def test_nothing_differs_only_where_python_agrees(legacy: Any, new: Any) -> None:  # noqa: ANN401
    """An oracle of another make: the values written out in one spelling."""
    same = _spelled(legacy) == _spelled(new)

    assert (differing(legacy, new) == []) is same


def _shuffled(value: Any, chance: random.Random) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        names = list(value)
        chance.shuffle(names)
        return {name: _shuffled(value[name], chance) for name in names}
    return [_shuffled(item, chance) for item in value] if isinstance(value, list) else value


def _spelled(value: Any) -> str:  # noqa: ANN401
    """One text for equal values: numbers as fractions, members sorted."""
    if isinstance(value, dict):
        members = (f"{json.dumps(name)}:{_spelled(value[name])}" for name in sorted(value))
        return f"{{{','.join(members)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_spelled, value))}]"
    if value is None or isinstance(value, bool | str):
        return json.dumps(value)
    number = value if isinstance(value, int) else Decimal(value)
    return f"number {number}" if number in (Decimal("inf"), Decimal("-inf")) else _ratio(number)


def _ratio(number: int | Decimal) -> str:
    if isinstance(number, Decimal) and abs(number.adjusted()) > 400:  # noqa: SIM102
        # Too large to write as a fraction; such numbers are equal in this form too.
        if number:
            return f"number {number.normalize()}"
    numerator, denominator = number.as_integer_ratio()
    return f"number {numerator}/{denominator}"
