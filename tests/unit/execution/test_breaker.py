"""A breaker opens after failures in a row, and lets one call through to try."""

import pytest

from crossfade.execution.breaker import Breaker, BreakerPhase

FRESH = Breaker(failures_max=3, open_seconds=10.0)
OPENED = FRESH.failed(0.0).failed(0.0).failed(100.0)


@pytest.mark.parametrize(
    ("breaker", "now", "phase"),
    [
        (FRESH, 0.0, BreakerPhase.CLOSED),
        (FRESH.failed(0.0).failed(0.0), 1e9, BreakerPhase.CLOSED),
        (
            FRESH.failed(0.0).failed(0.0).answered().failed(0.0).failed(0.0),
            0.0,
            BreakerPhase.CLOSED,
        ),
        (OPENED, 100.0, BreakerPhase.OPEN),
        (OPENED, 109.9, BreakerPhase.OPEN),
        (OPENED, 110.0, BreakerPhase.HALF_OPEN),
        (OPENED.began(110.0), 110.0, BreakerPhase.OPEN),
        (OPENED.began(110.0), 119.9, BreakerPhase.OPEN),
        # The call that tries has not ended: another may try.
        (OPENED.began(110.0), 120.0, BreakerPhase.HALF_OPEN),
        (OPENED.began(110.0).failed(112.0), 121.9, BreakerPhase.OPEN),
        (OPENED.began(110.0).failed(112.0), 122.0, BreakerPhase.HALF_OPEN),
        (OPENED.began(110.0).answered(), 110.0, BreakerPhase.CLOSED),
        (OPENED.began(110.0).answered().failed(111.0), 111.0, BreakerPhase.CLOSED),
    ],
)
def test_the_phase_follows_from_what_happened(
    breaker: Breaker, now: float, phase: BreakerPhase
) -> None:
    """All ways through the three phases."""
    assert breaker.phase(now) is phase


def test_calls_through_a_closed_breaker_change_nothing() -> None:
    """The everyday case makes no new value."""
    assert FRESH.began(5.0) is FRESH
    assert FRESH.answered() is FRESH
