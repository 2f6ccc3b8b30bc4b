"""How much the demo moves and how long it stays in each stage: `--fast`, or to be watched."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """One way to play the demo."""

    customers: int
    orders: int
    look_around_seconds: float
    """How long each stage is stayed in at least, so that traffic meets it."""
    canary_seconds: float
    """The same for each share of the canary."""
    soak_seconds: float
    """The gate's threshold for `completed`: how long `live` has to hold."""
    reads_per_second: float = 120.0
    writes_per_second: float = 60.0
    seconds_max: float = 90.0
    """What the whole demo may take on two cores; for people, nothing is cut off."""


FULL = Pace(
    customers=20_000,
    orders=20_000,
    look_around_seconds=4.0,
    canary_seconds=3.0,
    soak_seconds=4.0,
)
FAST = Pace(
    customers=5_000,
    orders=5_000,
    look_around_seconds=1.0,
    canary_seconds=1.0,
    soak_seconds=1.0,
    seconds_max=30.0,
)
