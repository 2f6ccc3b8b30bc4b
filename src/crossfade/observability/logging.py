"""Events as log lines on stderr: what people must know at once, and on request everything."""

import sys
from dataclasses import fields
from typing import Protocol

import structlog

from crossfade.observability.events import (
    AlarmRaised,
    BarrierPassed,
    Event,
    FlipUndone,
    IntentSettled,
    KeyQuarantined,
    LedgerFailed,
    MismatchFound,
    ReplayRefused,
    SequencesNotMoved,
    SideReturned,
    StageMoved,
    SweepFinished,
    VerificationFinished,
    WorkerFailed,
    WriteUnknown,
)

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

LEVEL_OF: dict[type[Event], str] = {
    AlarmRaised: "error",
    LedgerFailed: "error",
    BarrierPassed: "info",
    IntentSettled: "info",
    SideReturned: "info",
    StageMoved: "info",
    SweepFinished: "info",
    VerificationFinished: "info",
    FlipUndone: "warning",
    SequencesNotMoved: "warning",
    KeyQuarantined: "warning",
    MismatchFound: "warning",
    ReplayRefused: "warning",
    WorkerFailed: "warning",
    WriteUnknown: "warning",
}
"""Events that are not named here come with every request: `debug`."""


class Output(Protocol):
    """Where lines go."""

    def write(self, text: str, /) -> object:
        """Write some text."""

    def flush(self) -> None:
        """Let it be seen."""


class EventLog:
    """A listener that writes one line an event; fields are escaped, so no event makes two."""

    def __init__(self, level: str, output: Output | None = None, *, json: bool = False) -> None:
        """Write events of `level` and above.

        Args:
            level: a name of `LEVELS`.
            output: where lines go; stderr by default.
            json: one JSON object a line instead of `key=value`.

        """
        self._least = LEVELS[level]
        self._output = output or sys.stderr
        self._render = (
            structlog.processors.JSONRenderer()
            if json
            else structlog.processors.LogfmtRenderer(key_order=["at", "level", "event"])
        )
        self._stamp = structlog.processors.TimeStamper(fmt="iso", utc=True, key="at")

    def __call__(self, event: Event) -> None:
        """See `Listener`."""
        level = LEVEL_OF.get(type(event), "debug")
        if LEVELS[level] < self._least:
            return
        line: dict[str, object] = {"event": type(event).__name__, "level": level}
        line |= {field.name: _plain(getattr(event, field.name)) for field in fields(event)}
        self._output.write(self._rendered(level, line) + "\n")
        self._output.flush()

    def _rendered(self, level: str, line: dict[str, object]) -> str:
        rendered = self._render(None, level, self._stamp(None, level, line))
        return rendered if isinstance(rendered, str) else rendered.decode()


def _plain(value: object) -> object:
    """A value on one line; several are joined."""
    if isinstance(value, tuple):
        return ", ".join(str(part) for part in value)
    return value
