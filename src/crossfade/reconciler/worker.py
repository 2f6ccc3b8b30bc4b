"""The reconciler's loop: settle intents, converge dirty keys, look after stores and ledger."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from crossfade.convergence.converge import ConvergeEnd, Convergence
from crossfade.convergence.rest import Rest
from crossfade.convergence.sides import Sides
from crossfade.errors import StoreError
from crossfade.ledger.base import Ledger
from crossfade.model.key import RecordName
from crossfade.model.key_state import KeyState
from crossfade.observability.events import WorkerFailed
from crossfade.observability.hooks import Hooks
from crossfade.reconciler.due_keys import NO_ANSWER, DueKeys, KeyName
from crossfade.reconciler.options import ReconcilerOptions
from crossfade.reconciler.resolver import Resolver
from crossfade.reconciler.upkeep import Upkeep
from crossfade.seams.bundle import Seams


@dataclass(frozen=True, slots=True)
class ThisProcess:
    """What a reconciler must know of the process that it runs in."""

    node: str
    """Its name in leases and intents."""
    is_alive: Callable[[int], bool]
    """Whether an intent's task runs in this process (`Writer.is_alive`)."""
    options: ReconcilerOptions = field(default_factory=ReconcilerOptions)


class Reconciler:
    """Makes sure that whatever was left open ends; one per node.

    Everything it knows can be found out again, so it may die at any point.
    """

    def __init__(
        self,
        ledger: Ledger,
        sides: Sides,
        convergence: Convergence,
        hooks: Hooks,
        seams: Seams,
        process: ThisProcess,
    ) -> None:
        """Prepare; nothing runs before `run` or `step`.

        Args:
            ledger: the ledger.
            sides: the stores, their databases, and how long each service may take to answer.
            convergence: the one procedure that makes keys clean.
            hooks: who is told.
            seams: clock, randomness, tasks, failpoints.
            process: what it must know of its own process.

        """
        self.options = process.options
        self._ledger = ledger
        self._convergence = convergence
        self._hooks = hooks
        self._seams = seams
        self._rest = Rest(seams)
        self._keys = DueKeys(ledger, sides.entities, seams, process.node, self.options)
        self.resolver = Resolver(ledger, sides, hooks, seams, process.is_alive, self.options)
        self.upkeep = Upkeep(ledger, sides, hooks, seams, self.options)
        convergence.on_freed = self._freed
        self._running: dict[KeyName, asyncio.Task[None]] = {}
        self._aside: dict[str, asyncio.Task[None]] = {}
        """Rounds of the resolver and of upkeep: a store that hangs must not keep up the others."""
        self._picked: list[KeyState] = []
        self._at_once = float(self.options.converges_max)
        self._idle_rounds = 0
        self._resolve_at = seams.clock.monotonic()
        self._upkeep_at = seams.clock.monotonic()
        self._told: dict[str, frozenset[str]] = {}

    async def run(self) -> None:
        """Work until cancelled; a failure is told, and never ends the worker."""
        try:
            while True:
                await self._rest.rest(await self._round())
        finally:
            for task in (*self._running.values(), *self._aside.values()):
                task.cancel()

    async def step(self) -> bool:
        """Look after everything once and try every key that is due now; whether any was.

        Raises:
            LedgerUnavailableError: nothing is known to have changed.

        """
        settled = await self._resolve()
        await self._look_after()
        started = self._start_due()
        while self._running:
            await asyncio.wait(list(self._running.values()))
            started += self._start_due()
        return settled > 0 or started > 0

    def share(self, is_elsewhere: Callable[[str], bool]) -> None:
        """Leave alone what other living processes look after: their intents, their leases."""
        self.resolver.is_elsewhere = self._keys.is_elsewhere = is_elsewhere

    def wake(self) -> None:
        """There is work: look now."""
        self._idle_rounds = 0
        self._rest.wake()

    def _freed(self, name: RecordName) -> None:
        """What a key waited for has moved: it is due now."""
        self._keys.free(name)
        self.wake()

    @property
    def at_once(self) -> int:
        """How many keys may be tried at once now: less while stores do not answer."""
        return max(1, int(self._at_once))

    async def _round(self) -> float:
        """One look at everything that is due; returns how many seconds to rest."""
        now = self._seams.clock.monotonic()
        started = 0
        try:
            if now >= self._resolve_at:
                self._resolve_at = now + self.options.resolve_seconds
                self._spawn_aside("resolver", self._resolve)
            if now >= self._upkeep_at:
                self._upkeep_at = now + self.options.upkeep_seconds
                self._spawn_aside("upkeep", self._look_after)
            started = self._start_due()
            self._tell("loop", [])
        except Exception as error:  # noqa: BLE001 - told as an event, never the end of the worker
            self._tell("loop", [_reason(error)])
        if started or self._running:
            self._idle_rounds = 0
            # Whoever ends wakes this loop; the rest is for keys that become due meanwhile.
            return self.options.idle_seconds_max
        self._idle_rounds = min(self._idle_rounds + 1, 20)
        pause = self.options.idle_seconds * 2.0**self._idle_rounds
        return min(pause, self.options.idle_seconds_max)

    def _spawn_aside(self, part: str, work: Callable[[], Awaitable[object]]) -> None:
        """Begin a round of a part, unless its last one is still under way."""
        last = self._aside.get(part)
        if last is None or last.done():
            self._aside[part] = self._seams.tasks.spawn(self._go_round(part, work), name=part)

    async def _go_round(self, part: str, work: Callable[[], Awaitable[object]]) -> None:
        """A round whose failure is told, and never ends the worker."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - told as an event
            self._tell(part, [_reason(error)])

    async def _resolve(self) -> int:
        try:
            count = await self.resolver.step()
        except (StoreError, TimeoutError) as error:
            self._tell("resolver", [_reason(error)])
            return 0
        self._tell("resolver", [])
        return count

    async def _look_after(self) -> None:
        self._tell("upkeep", await self.upkeep.step())

    def _start_due(self) -> int:
        """Begin to converge as many due keys as may run at once; returns how many."""
        if not self._ledger.migration.copies_allowed:
            return 0
        started = 0
        while len(self._running) < self.at_once:
            state = self._next_key()
            if state is None:
                return started
            name = (state.entity, state.key)
            work = self._converge(state)
            self._running[name] = self._seams.tasks.spawn(work, name="converge")
            started += 1
        return started

    def _next_key(self) -> KeyState | None:
        """A key that is due; looked up again, since it was picked a while ago."""
        if not self._picked:
            wanted = 2 * self.options.converges_max
            self._picked = self._keys.pick(wanted, self._running)[::-1]
        while self._picked:
            state = self._picked.pop()
            if (state.entity, state.key) in self._running:
                continue
            if self._keys.still_ready(state):
                return state
        return None

    async def _converge(self, state: KeyState) -> None:
        """One attempt; what it raises is told, and the key waits for its next turn."""
        end: ConvergeEnd | None = None
        try:
            end = await self._convergence.converge(state.entity, state.key)
        except Exception as error:  # noqa: BLE001 - told as an event, never the end of the worker
            self._hooks.emit(WorkerFailed("reconciler", _reason(error)))
        finally:
            self._running.pop((state.entity, state.key), None)
            self._keys.ended(state, end)
            self._adapt(end)
            self._rest.wake()

    def _adapt(self, end: ConvergeEnd | None) -> None:
        """Fewer at once while stores do not answer; more again, one by one, as they do."""
        if end is None or end in NO_ANSWER:
            self._at_once = max(1.0, self._at_once / 2)
        else:
            gained = self._at_once + 1.0 / self._at_once
            self._at_once = min(float(self.options.converges_max), gained)
        if end is ConvergeEnd.FENCED:
            # The store's epoch may lag behind: see to it before keys wait for long.
            soon = self._seams.clock.monotonic() + self.options.resolve_seconds
            self._upkeep_at = min(self._upkeep_at, soon)

    def _tell(self, part: str, reasons: Iterable[str]) -> None:
        """A failure that lasts is one event, not one each round."""
        before = self._told.get(part, frozenset())
        self._told[part] = frozenset(reasons)
        for reason in sorted(self._told[part] - before):
            self._hooks.emit(WorkerFailed("reconciler", reason))


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
