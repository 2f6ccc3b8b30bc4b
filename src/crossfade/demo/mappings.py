"""How the demo shop's records translate between the two sides: pure functions, both ways.

A record is a dict of one row's columns. The legacy order is an aggregate: its row, and under
``"lines"`` the rows of its lines. Money is floating-point units on the legacy side and whole
cents on the new one.
"""

import json
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

Record = dict[str, Any]


def customer_to_new(customer: Record) -> Record:
    """Turn a row of ``Customer`` into a row of ``customers``."""
    return {
        "id": customer["CustomerId"],
        "display_name": customer["FullName"],
        "email": customer["Email"],
        "city": customer["City"],
        "note": customer["Note"],
        "credit_cents": cents(customer["Credit"]),
    }


def customer_to_legacy(customer: Record) -> Record:
    """Turn a row of ``customers`` into a row of ``Customer``."""
    return {
        "CustomerId": customer["id"],
        "FullName": customer["display_name"],
        "Email": customer["email"],
        "City": customer["city"],
        "Note": customer["note"],
        "Credit": units(customer["credit_cents"]),
    }


def order_to_new(order: Record) -> Record:
    """Turn an ``Order`` and its ``OrderLine`` rows into one row with a document."""
    lines = [
        {
            "n": line["LineNumber"],
            "sku": line["Sku"],
            "qty": line["Quantity"],
            "cents": cents(line["UnitPrice"]),
        }
        for line in sorted(order["lines"], key=lambda line: line["LineNumber"])
    ]
    document = {
        "placed_at": order["PlacedAt"],
        "status": order["Status"],
        "lines": lines,
        "total_cents": cents(order["Total"]),
    }
    return {
        "id": order["OrderId"],
        "customer_id": order["CustomerId"],
        "document": canonical_json(document),
    }


def order_to_legacy(order: Record) -> Record:
    """Turn a row with a document into an ``Order`` and its ``OrderLine`` rows."""
    document = json.loads(order["document"])
    lines = [
        {
            "OrderId": order["id"],
            "LineNumber": line["n"],
            "Sku": line["sku"],
            "Quantity": line["qty"],
            "UnitPrice": units(line["cents"]),
        }
        for line in sorted(document["lines"], key=lambda line: line["n"])
    ]
    return {
        "OrderId": order["id"],
        "CustomerId": order["customer_id"],
        "PlacedAt": document["placed_at"],
        "Status": document["status"],
        "Total": units(document["total_cents"]),
        "lines": lines,
    }


def cents(money: float | Decimal) -> int:
    """Turn units into the nearest cent, half to even: 19.99 is 1999.

    Raises:
        ArithmeticError: Not a finite amount, or too large to count in cents.
    """
    exact = Decimal(str(money)).scaleb(2)
    return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def units(money_cents: int) -> float:
    """Turn cents into the floating-point number nearest to them: 1999 is 19.99."""
    return money_cents / 100


def canonical_json(value: object) -> str:
    """Write JSON in its one spelling, so that equal documents are equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
