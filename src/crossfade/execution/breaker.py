"""A circuit breaker: when a side that does not answer is left alone, as decisions without I/O."""

from dataclasses import dataclass, replace
from enum import Enum


class BreakerPhase(Enum):
    """What a breaker does with the next call."""

    CLOSED = "lets every call through"
    OPEN = "lets no call through"
    HALF_OPEN = "lets one call through to try"


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state of one breaker; times are monotonic seconds, passed in.

    The pause is counted from the last failure or the last try, whichever is later: a try that
    never ends does not keep the breaker open for ever.
    """

    failures_max: int
    """Failures in a row that open it."""
    open_seconds: float
    failures: int = 0
    opened_at: float | None = None

    def phase(self, now: float) -> BreakerPhase:
        """What holds now."""
        if self.opened_at is None:
            return BreakerPhase.CLOSED
        over = now - self.opened_at >= self.open_seconds
        return BreakerPhase.HALF_OPEN if over else BreakerPhase.OPEN

    def began(self, now: float) -> "Breaker":
        """A call was let through; where it is the one that tries, the next waits again."""
        return self if self.opened_at is None else replace(self, opened_at=now)

    def answered(self) -> "Breaker":
        """A call was answered: everything is let through."""
        if self.failures == 0 and self.opened_at is None:
            return self
        return replace(self, failures=0, opened_at=None)

    def failed(self, now: float) -> "Breaker":
        """A call was not answered; too many in a row, or a failed try, open the breaker."""
        failures = self.failures + 1
        opens = self.opened_at is not None or failures >= self.failures_max
        return replace(self, failures=failures, opened_at=now if opens else None)
