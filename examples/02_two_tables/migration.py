"""The migration: two tables on each side, one of which points to the other."""

from typing import Any

from crossfade import Migration, SqlTable, columns

LEGACY, NEW = "sqlite:///data/legacy.db", "sqlite:///data/new.db"

shop = Migration("two-tables")

renamed = columns({"Id": "id", "FullName": "name"})
"""Customers only get other names; the way back is the same, turned round."""

customers = shop.entity(
    "customer",
    legacy=SqlTable(LEGACY, "Customer", key="Id"),
    new=SqlTable(NEW, "customers", key="id"),
    to_new=renamed,
    to_legacy=renamed.inverse(),
)


def order_to_new(row: dict[str, Any]) -> dict[str, Any]:
    """An order of legacy: the amount was a floating-point number, and becomes whole cents."""
    return {
        "id": row["Id"],
        "placed_by": row["CustomerId"],
        "amount_cents": round(row["Amount"] * 100),
    }


def order_to_legacy(row: dict[str, Any]) -> dict[str, Any]:
    """The way back, so that rolling back loses nothing."""
    return {
        "Id": row["id"],
        "CustomerId": row["placed_by"],
        "Amount": row["amount_cents"] / 100,
    }


orders = shop.entity(
    "order",
    legacy=SqlTable(LEGACY, "Order", key="Id"),
    new=SqlTable(NEW, "orders", key="id"),
    to_new=order_to_new,
    to_legacy=order_to_legacy,
)
