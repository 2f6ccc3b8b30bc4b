"""Paths are read once, and a walk learns at each place what holds there."""

import pytest

from crossfade.errors import DefinitionError
from crossfade.model.json_paths import Part, PathRule, PathState, compile_rules


def _at(root: PathState, *parts: Part) -> PathState:
    for part in parts:
        root = root.child(part)
    return root


@pytest.mark.parametrize(
    ("path", "parts", "ignored"),
    [
        ("$", (), True),
        ("$.a", ("a",), True),
        ("$.a", ("a", "b"), True),
        ("$.a", ("b",), False),
        ("$.a", (0,), False),
        ("$.a.b", ("a", "b"), True),
        ("$.a.b", ("a",), False),
        ("$.updated-at", ("updated-at",), True),
        ("$['a b']", ("a b",), True),
        ('$["a.b"]', ("a.b",), True),
        ("$['']", ("",), True),
        ("$[3]", (3,), True),
        ("$[3]", (2,), False),
        ("$[3]", ("3",), False),
        ("$.lines[*].id", ("lines", 0, "id"), True),
        ("$.lines[*].id", ("lines", 7, "id"), True),
        ("$.lines[*].id", ("lines", "id"), False),
        ("$.*.id", ("any", "id"), True),
        ("$..id", ("id",), True),
        ("$..id", ("a", 0, "b", "id"), True),
        ("$..id", ("a", 0, "b"), False),
        ("$..id", ("id", "b"), True),
        ("$..a.b", ("a", "a", "b"), True),
        ("$..a.b", ("a", "c", "b"), False),
    ],
)
def test_a_path_names_the_places_that_it_says(
    path: str, parts: tuple[Part, ...], *, ignored: bool
) -> None:
    """Names, indexes, any part, and names at any depth."""
    root = compile_rules([PathRule(path, ignore=True)])

    assert _at(root, *parts).ignored is ignored


@pytest.mark.parametrize(
    "path",
    ["", "a", ".a", "$a", "$.", "$..", "$[", "$[]", "$[-1]", "$['a]", "$.a b", "$.a[?(@)]", "$$"],
)
def test_what_is_no_path_is_refused(path: str) -> None:
    """The error shows how paths are written."""
    with pytest.raises(DefinitionError, match="Write"):
        compile_rules([PathRule(path)])


def test_showing_a_place_shows_what_is_below_it() -> None:
    """An allowed object is allowed with all its members, and nothing beside it."""
    root = compile_rules([PathRule("$.address", show=True)])

    assert _at(root, "address").shown
    assert _at(root, "address", "lines", 0, "street").shown
    assert not root.shown
    assert not _at(root, "name").shown


def test_matching_holds_at_its_array_only() -> None:
    """An array inside an item of an unordered one has its own order."""
    root = compile_rules([PathRule("$.items", matched_by="id")])

    assert _at(root, "items").matched_by == "id"
    assert _at(root, "items", 0).matched_by is None
    assert _at(root, "items", 0, "items").matched_by is None


def test_rules_are_applied_together() -> None:
    """Several paths that share their beginning each keep their meaning."""
    root = compile_rules(
        [
            PathRule("$.items", matched_by="id"),
            PathRule("$.items[*].seen", ignore=True),
            PathRule("$.items[*].price", show=True),
        ]
    )

    assert _at(root, "items").matched_by == "id"
    assert _at(root, "items", 4, "seen").ignored
    assert _at(root, "items", 4, "price").shown
    assert not _at(root, "items", 4, "price").ignored


def test_places_that_no_rule_names_share_one_state() -> None:
    """A hostile document with a million names makes no state of its own for each."""
    root = compile_rules([PathRule("$..id", ignore=True), PathRule("$.a.b", show=True)])

    states = {id(root.child(f"name {number}")) for number in range(1000)}

    assert len(states) == 1


def test_without_rules_every_place_is_the_root() -> None:
    """The common case costs nothing."""
    root = compile_rules([])

    assert root.inert
    assert root.child("a") is root
