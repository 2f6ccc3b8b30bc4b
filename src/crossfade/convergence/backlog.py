"""Wait while too many keys are dirty, so that workers that find them never outrun convergence."""

from dataclasses import dataclass

from crossfade.ledger.base import Ledger
from crossfade.seams.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogOptions:
    """How many dirty keys a worker may leave to convergence."""

    dirty_keys_max: int = 20_000
    """Dirty keys of an entity above which nobody marks more; bounds the ledger's growth."""
    poll_seconds: float = 0.2
    """How often a waiting worker looks again."""


class Backlog:
    """The dirty keys of all entities, as whoever makes more of them should see them."""

    def __init__(
        self, ledger: Ledger, clock: Clock, options: BacklogOptions | None = None
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._options = options or BacklogOptions()

    def full(self, entity: str) -> str | None:
        """Why no more keys of the entity should become dirty now, or None."""
        dirty = self._ledger.look(lambda rows: rows.counts(entity).dirty)
        if dirty <= self._options.dirty_keys_max:
            return None
        return f"{dirty} dirty keys of {entity} wait for convergence"

    async def room(self, entity: str, seconds_max: float | None = None) -> bool:
        """Wait until there is room; whether there is any.

        Args:
            entity: its name.
            seconds_max: how long to wait. None: for ever, if convergence cannot get on; not for
                whoever keeps something open meanwhile.

        """
        until = None if seconds_max is None else self._clock.monotonic() + seconds_max
        while self.full(entity) is not None:
            if until is not None and self._clock.monotonic() >= until:
                return False
            await self._clock.sleep(self._options.poll_seconds)
        return True
