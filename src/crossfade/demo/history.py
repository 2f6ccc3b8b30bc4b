"""The demo's history file: what each caller asked, when, and how it ended.

One JSON object a line, only ever appended. A request leaves two lines: an *attempt* before it is
sent, and an *outcome* after; an attempt without outcome may have had any effect.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from typing import Any

Body = dict[str, Any]
Value = str | None
"""What a key holds: a fingerprint of the whole body, or None where there is nothing."""


class Kind(StrEnum):
    """What a request wanted."""

    READ = "read"
    LIST = "list"
    WRITE = "write"
    CREATE = "create"
    DELETE = "delete"


class Outcome(StrEnum):
    """How a request ended, as its caller knows it."""

    ACKNOWLEDGED = "acknowledged"
    """Answered: a write is done, a read has its value."""
    REFUSED = "refused"
    """Held or blocked: 503 with Retry-After, and nothing was done."""
    UNKNOWN = "unknown"
    """504: it may have been done, or be done later."""
    CUT = "cut"
    """The connection ended before the answer: it may have been done, or be done later."""
    FAILED = "failed"
    """Anything else; the caller had no use of it, and it may have been done."""
    UNSENT = "unsent"
    """Nobody listened, so nothing was sent."""


WITHOUT_EFFECT = frozenset({Outcome.REFUSED, Outcome.UNSENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a caller wants; it may take several attempts."""

    kind: Kind
    entity: str
    key: int | None = None
    """None for a list, and for a create until it is answered."""
    method: str
    path: str
    body: Body | None = None
    """What is sent."""
    value: Value = None
    """What the key holds once a write or create is done; None for a delete and for reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How one attempt ended."""

    outcome: Outcome
    status: int | None = None
    key: int | None = None
    """The key that the service made for a create."""
    value: Value = None
    """What a read saw, or what the answer to a write showed."""
    values: dict[int, str] = field(default_factory=dict)
    """What a list saw: value by key."""
    stage: str | None = None
    """The gateway's `X-Crossfade-Stage`, for whoever looks into a finding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One attempt and its ending, joined; times in seconds of CLOCK_MONOTONIC."""

    name: str
    """``FILE:id``, to be found again by a person."""
    client: str
    kind: Kind
    entity: str
    key: int | None
    value: Value
    """What it wrote, or what it read."""
    shown: Value
    """What the answer to a write showed; None where it showed nothing."""
    values: dict[int, str]
    start: float
    end: float
    """Infinity where no end is known."""
    outcome: Outcome
    status: int | None


def value_of(body: Body) -> str:
    """Fingerprint everything that a body says but its id."""
    rest = {name: value for name, value in body.items() if name != "id"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class HistoryWriter:
    """Appends to a history file; each line has left the process when the call returns."""

    def __init__(self, file: Path) -> None:
        self._stream: TextIOWrapper = file.open("a", encoding="utf-8")
        self._next = 0

    def attempt(self, client: str, request: Request, start: float) -> int:
        """Note what is about to be sent; returns the id for `ended`."""
        self._next += 1
        line = {
            "id": self._next,
            "client": client,
            "kind": request.kind,
            "entity": request.entity,
            "key": request.key,
            "value": request.value,
            "start": start,
        }
        if request.body is not None:
            line["body"] = request.body
        self._append(line)
        return self._next

    def ended(self, attempt: int, ending: Ending, end: float) -> None:
        """Note how it ended; not called at all when this process dies first."""
        line: dict[str, Any] = {"id": attempt, "end": end, "outcome": ending.outcome}
        optional = {
            "status": ending.status,
            "key": ending.key,
            "value": ending.value,
            "values": ending.values or None,
            "stage": ending.stage,
        }
        line.update({name: value for name, value in optional.items() if value is not None})
        self._append(line)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _append(self, line: dict[str, Any]) -> None:
        self._stream.write(json.dumps(line, separators=(",", ":")) + "\n")
        self._stream.flush()


def read_history(file: Path) -> list[Operation]:
    """Join attempts and outcomes, in the order of the attempts.

    Raises:
        ValueError: A line other than the last is no JSON object, or ends an unknown attempt.
    """
    attempts: dict[int, dict[str, Any]] = {}
    endings: dict[int, dict[str, Any]] = {}
    for line in _complete_lines(file):
        if "start" in line:
            attempts[line["id"]] = line
        elif line["id"] in attempts:
            endings[line["id"]] = line
        else:
            raise ValueError(f"{file}: outcome of {line['id']}, which was never attempted")
    return [
        _operation(file.name, attempt, endings.get(number, {}))
        for number, attempt in attempts.items()
    ]


def _complete_lines(file: Path) -> Iterator[dict[str, Any]]:
    # A process that was killed may leave half a last line; it is as if it had not been written.
    with file.open(encoding="utf-8") as stream:
        for text in stream:
            if text.endswith("\n"):
                yield json.loads(text)


def _operation(file: str, attempt: dict[str, Any], ending: dict[str, Any]) -> Operation:
    kind = Kind(attempt["kind"])
    is_read = kind in {Kind.READ, Kind.LIST}
    return Operation(
        name=f"{file}:{attempt['id']}",
        client=attempt["client"],
        kind=kind,
        entity=attempt["entity"],
        key=ending.get("key", attempt["key"]),
        value=ending.get("value") if is_read else attempt["value"],
        shown=None if is_read else ending.get("value"),
        values={int(key): value for key, value in ending.get("values", {}).items()},
        start=attempt["start"],
        end=ending.get("end", math.inf),
        outcome=Outcome(ending.get("outcome", Outcome.CUT)),
        status=ending.get("status"),
    )
