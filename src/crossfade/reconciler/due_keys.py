"""Which dirty keys to converge now: the oldest first, but for those that failed a moment ago."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from crossfade.convergence.converge import ConvergeEnd
from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import RowsQueries
from crossfade.model.key import Key
from crossfade.model.key_state import KeyState
from crossfade.reconciler.options import ReconcilerOptions
from crossfade.seams.bundle import Seams

KeyName = tuple[str, Key]
"""Entity and key."""

NO_ANSWER = (ConvergeEnd.UNREACHABLE, ConvergeEnd.UNKNOWN)
DONE = (ConvergeEnd.CLEAN, ConvergeEnd.NOTHING, ConvergeEnd.QUARANTINED)


@dataclass(frozen=True, slots=True)
class _Wait:
    """Until when a key is left alone, and the lease that this is about (0: any)."""

    until: float
    token: int = 0


@dataclass(slots=True)
class _Trouble:
    """An entity whose stores do not answer."""

    failures: int = 0
    until: float = 0.0


class DueKeys:
    """Picks dirty keys; who must wait is remembered in memory alone, so a crash costs nothing."""

    def __init__(
        self,
        ledger: Ledger,
        entities: Collection[str],
        seams: Seams,
        node: str,
        options: ReconcilerOptions,
    ) -> None:
        self._ledger = ledger
        self._entities = frozenset(entities)
        self._clock = seams.clock
        self._randomness = seams.randomness
        self._node = node
        self.is_elsewhere: Callable[[str], bool] = lambda _: False
        """Whether another process of this name lives; set by the assembly."""
        self._options = options
        self._waits: dict[KeyName, _Wait] = {}
        self._troubles: dict[str, _Trouble] = {}
        self._after = 0
        self._head_at = seams.clock.monotonic()

    def pick(self, count_max: int, busy: Collection[KeyName]) -> list[KeyState]:
        """At most so many keys that may be tried now and are not busy, oldest first."""
        picked: list[KeyState] = []
        now = self._clock.monotonic()
        if now - self._head_at >= self._options.from_head_seconds:
            self._begin_anew(now)
        for page in self._pages():
            for state in page:
                if (state.entity, state.key) not in busy and self._due(state, now):
                    picked.append(state)
                self._after = state.seq
                if len(picked) >= count_max:
                    return picked
        return picked

    def still_ready(self, state: KeyState) -> bool:
        """Whether a key that was picked a moment ago still needs it."""
        current = self._ledger.look(lambda rows: rows.key(state.entity, state.key))
        ready = current.dirty and current.open_intents == 0 and current.quarantine is None
        return ready and self._due(current, self._clock.monotonic())

    def ended(self, state: KeyState, end: ConvergeEnd | None) -> None:
        """An attempt has ended (None: by an error): when may the next one be made?"""
        name = (state.entity, state.key)
        if end in DONE:
            self._waits.pop(name, None)
        else:
            longest = self._options.retry_seconds * 2 ** min(state.tries, 20)
            pause = min(longest, self._options.retry_seconds_max) * self._jitter()
            self._wait(name, _Wait(self._clock.monotonic() + pause))
        if end in NO_ANSWER or end is None:
            trouble = self._troubles.setdefault(state.entity, _Trouble())
            trouble.failures += 1
            pause = self._options.retry_seconds * 2 ** min(trouble.failures - 1, 20)
            pause = min(pause, self._options.entity_pause_seconds_max) * self._jitter()
            trouble.until = self._clock.monotonic() + pause
        elif end is not ConvergeEnd.NOTHING:
            self._troubles.pop(state.entity, None)

    def free(self, name: KeyName) -> None:
        """What the key waited for has moved: its pause is over, and it is looked for anew."""
        if self._waits.pop(name, None) is not None:
            self._after = 0

    def _pages(self) -> Iterator[Sequence[KeyState]]:
        """Pages from where the last round ended, once around at most."""
        begun_at = self._after
        for _ in range(self._options.pages_max):
            page = self._ledger.look(self._next_keys)
            yield page
            if len(page) >= self._options.keys_at_once:
                continue
            # The end of the list: go on at its head, unless this round began there.
            self._begin_anew(self._clock.monotonic())
            if begun_at == 0:
                return
            begun_at = 0

    def _next_keys(self, rows: RowsQueries) -> Sequence[KeyState]:
        count = self._options.keys_at_once
        return rows.dirty_keys(None, count, after=self._after, ready=True)

    def _begin_anew(self, now: float) -> None:
        self._after = 0
        self._head_at = now
        if len(self._waits) > self._options.waiting_keys_max // 2:
            self._waits = {name: wait for name, wait in self._waits.items() if wait.until > now}

    def _due(self, state: KeyState, now: float) -> bool:
        if state.entity not in self._entities or self._waits_for_lost_side(state):
            return False
        trouble = self._troubles.get(state.entity)
        if trouble is not None and now < trouble.until:
            return False
        wait = self._waits.get((state.entity, state.key))
        mine = state.lease is not None and self._works_on(state.lease.owner)
        token = state.lease.token if mine and state.lease is not None else 0
        if mine and (wait is None or wait.token not in (0, token)):
            # A task of a living process may be at it: only a lease that gets old is superseded.
            wait = _Wait(now + self._options.lease_patience_seconds, token)
            self._wait((state.entity, state.key), wait)
        return wait is None or now >= wait.until

    def _works_on(self, owner: str) -> bool:
        return owner == self._node or self.is_elsewhere(owner)

    def _waits_for_lost_side(self, state: KeyState) -> bool:
        lost = self._ledger.migration.lost_side
        if lost is None:
            return False
        if state.held_authority is lost:
            return True
        return self._ledger.look(lambda rows: rows.entity(state.entity)).held_authority is lost

    def _wait(self, name: KeyName, wait: _Wait) -> None:
        if name in self._waits or len(self._waits) < self._options.waiting_keys_max:
            self._waits[name] = wait

    def _jitter(self) -> float:
        return 0.5 + self._randomness.fraction() / 2
