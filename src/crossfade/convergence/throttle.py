"""How fast a worker may read whole tables: a limit, and less while the authority is slow."""

from dataclasses import dataclass

from crossfade.seams.clock import Clock

_PAGE_ROWS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleOptions:
    """When a sweep or a verification makes room for the callers of the authority."""

    slow_read_seconds: float = 0.1
    """A page of a thousand rows that is read faster than this, or a larger one in proportion, is
    never taken for a sign of load."""
    slow_read_factor: float = 3.0
    """A read this many times as slow per row as the usual one is a sign of load."""
    pace_min: float = 0.05
    """Smallest share of time spent working, so that a sweep always gets on."""
    pace_step: float = 0.05
    """What the share of time gains after each page that was not slow."""
    rest_seconds_max: float = 10.0
    """Longest rest after one page because of its slowness."""


class Throttle:
    """Additive increase, multiplicative decrease of the share of time spent working."""

    def __init__(self, clock: Clock, options: ThrottleOptions | None = None) -> None:
        self._clock = clock
        self._options = options or ThrottleOptions()
        self._usual_row_seconds: float | None = None
        self._pace = 1.0
        self._limit_until = clock.monotonic()
        self._rest_until = clock.monotonic()
        self.rows_per_second_max: float | None = None
        """The limit that the user set; None is none."""

    @property
    def reason(self) -> str | None:
        """Why the worker is not at full speed now, or None."""
        if self._pace < 1.0:
            return f"reads of the authority are slow: {self._pace:.0%} of the time is used"
        if self.rows_per_second_max and self._clock.monotonic() < self._limit_until:
            return f"limited to {self.rows_per_second_max:g} rows per second"
        return None

    def page_read(self, rows: int, seconds: float) -> None:
        """A page of the authority was read; slow ones halve the pace, others raise it a little."""
        per_row = seconds / max(1, rows)
        usual = self._usual_row_seconds
        slow = (
            usual is not None
            and seconds > self._options.slow_read_seconds * max(1.0, rows / _PAGE_ROWS)
            and per_row > usual * self._options.slow_read_factor
        )
        if slow:
            self._pace = max(self._options.pace_min, self._pace / 2)
        else:
            self._pace = min(1.0, self._pace + self._options.pace_step)
        # A slow read moves the usual one hardly at all, else a long overload would become usual.
        weight = 0.01 if slow else 0.2
        self._usual_row_seconds = per_row if usual is None else usual + weight * (per_row - usual)

    def worked(self, rows: int, seconds: float) -> None:
        """Rows were dealt with in so many seconds: limit and pace may ask for a rest now."""
        now = self._clock.monotonic()
        rest = seconds * (1.0 / self._pace - 1.0)
        self._rest_until = now + min(rest, self._options.rest_seconds_max)
        if self.rows_per_second_max:
            begin = max(self._limit_until, now - seconds)
            self._limit_until = begin + rows / self.rows_per_second_max

    @property
    def due_seconds(self) -> float:
        """How long to rest before the next rows; 0 where none is asked for."""
        until = max(self._rest_until, self._limit_until if self.rows_per_second_max else 0.0)
        return max(0.0, until - self._clock.monotonic())

    async def pause(self) -> None:
        """Rest as long as limit and pace ask for."""
        await self._clock.sleep(self.due_seconds)
