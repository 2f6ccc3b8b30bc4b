"""The demo's migration definition: what crossfade needs to know to move the shop.

Your own ``migration.py`` looks the same: two services, the entities that both of them keep, and
the routes that read and write them.
"""

from crossfade import Compare, HttpService, Migration, SqlTable, json
from crossfade.demo.mappings import (
    customer_to_legacy,
    customer_to_new,
    order_to_legacy,
    order_to_new,
)

# The two sides. Callers talk to the gateway, and the gateway to these. Either service gives up on
# a call after three seconds at most, so after five an unanswered call has certainly ended.
shop = Migration(
    "shop",
    legacy=HttpService("${env:DEMO_LEGACY_URL}", answers_within="5s"),
    new=HttpService("${env:DEMO_NEW_URL}", answers_within="5s"),
)

LEGACY_DATABASE = "${env:DEMO_LEGACY_DB}"
NEW_DATABASE = "${env:DEMO_NEW_DB}"

# A customer is one row on each side, under the same id; only names and money differ.
customers = shop.entity(
    "customer",
    legacy=SqlTable(LEGACY_DATABASE, "Customer", key="CustomerId"),
    new=SqlTable(NEW_DATABASE, "customers", key="id"),
    to_new=customer_to_new,
    to_legacy=customer_to_legacy,
    writers="gateway",
)

# An order is a row with its lines on the legacy side, read and written together as one thing, and
# a single document on the new side.
orders = shop.entity(
    "order",
    legacy=SqlTable(
        LEGACY_DATABASE,
        "Order",
        key="OrderId",
        children={
            "lines": SqlTable(
                LEGACY_DATABASE, "OrderLine", parent="OrderId", key=("OrderId", "LineNumber")
            ),
        },
    ),
    new=SqlTable(NEW_DATABASE, "orders", key="id"),
    to_new=order_to_new,
    to_legacy=order_to_legacy,
    writers="gateway",
)

# GET reads, the rest writes. The service makes the id of what is POSTed and says it in its
# answer. `replay=True` runs every PUT and DELETE on the other side too, only to compare what it
# answers: that is how a bug in the new service's own code is found before anybody depends on it.
# The two services word their errors differently, which nobody depends on; amounts may be shown in
# the list of differences, everything else of a customer stays hidden.
shop.resource(
    "/customers",
    "/customers/{id}",
    customers,
    created=json("$.id"),
    replay=True,
    compare=Compare(ignore=["$.error"], show=["$.credit", "$.credit_cents"]),
)
shop.resource(
    "/orders",
    "/orders/{id}",
    orders,
    created=json("$.id"),
    replay=True,
    compare=Compare(
        ignore=["$.error"],
        show=[
            "$.total",
            "$.lines[*].price",
            "$.document.total_cents",
            "$.document.lines[*].cents",
        ],
    ),
)
