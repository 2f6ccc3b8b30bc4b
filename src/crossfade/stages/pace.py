"""How fast keys have converged lately, for the projected drain of a flip."""

from collections import deque
from collections.abc import Callable

from crossfade.seams.clock import Clock

_WINDOW_SECONDS = 30.0
_SAMPLES_MAX = 64


class Pace:
    """Converged keys a second over the last half minute in which keys did converge."""

    def __init__(self, clock: Clock, cleaned: Callable[[], int]) -> None:
        self._clock = clock
        self._cleaned = cleaned
        self._samples: deque[tuple[float, int]] = deque(maxlen=_SAMPLES_MAX)
        self._last = 0.0

    def sample(self) -> None:
        """Note where the count stands; called about once a second."""
        self._samples.append((self._clock.monotonic(), self._cleaned()))

    def per_second(self) -> float:
        """Keys a second; the last pace that was seen while nothing has to converge."""
        self.sample()
        now, cleaned = self._samples[-1]
        while len(self._samples) > 2 and now - self._samples[0][0] > _WINDOW_SECONDS:  # noqa: PLR2004
            self._samples.popleft()
        began, before = self._samples[0]
        if now > began and cleaned > before:
            self._last = (cleaned - before) / (now - began)
        return self._last
