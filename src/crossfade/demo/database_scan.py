"""Reads both databases of the demo by themselves: what each key holds, in the API's words.

Nothing here knows the mappings that crossfade uses; a mistake in them must not be repeated here.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any

Body = dict[str, Any]
Keyed = tuple[int, Body]
Row = tuple[Any, ...]

LEGACY_CUSTOMERS = """
SELECT CustomerId, FullName, Email, City, Note, Credit FROM Customer ORDER BY CustomerId
"""
LEGACY_ORDERS = """
SELECT o.OrderId, o.CustomerId, o.PlacedAt, o.Status, o.Total,
    l.LineNumber, l.Sku, l.Quantity, l.UnitPrice
FROM "Order" o LEFT JOIN OrderLine l ON l.OrderId = o.OrderId
ORDER BY o.OrderId, l.LineNumber
"""
LEGACY_STRAY_LINES = """
SELECT OrderId, count(*) FROM OrderLine
WHERE OrderId NOT IN (SELECT OrderId FROM "Order") GROUP BY OrderId ORDER BY OrderId
"""
NEW_CUSTOMERS = """
SELECT id, display_name, email, city, note, credit_cents FROM customers ORDER BY id
"""
NEW_ORDERS = "SELECT id, customer_id, document FROM orders ORDER BY id"


def scan_legacy(file: Path, entity: str) -> Iterator[Keyed]:
    """Every key of the entity with its body, lowest key first, as of one moment."""
    return {"customer": _legacy_customers, "order": _legacy_orders}[entity](file)


def scan_new(file: Path, entity: str) -> Iterator[Keyed]:
    """The same for the new shop's database."""
    return {"customer": _new_customers, "order": _new_orders}[entity](file)


def stray_lines(legacy: Path) -> Iterator[tuple[int, int]]:
    """Order ids that have lines but no order, with how many."""
    return ((row[0], row[1]) for row in _rows(legacy, LEGACY_STRAY_LINES))


def _legacy_customers(file: Path) -> Iterator[Keyed]:
    for row in _rows(file, LEGACY_CUSTOMERS):
        yield row[0], _readable(lambda row: _customer(row, _show_units(row[5])), row)


def _new_customers(file: Path) -> Iterator[Keyed]:
    for row in _rows(file, NEW_CUSTOMERS):
        yield row[0], _readable(lambda row: _customer(row, _show_cents(row[5])), row)


def _legacy_orders(file: Path) -> Iterator[Keyed]:
    for key, rows in groupby(_rows(file, LEGACY_ORDERS), key=lambda row: row[0]):
        yield key, _readable(_legacy_order, list(rows))


def _new_orders(file: Path) -> Iterator[Keyed]:
    for row in _rows(file, NEW_ORDERS):
        yield row[0], _readable(_new_order, row)


def _rows(file: Path, query: str) -> Iterator[Row]:
    # One statement reads one moment, whatever is written meanwhile.
    address = f"{file.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as connection:
        yield from connection.execute(query)


def _customer(row: Row, credit: str) -> Body:
    _key, name, email, city, note, _credit = row
    return {"name": name, "email": email, "city": city, "note": note, "credit": credit}


def _legacy_order(rows: list[Row]) -> Body:
    _key, customer, placed_at, status, total = rows[0][:5]
    return {
        "customer": customer,
        "placed_at": placed_at,
        "status": status,
        "total": _show_units(total),
        "lines": [
            {"line": number, "sku": sku, "quantity": quantity, "price": _show_units(price)}
            for number, sku, quantity, price in (row[5:] for row in rows)
            if number is not None
        ],
    }


def _new_order(row: Row) -> Body:
    _key, customer, text = row
    document = json.loads(text)
    lines = sorted(document["lines"], key=lambda line: int(line["n"]))
    return {
        "customer": customer,
        "placed_at": document["placed_at"],
        "status": document["status"],
        "total": _show_cents(document["total_cents"]),
        "lines": [
            {
                "line": line["n"],
                "sku": line["sku"],
                "quantity": line["qty"],
                "price": _show_cents(line["cents"]),
            }
            for line in lines
        ],
    }


def _readable(make: Callable[[Any], Body], stored: Row | list[Row]) -> Body:
    try:
        return make(stored)
    except (ValueError, KeyError, TypeError, ArithmeticError) as error:
        return {"unreadable": f"{type(error).__name__}: {error}", "stored": repr(stored)}


def _show_units(units: float) -> str:
    shown = f"{units:.2f}"
    return "0.00" if shown == "-0.00" else shown


def _show_cents(cents: int) -> str:
    if not isinstance(cents, int):
        raise TypeError(f"{cents!r} is no whole number of cents")
    whole, rest = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}{whole}.{rest:02d}"
