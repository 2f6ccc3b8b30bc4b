"""How far the sweeps have come, how fast they go, and what they wait for; for people."""

from dataclasses import dataclass

from crossfade.ledger.transitions.sweeps import Sweep, SweepState


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
