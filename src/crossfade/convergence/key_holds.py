"""Brief holds on hot keys: writers wait a moment so that the key can converge."""

from collections.abc import Iterator
from contextlib import contextmanager

from crossfade.model.key import Key
from crossfade.seams.clock import Clock

HOLD_SECONDS_MAX = 0.05
"""Longest wait of a writer for a hot key (PROTOCOL.md `converge`)."""
POLL_SECONDS = 0.002
"""How often a waiting writer looks whether the key is free."""


class KeyHolds:
    """Which keys this process's writers must leave alone for a moment."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[tuple[str, Key], float] = {}

    @contextmanager
    def hold(self, entity: str, key: Key) -> Iterator[None]:
        """Keep writers away from a key until the block ends, at most `HOLD_SECONDS_MAX`."""
        self._held[entity, key] = self._clock.monotonic() + HOLD_SECONDS_MAX
        try:
            yield
        finally:
            self._held.pop((entity, key), None)

    async def wait(self, entity: str, keys: tuple[Key, ...]) -> None:
        """Wait until none of the keys is held, at most `HOLD_SECONDS_MAX`."""
        if not self._held:
            return
        until = max((self._held.get((entity, key), 0.0) for key in keys), default=0.0)
        while any((entity, key) in self._held for key in keys):
            left = until - self._clock.monotonic()
            if left <= 0:
                return
            await self._clock.sleep(min(left, POLL_SECONDS))
