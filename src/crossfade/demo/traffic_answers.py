"""What an answer means to the caller who got it."""

import json
from collections.abc import Mapping
from typing import Any

from crossfade.demo.history import Body, Ending, Kind, Outcome, Request, value_of

SUCCESSES: dict[Kind, frozenset[int]] = {
    Kind.READ: frozenset({200, 404}),
    Kind.LIST: frozenset({200}),
    Kind.WRITE: frozenset({200}),
    Kind.CREATE: frozenset({201}),
    Kind.DELETE: frozenset({204, 404}),
}
SERVICE_UNAVAILABLE = 503
GATEWAY_TIMEOUT = 504
NOT_FOUND = 404


def read_answer(
    request: Request, status: int, headers: Mapping[str, str], content: bytes
) -> Ending:
    """Turn a complete answer into an ending; one that cannot be understood has failed."""
    stage = headers.get("X-Crossfade-Stage")
    if status in SUCCESSES[request.kind]:
        return _understand(request, status, content, stage)
    if status == SERVICE_UNAVAILABLE and "Retry-After" in headers:
        return Ending(outcome=Outcome.REFUSED, status=status, stage=stage)
    if status == GATEWAY_TIMEOUT:
        return Ending(outcome=Outcome.UNKNOWN, status=status, stage=stage)
    return Ending(outcome=Outcome.FAILED, status=status, stage=stage)


def _understand(request: Request, status: int, content: bytes, stage: str | None) -> Ending:
    if status == NOT_FOUND or request.kind is Kind.DELETE:
        return Ending(outcome=Outcome.ACKNOWLEDGED, status=status, stage=stage)
    try:
        body = json.loads(content)
        if request.kind is Kind.LIST:
            values = {int(row["id"]): value_of(row) for row in body["customers"]}
            return Ending(outcome=Outcome.ACKNOWLEDGED, status=status, values=values, stage=stage)
        key = int(body["id"])
    except (ValueError, KeyError, TypeError):
        return Ending(outcome=Outcome.FAILED, status=status, stage=stage)
    return Ending(
        outcome=Outcome.ACKNOWLEDGED,
        status=status,
        key=key if request.kind is Kind.CREATE else None,
        value=_value_under(request.key, key, body),
        stage=stage,
    )


def _value_under(asked: int | None, answered: int, body: Body | Any) -> str:  # noqa: ANN401
    """The body's value; of a body about another key, one that nobody ever wrote."""
    return value_of(body) if asked in {None, answered} else f"of key {answered}"
