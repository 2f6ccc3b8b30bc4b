"""The legacy shop's SQL: customers, orders and order lines in three plain tables."""

import sqlite3
from typing import Any

Body = dict[str, Any]
"""A customer or an order as the API shows it: money as a decimal string of two places."""

_SAVE_CUSTOMER = """
INSERT INTO Customer (CustomerId, FullName, Email, City, Note, Credit)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (CustomerId) DO UPDATE SET FullName = excluded.FullName, Email = excluded.Email,
    City = excluded.City, Note = excluded.Note, Credit = excluded.Credit
RETURNING CustomerId
"""

_SAVE_ORDER = """
INSERT INTO "Order" (OrderId, CustomerId, PlacedAt, Status, Total)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (OrderId) DO UPDATE SET CustomerId = excluded.CustomerId,
    PlacedAt = excluded.PlacedAt, Status = excluded.Status, Total = excluded.Total
RETURNING OrderId
"""

_SAVE_LINE = """
INSERT INTO OrderLine (OrderId, LineNumber, Sku, Quantity, UnitPrice) VALUES (?, ?, ?, ?, ?)
"""

_FIND_LINES = """
SELECT LineNumber, Sku, Quantity, UnitPrice FROM OrderLine WHERE OrderId = ? ORDER BY LineNumber
"""


def money(units: float) -> str:
    """Show a price: ``31.900000000000002`` is ``"31.90"``."""
    return f"{round(units, 2) + 0.0:.2f}"


def find_customer(connection: sqlite3.Connection, customer_id: int) -> Body | None:
    """Read one customer; None where there is none."""
    row = connection.execute(
        "SELECT * FROM Customer WHERE CustomerId = ?", (customer_id,)
    ).fetchone()
    return None if row is None else _show_customer(row)


def list_customers(connection: sqlite3.Connection, after: int, limit: int) -> list[Body]:
    """Read up to ``limit`` customers with ids above ``after``, lowest id first."""
    rows = connection.execute(
        "SELECT * FROM Customer WHERE CustomerId > ? ORDER BY CustomerId LIMIT ?", (after, limit)
    )
    return [_show_customer(row) for row in rows]


def save_customer(connection: sqlite3.Connection, customer_id: int | None, body: Body) -> int:
    """Write the whole customer; without an id the table makes one. Returns the id."""
    row = connection.execute(
        _SAVE_CUSTOMER,
        (
            customer_id,
            body["name"],
            body["email"],
            body["city"],
            body["note"],
            float(body["credit"]),
        ),
    ).fetchone()
    return int(row["CustomerId"])


def delete_customer(connection: sqlite3.Connection, customer_id: int) -> bool:
    """Remove the customer, not the orders; False where there was none."""
    cursor = connection.execute("DELETE FROM Customer WHERE CustomerId = ?", (customer_id,))
    return cursor.rowcount > 0


def find_order(connection: sqlite3.Connection, order_id: int) -> Body | None:
    """Read one order with its lines; call it inside a transaction to see them at one moment."""
    order = connection.execute('SELECT * FROM "Order" WHERE OrderId = ?', (order_id,)).fetchone()
    if order is None:
        return None
    lines = connection.execute(_FIND_LINES, (order_id,))
    return {
        "id": order["OrderId"],
        "customer": order["CustomerId"],
        "placed_at": order["PlacedAt"],
        "status": order["Status"],
        "total": money(order["Total"]),
        "lines": [_show_line(line) for line in lines],
    }


def save_order(connection: sqlite3.Connection, order_id: int | None, body: Body) -> int:
    """Write the order, replace all its lines and add up its total. Returns the id."""
    lines = body["lines"]
    total = sum(line["quantity"] * float(line["price"]) for line in lines)
    row = connection.execute(
        _SAVE_ORDER,
        (order_id, body["customer"], body["placed_at"], body["status"], round(float(total), 2)),
    ).fetchone()
    saved_id = int(row["OrderId"])
    connection.execute("DELETE FROM OrderLine WHERE OrderId = ?", (saved_id,))
    connection.executemany(
        _SAVE_LINE,
        [
            (saved_id, line["line"], line["sku"], line["quantity"], float(line["price"]))
            for line in lines
        ],
    )
    return saved_id


def delete_order(connection: sqlite3.Connection, order_id: int) -> bool:
    """Remove the order and its lines; False where there was none."""
    connection.execute("DELETE FROM OrderLine WHERE OrderId = ?", (order_id,))
    cursor = connection.execute('DELETE FROM "Order" WHERE OrderId = ?', (order_id,))
    return cursor.rowcount > 0


def _show_customer(row: sqlite3.Row) -> Body:
    return {
        "id": row["CustomerId"],
        "name": row["FullName"],
        "email": row["Email"],
        "city": row["City"],
        "note": row["Note"],
        "credit": money(row["Credit"]),
    }


def _show_line(row: sqlite3.Row) -> Body:
    return {
        "line": row["LineNumber"],
        "sku": row["Sku"],
        "quantity": row["Quantity"],
        "price": money(row["UnitPrice"]),
    }
