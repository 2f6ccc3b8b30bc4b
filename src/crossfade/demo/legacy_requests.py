"""What the legacy shop accepts: every field checked before a row is touched."""

import json
import re
from typing import Any

_MONEY = re.compile(r"-?[0-9]{1,9}\.[0-9]{2}")
_PRICE = re.compile(r"[0-9]{1,6}\.[0-9]{2}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_STATUSES = ("open", "paid", "shipped")
_LINES_MAX = 100
_QUANTITY_MAX = 1_000
_NUMBER_MAX = 10**15


class BadRequestError(Exception):
    """The body is not one that the shop can store; the text names the field."""


def read_customer(content: bytes) -> dict[str, Any]:
    """Parse and check a customer; raises `BadRequestError`."""
    body = _read_object(content)
    _check_text(body, "name")
    _check_text(body, "email")
    _check_text(body, "note")
    if body.get("city") is not None:
        _check_text(body, "city")
    body.setdefault("city", None)
    _check_pattern(body, "credit", _MONEY)
    return body


def read_order(content: bytes) -> dict[str, Any]:
    """Parse and check an order with its lines; raises `BadRequestError`."""
    body = _read_object(content)
    _check_number(body, "customer", _NUMBER_MAX)
    _check_pattern(body, "placed_at", _MOMENT)
    if body.get("status") not in _STATUSES:
        raise BadRequestError(f"status: expected one of {', '.join(_STATUSES)}")
    lines = body.get("lines")
    if not isinstance(lines, list) or len(lines) > _LINES_MAX:
        raise BadRequestError(f"lines: expected a list of at most {_LINES_MAX}")
    for line in lines:
        _check_line(line)
    if len({line["line"] for line in lines}) != len(lines):
        raise BadRequestError("lines: a line number occurs twice")
    return body


def _read_object(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except ValueError as error:
        raise BadRequestError("body: not JSON") from error
    if not isinstance(body, dict):
        raise BadRequestError("body: expected an object")
    return body


def _check_line(line: Any) -> None:  # noqa: ANN401 - whatever JSON held
    if not isinstance(line, dict):
        raise BadRequestError("lines: expected objects")
    _check_number(line, "line", _NUMBER_MAX)
    _check_text(line, "sku")
    _check_number(line, "quantity", _QUANTITY_MAX)
    _check_pattern(line, "price", _PRICE)


def _check_text(body: dict[str, Any], field: str) -> None:
    value = body.get(field)
    if not isinstance(value, str):
        raise BadRequestError(f"{field}: expected text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadRequestError(f"{field}: half a surrogate pair") from error


def _check_number(body: dict[str, Any], field: str, largest: int) -> None:
    value = body.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= largest:
        raise BadRequestError(f"{field}: expected a whole number from 1 to {largest}")


def _check_pattern(body: dict[str, Any], field: str, pattern: re.Pattern[str]) -> None:
    value = body.get(field)
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        raise BadRequestError(f"{field}: expected text like {pattern.pattern}")
