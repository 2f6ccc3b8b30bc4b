"""Numbers of the one global sequence, taken in blocks by one writer."""

from crossfade.ledger.postgres_session import PostgresSession

_BLOCK_MIN = 64


class PostgresNumbers:
    """The numbers that this writer has taken and not yet given out.

    Whatever is given out must be higher than everything that was given out before, by whomever:
    tokens of leases and chunks are compared. So a rest is used again only while nobody else has
    taken a number since, and none that is below what a row says. Taken and looked at only inside
    group commits, which come one after the other.
    """

    def __init__(self, session: PostgresSession) -> None:
        self._session = session
        self._next = 1
        self._end = 0
        """The last number of the block; below `_next`: the block is used up."""
        self._first = 1
        """From here to the end every number is this writer's, given out or not."""
        self._block = _BLOCK_MIN

    def begin(self, session: PostgresSession, last: int, wanted: int) -> None:
        """A group commit begins: `last` is the last number that anybody has taken."""
        self._session = session
        self._block = max(_BLOCK_MIN, wanted)
        if last != self._end:
            self.drop()

    def take(self) -> int:
        """The next number."""
        if self._next > self._end:
            self._fill()
        number = self._next
        self._next += 1
        return number

    def past(self, seen: int) -> None:
        """A row holds this number: what is given out from now on is higher."""
        self._next = max(self._next, seen + 1)
        self._first = max(self._first, seen + 1)

    def raise_to(self, least: int) -> None:
        """Make every further number higher than `least`; only while nobody else takes any."""
        if least < self._next:
            return
        if least > self._end:
            last = int(self._session.one("last_number")[0])
            if least > last:
                self._session.run("set_number", least, least)
        self.past(least)

    def mark(self) -> int:
        """Where `back_to` may go back to, if nobody has seen what was given out meanwhile."""
        return self._next

    def back_to(self, mark: int) -> None:
        """What was given out since was seen by nobody."""
        self._next = max(mark, self._first)

    def drop(self) -> None:
        """The rest is given up."""
        self._next, self._end, self._first = 1, 0, 1

    def give_back(self, last: int) -> None:
        """At the end: let the next process go on without a gap; only while nobody takes any."""
        if self._next <= self._end == last:
            free = self._next - 1
            self._session.run("set_number", free, free)
        self.drop()

    def _fill(self) -> None:
        """Take a block; numbers that others took in its midst are below what is used of it."""
        taken = [number for (number,) in self._session.all("take_numbers", self._block)]
        first = len(taken) - 1
        while first > 0 and taken[first - 1] == taken[first] - 1:
            first -= 1
        follows = first == 0 and taken[0] == self._end + 1
        if not follows:
            self._first = max(self._first, taken[first])
        self._next = max(self._next, self._first if not follows else taken[0])
        self._end = taken[-1]
        if self._next > self._end:
            self._fill()
