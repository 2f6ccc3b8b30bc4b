"""What the traffic generator counts while it runs, and prints."""

from dataclasses import dataclass, field
from typing import Any

from crossfade.demo.history import Kind, Outcome

WRITES = frozenset({Kind.WRITE, Kind.CREATE, Kind.DELETE})


@dataclass(slots=True)
class Tally:
    """Counts of attempts by outcome, and how long writers had to wait."""

    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    acknowledged_writes: int = 0
    acknowledged_reads: int = 0
    held_writes: int = 0
    """Writes that were refused at least once before they were acknowledged."""
    longest_write_wait_seconds: float = 0.0
    """From a write's first attempt to its acknowledgement, refusals and waits included."""
    longest_write_gap_seconds: float = 0.0
    """Longest time in which no write at all was acknowledged, though some were wanted."""
    _previous_write: float | None = None

    def ended(self, kind: Kind, outcome: Outcome) -> None:
        """Count one attempt."""
        self.outcomes[outcome] += 1
        if outcome is Outcome.ACKNOWLEDGED:
            is_write = kind in WRITES
            self.acknowledged_writes += is_write
            self.acknowledged_reads += not is_write

    def write_acknowledged(self, waited_seconds: float, now: float, attempts: int) -> None:
        """Measure one write; ``now`` in seconds of the monotonic clock."""
        self.held_writes += attempts > 1
        self.longest_write_wait_seconds = max(self.longest_write_wait_seconds, waited_seconds)
        if self._previous_write is not None:
            gap = now - self._previous_write
            self.longest_write_gap_seconds = max(self.longest_write_gap_seconds, gap)
        self._previous_write = now

    def paused(self) -> None:
        """No write is wanted from now on, so the time until the next one is no gap."""
        self._previous_write = None

    def as_json(self) -> dict[str, Any]:
        """The figures under the names that the demo's summary uses."""
        sent = sum(self.outcomes.values()) - self.outcomes[Outcome.UNSENT]
        return {
            "requests": sent,
            **{outcome.value: self.outcomes[outcome] for outcome in Outcome},
            "acknowledged_reads": self.acknowledged_reads,
            "acknowledged_writes": self.acknowledged_writes,
            "held_writes": self.held_writes,
            "longest_write_wait_ms": round(self.longest_write_wait_seconds * 1000),
            "longest_write_gap_ms": round(self.longest_write_gap_seconds * 1000),
        }
