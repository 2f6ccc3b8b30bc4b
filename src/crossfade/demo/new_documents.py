"""The new shop's storage: customers in cents, and each order with its lines as one document."""

import json
import sqlite3
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import msgspec

Document = dict[str, Any]

Number = Annotated[int, msgspec.Meta(ge=1, le=10**15)]
Credit = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]{1,9}\.[0-9]{2}\Z")]
Price = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,6}\.[0-9]{2}\Z")]
Quantity = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
Moment = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")
]


class Status(StrEnum):
    """How far an order is."""

    OPEN = "open"
    PAID = "paid"
    SHIPPED = "shipped"


class CustomerRequest(msgspec.Struct, frozen=True):
    """What a caller sends for a customer."""

    name: str
    email: str
    note: str
    credit: Credit
    city: str | None = None


class LineRequest(msgspec.Struct, frozen=True):
    """What a caller sends for one line of an order."""

    line: Number
    sku: str
    quantity: Quantity
    price: Price


class OrderRequest(msgspec.Struct, frozen=True):
    """What a caller sends for an order; the total is ours to compute."""

    customer: Number
    placed_at: Moment
    status: Status
    lines: Annotated[list[LineRequest], msgspec.Meta(max_length=100)]

    def __post_init__(self) -> None:
        """Refuse two lines of one number."""
        if len({line.line for line in self.lines}) != len(self.lines):
            raise ValueError("a line number occurs twice")


Cents = Callable[[str], int]
"""Turns units as a decimal string into cents; which one is the service's version."""


def cents_truncated(units: str) -> int:
    """The planted bug: ``float("19.99") * 100`` is a hair less than 1999, and so 1998."""
    return int(float(units) * 100)


def cents_exact(units: str) -> int:
    """The repair: ``"19.99"`` is 1999."""
    return int(Decimal(units).scaleb(2))


CENTS: dict[str, Cents] = {"buggy": cents_truncated, "fixed": cents_exact}


class CustomerCollection:
    """Customers by id."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, key: int) -> Document | None:
        """One customer as the API shows it."""
        row = self._connection.execute("SELECT * FROM customers WHERE id = ?", (key,)).fetchone()
        return None if row is None else _present_customer(row)

    def page(self, after: int, limit: int) -> list[Document]:
        """Up to ``limit`` customers with ids above ``after``, lowest id first."""
        rows = self._connection.execute(
            "SELECT * FROM customers WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
        )
        return [_present_customer(row) for row in rows]

    def put(self, key: int | None, request: CustomerRequest, cents: Cents) -> int:
        """Insert or replace; without a key the collection makes one. Returns the key."""
        cursor = self._connection.execute(
            "INSERT OR REPLACE INTO customers (id, display_name, email, city, note, credit_cents)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                key,
                request.name,
                request.email,
                request.city,
                request.note,
                cents(request.credit),
            ),
        )
        return _key_of(cursor)

    def remove(self, key: int) -> bool:
        """Delete; False where there was nothing."""
        return self._connection.execute("DELETE FROM customers WHERE id = ?", (key,)).rowcount > 0


class OrderCollection:
    """Orders by id, each one document."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, key: int) -> Document | None:
        """One order as the API shows it."""
        row = self._connection.execute("SELECT * FROM orders WHERE id = ?", (key,)).fetchone()
        return None if row is None else _present_order(row)

    def put(self, key: int | None, request: OrderRequest, cents: Cents) -> int:
        """Insert or replace the document; without a key the collection makes one."""
        lines = [
            {"n": line.line, "sku": line.sku, "qty": line.quantity, "cents": cents(line.price)}
            for line in sorted(request.lines, key=lambda line: line.line)
        ]
        document = {
            "placed_at": request.placed_at,
            "status": request.status.value,
            "lines": lines,
            "total_cents": sum(line.quantity * cents(line.price) for line in request.lines),
        }
        # One spelling for one content, so that equal orders are equal text.
        text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        cursor = self._connection.execute(
            "INSERT OR REPLACE INTO orders (id, customer_id, document) VALUES (?, ?, ?)",
            (key, request.customer, text),
        )
        return _key_of(cursor)

    def remove(self, key: int) -> bool:
        """Delete; False where there was nothing."""
        return self._connection.execute("DELETE FROM orders WHERE id = ?", (key,)).rowcount > 0


def _key_of(cursor: sqlite3.Cursor) -> int:
    if cursor.lastrowid is None:
        raise sqlite3.OperationalError("the row was not written")
    return cursor.lastrowid


def _present_customer(row: sqlite3.Row) -> Document:
    return {
        "credit": _units(row["credit_cents"]),
        "city": row["city"],
        "email": row["email"],
        "id": row["id"],
        "name": row["display_name"],
        "note": row["note"],
    }


def _present_order(row: sqlite3.Row) -> Document:
    document = json.loads(row["document"])
    return {
        "lines": [
            {
                "price": _units(line["cents"]),
                "quantity": line["qty"],
                "sku": line["sku"],
                "line": line["n"],
            }
            for line in document["lines"]
        ],
        "total": _units(document["total_cents"]),
        "status": document["status"],
        "placed_at": document["placed_at"],
        "customer": row["customer_id"],
        "id": row["id"],
    }


def _units(cents: int) -> str:
    sign = "-" if cents < 0 else ""
    units, rest = divmod(abs(cents), 100)
    return f"{sign}{units}.{rest:02d}"
