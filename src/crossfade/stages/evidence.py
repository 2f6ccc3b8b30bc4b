"""Gather the evidence that the gates of a move look at, from ledger, stores and services."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from crossfade.convergence.converge import Convergence
from crossfade.convergence.sides import Sides
from crossfade.errors import ConfigurationError, StoreError
from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import RowsQueries
from crossfade.ledger.transitions.observations import operation_evidence
from crossfade.ledger.transitions.verdicts import look_verdict
from crossfade.model.coverage import is_complete
from crossfade.model.evidence import (
    EntityEvidence,
    Evidence,
    GateOptions,
    OperationEvidence,
    VerificationEvidence,
)
from crossfade.model.operation import Operation
from crossfade.model.plan import OperationKind
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.seams.bundle import Seams
from crossfade.stages.pace import Pace

ServiceProbe = Callable[[Side], Awaitable[bool]]
"""Whether a side's service accepts connections now."""


@dataclass(frozen=True, slots=True)
class SidesHealth:
    """How both sides are at one moment."""

    unreachable: tuple[str, ...]
    """Services and databases that do not answer, by name."""
    unprepared: tuple[str, ...]
    """Databases without the two tables."""


class EvidenceGatherer:
    """Looks at everything that a gate may ask for."""

    def __init__(  # noqa: PLR0913 - wired once, by the assembly
        self,
        *,
        ledger: Ledger,
        sides: Sides,
        operations: Mapping[str, Operation],
        convergence: Convergence,
        service_answers: ServiceProbe,
        seams: Seams,
        options: GateOptions,
        store_seconds_max: float,
    ) -> None:
        self._ledger = ledger
        self._sides = sides
        self._operations = operations
        self._service_answers = service_answers
        self._seams = seams
        self._store_seconds_max = store_seconds_max
        self.options = options
        self.failed_answers: Callable[[int], int] = lambda _: 0
        """Failures that callers met since a stage decision; set by the assembly."""
        self.serving = True
        """Whether this node carries out requests; one that works for a command is soon gone."""
        self.pace = Pace(seams.clock, lambda: convergence.cleaned)
        self.pace_of_others: Callable[[RowsQueries], float] = lambda _: 0.0
        """Keys a second that other processes of the ledger converge; set by the assembly."""

    async def health(self) -> SidesHealth:
        """Which services and databases do not answer now; never raises for one that is down."""
        return await self._probe()

    async def gather(self, current: Stage, wanted: Stage, waived: frozenset[str]) -> Evidence:
        """Everything at one moment; changes nothing, and never raises for a side that is down."""
        found = await self._probe()
        # Before the snapshot: it asks the ledger itself.
        failed = self.failed_answers(self._ledger.migration.decision)
        return self._ledger.look(
            lambda rows: self._from_rows(
                rows,
                Evidence(
                    current=current,
                    wanted=wanted,
                    waived=waived,
                    node_alive=self.serving,
                    unreachable=found.unreachable,
                    unprepared=found.unprepared,
                    failed_answers=failed,
                    keys_converged_per_second=self.pace.per_second(),
                ),
            )
        )

    def _from_rows(self, rows: RowsQueries, probed: Evidence) -> Evidence:
        """The same evidence with what one snapshot of the ledger says."""
        now = self._seams.clock.now().timestamp()
        counts = rows.counts()
        migration = rows.migration()
        since = counts.oldest_dirty_since
        return Evidence(
            current=probed.current,
            wanted=probed.wanted,
            waived=probed.waived,
            node_alive=probed.node_alive,
            unreachable=probed.unreachable,
            unprepared=probed.unprepared,
            keys_converged_per_second=(
                probed.keys_converged_per_second + self.pace_of_others(rows)
            ),
            entities=tuple(self._entity(rows, name, now) for name in self._sides.entities),
            operations=self._observed(rows),
            barrier_passed=migration.barrier_passed,
            dirty_keys=counts.dirty,
            oldest_dirty_seconds=0.0 if since is None else max(0.0, now - since),
            open_intents=counts.open_intents,
            doubtful_intents=counts.doubtful_intents,
            failed_answers=probed.failed_answers,
            held_keys=counts.held,
            stage_seconds=max(0.0, now - migration.stage_since),
        )

    def _entity(self, rows: RowsQueries, name: str, now: float) -> EntityEvidence:
        state = rows.entity(name)
        verdict = look_verdict(rows, name)
        verification = None
        if verdict is not None and verdict.finished_at is not None:
            verification = VerificationEvidence(
                passed=verdict.passed,
                generation=verdict.generation,
                fraction=verdict.fraction,
                alarms=verdict.different,
                age_seconds=max(0.0, now - verdict.finished_at),
            )
        # A new generation was swept anew: an alarm of an earlier one asks for nothing.
        current = verdict is not None and verdict.generation == state.generation
        return EntityEvidence(
            name=name,
            must_cover=verdict.must_cover if verdict is not None and current else 0.0,
            generation=state.generation,
            covered=is_complete(state.coverage),
            quarantined=rows.counts(name).quarantined,
            verification=verification,
        )

    def _observed(self, rows: RowsQueries) -> tuple[OperationEvidence, ...]:
        """What was found of each operation; a minimum is asked only of keyed GETs.

        Lists are compared where they can be, and HEAD answers have nothing to compare.
        """
        return tuple(
            operation_evidence(
                rows,
                operation.name,
                operation.entity,
                compares=_is_sampled(operation),
            )
            for operation in self._operations.values()
        )

    async def _probe(self) -> SidesHealth:
        """Both sides at once, so that two that hang cost no more than one."""
        found = await asyncio.gather(*(self._probe_side(side) for side in Side))
        return SidesHealth(
            tuple(name for one in found for name in one.unreachable),
            tuple(name for one in found for name in one.unprepared),
        )

    async def _probe_side(self, side: Side) -> SidesHealth:
        unreachable, unprepared = [], []
        if not await self._service_in_time(side):
            unreachable.append(f"the {side} service")
        for database in self._sides.databases[side]:
            try:
                async with asyncio.timeout(self._store_seconds_max):
                    await database.epoch()
            except (StoreError, TimeoutError):
                unreachable.append(database.name)
            except ConfigurationError:
                unprepared.append(database.name)
        return SidesHealth(tuple(unreachable), tuple(unprepared))

    async def _service_in_time(self, side: Side) -> bool:
        try:
            async with asyncio.timeout(self._store_seconds_max):
                return await self._service_answers(side)
        except TimeoutError:
            return False


def _is_sampled(operation: Operation) -> bool:
    asked_again = operation.method == "GET" or not operation.is_route
    keyed = operation.kind is OperationKind.READ and operation.key is not None
    return keyed and asked_again
