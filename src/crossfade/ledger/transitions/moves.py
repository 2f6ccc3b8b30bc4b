"""Moves of stage that keep the authority: leaving and entering `off`, plain moves, holds."""

from dataclasses import dataclass, replace

from crossfade.errors import ChangedMeanwhileError, GateError, IllegalMoveError
from crossfade.ledger.rows import AuditEntry, Rows, RowsQueries, RowsView
from crossfade.ledger.transitions.chunks import void_coverage
from crossfade.model.counted import counted
from crossfade.model.migration_state import FlipKind, Hold, MigrationState
from crossfade.model.stage import MoveKind, Stage, move_kind, moves_from

FREEZE = "freeze"
"""Name of the hold that `crossfade freeze` sets."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Who wants what, and what they saw when they decided."""

    actor: str
    reason: str
    at: float
    """Wall-clock seconds, for the audit."""
    expected: int | None = None
    """Number of the decision that the actor saw; None does not ask."""
    node: str = ""
    """The process that carries it out, where several share the ledger."""


def move_stage(rows: Rows, wanted: Stage, decision: Decision) -> MigrationState:
    """Make a move that does not change the authority.

    Entering `off` begins a new generation of every entity; leaving it brings down the barrier,
    so that nothing is copied until writes without intent have certainly ended (rule 9).

    Raises:
        IllegalMoveError: the stages are no neighbours.
        GateError: the move changes the authority, or a flip is under way.
        ChangedMeanwhileError: somebody else moved since the actor looked.

    """
    state = checked(rows, wanted, decision)
    kind = move_kind(state.stage, wanted)
    if kind is MoveKind.FLIP:
        raise GateError(f"{state.stage} to {wanted} changes the authority: it needs a flip.")
    moved = replace(state, stage=wanted, stage_since=decision.at, decision=state.decision + 1)
    if kind is MoveKind.LEAVE_OFF:
        moved = replace(moved, barrier_passed=False)
        _begin_generations(rows)
    if kind is MoveKind.ENTER_OFF:
        moved = _entered_off(rows, moved)
    elif state.flip is not None:
        raise GateError("the epoch is changing now. Try again in a moment.")
    rows.set_migration(moved)
    audit(rows, decision, "stage moved", {"from": state.stage, "to": wanted})
    return moved


def checked(rows: RowsView, wanted: Stage, decision: Decision) -> MigrationState:
    """The present state, if the move is a step of the stage machine and nobody was faster."""
    state = rows.migration()
    if decision.expected is not None and decision.expected != state.decision:
        raise ChangedMeanwhileError(
            f"the stage was changed meanwhile: it is {state.stage} (decision {state.decision}). "
            "Look again with `crossfade status`, then decide."
        )
    if state.retired:
        raise GateError("the migration is retired: legacy no longer follows, no move is left.")
    if move_kind(state.stage, wanted) is None:
        raise IllegalMoveError(state.stage, wanted, moves_from(state.stage))
    return state


def note_untracked_writes(rows: Rows) -> MigrationState:
    """A node is about to serve writes without intent: the next barrier must wait for them."""
    state = rows.migration()
    if not state.untracked_served:
        state = replace(state, untracked_served=True)
        rows.set_migration(state)
    return state


def set_hold(rows: Rows, hold: Hold, decision: Decision) -> None:
    """Writes in the hold's scope wait from now on; survives a restart; may be repeated."""
    state = rows.migration()
    others = tuple(one for one in state.holds if one.name != hold.name)
    rows.set_migration(replace(state, holds=(*others, hold)))
    audit(rows, decision, "hold set", {"name": hold.name, "reason": hold.reason})


def remove_hold(rows: Rows, name: str, decision: Decision) -> bool:
    """Let writers go on; False where there was no such hold."""
    state = rows.migration()
    others = tuple(one for one in state.holds if one.name != name)
    if len(others) == len(state.holds):
        return False
    rows.set_migration(replace(state, holds=others))
    audit(rows, decision, "hold removed", {"name": name})
    return True


def retire(rows: Rows, decision: Decision) -> MigrationState:
    """End the write-back for good: the one point of no return.

    Raises:
        GateError: the stage is not `completed`, a flip is under way, or something is still open.

    """
    state = check_retirable(rows)
    retired = replace(state, retired=True, decision=state.decision + 1)
    rows.set_migration(retired)
    audit(rows, decision, "retired", {})
    return retired


def check_retirable(rows: RowsQueries) -> MigrationState:
    """The present state, if the write-back may end; raises as `retire` does."""
    state = rows.migration()
    counts = rows.counts()
    open_work = counts.open_intents + counts.dirty + counts.held + counts.quarantined
    if state.stage is not Stage.COMPLETED or state.flip is not None:
        raise GateError(
            f"only a completed migration can be retired; the stage is {state.stage}. "
            "Run `crossfade stage promote completed` first."
        )
    if open_work:
        raise GateError(
            f"still open: {counted(open_work, 'write or key', 'writes or keys')}; legacy "
            "would miss them. "
            "Wait until `crossfade status` shows none, or settle them with `crossfade dirty`."
        )
    return state


def audit(rows: Rows, decision: Decision, action: str, detail: dict[str, object]) -> None:
    """Write who did what, and why, in the same transaction."""
    rows.append_audit(
        AuditEntry(
            at=decision.at,
            actor=decision.actor,
            action=action,
            detail={**detail, "reason": decision.reason},
        )
    )


def _entered_off(rows: Rows, moved: MigrationState) -> MigrationState:
    """What entering `off` adds: coverage void, barrier up; a barrier under way is dropped.

    A dropped barrier, or its undo, may still raise the mirror's epoch: ours goes past both.
    """
    flip = moved.flip
    if flip is not None and flip.kind is not FlipKind.BARRIER:
        raise GateError("the epoch is changing now. Try again in a moment.")
    if flip is not None:
        moved = replace(moved, flip=None, epoch=moved.epoch + 2)
    _begin_generations(rows)
    return replace(moved, barrier_passed=False, untracked_served=True)


def _begin_generations(rows: Rows) -> None:
    """Nothing that was copied, verified or compared before counts from here on."""
    for name in entity_names(rows):
        void_coverage(rows, rows.entity(name))


def entity_names(rows: RowsView) -> tuple[str, ...]:
    """The entities that were declared, as the ledger remembers them."""
    return tuple(rows.document("entities", "declared") or ())
