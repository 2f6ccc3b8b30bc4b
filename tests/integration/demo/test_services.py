"""Both demo services answer one API over two data models; one of them loses cents."""

import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from crossfade.demo.mappings import order_to_new
from tests.integration.demo.conftest import RunningService, StartService
from tests.integration.demo.http_calls import call

CUSTOMER = {
    "name": "Zoë Nguyễn 🎉",
    "email": "zoe@example.com",
    "city": None,
    "note": 'says "hi"\n\x00',
    "credit": "8.50",
}
LINES = [
    {"line": 2, "sku": "SKU-β", "quantity": 3, "price": "10.25"},
    {"line": 1, "sku": "SKU-1", "quantity": 1, "price": "0.50"},
]
ORDER = {"customer": 5, "placed_at": "2026-01-02T03:04:05Z", "status": "open", "lines": LINES}


def test_a_customer_lives_from_put_to_delete(shared_service: RunningService) -> None:
    """PUT makes or replaces the whole, GET shows it, DELETE removes it once."""
    url = shared_service.url + "/customers/17"

    assert call("GET", url).status == 404
    assert call("PUT", url, CUSTOMER).json() == {"id": 17, **CUSTOMER}
    assert call("PUT", url, {**CUSTOMER, "city": "Łódź", "credit": "-0.75"}).status == 200
    assert call("GET", url).json() == {"id": 17, **CUSTOMER, "city": "Łódź", "credit": "-0.75"}
    assert call("DELETE", url).status == 204
    assert call("DELETE", url).status == 404
    assert "error" in call("GET", url).json()


def test_an_order_lives_from_put_to_delete(shared_service: RunningService) -> None:
    """All lines are replaced, shown by number, and the total is the service's own sum."""
    url = shared_service.url + "/orders/9"
    in_order = sorted(LINES, key=lambda line: str(line["line"]))

    assert call("PUT", url, ORDER).json() == {
        "id": 9,
        **ORDER,
        "lines": in_order,
        "total": "31.25",
    }
    assert call("PUT", url, {**ORDER, "lines": LINES[:1]}).status == 200
    assert call("GET", url).json() == {"id": 9, **ORDER, "lines": LINES[:1], "total": "30.75"}
    assert call("PUT", url, {**ORDER, "lines": []}).json()["total"] == "0.00"
    assert call("DELETE", url).status == 204
    assert call("GET", url).status == 404


@pytest.mark.parametrize(("path", "body"), [("/customers", CUSTOMER), ("/orders", ORDER)])
def test_the_service_makes_the_id_of_what_is_posted(
    either_service: RunningService, path: str, body: dict[str, Any]
) -> None:
    """Each POST is a new thing under a new id, above those that exist."""
    call("PUT", f"{either_service.url}{path}/41", body)

    answers = [call("POST", either_service.url + path, body) for _ in range(2)]

    assert [answer.status for answer in answers] == [201, 201]
    assert [answer.json()["id"] for answer in answers] == [42, 43]
    assert call("GET", f"{either_service.url}{path}/43").json() == answers[1].json()


def test_customers_are_listed_by_pages(either_service: RunningService) -> None:
    """A read without a key: those after an id, lowest first."""
    for key in (3, 1, 2):
        call("PUT", f"{either_service.url}/customers/{key}", CUSTOMER)

    page = call("GET", f"{either_service.url}/customers?after=1&limit=1")
    rest = call("GET", f"{either_service.url}/customers?after=1")

    assert page.json() == {"customers": [{"id": 2, **CUSTOMER}]}
    assert [customer["id"] for customer in rest.json()["customers"]] == [2, 3]
    assert call("GET", f"{either_service.url}/customers?after=x").status == 400


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/customers/1", b"{"),
        ("/customers/1", b"[]"),
        ("/customers/1", b'{"name": "\xff"}'),
        ("/customers/1", {**CUSTOMER, "name": None}),
        ("/customers/1", {**CUSTOMER, "city": 7}),
        ("/customers/1", {**CUSTOMER, "credit": 8.5}),
        ("/customers/1", {**CUSTOMER, "credit": "8.5"}),
        ("/customers/1", {**CUSTOMER, "credit": "8.50\n"}),
        ("/customers/1", {**CUSTOMER, "credit": "٨.50"}),
        ("/customers/1", {**CUSTOMER, "name": "\ud800"}),
        ("/customers/1", {key: value for key, value in CUSTOMER.items() if key != "note"}),
        ("/orders/1", {**ORDER, "customer": True}),
        ("/orders/1", {**ORDER, "customer": "5"}),
        ("/orders/1", {**ORDER, "status": "lost"}),
        ("/orders/1", {**ORDER, "placed_at": "yesterday"}),
        ("/orders/1", {**ORDER, "lines": None}),
        ("/orders/1", {**ORDER, "lines": [LINES[0], LINES[0]]}),
        ("/orders/1", {**ORDER, "lines": [{**LINES[0], "quantity": 0}]}),
        ("/orders/1", {**ORDER, "lines": [{**LINES[0], "price": "-1.00"}]}),
    ],
)
def test_a_body_that_is_no_record_is_refused(
    shared_service: RunningService, path: str, body: object
) -> None:
    """Both services refuse the same bodies, and write nothing."""
    answer = call("PUT", shared_service.url + path, body)

    assert (answer.status, list(answer.json())) == (400, ["error"])
    assert call("GET", shared_service.url + path).status == 404


def test_what_is_not_there_is_an_error_with_a_reason(shared_service: RunningService) -> None:
    """Unknown paths and methods answer JSON too."""
    assert call("GET", shared_service.url + "/nothing").status == 404
    assert call("GET", shared_service.url + "/customers/abc").status == 404
    assert call("DELETE", shared_service.url + "/customers").status == 405
    assert list(call("GET", shared_service.url + "/nothing").json()) == ["error"]


def test_health_tells_the_side(both_services: tuple[RunningService, RunningService]) -> None:
    """Whoever is asked says who it is."""
    legacy, new = (call("GET", side.url + "/healthz").json() for side in both_services)

    assert legacy == {"ok": True, "service": "legacy"}
    assert new == {"ok": True, "service": "new"}


def test_equal_data_are_equal_json_in_other_bytes(
    both_services: tuple[RunningService, RunningService],
) -> None:
    """Two programs by different people agree in meaning, not in spelling."""
    _fix(both_services[1])
    for path, body in (("/customers/1", CUSTOMER), ("/orders/1", ORDER)):
        for side in both_services:
            call("PUT", side.url + path, body)

        legacy, new = (call("GET", side.url + path) for side in both_services)

        assert legacy.json() == new.json()
        assert legacy.body != new.body


def test_the_fixed_version_counts_as_legacy_does(
    both_services: tuple[RunningService, RunningService],
) -> None:
    """To the cent, in every line, total and credit."""
    _fix(both_services[1])
    for price in ("19.99", "0.29", "4.35", "8.20", "400.57", "999999.99"):
        order, customer = _with_price(price)

        orders = [call("PUT", side.url + "/orders/1", order).json() for side in both_services]
        customers = [
            call("PUT", side.url + "/customers/1", customer).json() for side in both_services
        ]

        assert orders[0] == orders[1]
        assert orders[0]["lines"][0]["price"] == price
        assert customers[0] == customers[1] == {"id": 1, **customer}


def test_the_buggy_version_loses_a_cent_until_it_is_switched(
    both_services: tuple[RunningService, RunningService],
) -> None:
    """The planted bug is there from the start, in what is written, and goes while it runs."""
    new = both_services[1].url
    wrong = {**CUSTOMER, "credit": "19.99"}

    assert call("GET", new + "/admin/version").json() == {"version": "buggy"}
    assert call("PUT", new + "/customers/1", wrong).json()["credit"] == "19.98"
    assert call("POST", new + "/admin/version", {"version": "fixed"}).status == 200
    assert call("GET", new + "/customers/1").json()["credit"] == "19.98"
    assert call("PUT", new + "/customers/1", wrong).json()["credit"] == "19.99"
    assert call("POST", new + "/admin/version", {"version": "perfect"}).status == 400
    assert call("GET", new + "/admin/version").json() == {"version": "fixed"}


def test_the_new_service_spells_a_document_as_the_mapping_does(
    both_services: tuple[RunningService, RunningService],
) -> None:
    """What the new service writes itself and what is copied into it are the same text."""
    legacy, new = both_services
    _fix(new)
    for side in both_services:
        call("PUT", side.url + "/orders/9", ORDER)

    order = dict(_rows(legacy.database, 'SELECT * FROM "Order"')[0])
    lines = [dict(row) for row in _rows(legacy.database, "SELECT * FROM OrderLine")]
    copied = order_to_new({**order, "lines": lines})

    assert copied == dict(_rows(new.database, "SELECT * FROM orders")[0])


def test_writers_at_once_are_all_kept(either_service: RunningService) -> None:
    """Parallel callers wait for each other, none is refused, none is lost."""
    with ThreadPoolExecutor(8) as callers:
        answers = list(
            callers.map(
                lambda _number: call("POST", either_service.url + "/orders", ORDER), range(80)
            )
        )

    assert {answer.status for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 80


def test_an_acknowledged_write_survives_a_kill(
    start_service: StartService, either_service: RunningService
) -> None:
    """What was answered is in the file, whatever happens to the process."""
    call("PUT", either_service.url + "/customers/5", CUSTOMER)
    side = call("GET", either_service.url + "/healthz").json()["service"]

    either_service.process.kill()
    either_service.process.wait(10)
    again = start_service(side, either_service.database)

    assert call("GET", again.url + "/customers/5").json()["name"] == CUSTOMER["name"]


def test_terminating_ends_the_process_cleanly(either_service: RunningService) -> None:
    """SIGTERM is answered by an exit without complaint."""
    either_service.process.send_signal(signal.SIGTERM)

    assert either_service.process.wait(10) == 0


def _with_price(price: str) -> tuple[dict[str, Any], dict[str, Any]]:
    line = {"line": 1, "sku": "A", "quantity": 7, "price": price}
    return {**ORDER, "lines": [line]}, {**CUSTOMER, "credit": price}


def _fix(new: RunningService) -> None:
    assert call("POST", new.url + "/admin/version", {"version": "fixed"}).status == 200


def _rows(file: Path, query: str) -> list[sqlite3.Row]:
    connection = sqlite3.connect(file)
    connection.row_factory = sqlite3.Row
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()
