"""How far the sweeps have come, how fast they go, and what they wait for; for people."""

from dataclasses import dataclass

from crossfade.ledger.transitions.sweeps import Sweep, SweepState
from crossfade.seams.clock import Clock

_SMOOTHING_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class SweepProgress:
    """One entity's sweep at one moment."""

    entity: str
    state: SweepState
    rows: int
    rows_estimate: int
    quarantined: int
    extra: int
    rows_per_second: float
    """Of this process, over the last seconds; 0 while it does not copy this entity."""
    eta_seconds: float | None
    """None where no pace is known."""
    waits_for: str | None
    """Why it does not run, or not at full speed; None where it does."""
    started_at: float
    finished_at: float | None


class Pace:
    """Rows per second over the last seconds, on the process's own clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = clock.monotonic()
        self._rows_per_second = 0.0
        self._waiting_rows = 0

    def count(self, rows: int) -> None:
        """So many rows were dealt with since the last call."""
        now = self._clock.monotonic()
        seconds = now - self._last
        self._waiting_rows += rows
        if seconds <= 0:
            return
        weight = min(1.0, seconds / _SMOOTHING_SECONDS)
        self._rows_per_second += weight * (self._waiting_rows / seconds - self._rows_per_second)
        self._waiting_rows = 0
        self._last = now

    @property
    def rows_per_second(self) -> float:
        """The pace; sinks to 0 where nothing is counted for long."""
        idle = self._clock.monotonic() - self._last
        return self._rows_per_second if idle < 2 * _SMOOTHING_SECONDS else 0.0


def progress_of(sweep: Sweep, rows_per_second: float, waits_for: str | None) -> SweepProgress:
    """The sweep as it is shown."""
    left = max(0, sweep.rows_estimate - sweep.rows)
    running = sweep.state is SweepState.RUNNING
    eta = left / rows_per_second if running and rows_per_second > 0 else None
    return SweepProgress(
        entity=sweep.entity,
        state=sweep.state,
        rows=sweep.rows,
        rows_estimate=sweep.rows_estimate,
        quarantined=sweep.quarantined,
        extra=sweep.extra,
        rows_per_second=rows_per_second if running else 0.0,
        eta_seconds=eta,
        waits_for=waits_for if running else None,
        started_at=sweep.started_at,
        finished_at=sweep.finished_at,
    )
