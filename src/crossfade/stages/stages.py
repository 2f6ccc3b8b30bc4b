"""The use cases of stage moves: plan, promote, roll back, freeze, retire, release."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from crossfade.convergence.sides import Sides
from crossfade.errors import GateError, IllegalMoveError, MoveRefusedError, UnreachableError
from crossfade.ledger.base import Ledger
from crossfade.ledger.transitions.flips import entities_held_whole, lasting_obstacles
from crossfade.ledger.transitions.held import begin_release, commit_release, release_entity
from crossfade.ledger.transitions.moves import (
    FREEZE,
    Decision,
    audit,
    check_retirable,
    checked,
    move_stage,
    remove_hold,
    retire,
    set_hold,
)
from crossfade.model.counted import counted
from crossfade.model.gate import GateResult, evaluate, reasons_against, unknown_waivers
from crossfade.model.key import Key
from crossfade.model.migration_state import Hold, MigrationState
from crossfade.model.stage import MoveKind, Stage, is_forward, move_kind, moves_from
from crossfade.observability.events import StageMoved
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams
from crossfade.stages.effects import effects_of
from crossfade.stages.epochs import Epochs
from crossfade.stages.evidence import EvidenceGatherer
from crossfade.stages.flip import Flipper
from crossfade.stages.options import StageOptions
from crossfade.store.base import Fence


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """Who wants a move, and why."""

    actor: str
    reason: str = ""
    expected: int | None = None
    """Number of the decision that the actor saw; refused when it has changed since."""
    waive: tuple[str, ...] = ()
    """Gates to pass by name; written to the audit with the reason."""
    pause_seconds_max: float | None = None
    """Longest time that writers may wait; None takes the configured one."""


@dataclass(frozen=True, slots=True)
class MovePlan:
    """What a move would need and do; made without changing anything."""

    current: Stage
    wanted: Stage
    kind: MoveKind
    gates: tuple[GateResult, ...]
    effects: tuple[str, ...]
    """What the move does, in plain words."""
    obstacles: tuple[str, ...] = ()
    """What is in the way of a move that has no gates, each with the command that helps."""

    @property
    def allowed(self) -> bool:
        """Whether nothing blocks the move now."""
        return not reasons_against(self.gates) and not self.obstacles


@dataclass(frozen=True, slots=True)
class MoveReport:
    """A move that was made."""

    current: Stage
    wanted: Stage
    decision: int
    epoch: int
    pause_ms: float
    """How long writers waited; 0 where the authority stayed."""
    held_keys: int = 0
    """Keys held by a forced roll-back."""


class Stages:
    """Moves between stages, on evidence, one at a time."""

    def __init__(  # noqa: PLR0913 - wired once, by the assembly
        self,
        *,
        ledger: Ledger,
        sides: Sides,
        flipper: Flipper,
        epochs: Epochs,
        gatherer: EvidenceGatherer,
        hooks: Hooks,
        seams: Seams,
        options: StageOptions,
    ) -> None:
        self._ledger = ledger
        self._sides = sides
        self._flipper = flipper
        self._epochs = epochs
        self._gatherer = gatherer
        self._hooks = hooks
        self._seams = seams
        self._options = options

    async def plan(self, wanted: Stage, *, waive: Sequence[str] = ()) -> MovePlan:
        """What a move needs, why it is not possible yet, and what it would do.

        Raises:
            IllegalMoveError: the stages are no neighbours.
            GateError: a gate named in `waive` does not exist or cannot be waived.

        """
        current = self._ledger.migration.stage
        kind = move_kind(current, wanted)
        if kind is None:
            raise IllegalMoveError(current, wanted, moves_from(current))
        unknown = unknown_waivers(frozenset(waive), current, wanted)
        if unknown:
            raise GateError(
                f"{', '.join(unknown)}: no gate of this move that can be waived. "
                f"Run `crossfade plan {wanted}` for their names."
            )
        gates: tuple[GateResult, ...] = ()
        if is_forward(current, wanted):
            evidence = await self._gatherer.gather(current, wanted, frozenset(waive))
            gates = evaluate(evidence, self._gatherer.options)
        obstacles: tuple[str, ...] = ()
        if kind is MoveKind.FLIP and not is_forward(current, wanted):
            obstacles = await self._obstacles_back()
        return MovePlan(current, wanted, kind, gates, effects_of(current, wanted, kind), obstacles)

    async def rehearse(
        self, wanted: Stage, request: MoveRequest, *, forward: bool, force: bool = False
    ) -> MovePlan:
        """What `promote` or `rollback` would do now; changes nothing.

        Raises what they would raise before they change anything; a red gate is in the plan.
        """
        plan = await self.plan(wanted, waive=request.waive)
        _check_direction(plan, forward=forward)
        decision = self._by(request)
        state = self._ledger.look(partial(checked, wanted=wanted, decision=decision))
        if state.flip is not None and plan.kind is not MoveKind.ENTER_OFF:
            raise GateError("the epoch is changing now. Try again in a moment.")
        if plan.kind is not MoveKind.FLIP or forward:
            return plan
        dead = not await self._epochs.answers(state.authority)
        if not dead and not (force and plan.obstacles):
            return plan
        at_risk = self._keys_at_risk(wanted, force=force)
        if not await self._epochs.answers(state.mirror):
            raise UnreachableError(
                f"neither {state.authority} nor {state.mirror} answers. "
                f"Start {state.mirror}, then roll back to it."
            )
        why = f"{state.authority} does not answer" if dead else "; ".join(plan.obstacles)
        told = f"{why}: {at_risk} would be held"
        return replace(plan, effects=(*plan.effects, told), obstacles=())

    async def promote(self, wanted: Stage, request: MoveRequest) -> MoveReport:
        """Move forward if every gate allows it.

        Raises:
            MoveRefusedError: a gate is red, or the flip was undone; nothing has changed.
            IllegalMoveError: not a step forward of the stage machine.
            ChangedMeanwhileError: somebody else moved since the actor looked.

        """
        current = self._ledger.migration.stage
        plan = await self.plan(wanted, waive=request.waive)
        _check_direction(plan, forward=True)
        reasons = reasons_against(plan.gates)
        if reasons:
            await self._note_refusal(plan, request, reasons)
            raise MoveRefusedError(current, wanted, reasons)
        budget = request.pause_seconds_max or self._options.pause_seconds_max
        return await self._move(plan, request, budget)

    async def rollback(
        self, wanted: Stage, request: MoveRequest, *, force: bool = False
    ) -> MoveReport:
        """Move back; no gate is asked.

        Where the authority is dead, or too slow to settle what is open, only a forced roll-back
        is possible: keys that are known to agree change authority at once, all others are held
        until the side that was left has answered and they converge.

        Raises:
            GateError: the authority does not answer and `force` was not given; says how many
                keys would be held. Nothing has changed.
            MoveRefusedError: the clean flip could not be finished in time; nothing has changed.

        """
        plan = await self.plan(wanted)
        _check_direction(plan, forward=False)
        budget = request.pause_seconds_max or self._options.rollback_pause_seconds_max
        authority = self._ledger.migration.authority
        if plan.kind is MoveKind.FLIP and not await self._epochs.answers(authority):
            return await self._roll_back_dead(plan, request, force=force)
        try:
            return await self._move(plan, request, budget)
        except MoveRefusedError as error:
            if plan.kind is not MoveKind.FLIP:
                raise
            if force:
                return await self._roll_back_dead(plan, request, force=True)
            told = f"with --force {self._at_risk()} would be held, and the rest moves at once"
            reasons = (*error.reasons, told)
            raise MoveRefusedError(plan.current, wanted, reasons, gated=False) from error

    async def freeze(self, request: MoveRequest) -> None:
        """Hold all writes, in any stage, until `unfreeze`; survives a restart."""
        hold = Hold(FREEZE, request.reason or "frozen by an operator")
        await self._ledger.transact(partial(set_hold, hold=hold, decision=self._by(request)))

    async def unfreeze(self, request: MoveRequest) -> bool:
        """Let writers go on; False where nothing was frozen."""
        decision = self._by(request)
        return await self._ledger.transact(partial(remove_hold, name=FREEZE, decision=decision))

    def check_retirable(self) -> None:
        """Refuse what `retire` would refuse; changes nothing. Raises GateError."""
        if not self._ledger.migration.retired:
            self._ledger.look(check_retirable)

    async def retire(self, request: MoveRequest) -> MigrationState:
        """End the write-back for good and take the fence tables out of the databases.

        Crash after the commit: the tables stay; running it again removes them.
        """
        if not self._ledger.migration.retired:
            await self._ledger.transact(partial(retire, decision=self._by(request)))
        # Crash here: retired for good, the two tables are still in the databases.
        await self._seams.failpoint("retire.committed")
        for databases in self._sides.databases.values():
            for database in databases:
                await database.remove()
        return self._ledger.migration

    async def release_held(self, entity: str, key: Key, request: MoveRequest) -> None:
        """Give up what only the dead side has of a key; the other side answers for it again.

        Raises:
            GateError: the key is not held, or the store that answers refused the token.

        """
        token = await self._ledger.transact(partial(begin_release, entity=entity, key=key))
        migration = self._ledger.migration
        store = self._sides.entities[entity].side(migration.authority)
        result = await store.raise_token(key, Fence(token, migration.epoch))
        if result.status.name != "OK":
            raise GateError(f"the store refused: {result.status.value}. Try again.")
        # Crash here: no lease can be taken on the key; releasing it again completes it.
        await self._seams.failpoint("release.fenced")
        decision = self._by(request)
        await self._ledger.transact(
            partial(commit_release, entity=entity, key=key, decision=decision)
        )

    async def release_entity(self, entity: str, request: MoveRequest) -> bool:
        """Let go of an entity held as a whole; False where it is not. It needs a new sweep."""
        decision = self._by(request)
        return await self._ledger.transact(partial(release_entity, name=entity, decision=decision))

    async def _move(
        self, plan: MovePlan, request: MoveRequest, pause_seconds_max: float
    ) -> MoveReport:
        decision = self._by(request)
        pause = 0.0
        if plan.kind is MoveKind.FLIP:
            flipped = await self._flipper.flip(plan.wanted, decision, pause_seconds_max)
            state, pause = flipped.state, flipped.pause_seconds
        else:
            state = await self._ledger.transact(
                partial(move_stage, wanted=plan.wanted, decision=decision)
            )
        return self._report(plan, request, state, pause)

    async def _roll_back_dead(
        self, plan: MovePlan, request: MoveRequest, *, force: bool
    ) -> MoveReport:
        self._keys_at_risk(plan.wanted, force=force)
        reachable = self._ledger.migration.mirror
        flipped = await self._flipper.force(plan.wanted, self._by(request), reachable)
        held = self._ledger.look(lambda rows: rows.counts()).held
        return self._report(plan, request, flipped.state, flipped.pause_seconds, held)

    def _keys_at_risk(self, wanted: Stage, *, force: bool) -> str:
        """What may have its newest value on the dead authority only, in words.

        Raises:
            GateError: nobody said that they may be held.

        """
        at_risk = self._at_risk()
        if not force:
            raise GateError(
                f"{self._ledger.migration.authority} does not answer; "
                f"{at_risk} may have the newest value only there and would be held. "
                f"Run `crossfade stage rollback {wanted} --force` to go on without it."
            )
        return at_risk

    def _at_risk(self) -> str:
        """What a forced roll-back would hold, in words: keys, and entities as a whole."""
        counts, whole = self._ledger.look(lambda rows: (rows.counts(), entities_held_whole(rows)))
        words = counted(counts.dirty + counts.quarantined + counts.waived, "key")
        if counts.unbound_creates:
            words += f" and {counted(counts.unbound_creates, 'create')} without a known id"
        return f"{words} and all of {', '.join(whole)}" if whole else words

    async def _obstacles_back(self) -> tuple[str, ...]:
        """What would end a clean roll-back; a dead authority is left by force."""
        state = self._ledger.migration
        lasting = self._ledger.look(lasting_obstacles)
        obstacles = []
        if not await self._epochs.answers(state.authority):
            obstacles.append(f"no answer from {state.authority} (start it, or give --force)")
        if not await self._epochs.answers(state.mirror):
            obstacles.append(f"no answer from {state.mirror} (run `crossfade doctor`)")
        return (*obstacles, *lasting)

    def _report(
        self,
        plan: MovePlan,
        request: MoveRequest,
        state: MigrationState,
        pause_seconds: float,
        held: int = 0,
    ) -> MoveReport:
        pause_ms = pause_seconds * 1000
        self._hooks.emit(
            StageMoved(
                plan.current, plan.wanted, state.decision, state.epoch, request.actor, pause_ms
            )
        )
        return MoveReport(plan.current, plan.wanted, state.decision, state.epoch, pause_ms, held)

    async def _note_refusal(
        self, plan: MovePlan, request: MoveRequest, reasons: Sequence[str]
    ) -> None:
        """Refused attempts are part of the history too."""
        detail: dict[str, object] = {
            "from": plan.current, "to": plan.wanted, "reasons": list(reasons),
        }  # fmt: skip
        decision = self._by(request)
        await self._ledger.transact(
            partial(audit, decision=decision, action="move refused", detail=detail)
        )

    def _by(self, request: MoveRequest) -> Decision:
        at = self._seams.clock.now().timestamp()
        words = request.reason
        if request.waive:
            words = f"{words} (waived: {', '.join(request.waive)})".strip()
        return Decision(request.actor, words, at, request.expected)


def _check_direction(plan: MovePlan, *, forward: bool) -> None:
    """Forward is no roll-back, and back no promotion. Raises IllegalMoveError."""
    current = plan.current
    if is_forward(current, plan.wanted) is not forward:
        allowed = [one for one in moves_from(current) if is_forward(current, one) is forward]
        raise IllegalMoveError(current, plan.wanted, allowed)
