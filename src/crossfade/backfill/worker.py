"""The backfill's loop: one sweep after the other, parents before the rows that point to them."""

from collections.abc import Sequence
from functools import partial

from crossfade.backfill.chunk_copy import ChunkCopier
from crossfade.backfill.options import BackfillOptions
from crossfade.backfill.processes import BackfillProcesses
from crossfade.backfill.progress import SweepProgress, progress_of
from crossfade.backfill.setbacks import Setbacks
from crossfade.backfill.sweep import EntitySweep
from crossfade.convergence.backlog import Backlog
from crossfade.convergence.brakes import Brakes
from crossfade.convergence.pace import Pace
from crossfade.convergence.rest import Rest
from crossfade.convergence.sides import Sides, graph_of
from crossfade.convergence.throttle import Throttle
from crossfade.errors import GateError, StoreError
from crossfade.ledger.base import Ledger
from crossfade.ledger.transitions.sweeps import Sweep, SweepState, look_sweep, renew_sweep
from crossfade.observability.events import WorkerFailed
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams
from crossfade.store.awaited_store import AwaitedStore
from crossfade.store.sql_database import SqlDatabase
from crossfade.store.sql_store import SqlStore

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
        self._sides = sides
        self._hooks = hooks
        self._seams = seams
        self._throttle = Throttle(seams.clock)
        self._backlog = Backlog(ledger, seams.clock)
        self._rest = Rest(seams)
        self._pace = Pace(seams.clock)
        self._waits_for: str | None = None
        self._current: EntitySweep | None = None
        self._setbacks = Setbacks(self.options, seams)
        self._sweeps: dict[str, EntitySweep] = {}
        self._copiers: dict[str, ChunkCopier] = {}
        self._processes: BackfillProcesses | None = None
        self._brakes: Brakes | None = None
        self._asked: tuple[SqlDatabase, ...] = ()
        for name, stores in sides.entities.items():
            copier = ChunkCopier(ledger, stores, hooks, seams, self._throttle, node)
            copier.options = self.options
            self._copiers[name] = copier
            self._sweeps[name] = EntitySweep(ledger, stores, copier, hooks, seams)

    async def run(self) -> None:
        """Copy until cancelled; a failure is told, and tried again after a pause."""
        try:
            while True:
                await self._rest.rest(await self._round())
        finally:
            for sweep in self._sweeps.values():
                sweep.close()

    def use(self, processes: BackfillProcesses) -> None:
        """Let processes copy the pages of every entity whose stores they can open."""
        self._processes = processes
        for name, stores in self._sides.entities.items():
            both = (stores.legacy, stores.new)
            if all(isinstance(store, SqlStore | AwaitedStore) for store in both):
                self._copiers[name].processes = processes

    def heed(self, brakes: Brakes, databases: Sequence[SqlDatabase]) -> None:
        """Begin no chunk while one of these asks for rest; what is under way is finished.

        `databases`: those that are asked, closed with the worker.
        """
        self._brakes = brakes
        self._asked = tuple(databases)

    async def close(self) -> None:
        """Stop at once, and end the processes; open chunks are run again."""
        for sweep in self._sweeps.values():
            sweep.close()
        if self._processes is not None:
            await self._processes.close()
        for database in self._asked:
            await database.close()

    async def step(self) -> bool:
        """Copy one chunk; whether there was anything to do.

        Raises:
            StoreError, TimeoutError: a side failed; a chunk may stay open, to be run again.
            LedgerUnavailableError: nothing is known to have changed.

        """
        sweep = await self._wanted()
        if sweep is None:
            return False
        obstacle = self._obstacle(sweep) or await self._wish_to_rest()
        if obstacle is not None:
            self._waits_for = obstacle
            return False
        began = self._seams.clock.monotonic()
        self._throttle.rows_per_second_max = sweep.rows_per_second_max
        self._setbacks.begin(sweep.entity)
        try:
            rows = await self._sweeps[sweep.entity].step(sweep)
        except GateError as error:
            self._setbacks.end()
            self._waits_for = str(error)
            return False
        self._setbacks.end()
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
        for name in self._order():
            sweep = self._ledger.look(partial(look_sweep, entity=name))
            if sweep is None:
                continue
            mine = self._current is not None and self._current.entity == name
            pace = self._pace.rows_per_second if mine else 0.0
            if mine:
                waits_for = self._waits_for or self._throttle.reason
            else:
                waits_for = self._setbacks.reason(name) or "earlier entities"
            shown.append(progress_of(sweep, pace, waits_for))
        return tuple(shown)

    async def _round(self) -> float:
        """One step whose failure is told; returns how many seconds to rest."""
        try:
            busy = await self.step()
        except (StoreError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            self._waits_for = shown = f"a side failed: {reason}"
        except Exception as error:  # noqa: BLE001 - told as an event, never the end of the worker
            reason = f"{type(error).__name__}: {error}"
            self._waits_for = shown = reason
        else:
            return self._throttle.due_seconds if busy else self.options.idle_seconds
        self._hooks.emit(WorkerFailed("backfill", reason))
        pause = self._setbacks.note(shown)
        return 0.0 if self._is_another_wanted() else pause

    def _is_another_wanted(self) -> bool:
        """Whether a sweep is to run that has not just failed."""
        for name in self._sweeps:
            sweep = self._ledger.look(partial(look_sweep, entity=name))
            runs = sweep is not None and sweep.state is SweepState.RUNNING
            if runs and not self._setbacks.waits(name):
                return True
        return False

    async def _wanted(self) -> Sweep | None:
        """The first sweep that is to run; one whose coverage was voided starts anew.

        One whose dirty keys are too many lets the others go first: they may be children that wait
        for their parents to be copied. So does one that has just failed: a right that is missing
        on one table stops no other.
        """
        wanted: Sweep | None = None
        for name in self._order():
            sweep = await self._look(name)
            if sweep is None or sweep.state is not SweepState.RUNNING:
                continue
            if self._backlog.full(name) is None and not self._setbacks.waits(name):
                wanted = sweep
                break
            wanted = wanted or sweep
        await self._switch_to(None if wanted is None else self._sweeps[wanted.entity])
        return wanted

    def _order(self) -> tuple[str, ...]:
        """The entities by the foreign keys of the side that is copied into, as far as known."""
        return graph_of(self._sides, self._ledger.migration.authority.other).order

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

    async def _wish_to_rest(self) -> str | None:
        """Why a brake wants no more chunks now, or None."""
        return None if self._brakes is None else await self._brakes.reason()

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
