"""Who waits for whom, in memory alone: a key is tried again as soon as its obstacle has moved."""

from collections.abc import Mapping, Sequence

import xxhash

from crossfade.model.key import RecordName
from crossfade.store.base import Record

WAITS_MAX = 100_000
"""Pairs that are remembered; one more is left to the pause of the key that waits."""

Seen = Mapping[RecordName, int]
"""What an obstacle was like when it stood in the way (`fingerprint`)."""


def fingerprint(record: Record | None) -> int:
    """A number that differs where the record differs."""
    return xxhash.xxh3_64_intdigest(repr(record).encode(errors="backslashreplace"))


class WaitingKeys:
    """A crash or the bound forgets, so correctness may not depend on it."""

    def __init__(self, waits_max: int = WAITS_MAX) -> None:
        self._waits_max = waits_max
        self._count = 0
        self._by_obstacle: dict[RecordName, dict[RecordName, int | None]] = {}

    def add(self, waiting: RecordName, obstacles: Sequence[RecordName], seen: Seen) -> None:
        """A key waits for any of these to agree; to be another record, where it was seen."""
        for obstacle in obstacles:
            known = self._by_obstacle.get(obstacle, {})
            if waiting not in known and self._count >= self._waits_max:
                continue
            self._count += waiting not in known
            known[waiting] = seen.get(obstacle)
            self._by_obstacle[obstacle] = known

    def ended(self, obstacle: RecordName, record: Record | None) -> tuple[RecordName, ...]:
        """The keys that waited for one that agrees now, with this record; they are forgotten.

        Whoever saw the same record before waits on: it would find it in its way again.
        """
        known = self._by_obstacle.get(obstacle)
        if known is None:
            return ()
        now = fingerprint(record)
        freed = tuple(name for name, seen in known.items() if seen != now)
        for name in freed:
            del known[name]
        if not known:
            del self._by_obstacle[obstacle]
        self._count -= len(freed)
        return freed
