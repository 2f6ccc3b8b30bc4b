"""The demo's mappings lose nothing, and agree with money as a person counts it."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.demo.mappings import (
    cents,
    customer_to_legacy,
    customer_to_new,
    order_to_legacy,
    order_to_new,
    units,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
IDS = st.integers(1, 2**63 - 1)
MONEY_CENTS = st.integers(-(10**13), 10**13)
LINES = st.lists(
    st.fixed_dictionaries(
        {"n": IDS, "sku": TEXT, "qty": st.integers(1, 1000), "cents": MONEY_CENTS}
    ),
    max_size=5,
    unique_by=lambda line: line["n"],
)


@pytest.mark.parametrize(
    ("money", "expected"),
    [
        (19.99, 1999),
        (0.29, 29),
        (4.35, 435),
        (-19.99, -1999),
        (0, 0),
        (-0.0, 0),
        (31.900000000000002, 3190),
        (1.125, 112),
        (1.135, 114),
        (Decimal("8.20"), 820),
    ],
)
def test_units_become_the_nearest_cent(money: float | Decimal, expected: int) -> None:
    """No cent is lost to binary fractions, and a half goes to the even cent."""
    assert cents(money) == expected


@pytest.mark.parametrize("money", [float("nan"), float("inf"), 1e300])
def test_an_amount_that_is_no_count_of_cents_is_an_error(money: float) -> None:
    """Such a row must be quarantined, not stored as something else."""
    with pytest.raises((ArithmeticError, ValueError)):
        cents(money)


@given(MONEY_CENTS)
def test_cents_survive_the_way_to_units_and_back(amount: int) -> None:
    """Write-back and copy leave every price as it was."""
    assert cents(units(amount)) == amount


@given(IDS, TEXT, TEXT, st.none() | TEXT, TEXT, MONEY_CENTS)
def test_a_customer_survives_the_round_trip(
    key: int, name: str, email: str, city: str | None, note: str, credit: int
) -> None:
    """New to legacy to new changes nothing, NULL and empty text kept apart."""
    customer = {
        "id": key,
        "display_name": name,
        "email": email,
        "city": city,
        "note": note,
        "credit_cents": credit,
    }

    assert customer_to_new(customer_to_legacy(customer)) == customer


@given(IDS, IDS, TEXT, TEXT, LINES)
def test_an_order_survives_the_round_trip(
    key: int, customer: int, placed_at: str, status: str, lines: list[dict[str, Any]]
) -> None:
    """Legacy to new to legacy changes neither the order nor any line."""
    order = {
        "OrderId": key,
        "CustomerId": customer,
        "PlacedAt": placed_at,
        "Status": status,
        "Total": units(sum(line["cents"] for line in lines)),
        "lines": [
            {
                "OrderId": key,
                "LineNumber": line["n"],
                "Sku": line["sku"],
                "Quantity": line["qty"],
                "UnitPrice": units(line["cents"]),
            }
            for line in sorted(lines, key=lambda line: line["n"])
        ],
    }

    assert order_to_legacy(order_to_new(order)) == order


def test_the_document_has_one_spelling() -> None:
    """Lines in any order, in any script, give the same text."""
    first = {"OrderId": 7, "LineNumber": 1, "Sku": "SKÜ", "Quantity": 3, "UnitPrice": 9.99}
    second = {"OrderId": 7, "LineNumber": 2, "Sku": "B", "Quantity": 1, "UnitPrice": 1.93}
    order = {
        "OrderId": 7,
        "CustomerId": 5,
        "PlacedAt": "2026-01-02T03:04:05Z",
        "Status": "open",
        "Total": 31.900000000000002,
    }

    document = order_to_new({**order, "lines": [first, second]})["document"]

    assert document == (
        '{"lines":[{"cents":999,"n":1,"qty":3,"sku":"SKÜ"},{"cents":193,"n":2,"qty":1,"sku":"B"}],'
        '"placed_at":"2026-01-02T03:04:05Z","status":"open","total_cents":3190}'
    )
    assert order_to_new({**order, "lines": [second, first]})["document"] == document
    assert json.loads(document)["total_cents"] == 3190
