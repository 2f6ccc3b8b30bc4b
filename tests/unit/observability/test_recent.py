"""The newest failures are kept, and no more than some."""

from crossfade.observability.events import AlarmRaised, KeyConverged, LedgerFailed, WorkerFailed
from crossfade.observability.recent import KEPT_MAX, RecentFailures
from crossfade.testing.manual_clock import ManualClock


def test_failures_are_kept_newest_first() -> None:
    """What goes well is not kept."""
    recent = RecentFailures(ManualClock())

    recent(WorkerFailed("backfill", "no answer"))
    recent(KeyConverged("customer", 1))
    recent(LedgerFailed("disk full"))
    recent(AlarmRaised("customer", 2))

    assert [one.event for one in recent.newest()] == [
        "AlarmRaised",
        "LedgerFailed",
        "WorkerFailed",
    ]
    assert recent.newest()[-1].text == "backfill: no answer"


def test_older_failures_are_forgotten() -> None:
    """A worker that fails all night fills no memory."""
    recent = RecentFailures(ManualClock())

    for number in range(KEPT_MAX + 5):
        recent(WorkerFailed("backfill", str(number)))

    assert len(recent.newest()) == KEPT_MAX
    assert recent.newest()[0].text == f"backfill: {KEPT_MAX + 4}"
