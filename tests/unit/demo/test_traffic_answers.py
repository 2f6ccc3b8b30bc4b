"""A caller of the demo understands each answer as it was meant."""

import json

import pytest

from crossfade.demo.history import Ending, Kind, Outcome, Request, value_of
from crossfade.demo.traffic_answers import read_answer

CUSTOMER = {"id": 7, "name": "Ada"}
READ = Request(kind=Kind.READ, entity="customer", key=7, method="GET", path="/customers/7")
LIST = Request(kind=Kind.LIST, entity="customer", method="GET", path="/customers")
WRITE = Request(kind=Kind.WRITE, entity="customer", key=7, method="PUT", path="/customers/7")
CREATE = Request(kind=Kind.CREATE, entity="customer", method="POST", path="/customers")
DELETE = Request(kind=Kind.DELETE, entity="customer", key=7, method="DELETE", path="/customers/7")


@pytest.mark.parametrize(
    ("request_", "status", "headers", "outcome"),
    [
        (READ, 200, {}, Outcome.ACKNOWLEDGED),
        (READ, 404, {}, Outcome.ACKNOWLEDGED),
        (WRITE, 200, {}, Outcome.ACKNOWLEDGED),
        (CREATE, 201, {}, Outcome.ACKNOWLEDGED),
        (DELETE, 204, {}, Outcome.ACKNOWLEDGED),
        (DELETE, 404, {}, Outcome.ACKNOWLEDGED),
        (WRITE, 503, {"Retry-After": "1"}, Outcome.REFUSED),
        (WRITE, 503, {}, Outcome.FAILED),
        (WRITE, 504, {}, Outcome.UNKNOWN),
        (WRITE, 404, {}, Outcome.FAILED),
        (WRITE, 502, {}, Outcome.FAILED),
        (CREATE, 200, {}, Outcome.FAILED),
        (LIST, 404, {}, Outcome.FAILED),
        (READ, 500, {"Retry-After": "1"}, Outcome.FAILED),
    ],
)
def test_a_status_says_how_it_ended(
    request_: Request, status: int, headers: dict[str, str], outcome: Outcome
) -> None:
    """Done, surely not done, perhaps done, or of no use to anybody."""
    assert answer(request_, status, CUSTOMER, headers).outcome is outcome


def test_an_answer_shows_a_value() -> None:
    """Of one key, of none, of a new one, or of several."""
    value = value_of(CUSTOMER)

    assert answer(READ, 200, CUSTOMER).value == value
    assert answer(READ, 404, {"error": "no"}).value is None
    assert answer(CREATE, 201, CUSTOMER).key == 7
    assert answer(LIST, 200, {"customers": [CUSTOMER]}).values == {7: value}


def test_an_answer_about_another_key_is_a_value_that_nobody_wrote() -> None:
    """A mix-up must not pass for a right answer."""
    assert answer(READ, 200, {**CUSTOMER, "id": 8}).value != value_of(CUSTOMER)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"id": "x"}', b'{"customers": 1}'])
@pytest.mark.parametrize("request_", [READ, LIST, CREATE])
def test_an_answer_that_makes_no_sense_has_failed(request_: Request, body: bytes) -> None:
    """It says that all is well, and then nothing useful."""
    status = 201 if request_ is CREATE else 200

    assert read_answer(request_, status, {}, body).outcome is Outcome.FAILED


def answer(
    request: Request, status: int, body: object, headers: dict[str, str] | None = None
) -> Ending:
    """Understand an answer with a JSON body."""
    content = json.dumps(body)
    return read_answer(request, status, headers or {}, content.encode())
