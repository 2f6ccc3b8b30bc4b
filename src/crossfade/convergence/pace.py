"""How many rows a second a worker deals with, over the last seconds; for people."""

from crossfade.seams.clock import Clock

_SMOOTHING_SECONDS = 5.0


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
        now_per_second = self._waiting_rows / seconds
        first = self._rows_per_second == 0.0
        weight = 1.0 if first else min(1.0, seconds / _SMOOTHING_SECONDS)
        self._rows_per_second += weight * (now_per_second - self._rows_per_second)
        self._waiting_rows = 0
        self._last = now

    @property
    def rows_per_second(self) -> float:
        """The pace; 0 where nothing was counted for long."""
        idle = self._clock.monotonic() - self._last
        return self._rows_per_second if idle < 2 * _SMOOTHING_SECONDS else 0.0
