"""The newest failures of a node, kept for whoever asks how it is."""

from collections import deque
from dataclasses import dataclass

from crossfade.observability.events import AlarmRaised, Event, LedgerFailed, WorkerFailed
from crossfade.seams.clock import Clock

KEPT_MAX = 20
"""Failures that are kept; older ones are in the log."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that failed, in one line without values of records."""

    at: float
    """Wall-clock seconds."""
    event: str
    """The event's name."""
    text: str


class RecentFailures:
    """A listener that keeps the newest failures of this process; a restart begins anew."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: deque[Failure] = deque(maxlen=KEPT_MAX)

    def __call__(self, event: Event) -> None:
        """See `Listener`."""
        match event:
            case WorkerFailed(worker, reason):
                text = f"{worker}: {reason}"
            case LedgerFailed(reason):
                text = f"ledger: {reason}"
            case AlarmRaised(entity, count):
                text = f"alarm: {entity} has {count} that differ although known to agree"
            case _:
                return
        self._kept.append(Failure(self._clock.now().timestamp(), type(event).__name__, text))

    def newest(self) -> tuple[Failure, ...]:
        """What is kept, newest first."""
        return tuple(reversed(self._kept))
