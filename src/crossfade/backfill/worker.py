"""The backfill's loop: one sweep after the other, in the order in which entities are declared."""

from functools import partial

from crossfade.backfill.chunk_copy import ChunkCopier
from crossfade.backfill.options import BackfillOptions
from crossfade.backfill.progress import SweepProgress, progress_of
from crossfade.backfill.sweep import EntitySweep
from crossfade.convergence.backlog import Backlog
from crossfade.convergence.pace import Pace
from crossfade.convergence.rest import Rest
from crossfade.convergence.sides import Sides
from crossfade.convergence.throttle import Throttle
from crossfade.errors import GateError, StoreError
from crossfade.ledger.base import Ledger
from crossfade.ledger.transitions.sweeps import Sweep, SweepState, look_sweep, renew_sweep
from crossfade.observability.events import WorkerFailed
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams

BARRIER = "writes without intent have not certainly ended"


class BackfillWorker:
    """Copies what the ledger's sweeps ask for; one per node, and one node per sweep."""

    def __init__(
        self,
        ledger: Ledger,
        sides: Sides,
        hooks: Hooks,
        seams: Seams,
        node: str,
        options: BackfillOptions | None = None,
    ) -> None:
        self.options = options or BackfillOptions()
        self._ledger = ledger
        self._hooks = hooks
        self._seams = seams
        self._throttle = Throttle(seams.clock)
        self._backlog = Backlog(ledger, seams.clock)
        self._rest = Rest(seams)
        self._pace = Pace(seams.clock)
        self._waits_for: str | None = None
        self._current: EntitySweep | None = None
        self._failures = 0
        self._sweeps: dict[str, EntitySweep] = {}
        for name, stores in sides.entities.items():
            copier = ChunkCopier(ledger, stores, hooks, seams, self._throttle, node)
            copier.options = self.options
            self._sweeps[name] = EntitySweep(ledger, stores, copier, hooks, seams)

    async def run(self) -> None:
        """Copy until cancelled; a failure is told, and tried again after a pause."""
        try:
            while True:
                await self._rest.rest(await self._round())
        finally:
            for sweep in self._sweeps.values():
                sweep.close()

    async def step(self) -> bool:
        """Copy one chunk; whether there was anything to do.

        Raises:
            StoreError, TimeoutError: a side failed; a chunk may stay open, to be run again.
            LedgerUnavailableError: nothing is known to have changed.

        """
        sweep = await self._wanted()
        if sweep is None:
            return False
        obstacle = self._obstacle(sweep)
        if obstacle is not None:
            self._waits_for = obstacle
            return False
        began = self._seams.clock.monotonic()
        self._throttle.rows_per_second_max = sweep.rows_per_second_max
        try:
            rows = await self._sweeps[sweep.entity].step(sweep)
        except GateError as error:
            self._waits_for = str(error)
            return False
        self._waits_for = None
        self._pace.count(rows or 0)
        self._throttle.worked(rows or 0, self._seams.clock.monotonic() - began)
        return rows is not None

    def wake(self) -> None:
        """Look for work now; somebody has started a sweep."""
        self._rest.wake()

    def progress(self) -> tuple[SweepProgress, ...]:
        """Every sweep that was ever asked for, in the order of their entities."""
        shown = []
        for name in self._sweeps:
            sweep = self._ledger.look(partial(look_sweep, entity=name))
            if sweep is None:
                continue
            mine = self._current is not None and self._current.entity == name
            pace = self._pace.rows_per_second if mine else 0.0
            waits_for = self._waits_for or self._throttle.reason if mine else "earlier entities"
            shown.append(progress_of(sweep, pace, waits_for))
        return tuple(shown)

    async def _round(self) -> float:
        """One step whose failure is told; returns how many seconds to rest."""
        try:
            busy = await self.step()
        except (StoreError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            self._waits_for = f"a side failed: {reason}"
        except Exception as error:  # noqa: BLE001 - told as an event, never the end of the worker
            reason = f"{type(error).__name__}: {error}"
            self._waits_for = reason
        else:
            self._failures = 0
            return self._throttle.due_seconds if busy else self.options.idle_seconds
        self._hooks.emit(WorkerFailed("backfill", reason))
        self._failures += 1
        longest = self.options.retry_seconds * 2.0 ** min(self._failures - 1, 20)
        jitter = 0.5 + self._seams.randomness.fraction() / 2
        return min(longest, self.options.retry_seconds_max) * jitter

    async def _wanted(self) -> Sweep | None:
        """The first sweep that is to run; one whose coverage was voided starts anew.

        One whose dirty keys are too many lets the others go first: they may be children that wait
        for their parents to be copied.
        """
        wanted: Sweep | None = None
        for name in self._sweeps:
            sweep = await self._look(name)
            if sweep is None or sweep.state is not SweepState.RUNNING:
                continue
            if self._backlog.full(name) is None:
                wanted = sweep
                break
            wanted = wanted or sweep
        await self._switch_to(None if wanted is None else self._sweeps[wanted.entity])
        return wanted

    async def _look(self, name: str) -> Sweep | None:
        sweep = self._ledger.look(lambda rows: look_sweep(rows, name))
        generation = self._ledger.look(lambda rows: rows.entity(name).generation)
        if sweep is None or sweep.generation == generation:
            return sweep
        at = self._seams.clock.now().timestamp()
        # What was read ahead belongs to the generation that is over.
        await self._sweeps[name].drop_ahead()
        return await self._ledger.transact(partial(renew_sweep, entity=name, at=at))

    async def _switch_to(self, wanted: EntitySweep | None) -> None:
        """Let go of what was read ahead for a sweep that no longer runs."""
        if self._current is not None and self._current is not wanted:
            await self._current.drop_ahead()
            self._pace = Pace(self._seams.clock)
        self._current = wanted

    def _obstacle(self, sweep: Sweep) -> str | None:
        """Why nothing may be copied now, or None; a chunk that is open already is finished."""
        migration = self._ledger.migration
        if not migration.copies_allowed:
            return f"the stage is {migration.stage}: {BARRIER}"
        if migration.holds_keys:
            return "keys are held since the forced roll-back"
        if self._throttle.due_seconds > self.options.idle_seconds:
            return self._throttle.reason
        return self._backlog.full(sweep.entity)
