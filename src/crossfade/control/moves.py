"""Use cases of stage moves, holds and the canary."""

from crossfade.control.documents import Document, document
from crossfade.control.outline import Outline, level_document
from crossfade.control.requests import (
    CanaryAsked,
    FreezeAsked,
    MoveAsked,
    RetireAsked,
)
from crossfade.errors import ConfigurationError, GateError
from crossfade.execution.canary import Canary
from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.moves import Decision, audit
from crossfade.model.stage import Stage, is_forward, moves_from
from crossfade.seams.clock import Clock
from crossfade.stages.stages import MovePlan, MoveReport, MoveRequest, Stages

PERCENT_MAX = 100


class Moves:
    """What an operator decides about the stage."""

    def __init__(
        self, stages: Stages, ledger: Ledger, canary: Canary, outline: Outline, clock: Clock
    ) -> None:
        self._stages = stages
        self._ledger = ledger
        self._canary = canary
        self._outline = outline
        self._clock = clock

    async def plan(self, wanted: str | None = None, waive: tuple[str, ...] = ()) -> Document:
        """What a move needs and would do; without a stage, the next one forward.

        Raises:
            IllegalMoveError: the stages are no neighbours.
            GateError: there is nothing further forward, or a gate to waive does not exist.

        """
        move = Stage(wanted) if wanted else self._next_stage()
        return self._planned(await self._stages.plan(move, waive=tuple(waive)))

    async def promote(self, asked: MoveAsked) -> Document:
        """Move forward, or say what that would do. Raises as `Stages.promote`."""
        stage = Stage(asked.wanted)
        if asked.dry_run:
            return self._planned(
                await self._stages.rehearse(stage, _request(asked), forward=True), asked
            )
        return self._moved(await self._stages.promote(stage, _request(asked)))

    async def rollback(self, asked: MoveAsked) -> Document:
        """Move back, or say what that would do. Raises as `Stages.rollback`."""
        stage = Stage(asked.wanted)
        if asked.dry_run:
            plan = await self._stages.rehearse(
                stage, _request(asked), forward=False, force=asked.force
            )
            return self._planned(plan, asked)
        return self._moved(await self._stages.rollback(stage, _request(asked), force=asked.force))

    def _planned(self, plan: MovePlan, asked: MoveAsked | None = None) -> Document:
        """A plan as a document; `asked` for, it names the same options again."""
        verb = "promote" if is_forward(plan.current, plan.wanted) else "rollback"
        gates = [
            {
                "name": gate.name,
                "passed": gate.passed,
                "reason": gate.reason,
                "todo": gate.todo,
                "waivable": gate.waivable,
                "waived": gate.waived,
            }
            for gate in plan.gates
        ]
        return document(
            "plan",
            migration=self._outline.migration,
            current=str(plan.current),
            wanted=str(plan.wanted),
            decision=self._ledger.migration.decision,
            kind=plan.kind.name.lower(),
            allowed=plan.allowed,
            gates=gates,
            effects=list(plan.effects),
            obstacles=list(plan.obstacles),
            entities=[{"name": one.name, **level_document(one)} for one in self._outline.entities],
            command=f"crossfade stage {verb} {plan.wanted}{_options(asked)}",
        )

    async def freeze(self, asked: FreezeAsked) -> Document:
        """Hold all writes, or let them go on; may be repeated."""
        request = MoveRequest(asked.actor, asked.reason)
        frozen = any(hold.entity is None for hold in self._ledger.migration.holds)
        if asked.dry_run:
            now = "frozen" if frozen else "not frozen"
            will = "let all writes go on" if asked.off else "hold all writes"
            return self._told("freeze", f"Writes are {now}; this would {will}.", dry_run=True)
        if not asked.off:
            await self._stages.freeze(request)
            summary = "All writes are held. `crossfade freeze --off` lets them go on."
            return self._told("freeze", summary, frozen=True)
        was_frozen = await self._stages.unfreeze(request)
        summary = "Writes go on." if was_frozen else "Nothing was frozen."
        return self._told("freeze", summary, frozen=False)

    async def set_canary(self, asked: CanaryAsked) -> Document:
        """Serve a share of an entity's reads from new; survives a restart.

        Raises:
            ConfigurationError: no such entity, or a share that is none.

        """
        names = [one.name for one in self._outline.entities]
        if asked.entity not in names:
            raise ConfigurationError(
                f'there is no entity "{asked.entity}". Entities are: {", ".join(names)}.'
            )
        if not 0 <= asked.percent <= PERCENT_MAX:
            raise ConfigurationError(f"{asked.percent:g} is no share: give 0 to 100 percent.")
        share = f"{asked.percent:g} % of the reads of {asked.entity}"
        if asked.dry_run:
            return self._told("canary", f"This would let new serve {share}.", dry_run=True)
        decision = Decision(asked.actor, asked.reason, self._clock.now().timestamp())

        def transition(rows: Rows) -> None:
            rows.set_document("canary", asked.entity, asked.percent)
            detail: dict[str, object] = {"entity": asked.entity, "percent": asked.percent}
            audit(rows, decision, "canary set", detail)

        await self._ledger.transact(transition)
        # Crash here: the share is kept, and the next node begins with it.
        self._canary.set_share(asked.entity, asked.percent)
        stage = self._ledger.migration.stage
        when = "" if stage is Stage.SHADOW else f" once the stage is shadow (it is {stage})"
        return self._told("canary", f"New serves {share}{when}.", percent=self._canary.shares())

    async def retire(self, asked: RetireAsked) -> Document:
        """End the write-back for good.

        Raises:
            ConfigurationError: the name is not the migration's.
            GateError: the stage is not `completed`, or something is open.

        """
        if asked.name != self._outline.migration:
            raise ConfigurationError(
                f'this is the migration "{self._outline.migration}", not "{asked.name}": '
                "nothing was retired. Look where you are with `crossfade status`."
            )
        if asked.dry_run:
            self._stages.check_retirable()
            stage = self._ledger.migration.stage
            summary = f"The stage is {stage}; this would end the write-back to legacy for good."
            return self._told("retire", summary, dry_run=True)
        await self._stages.retire(MoveRequest(asked.actor, asked.reason))
        summary = (
            f"{asked.name} is retired: new alone answers every declared route. Routes that the "
            "definition does not declare still pass to legacy: see that none is needed before "
            "legacy is switched off."
        )
        return self._told("retire", summary, retired=True)

    def _next_stage(self) -> Stage:
        current = self._ledger.migration.stage
        forward = [one for one in moves_from(current) if is_forward(current, one)]
        if not forward:
            raise GateError(
                f"{current} is the last stage. End the write-back with `crossfade retire`, or "
                "name a stage to go back to."
            )
        return forward[-1]

    def _moved(self, report: MoveReport) -> Document:
        return document(
            "move",
            migration=self._outline.migration,
            current=str(report.current),
            wanted=str(report.wanted),
            decision=report.decision,
            epoch=report.epoch,
            pause_ms=round(report.pause_ms, 3),
            held_keys=report.held_keys,
        )

    def _told(self, name: str, summary: str, **content: object) -> Document:
        return document(name, migration=self._outline.migration, summary=summary, **content)


def _options(asked: MoveAsked | None) -> str:
    if asked is None:
        return ""
    waived = "".join(f" --waive {name}" for name in asked.waive)
    return f"{waived} --force" if asked.force else waived


def _request(asked: MoveAsked) -> MoveRequest:
    return MoveRequest(
        actor=asked.actor,
        reason=asked.reason,
        expected=asked.expected,
        waive=asked.waive,
        pause_seconds_max=asked.budget_seconds,
    )
