"""The planted bug is told from other differences by what it does: a cent is gone."""

from typing import Any

import pytest

from crossfade.demo.bug_play import canary_reads, is_of_money, lost_cents, names_blocking
from crossfade.demo.cast import blocking
from crossfade.demo.report import ShownDifference


def shown(path: str, legacy: str, new: str) -> dict[str, Any]:
    """A kind of difference with one sample, as the control API shows it."""
    differences = [{"path": path, "kind": "value", "legacy": legacy, "new": new}]
    return {"operation": "PUT /orders/{id}", "samples": [{"differences": differences}]}


def test_a_lost_cent_is_found_with_both_values() -> None:
    """As they are shown: money is text in the API."""
    found = list(lost_cents(shown("$.total", '"19.99"', '"19.98"')))

    assert found == [ShownDifference("PUT /orders/{id}", "$.total", '"19.99"', '"19.98"')]


@pytest.mark.parametrize(
    ("legacy", "new"),
    [
        pytest.param('"19.98"', '"19.99"', id="gained"),
        pytest.param('"19.99"', '"19.97"', id="more-than-one"),
        pytest.param("text, 5 characters", "text, 5 characters", id="hidden"),
        pytest.param('"19.99"', "nothing", id="missing"),
    ],
)
def test_other_differences_are_not_the_planted_bug(legacy: str, new: str) -> None:
    """What else differs would be somebody else's bug."""
    assert list(lost_cents(shown("$.total", legacy, new))) == []


@pytest.mark.parametrize(
    ("paths", "is_money"),
    [
        (["$.credit"], True),
        (["$.lines[*].price", "$.total"], True),
        (["$.document.lines[*].cents", "$.document.total_cents"], True),
        (["$.credit", "$.city"], False),
        (["status"], False),
        ([], False),
    ],
)
def test_differences_of_amounts_alone_are_the_bugs(paths: list[str], is_money: bool) -> None:  # noqa: FBT001
    """A difference at any other place is not closed with the bug's."""
    assert is_of_money({"paths": paths}) is is_money


def test_gates_in_the_way_are_named() -> None:
    """A gate that passed, or that somebody waived, is not in the way."""
    gates = [
        {"name": "mismatches", "passed": False, "waived": False, "reason": "the sides differ"},
        {"name": "soak", "passed": False, "waived": True, "reason": "1 s of 60 s"},
        {"name": "node", "passed": True, "waived": False, "reason": "a node is running"},
    ]

    assert names_blocking({"gates": gates}) == {"mismatches"}
    assert blocking({"gates": gates}) == ["mismatches: the sides differ"]


def test_reads_of_the_canary_are_added_up() -> None:
    """Over all operations."""
    operations = [{"total": {"canary_served": 3}}, {"total": {"canary_served": 4}}]

    assert canary_reads({"operations": operations}) == 7
