"""The demo's definition is one that crossfade accepts, and shows what a definition can say."""

from crossfade.demo.data import DemoData
from crossfade.demo.mappings import customer_to_legacy, customer_to_new
from crossfade.demo.migration import shop


def test_both_entities_and_all_their_routes_are_defined() -> None:
    """Reads, writes, deletes and creates of customers and orders."""
    assert set(shop.entities) == {"customer", "order"}
    assert {name for name in shop.operations if "orders" in name} >= {
        "GET /orders/{id}",
        "PUT /orders/{id}",
        "DELETE /orders/{id}",
        "POST /orders",
    }


def test_only_what_may_be_done_twice_is_replayed() -> None:
    """A create would get another id on the other side."""
    replayed = {name for name, operation in shop.operations.items() if operation.replay}

    assert replayed
    assert all(shop.operations[name].created is None for name in replayed)


def test_the_mappings_take_every_generated_customer() -> None:
    """There and back without a difference."""
    names = ("CustomerId", "FullName", "Email", "City", "Note", "Credit")
    rows = DemoData(customers=200, orders=0).customer_rows()
    customers = [dict(zip(names, row, strict=True)) for row in rows]

    assert [customer_to_legacy(customer_to_new(each)) for each in customers] == customers
