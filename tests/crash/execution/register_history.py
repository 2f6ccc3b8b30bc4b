"""What callers saw of each key, judged: could one register, changed at once, have answered so?"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from math import inf

from crossfade.model.key import Key


@dataclass(slots=True)
class Write:
    """One attempt to write a value that nobody else writes."""

    value: object
    started: float
    ended: float = inf
    """Stays infinite where the caller was not told: it may take place at any later time."""
    refused: bool = False
    """The caller was told that nothing was written."""


@dataclass(frozen=True, slots=True)
class Read:
    """One answer to a read."""

    value: object
    started: float
    ended: float


@dataclass(frozen=True, slots=True)
class Zone:
    """Between the earliest end and the latest start of all that saw one value.

    The register had the value all the time of a forward zone, and at some time of a backward one.
    """

    value: object
    earliest_end: float
    latest_start: float

    @property
    def forward(self) -> bool:
        """Whether somebody ended before somebody else, who saw the same value, began."""
        return self.earliest_end < self.latest_start

    def excludes(self, other: "Zone") -> bool:
        """Whether both cannot be true of one register (Gibbons and Korach, 1997)."""
        if self.forward and other.forward:
            return (
                self.earliest_end < other.latest_start and other.earliest_end < self.latest_start
            )
        if self.forward:
            return (
                self.earliest_end < other.latest_start and other.earliest_end < self.latest_start
            )
        return other.forward and other.excludes(self)


@dataclass(slots=True)
class KeyHistory:
    """What happened to one key."""

    writes: dict[object, Write] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)

    def problems(self) -> Iterator[str]:
        """Everything that no single register could have answered."""
        for read in self.reads:
            write = self.writes.get(read.value)
            if write is None or write.refused:
                yield f"{read.value!r} was read, and never written"
            elif read.ended < write.started:
                yield f"{read.value!r} was read before it was written"
        zones = list(self._zones())
        for first, second in combinations(zones, 2):
            if first.excludes(second):
                yield f"{first.value!r} and {second.value!r} cannot both have been answered"

    def _zones(self) -> Iterator[Zone]:
        seen: dict[object, list[Write | Read]] = defaultdict(list)
        for read in self.reads:
            seen[read.value].append(read)
        for write in self.writes.values():
            if not write.refused and (write.ended < inf or write.value in seen):
                seen[write.value].append(write)
        for value, events in seen.items():
            ends, starts = [one.ended for one in events], [one.started for one in events]
            yield Zone(value, min(ends), max(starts))


@dataclass(slots=True)
class History:
    """The histories of all keys, on one count of time."""

    _time: int = 0
    _keys: dict[Key, KeyHistory] = field(default_factory=lambda: defaultdict(KeyHistory))

    def now(self) -> int:
        """A time after every other."""
        self._time += 1
        return self._time

    def begin_write(self, key: Key, value: object) -> Write:
        """An attempt begins; set its end once it is acknowledged."""
        write = Write(value, self.now())
        self._keys[key].writes[value] = write
        return write

    def add_write(self, key: Key, write: Write) -> None:
        """An attempt whose key was learned from its answer."""
        self._keys[key].writes[write.value] = write

    def was_there(self, key: Key, value: object) -> None:
        """The value was there before anything began."""
        self._keys[key].writes[value] = Write(value, -2, -1)

    def keys(self) -> list[Key]:
        """The keys of which a write was acknowledged."""
        return sorted(
            key
            for key, one in self._keys.items()
            if any(write.ended < inf for write in one.writes.values())
        )

    def read(self, key: Key, value: object, started: int) -> None:
        """A read has been answered now."""
        self._keys[key].reads.append(Read(value, started, self.now()))

    def problems(self) -> list[str]:
        """Everything that is wrong, by key."""
        found = sorted(self._keys.items())
        return [f"{key}: {problem}" for key, one in found for problem in one.problems()]
