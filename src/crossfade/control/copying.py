"""Use cases of the backfill: ask for entities to be copied, or let that rest."""

from collections.abc import Iterable
from functools import partial

from crossfade.backfill.worker import BackfillWorker
from crossfade.control.documents import Document
from crossfade.control.progress import Progress, of_sweep
from crossfade.control.requests import BackfillAsked, EntitiesAsked
from crossfade.control.telling import Telling
from crossfade.errors import GateError
from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.moves import Decision, audit
from crossfade.ledger.transitions.sweeps import (
    SweepState,
    look_sweep,
    pause_sweep,
    start_sweep,
)
from crossfade.model.stage import Stage
from crossfade.seams.clock import Clock


class Copying:
    """What an operator decides about the backfill; the node's worker does it."""

    def __init__(
        self, ledger: Ledger, worker: BackfillWorker, told: Telling, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._worker = worker
        self._told = told
        self._clock = clock

    async def backfill(self) -> Document:
        """How far each entity is copied, how fast, and what it waits for."""
        told = Progress(self._told).backfill()
        pace = {one.entity: one for one in self._worker.progress()}
        for entity in told["entities"]:
            now = pace.get(entity["name"])
            if now is not None and entity["sweep"] is not None:
                entity["sweep"] |= {
                    "rows_per_second": round(now.rows_per_second, 1),
                    "eta_seconds": now.eta_seconds,
                    "waits_for": now.waits_for,
                }
        return told

    async def start_backfill(self, asked: BackfillAsked) -> Document:
        """Ask for entities to be copied, or go on with paused ones; returns at once.

        Crash later: the node that runs next goes on where this one stopped.

        Raises:
            ConfigurationError: no such entity.
            GateError: the stage is off: nothing would keep up with what is copied.

        """
        names = self._names(asked.entities)
        stage = self._ledger.migration.stage
        if stage is Stage.OFF:
            raise GateError(
                "nothing is copied in stage off: new would not follow later writes. "
                "Run `crossfade stage promote shadow` first."
            )
        if asked.dry_run:
            return self._answer(f"This would copy {', '.join(names)}.", dry_run=True)
        decision = self._decision(asked)

        def transition(rows: Rows) -> None:
            for name in names:
                start_sweep(rows, name, decision.at, asked.rows_per_second_max)
            audit(rows, decision, "backfill started", {"entities": names})

        await self._ledger.transact(transition)
        # Crash here: the sweeps are asked for, and run when a node runs.
        self._worker.wake()
        return self._answer(f"{', '.join(names)}: being copied.")

    async def pause_backfill(self, asked: EntitiesAsked) -> Document:
        """Copy nothing more until it is started again; chunks under way are finished.

        Raises:
            ConfigurationError: no such entity.
            GateError: nothing is being copied.

        """
        names = [
            name for name in self._names(asked.entities) if self._state(name) is SweepState.RUNNING
        ]
        if not names:
            raise GateError(
                "nothing is being copied. Run `crossfade backfill status` to see what was."
            )
        if asked.dry_run:
            return self._answer(f"This would pause {', '.join(names)}.", dry_run=True)
        decision = self._decision(asked)

        def transition(rows: Rows) -> None:
            for name in names:
                pause_sweep(rows, name)
            audit(rows, decision, "backfill paused", {"entities": names})

        await self._ledger.transact(transition)
        return self._answer(f"{', '.join(names)}: paused. Go on with `crossfade backfill start`.")

    def _names(self, entities: Iterable[str]) -> list[str]:
        for name in entities:
            self._told.check_entity(name)
        return list(entities) or [one.name for one in self._told.outline.entities]

    def _state(self, entity: str) -> SweepState | None:
        sweep = self._ledger.look(partial(look_sweep, entity=entity))
        return None if sweep is None else sweep.state

    def _answer(self, summary: str, **content: object) -> Document:
        entities = {
            one.name: self._ledger.look(partial(of_sweep, entity=one.name))
            for one in self._told.outline.entities
        }
        return self._told.document("backfill", summary=summary, sweeps=entities, **content)

    def _decision(self, asked: EntitiesAsked) -> Decision:
        return Decision(asked.actor, asked.reason, self._clock.now().timestamp())
