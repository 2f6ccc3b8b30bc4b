"""Entities whose chunks fail: each is tried again after ever longer pauses, and stops no other."""

from crossfade.backfill.options import BackfillOptions
from crossfade.seams.bundle import Seams


class Setbacks:
    """Failures in a row of each entity, and until when it lets the others go first."""

    def __init__(self, options: BackfillOptions, seams: Seams) -> None:
        self._options = options
        self._seams = seams
        self._current = ""
        self._failures: dict[str, int] = {}
        self._until: dict[str, float] = {}
        self._reasons: dict[str, str] = {}

    def begin(self, entity: str) -> None:
        """The entity has its turn."""
        self._current = entity

    def end(self) -> None:
        """The turn ended well."""
        self._failures.pop(self._current, None)
        self._until.pop(self._current, None)
        self._reasons.pop(self._current, None)
        self._current = ""

    def note(self, reason: str) -> float:
        """The turn failed, or what precedes one; how many seconds to leave it alone."""
        self._reasons[self._current] = reason
        failures = self._failures.get(self._current, 0) + 1
        self._failures[self._current] = failures
        longest = self._options.retry_seconds * 2.0 ** min(failures - 1, 20)
        jitter = 0.5 + self._seams.randomness.fraction() / 2
        pause = min(longest, self._options.retry_seconds_max) * jitter
        self._until[self._current] = self._seams.clock.monotonic() + pause
        return pause

    def reason(self, entity: str) -> str | None:
        """Why the entity's last turn failed, or None."""
        return self._reasons.get(entity)

    def waits(self, entity: str) -> bool:
        """Whether the entity should let others go first."""
        until = self._until.get(entity)
        return until is not None and self._seams.clock.monotonic() < until
