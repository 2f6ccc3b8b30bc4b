"""The flip row: every change of epoch; the only place where the authority changes (rule 10)."""

from dataclasses import replace

from msgspec import structs

from crossfade.errors import ChangedMeanwhileError, GateError
from crossfade.ledger.rows import Counts, Rows
from crossfade.ledger.transitions.moves import Decision, audit, checked, entity_names
from crossfade.model.coverage import is_complete
from crossfade.model.migration_state import Flip, FlipKind, FlipPhase, MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import STAGE_RULES, MoveKind, Stage, move_kind

_KEYS_AT_ONCE = 10_000


def begin_flip(rows: Rows, wanted: Stage, decision: Decision, *, forced: bool = False) -> Flip:
    """Hold all writers; from here to the commit nothing has changed but that they wait.

    Crash here: whoever opens the ledger next finds the row and undoes it.
    """
    state = checked(rows, wanted, decision)
    if move_kind(state.stage, wanted) is not MoveKind.FLIP:
        raise GateError(f"{state.stage} to {wanted} does not change the authority.")
    kind = FlipKind.FORCED if forced else FlipKind.FLIP
    return _begin(rows, kind, FlipPhase.HOLDING, wanted, decision)


def begin_barrier(rows: Rows, decision: Decision) -> Flip:
    """Writes without intent have ended: the mirror's epoch may be raised, then the ledger's."""
    state = rows.migration()
    if state.stage is Stage.OFF or state.barrier_passed:
        raise GateError("there is no barrier to pass.")
    return _begin(rows, FlipKind.BARRIER, FlipPhase.FENCING, state.stage, decision)


def flip_obstacles(rows: Rows) -> tuple[str, ...]:
    """What is still open before the authority may change; empty when everything agrees."""
    counts = rows.counts()
    obstacles = _counted(counts)
    obstacles += [
        f"{name} is not completely copied"
        for name in entity_names(rows)
        if not is_complete(rows.entity(name).coverage)
    ]
    return tuple(obstacles)


def drained(rows: Rows, flip: Flip) -> tuple[str, ...]:
    """Go on to fencing if nothing is open; else say what is, and change nothing."""
    state = _same(rows, flip, FlipPhase.HOLDING)
    obstacles = flip_obstacles(rows)
    if not obstacles:
        rows.set_migration(replace(state, flip=replace(flip, phase=FlipPhase.FENCING)))
    return obstacles


def force(rows: Rows, flip: Flip) -> None:
    """Go on to fencing the side that answers, whatever is open: it will be held."""
    state = _same(rows, flip, FlipPhase.HOLDING)
    if flip.kind is not FlipKind.FORCED:
        raise GateError("only a forced roll-back goes on with open keys.")
    rows.set_migration(replace(state, flip=replace(flip, phase=FlipPhase.FENCING)))


def commit_flip(rows: Rows, flip: Flip, decision: Decision) -> MigrationState:
    """The stores' epochs are raised: change the authority. The only point where it changes."""
    state = _same(rows, flip, FlipPhase.FENCING)
    committed = replace(state, flip=None, epoch=flip.epoch + 1)
    if flip.kind is FlipKind.BARRIER:
        committed = replace(committed, barrier_passed=True, untracked_served=False)
        action = "barrier passed"
    else:
        committed = replace(
            committed,
            stage=flip.wanted,
            stage_since=decision.at,
            decision=state.decision + 1,
        )
        action = "stage moved"
    detail: dict[str, object] = {"from": state.stage, "to": flip.wanted, "kind": flip.kind}
    if flip.kind is FlipKind.FORCED:
        dead = STAGE_RULES[state.stage].authority
        detail["held_keys"] = _hold_keys_at_risk(rows, dead)
        committed = replace(committed, lost_side=dead, lost_epoch=flip.epoch, holds_keys=True)
    rows.set_migration(committed)
    audit(rows, decision, action, detail)
    return committed


def undo_flip(rows: Rows, flip: Flip, decision: Decision) -> Flip | None:
    """Begin to undo. None: undone at once, since no store was touched yet.

    Otherwise raise both stores to `epoch + 2`, then call `commit_undo`: a late bump of the undone
    flip can then change nothing.
    """
    state = rows.migration()
    current = state.flip
    if current is None or current.id != flip.id:
        raise ChangedMeanwhileError("the flip was already ended by somebody else.")
    if current.phase is FlipPhase.HOLDING:
        rows.set_migration(replace(state, flip=None))
        audit(rows, decision, "flip undone", {"to": flip.wanted, "kind": flip.kind})
        return None
    undoing = replace(current, phase=FlipPhase.UNDOING)
    rows.set_migration(replace(state, flip=undoing))
    return undoing


def commit_undo(rows: Rows, flip: Flip, decision: Decision) -> MigrationState:
    """The stores' epochs are past the undone flip: the ledger follows; nothing else changed."""
    state = _same(rows, flip, FlipPhase.UNDOING)
    undone = replace(state, flip=None, epoch=flip.epoch + 2)
    rows.set_migration(undone)
    audit(rows, decision, "flip undone", {"to": flip.wanted, "kind": flip.kind})
    return undone


def _begin(
    rows: Rows, kind: FlipKind, phase: FlipPhase, wanted: Stage, decision: Decision
) -> Flip:
    state = rows.migration()
    if state.flip is not None:
        raise GateError(
            f"the epoch is already changing ({state.flip.kind} to {state.flip.wanted}, "
            f"{state.flip.phase}). Wait for it, or see `crossfade status`."
        )
    flip = Flip(
        id=rows.next_sequence(),
        kind=kind,
        phase=phase,
        wanted=wanted,
        epoch=state.epoch,
        reason=decision.reason,
        actor=decision.actor,
    )
    rows.set_migration(replace(state, flip=flip))
    return flip


def _same(rows: Rows, flip: Flip, phase: FlipPhase) -> MigrationState:
    """The state, if the flip row is still this flip's, in this phase, at its epoch (case 59)."""
    state = rows.migration()
    current = state.flip
    same = current is not None and current.id == flip.id and current.phase is phase
    if not same or state.epoch != flip.epoch:
        raise ChangedMeanwhileError("the flip was undone or completed by somebody else.")
    return state


def _counted(counts: Counts) -> list[str]:
    numbers = {
        "open intents": counts.open_intents,
        "creates without a known id": counts.unbound_creates,
        "dirty keys": counts.dirty,
        "quarantined keys": counts.quarantined,
        "held keys": counts.held,
        "keys being converged": counts.leases,
        "open chunks": counts.open_chunks,
    }
    return [f"{number} {name}" for name, number in numbers.items() if number]


def _hold_keys_at_risk(rows: Rows, dead: Side) -> int:
    """Hold every key whose newest value only the dead side may have; returns how many.

    A superseded lease must not clear a held key later: holding takes a new seq and drops it.
    """
    held = 0
    for name in entity_names(rows):
        entity = rows.entity(name)
        if not is_complete(entity.coverage):
            rows.set_entity(replace(entity, held_authority=dead))
    after = 0
    while True:
        page = rows.dirty_keys(None, _KEYS_AT_ONCE, after=after)
        if not page:
            return held
        after = page[-1].seq
        held += len(page)
        for state in page:
            rows.set_key(structs.replace(state, held_authority=dead, lease=None))
