"""Writes without intent (stage `off`): the barrier must know when they have certainly ended."""

from collections.abc import Iterator
from contextlib import contextmanager

from crossfade.execution.calls import CallFailedError
from crossfade.seams.clock import Clock


class UntrackedWrites:
    """Counts the writes of this process that carry no intent, and remembers the doubtful ones."""

    def __init__(self, clock: Clock, answers_within_seconds: float, *, dead_nodes: bool) -> None:
        """Begin to count.

        Args:
            clock: where monotonic time comes from.
            answers_within_seconds: after that an unanswered call of legacy has certainly ended.
            dead_nodes: whether earlier nodes may have left writes in flight; they are waited for
                from now on, on this process's own clock (rule 13).

        """
        self._clock = clock
        self._answers_within = answers_within_seconds
        self._under_way = 0
        self._doubtful_until = clock.monotonic() + answers_within_seconds if dead_nodes else 0.0

    @contextmanager
    def write(self) -> Iterator[None]:
        """Count one write while it is under way; unanswered, it stays doubtful for a while."""
        self._under_way += 1
        try:
            yield
        except CallFailedError as error:
            if error.sent:
                self.doubt()
            raise
        except BaseException:
            self.doubt()
            raise
        finally:
            self._under_way -= 1

    def doubt(self) -> None:
        """A write may still be applied: wait for it, counted from now."""
        self._doubtful_until = self._clock.monotonic() + self._answers_within

    def under_way(self) -> bool:
        """Whether a write without intent may still be under way; told to other processes."""
        return not self.ended()

    def ended(self) -> bool:
        """Whether every write without intent has certainly ended."""
        return self._under_way == 0 and self.seconds_left() <= 0

    def seconds_left(self) -> float:
        """How long the last doubtful write may still be applied."""
        return max(0.0, self._doubtful_until - self._clock.monotonic())
