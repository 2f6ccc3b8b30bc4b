"""A number for each key, in memory alone: how often attempts on it have ended in one way."""

from crossfade.model.key import Key

KEYS_MAX = 10_000
"""Keys that are counted; one more begins all counts anew, which costs a few more attempts."""


class KeyCounter:
    """Counts from zero; a crash or the bound forgets, so correctness may not depend on it."""

    def __init__(self, keys_max: int = KEYS_MAX) -> None:
        self._keys_max = keys_max
        self._counts: dict[tuple[str, Key], int] = {}

    def add(self, entity: str, key: Key) -> int:
        """Count one more; returns the number."""
        if len(self._counts) >= self._keys_max and (entity, key) not in self._counts:
            self._counts.clear()
        self._counts[entity, key] = self.count(entity, key) + 1
        return self._counts[entity, key]

    def count(self, entity: str, key: Key) -> int:
        """The number of one key."""
        return self._counts.get((entity, key), 0)

    def forget(self, entity: str, key: Key) -> None:
        """Begin anew for one key."""
        self._counts.pop((entity, key), None)
