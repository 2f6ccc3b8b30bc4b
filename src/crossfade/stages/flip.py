"""The flip: hold, settle, converge, fence, commit; undone wherever it cannot go on (rule 10)."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from crossfade.convergence.converge import Convergence
from crossfade.errors import (
    ChangedMeanwhileError,
    ConfigurationError,
    CrossfadeError,
    ForeignLedgerError,
    MoveRefusedError,
    StoreError,
    UnreachableError,
)
from crossfade.ledger.base import Ledger
from crossfade.ledger.nodes import SINGLE, Nodes
from crossfade.ledger.rows import Rows, RowsQueries
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
from crossfade.model.stage import STAGE_RULES, Stage, is_forward
from crossfade.observability.events import FlipUndone, SequencesNotMoved
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams
from crossfade.stages.deadline import deadline
from crossfade.stages.epochs import Epochs
from crossfade.stages.options import StageOptions

_LEASE_MARGIN, _LEASE_MARGIN_SECONDS = 1.1, 0.05
"""Another process's clock may run slower than ours."""

_STORE_TROUBLE = (UnreachableError, StoreError, ForeignLedgerError, ConfigurationError)
"""What a store may do when its epoch is raised: it cannot be fenced, and refuses copies."""


@dataclass(frozen=True, slots=True)
class Flipped:
    """A finished change of authority."""

    state: MigrationState
    pause_seconds: float
    """How long writers waited."""


@dataclass(slots=True)
class _Change:
    """One change of authority under way, also while nobody knows whether it has begun."""

    decision: Decision
    began: float
    """Monotonic seconds."""
    flip: Flip | None = None
    """The flip row, from when the transaction that makes it was run."""

    def begin(self, rows: Rows, transition: Callable[[Rows], Flip]) -> Flip:
        """Run the transaction that makes the row; whoever asked may be gone when it is run.

        A ledger may run it again, and that run may be refused: what the first made is no row.
        """
        self.flip = None
        self.flip = transition(rows)
        return self.flip


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
        self.is_alive: Callable[[int], bool] = _never
        """Whether an intent's task runs in this process; set by the assembly."""
        self.nodes: Nodes = SINGLE
        """The other processes; set by the assembly."""
        self.left_behind: int | None = None
        """The flip row that could not be undone here, since the ledger failed; to be recovered."""

    async def flip(self, wanted: Stage, decision: Decision, pause_seconds_max: float) -> Flipped:
        """Change the authority cleanly, within the pause budget.

        A caller that is cancelled leaves it finished or undone, never under way.

        Raises:
            MoveRefusedError: over budget, or a store failed; undone, nothing has changed.
            GateError: the move is not possible now; nothing was begun.
            LedgerUnavailableError: nothing was begun, or what was could not be undone; then
                writers wait until `recover` has mended it.

        """
        current = self._ledger.migration.stage
        decision = replace(decision, node=self.nodes.name or "")
        await self._drain_unheld()
        change = _Change(decision, self._seams.clock.monotonic())
        begin = partial(begin_flip, wanted=wanted, decision=decision)
        try:
            flip = await self._ledger.transact(partial(change.begin, transition=begin))
            held = self._seams.clock.monotonic()
            # Crash here: writers are held; whoever opens the ledger next undoes the flip.
            await self._seams.failpoint("flip.holding")
            await self._drain(flip, current, change.began + pause_seconds_max)
            # Crash here: everything agrees and writers are held; recovery completes the flip.
            await self._seams.failpoint("flip.drained")
            state = await self._fence_and_commit(flip, decision, held)
        except CrossfadeError as error:
            if change.flip is None:
                raise
            await self._give_up(change, error)
            raise _as_refusal(error, current, wanted) from error
        except BaseException:
            # Cancelled, or a mistake of ours: writers must not be held for ever either way.
            await self._give_up_cancelled(change)
            raise
        return Flipped(state, self._seams.clock.monotonic() - change.began)

    async def force(self, wanted: Stage, decision: Decision, reachable: Side) -> Flipped:
        """Change the authority although it does not answer; keys at risk are held.

        Raises:
            GateError: the move is not possible now; nothing was begun.
            StoreError: the side that should answer does not take the epoch; nothing has changed.
            UnreachableError: likewise.
            LedgerUnavailableError: as for `flip`.

        """
        decision = replace(decision, node=self.nodes.name or "")
        change = _Change(decision, self._seams.clock.monotonic())
        begin = partial(_begin_forced, wanted=wanted, decision=decision)
        try:
            flip = await self._ledger.transact(partial(change.begin, transition=begin))
            held = self._seams.clock.monotonic()
            # Crash here: writers are held; recovery undoes it, the operator repeats it.
            await self._seams.failpoint("force.fencing")
            await self._move_sequences(wanted)
            await self._epochs.raise_to(flip.epoch + 1, [reachable])
            # Crash here: one store refuses copies of the old epoch; recovery undoes it, too.
            await self._seams.failpoint("force.fenced")
            await self._others_know(held)
            commit = partial(commit_flip, flip=flip, decision=decision, raised=(reachable,))
            state = await self._ledger.transact(commit)
        except CrossfadeError as error:
            if change.flip is not None:
                await self._give_up(change, error)
            raise
        except BaseException:
            await self._give_up_cancelled(change)
            raise
        return Flipped(state, self._seams.clock.monotonic() - change.began)

    async def recover(self, decision: Decision) -> bool:
        """Complete or undo a change of epoch that was cut off; True when none is left.

        Only a flip whose keys were all drained is completed. A barrier is undone, and passed
        anew by whoever knows that writes without intent have ended.

        Raises:
            LedgerUnavailableError: tried again later; writers wait until then.

        """
        flip = self._ledger.migration.flip
        if flip is not None:
            await self._mend(flip, decision)
        self.left_behind = None
        return True

    async def _mend(self, flip: Flip, decision: Decision) -> None:
        if flip.phase is FlipPhase.FENCING and flip.kind is FlipKind.FLIP:
            try:
                await self._fence_and_commit(flip, decision, self._seams.clock.monotonic())
            except (MoveRefusedError, *_STORE_TROUBLE):
                # A store does not answer, or what was drained no longer is: a new mapping, say.
                await self.undo(flip, decision)
        else:
            await self.undo(flip, decision)

    async def undo(self, flip: Flip, decision: Decision) -> None:
        """Restore what was: epochs past the undone flip first, then the ledger.

        A store that does not answer is left behind: its lower epoch refuses every copy until the
        reconciler raises it to the ledger's.

        Raises:
            ChangedMeanwhileError: somebody else has ended it.

        """
        undoing = await self._ledger.transact(partial(undo_flip, flip=flip, decision=decision))
        if undoing is None:
            return
        await self._seams.failpoint("undo.begun")
        raised = []
        for side in Side:
            with suppress(*_STORE_TROUBLE):
                await self._epochs.raise_to(flip.epoch + 2, [side])
                raised.append(side)
        # Crash here: both stores may be ahead of the ledger; recovery undoes once more.
        await self._seams.failpoint("undo.fenced")
        commit = partial(commit_undo, flip=undoing, decision=decision, raised=tuple(raised))
        await self._ledger.transact(commit)

    async def _fence_and_commit(
        self, flip: Flip, decision: Decision, held: float
    ) -> MigrationState:
        """Raise the epochs of both stores, then commit: the only point of no doubt.

        `held`: monotonic seconds since which this process knows that the flip row is durable.
        """
        flip = _in_phase(flip, FlipPhase.FENCING)
        await self._move_sequences(flip.wanted)
        for side in Side:
            await self._epochs.raise_to(flip.epoch + 1, [side])
            # Crash here: one store refuses copies of the old epoch; recovery completes the flip.
            await self._seams.failpoint(f"flip.fenced_{side}")
        await self._others_know(held)
        return await self._ledger.transact(partial(commit_flip, flip=flip, decision=decision))

    async def _others_know(self, held: float) -> None:
        """Wait until no other process routes by what it knew before the flip (rule 11).

        A process that has seen the flip row asks the ledger for every request. One that does not
        say so may be cut off: what it knew may not be used for longer than its route lease.
        """
        while True:
            behind = [one for one in self.nodes.others() if one.behind]
            longest = max((one.route_seconds for one in behind), default=0.0)
            expired = held + longest * _LEASE_MARGIN + _LEASE_MARGIN_SECONDS
            if not behind or self._seams.clock.monotonic() >= expired:
                return
            await self._seams.clock.sleep(self._options.drain_poll_seconds)

    async def _move_sequences(self, wanted: Stage) -> None:
        """Before the side makes ids by itself; a way back is not blocked by a missing right."""
        side = STAGE_RULES[wanted].authority
        try:
            await self._epochs.move_sequences(side)
        except _STORE_TROUBLE as error:
            if is_forward(self._ledger.migration.stage, wanted):
                raise
            self._hooks.emit(SequencesNotMoved(side, str(error)))

    async def _drain_unheld(self) -> None:
        """Bring down what is open before any writer has to wait for it; bounded, never raises.

        Intents that a dead node left are settled only after `answers_within`: a flip that began
        before would hold writers all that time.
        """
        until = self._seams.clock.monotonic() + self._options.prepare_seconds_max
        while self._seams.clock.monotonic() < until:
            orphans, dirty = self._ledger.look(self._backlog)
            if not orphans and dirty <= self._options.drain_keys_at_once:
                return
            if dirty > self._options.drain_keys_at_once:
                await self._converge_page(until)
            await self._seams.clock.sleep(self._options.drain_poll_seconds)

    def _backlog(self, rows: RowsQueries) -> tuple[int, int]:
        """Intents whose task runs nowhere, and dirty keys."""
        intents = rows.intents(self._options.drain_page)
        orphans = sum(
            not self.is_alive(intent.id) and not self.nodes.is_elsewhere(intent.node)
            for intent in intents
        )
        return orphans, rows.counts().dirty

    async def _drain(self, flip: Flip, current: Stage, until: float) -> None:
        """Converge until nothing is open; raises when the budget is spent."""
        while True:
            obstacles = await self._ledger.transact(partial(drained, flip=flip))
            if not obstacles:
                return
            left = until - self._seams.clock.monotonic()
            if left <= 0:
                raise _refused(current, flip.wanted, obstacles)
            try:
                # An attempt that is cut off is like one that crashed: its lease is taken over.
                async with deadline(self._seams, left):
                    await self._converge_page(until)
            except TimeoutError as error:
                raise _refused(current, flip.wanted, obstacles) from error

    async def _converge_page(self, until: float) -> None:
        keys = self._ledger.look(
            lambda rows: rows.dirty_keys(None, self._options.drain_page, ready=True)
        )
        for start in range(0, len(keys), self._options.drain_keys_at_once):
            await self._converge(keys[start : start + self._options.drain_keys_at_once])
            if self._seams.clock.monotonic() >= until:
                return
        if len(keys) < self._options.drain_page:
            await self._seams.clock.sleep(self._options.drain_poll_seconds)

    async def _converge(self, keys: Sequence[KeyState]) -> None:
        attempts = (self._convergence.converge(one.entity, one.key) for one in keys)
        await asyncio.gather(*attempts)

    async def _give_up_cancelled(self, change: _Change) -> None:
        """Undo in a task of its own: a caller that is cancelled once more does not stop it."""
        undo = self._seams.tasks.spawn(self._undo_cancelled(change), name="undo of a flip")
        await asyncio.shield(undo)

    async def _undo_cancelled(self, change: _Change) -> None:
        # The transaction that makes the row may still be queued: one behind it waits for it.
        with suppress(CrossfadeError):
            await self._ledger.transact(lambda rows: rows.migration().decision)
        if change.flip is not None:
            with suppress(CrossfadeError):
                await self._give_up(change, None)

    async def _give_up(self, change: _Change, error: CrossfadeError | None) -> None:
        """Undo what was begun; what the ledger does not let us undo is left for `recover`."""
        flip = change.flip
        if flip is None or isinstance(error, ChangedMeanwhileError):
            return
        try:
            await self.undo(flip, change.decision)
        except ChangedMeanwhileError:
            # Committed at the last moment, or undone by somebody else.
            return
        except CrossfadeError:
            self.left_behind = flip.id
            raise
        pause_ms = (self._seams.clock.monotonic() - change.began) * 1000
        reasons = (
            error.reasons if isinstance(error, MoveRefusedError) else (str(error or "cancelled"),)
        )
        self._hooks.emit(FlipUndone(flip.wanted, reasons, pause_ms))


def _begin_forced(rows: Rows, wanted: Stage, decision: Decision) -> Flip:
    """Hold all writers and go on to fencing at once: whatever is open will be held."""
    flip = begin_flip(rows, wanted, decision, forced=True)
    force(rows, flip)
    return _in_phase(flip, FlipPhase.FENCING)


def _in_phase(flip: Flip, phase: FlipPhase) -> Flip:
    return replace(flip, phase=phase)


def _as_refusal(error: CrossfadeError, current: Stage, wanted: Stage) -> CrossfadeError:
    if isinstance(error, ChangedMeanwhileError | MoveRefusedError):
        return error
    return _refused(current, wanted, [f"undone: {error}"])


def _refused(current: Stage, wanted: Stage, reasons: Sequence[str]) -> MoveRefusedError:
    return MoveRefusedError(current, wanted, reasons, gated=is_forward(current, wanted))


def _never(intent: int) -> bool:  # noqa: ARG001 - no intent runs where nobody said so
    return False
