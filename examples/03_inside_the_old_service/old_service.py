"""The old service: it computes what a passenger gets when a flight is late. Its code is sync."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass

import remote
from migration import area, changes

from crossfade import Compare

LEGACY = "data/legacy.db"
LATE_MINUTES = 180


@dataclass(frozen=True)
class Outcome:
    """What My Area shows a passenger."""

    flight: str
    compensation_cents: int
    rebooked: bool
    message: str


class UnknownFlightError(Exception):
    """Nobody has told us of this flight."""


@area.operation(
    reads=changes,
    key="flight",
    new=remote.outcome,
    compare=Compare(ignore=["$.message"], show=["$.compensation_cents"]),
)
def outcome(flight: str) -> Outcome:
    """What a passenger gets; the body is the old logic, and its result is what is returned."""
    with closing(sqlite3.connect(LEGACY)) as database:
        row = database.execute(
            "SELECT DelayMinutes, Fare FROM FlightChange WHERE Flight = ?", (flight,)
        ).fetchone()
    if row is None:
        raise UnknownFlightError(flight)
    delay, fare = row
    late = delay is None or delay >= LATE_MINUTES
    return Outcome(
        flight=flight,
        compensation_cents=round(fare * 100) if late else 0,
        rebooked=delay is None,
        message=f"Flight {flight}: {'cancelled' if delay is None else f'{delay} min late'}",
    )
