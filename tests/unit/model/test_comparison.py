"""Two answers, or two records, are judged alike in every stage, and nothing they hold raises."""

import json
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.errors import DefinitionError
from crossfade.model.comparison import (
    Compare,
    Comparison,
    Observed,
    Outcome,
    compare_answers,
    compare_records,
)
from crossfade.model.side import Side
from tests.project_files import ROOT

NAUGHTY = ROOT.parent / "shared" / "data" / "json_test_suite" / "test_parsing"
JSON_TYPE = "application/json; charset=utf-8"
MEMBERS = st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=4)


def answer(body: object = None, *, status: int = 200, kind: str = JSON_TYPE) -> Observed:
    """An answer; what is not bytes yet is written as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Observed(status, kind, data)


def places(comparison: Comparison) -> list[tuple[str, str]]:
    """Path and kind of each difference."""
    return [(found.path, found.kind.value) for found in comparison.differences]


def test_answers_that_say_the_same_match() -> None:
    """Order of members, white space and the spelling of numbers are nothing."""
    legacy = answer(b'{"id": 1, "price": 10.0, "tags": ["a"]}')
    new = answer(b'{"tags":["a"],"price":10,"id":1}', kind="application/vnd.shop+json")

    comparison = compare_answers(legacy, new)

    assert comparison.outcome is Outcome.MATCH
    assert comparison.fingerprint == ""


def test_decimals_are_compared_exactly() -> None:
    """Floating-point numbers would take these for equal."""
    legacy, new = answer(b'{"a": 0.1}'), answer(b'{"a": 0.1000000000000000055511151231257827}')

    assert places(compare_answers(legacy, new)) == [("$.a", "value")]


@pytest.mark.parametrize(
    ("legacy", "new", "expected"),
    [
        pytest.param(answer(status=200), answer(status=404), [("status", "status")], id="status"),
        pytest.param(
            answer({"a": 1}), answer({"error": ""}, status=500), [("status", "status")], id="500"
        ),
        pytest.param(answer(b"{"), answer(b"{}"), [("body", "body")], id="invalid-in-legacy"),
        pytest.param(answer(b"{}"), answer(b"{"), [("body", "body")], id="invalid-in-new"),
        pytest.param(answer(b"\xff"), answer(b"\xfe"), [("body", "body")], id="not-utf-8"),
        pytest.param(answer(b"{"), answer(b"{"), [], id="equally-invalid"),
        pytest.param(answer(b""), answer(b"", kind=""), [], id="empty"),
        pytest.param(answer(b"{}"), answer(b""), [("body", "body")], id="empty-in-new"),
        pytest.param(
            answer(b"a", kind="text/plain"), answer(b"b", kind="text/plain"),
            [("body", "body")], id="text",
        ),
        pytest.param(
            answer(b"[1]", kind="text/plain"), answer(b"[ 1]", kind="text/plain"),
            [("body", "body")], id="text-is-compared-by-its-bytes",
        ),
        pytest.param(
            answer(b"[1]", kind="text/plain"), answer(b"[ 1]"), [], id="one-declares-json"
        ),
        pytest.param(
            answer(b"{", status=404), answer(b"{}", status=404), [("body", "body")], id="404"
        ),
    ],
)  # fmt: skip
def test_answers_are_judged_by_status_then_body(
    legacy: Observed, new: Observed, expected: list[tuple[str, str]]
) -> None:
    """Different statuses are one difference; a body is JSON where a side says so and it is."""
    assert places(compare_answers(legacy, new)) == expected
    assert places(compare_answers(new, legacy)) == expected


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_side_that_is_not_available_is_no_mismatch(status: int) -> None:
    """Nothing is known of what it would have answered; whose fault it was is named."""
    fine, away = answer({"a": 1}), answer({"a": 1}, status=status)

    assert compare_answers(fine, away).outcome is Outcome.ERROR
    assert compare_answers(fine, away).reason == f"new was not available (status {status})"
    assert compare_answers(away, fine).reason == f"legacy was not available (status {status})"


def test_an_ignored_body_is_not_looked_at() -> None:
    """`$` is the whole body, JSON or not; the status still counts."""
    compare = Compare(ignore=["$"])

    assert compare_answers(answer(b"{"), answer(b"x"), compare).outcome is Outcome.MATCH
    assert compare_answers(answer(), answer(status=404), compare).outcome is Outcome.MISMATCH


def test_a_fingerprint_is_the_shape_of_the_difference() -> None:
    """The same for other values and other items, another for other places or kinds."""

    def fingerprint(legacy: object, new: object) -> str:
        return compare_answers(answer(legacy), answer(new)).fingerprint

    first = fingerprint([{"price": 1}, {"price": 2}], [{"price": 1}, {"price": 3}])

    assert first == fingerprint([{"price": 7}, {"price": 2}], [{"price": 8}, {"price": 2}])
    assert first == fingerprint([{"price": 7}] * 2, [{"price": 8}] * 2)
    assert first != fingerprint([{"cost": 1}], [{"cost": 2}])
    assert first != fingerprint([{"price": 1}], [{"price": "1"}])
    assert first == "09ae7c122c9ef3cf", "groups in a ledger must be found by later releases"


def test_paths_are_told_once_and_without_indexes() -> None:
    """What an event carries about a mismatch."""
    comparison = compare_answers(answer([{"a": 1}, {"a": 1}]), answer([{"a": 2}, {"a": 2}]))

    assert len(comparison.differences) == 2
    assert comparison.paths == ("$[*].a",)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"ignore": "$.a"}, r'write \["\$.a"\]'),
        ({"show": "$.a"}, "takes a list"),
        ({"ignore": ["a"]}, "is no path"),
        ({"show": ["$.a["]}, "is no path"),
        ({"unordered": {"items": "id"}}, "is no path"),
        ({"unordered": ["$.items"]}, "takes"),
    ],
)
def test_wrong_options_are_refused_when_they_are_written(
    arguments: dict[str, Any], words: str
) -> None:
    """Not at the first comparison."""
    with pytest.raises(DefinitionError, match=words):
        Compare(**arguments)


def test_options_are_values() -> None:
    """Equal ones are equal, and lists changed later change nothing."""
    ignore, unordered = ["$.a"], {"$.items": "id"}
    compare = Compare(ignore=ignore, unordered=unordered)
    ignore.append("$.b")
    unordered["$.b"] = "id"

    assert compare == Compare(ignore=("$.a",), unordered={"$.items": "id"})
    assert hash(compare) == hash(Compare(ignore=["$.a"], unordered={"$.items": "id"}))
    assert compare_answers(answer({"b": 1}), answer({"b": 2}), compare).differences


def test_a_replay_that_had_the_wanted_effect_matches() -> None:
    """Columns that are not mapped, and how a document is written, are nothing."""
    wanted = {"id": 7, "paid": True, "document": '{"total": 1999, "lines": [1]}', "note": None}
    found = {
        "id": 7, "paid": 1, "document": '{"lines":[1],"total":1999}', "note": None, "seen_at": 12
    }  # fmt: skip

    assert compare_records(wanted, found).outcome is Outcome.MATCH


def test_a_rounding_bug_is_found_inside_a_document() -> None:
    """The path goes on into the JSON of a text column; values show where they are allowed."""
    wanted = {"id": 7, "document": '{"lines":[{"n":1,"cents":1999}],"total_cents":1999}'}
    found = {"id": 7, "document": '{"lines":[{"n":1,"cents":1998}],"total_cents":1998}'}

    comparison = compare_records(wanted, found, Compare(show=["$.document.total_cents"]))

    assert places(comparison) == [
        ("$.document.lines[0].cents", "value"),
        ("$.document.total_cents", "value"),
    ]
    assert (comparison.differences[1].legacy, comparison.differences[1].new) == ("1999", "1998")


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        ({"a": 1}, {"a": 2}, [("$.a", "value")]),
        ({"a": 1}, {}, [("$.a", "missing_in_new")]),
        ({"a": "1"}, {"a": 1}, [("$.a", "type")]),
        ({"a": None}, {"a": ""}, [("$.a", "type")]),
        ({"a": "[1]"}, {"a": "[ 1]"}, []),
        ({"a": "[1]"}, {"a": "[2]"}, [("$.a[0]", "value")]),
        ({"a": "{"}, {"a": "["}, [("$.a", "value")]),
        ({"a": "1.0"}, {"a": "1"}, [("$.a", "value")]),
        ({"a": b"x"}, {"a": memoryview(b"x")}, []),
        ({"a": b"x"}, {"a": bytearray(b"y")}, [("$.a", "value")]),
        ({"a": Decimal("19.99")}, {"a": 19.99}, []),
        ({"a": Decimal("19.99")}, {"a": Decimal("19.990")}, []),
        ({"a": Decimal("19.99")}, {"a": 19.98}, [("$.a", "value")]),
        ({"lines": [{"n": 1}]}, {"lines": [{"n": 1, "extra": 5}]}, []),
        ({"lines": [{"n": 1}]}, {"lines": [{"n": 2}]}, [("$.lines[0].n", "value")]),
        ({"lines": [{"n": 1}]}, {"lines": []}, [("$.lines", "length")]),
        ({"lines": []}, {"lines": [{"n": 1}]}, [("$.lines", "length")]),
        ({"lines": [{"n": 1, "x": True}]}, {"lines": [{"n": 1, "x": 1}]}, []),
        ({"tags": ["a"]}, {"tags": ["b"]}, [("$.tags[0]", "value")]),
        (None, None, []),
        (None, {"a": 1}, [("$", "missing_in_legacy")]),
        ({"a": 1}, None, [("$", "missing_in_new")]),
    ],
)
def test_records_are_compared_over_the_mapped_columns(
    wanted: dict[str, Any] | None, found: dict[str, Any] | None, expected: list[tuple[str, str]]
) -> None:
    """Children by their rows, documents by their structure, and nothing that is not mapped."""
    assert places(compare_records(wanted, found)) == expected


@pytest.mark.parametrize(
    ("mirror", "expected"),
    [
        (Side.NEW, ('"wanted"', '"found"')),
        (Side.LEGACY, ('"found"', '"wanted"')),
    ],
)
def test_differences_of_records_name_legacy_first(mirror: Side, expected: tuple[str, str]) -> None:
    """In every stage: after a flip the mirror is legacy."""
    comparison = compare_records(
        {"a": "wanted"}, {"a": "found"}, Compare(show=["$"]), mirror=mirror
    )

    (found,) = comparison.differences
    assert (found.legacy, found.new) == expected


def test_a_record_that_only_the_mirror_has_is_named_by_its_side() -> None:
    """A delete whose replay did nothing, while legacy is the mirror."""
    comparison = compare_records(None, {"a": 1}, mirror=Side.LEGACY)

    assert places(comparison) == [("$", "missing_in_new")]


@given(st.binary(max_size=50), st.binary(max_size=50), st.sampled_from([JSON_TYPE, "", "text/x"]))
def test_no_bytes_make_a_comparison_fail(legacy: bytes, new: bytes, kind: str) -> None:
    """And the outcome does not depend on which side is which."""
    there = compare_answers(Observed(200, kind, legacy), Observed(200, JSON_TYPE, new))
    back = compare_answers(Observed(200, JSON_TYPE, new), Observed(200, kind, legacy))

    assert there.outcome is back.outcome
    assert there.outcome is not Outcome.ERROR


@given(MEMBERS, st.randoms(use_true_random=False))
def test_reordered_members_match(members: dict[str, Any], chance: random.Random) -> None:
    """An object is a set of members."""
    names = list(members)
    chance.shuffle(names)
    reordered = {name: members[name] for name in names}

    assert compare_answers(answer(members), answer(reordered)).outcome is Outcome.MATCH


@pytest.mark.skipif(not NAUGHTY.is_dir(), reason="needs the JSON parsing test suite")
def test_naughty_documents_never_crash_a_comparison() -> None:
    """Each against a good document, a bad one, itself, and itself with a space behind it."""
    documents = [path.read_bytes() for path in _naughty_files()]
    others = [answer({"a": [1]}), answer(b"[1e99999]"), answer(b"\xef\xbb\xbf{}"), answer(b"")]

    for data in documents:
        for other in (*others, answer(data + b" ")):
            there, back = (
                compare_answers(answer(data), other),
                compare_answers(other, answer(data)),
            )

            assert there.outcome is back.outcome
            assert (there.outcome is Outcome.MATCH) is (there.differences == ())
        assert compare_answers(answer(data), answer(data)).outcome is Outcome.MATCH


@pytest.mark.skipif(not NAUGHTY.is_dir(), reason="needs the JSON parsing test suite")
def test_valid_documents_are_read_as_json() -> None:
    """A space behind a document that every parser must accept changes nothing."""
    valid = [path for path in _naughty_files() if path.name.startswith("y_")]

    differing = [
        path.name
        for path in valid
        if compare_answers(answer(path.read_bytes()), answer(path.read_bytes() + b" ")).differences
    ]

    assert len(valid) > 50
    # Numbers beyond 4,300 digits and the like would be listed here.
    assert differing == []


def _naughty_files() -> list[Path]:
    return sorted(NAUGHTY.iterdir())
