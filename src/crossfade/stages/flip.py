"""The flip: hold, settle, converge, fence, commit; undone wherever it cannot go on (rule 10)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from crossfade.convergence.converge import Convergence
from crossfade.errors import (
    ChangedMeanwhileError,
    CrossfadeError,
    MoveRefusedError,
    StoreError,
    UnreachableError,
)
from crossfade.ledger.base import Ledger
from crossfade.ledger.transitions.flips import (
    begin_flip,
    commit_flip,
    commit_undo,
    drained,
    force,
    undo_flip,
)
from crossfade.ledger.transitions.moves import Decision
from crossfade.model.key_state import KeyState
from crossfade.model.migration_state import Flip, FlipKind, FlipPhase, MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import FlipUndone
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams
from crossfade.stages.epochs import Epochs
from crossfade.stages.options import StageOptions


@dataclass(frozen=True, slots=True)
class Flipped:
    """A finished change of authority."""

    state: MigrationState
    pause_seconds: float
    """How long writers waited."""


class Flipper:
    """Changes the authority, or restores what was."""

    def __init__(
        self, ledger: Ledger, convergence: Convergence, epochs: Epochs, hooks: Hooks,
        seams: Seams, options: StageOptions,
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._convergence = convergence
        self._epochs = epochs
        self._hooks = hooks
        self._seams = seams
        self._options = options

    async def flip(self, wanted: Stage, decision: Decision, pause_seconds_max: float) -> Flipped:
        """Change the authority cleanly, within the pause budget.

        Raises:
            MoveRefusedError: over budget, or a store failed; undone, nothing has changed.
            GateError: the move is not possible now; nothing was begun.

        """
        current = self._ledger.migration.stage
        began = self._seams.clock.monotonic()
        flip = await self._ledger.transact(partial(begin_flip, wanted=wanted, decision=decision))
        # Crash here: writers are held; whoever opens the ledger next undoes the flip.
        await self._seams.failpoint("flip.holding")
        try:
            await self._drain(flip, current, began + pause_seconds_max)
            # Crash here: everything agrees and writers are held; recovery completes the flip.
            await self._seams.failpoint("flip.drained")
            state = await self._fence_and_commit(flip, decision)
        except (CrossfadeError, TimeoutError) as error:
            await self._undo_after(error, flip, decision, began)
            raise _as_refusal(error, current, wanted) from error
        except asyncio.CancelledError:
            await asyncio.shield(self._undo_after(None, flip, decision, began))
            raise
        return Flipped(state, self._seams.clock.monotonic() - began)

    async def force(self, wanted: Stage, decision: Decision, reachable: Side) -> Flipped:
        """Change the authority although it does not answer; keys at risk are held."""
        began = self._seams.clock.monotonic()
        flip = await self._ledger.transact(
            partial(begin_flip, wanted=wanted, decision=decision, forced=True)
        )
        await self._ledger.transact(partial(force, flip=flip))
        flip = _in_phase(flip, FlipPhase.FENCING)
        # Crash here: writers are held; recovery undoes the forced flip, the operator repeats it.
        await self._seams.failpoint("force.fencing")
        try:
            await self._epochs.raise_to(flip.epoch + 1, [reachable])
            await self._seams.failpoint("force.fenced")
            state = await self._ledger.transact(partial(commit_flip, flip=flip, decision=decision))
        except CrossfadeError as error:
            await self._undo_after(error, flip, decision, began)
            raise
        return Flipped(state, self._seams.clock.monotonic() - began)

    async def recover(self, decision: Decision) -> bool:
        """Complete or undo a change of epoch that a dead node left; True when none is left.

        Raises:
            UnreachableError: no store of the authority answers; tried again later.

        """
        flip = self._ledger.migration.flip
        if flip is None:
            return True
        completes = flip.phase is FlipPhase.FENCING and flip.kind is not FlipKind.FORCED
        if completes:
            try:
                await self._fence_and_commit(flip, decision)
            except (UnreachableError, StoreError):
                await self.undo(flip, decision)
            return True
        await self.undo(flip, decision)
        return True

    async def undo(self, flip: Flip, decision: Decision) -> None:
        """Restore what was: epochs past the undone flip first, then the ledger.

        A store that does not answer is left behind: its lower epoch refuses every copy until the
        reconciler raises it to the ledger's.
        """
        undoing = await self._ledger.transact(partial(undo_flip, flip=flip, decision=decision))
        if undoing is None:
            return
        await self._seams.failpoint("undo.begun")
        for side in Side:
            try:
                await self._epochs.raise_to(flip.epoch + 2, [side])
            except (UnreachableError, StoreError):
                continue
        # Crash here: both stores may be ahead of the ledger; recovery undoes once more.
        await self._seams.failpoint("undo.fenced")
        await self._ledger.transact(partial(commit_undo, flip=undoing, decision=decision))

    async def _fence_and_commit(self, flip: Flip, decision: Decision) -> MigrationState:
        """Raise the epochs of both stores, then commit: the only point of no doubt."""
        flip = _in_phase(flip, FlipPhase.FENCING)
        barrier = flip.kind is FlipKind.BARRIER
        for side in [Side.NEW] if barrier else Side:
            await self._epochs.raise_to(flip.epoch + 1, [side])
            # Crash here: one store refuses copies of the old epoch; recovery completes the flip.
            await self._seams.failpoint(f"flip.fenced_{side}")
        return await self._ledger.transact(partial(commit_flip, flip=flip, decision=decision))

    async def _drain(self, flip: Flip, current: Stage, until: float) -> None:
        """Converge until nothing is open; raises when the budget is spent."""
        while True:
            obstacles = await self._ledger.transact(partial(drained, flip=flip))
            if not obstacles:
                return
            if self._seams.clock.monotonic() >= until:
                raise MoveRefusedError(current, flip.wanted, obstacles)
            keys = self._ledger.look(
                lambda rows: rows.dirty_keys(None, self._options.drain_page, ready=True)
            )
            for start in range(0, len(keys), self._options.drain_keys_at_once):
                await self._converge(keys[start : start + self._options.drain_keys_at_once])
                if self._seams.clock.monotonic() >= until:
                    break
            if len(keys) < self._options.drain_page:
                await self._seams.clock.sleep(self._options.drain_poll_seconds)

    async def _converge(self, keys: Sequence[KeyState]) -> None:
        attempts = (self._convergence.converge(one.entity, one.key) for one in keys)
        await asyncio.gather(*attempts)

    async def _undo_after(
        self, error: BaseException | None, flip: Flip, decision: Decision, began: float
    ) -> None:
        if isinstance(error, ChangedMeanwhileError):
            return
        await self.undo(flip, decision)
        pause_ms = (self._seams.clock.monotonic() - began) * 1000
        reasons = (
            error.reasons if isinstance(error, MoveRefusedError) else (str(error or "cancelled"),)
        )
        self._hooks.emit(FlipUndone(flip.wanted, reasons, pause_ms))


def _in_phase(flip: Flip, phase: FlipPhase) -> Flip:
    return Flip(flip.id, flip.kind, phase, flip.wanted, flip.epoch, flip.reason, flip.actor)


def _as_refusal(error: BaseException, current: Stage, wanted: Stage) -> CrossfadeError:
    if isinstance(error, ChangedMeanwhileError | MoveRefusedError):
        return error
    return MoveRefusedError(current, wanted, [f"undone: {error}"])
