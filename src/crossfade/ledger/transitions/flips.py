"""The flip row: every change of epoch; the only place where the authority changes (rule 10)."""

from collections.abc import Collection
from dataclasses import replace

from msgspec import structs

from crossfade.errors import ChangedMeanwhileError, GateError, MoveRefusedError
from crossfade.ledger.rows import Counts, Rows, RowsQueries
from crossfade.ledger.transitions.moves import Decision, audit, checked, entity_names
from crossfade.model.counted import counted
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


def flip_obstacles(rows: RowsQueries) -> tuple[str, ...]:
    """What is still open before the authority may change; empty when everything agrees."""
    counts = rows.counts()
    obstacles = _counted(counts)
    return (*obstacles, *_uncopied(rows))


def lasting_obstacles(rows: RowsQueries) -> tuple[str, ...]:
    """What no waiting takes out of the way of a change of authority: somebody has to act."""
    counts = rows.counts()
    lasting = Counts(quarantined=counts.quarantined, held=counts.held)
    return (*_counted(lasting), *_uncopied(rows))


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


def entities_held_whole(rows: RowsQueries) -> tuple[str, ...]:
    """Entities that a forced roll-back would hold as a whole: they are not completely copied."""
    return tuple(
        name for name in entity_names(rows) if not is_complete(rows.entity(name).coverage)
    )


def commit_flip(
    rows: Rows, flip: Flip, decision: Decision, raised: Collection[Side] = tuple(Side)
) -> MigrationState:
    """The stores' epochs are raised: change the authority. The only point where it changes.

    Args:
        rows: the ledger's rows.
        flip: the flip, in its fencing phase.
        decision: who wants it and why.
        raised: the sides whose databases have taken `epoch + 1`.

    Raises:
        MoveRefusedError: something was opened, marked or voided since everything was drained (by
            a verification, say, or by a definition with a new mapping); to be undone.

    """
    state = _same(rows, flip, FlipPhase.FENCING)
    obstacles = flip_obstacles(rows) if flip.kind is FlipKind.FLIP else ()
    if obstacles:
        raise MoveRefusedError(state.stage, flip.wanted, obstacles)
    committed = replace(state, flip=None, epoch=flip.epoch + 1)
    committed = committed.with_confirmed(raised, committed.epoch)
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
        committed = replace(
            committed, lost_side=dead, lost_epoch=state.confirmed(dead), holds_keys=True
        )
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
        audit(rows, decision, "flip undone", _undone(state, flip))
        return None
    undoing = replace(current, phase=FlipPhase.UNDOING)
    rows.set_migration(replace(state, flip=undoing))
    return undoing


def confirm_epoch(rows: Rows, side: Side, epoch: int) -> None:
    """The side's databases have taken an epoch of the ledger's, outside of any flip."""
    rows.set_migration(rows.migration().with_confirmed([side], epoch))


def commit_undo(
    rows: Rows, flip: Flip, decision: Decision, raised: Collection[Side] = tuple(Side)
) -> MigrationState:
    """The stores' epochs are past the undone flip: the ledger follows; nothing else changed.

    `raised`: the sides whose databases have taken `epoch + 2`; one that does not answer is left
    behind, and is no worse for it.
    """
    state = _same(rows, flip, FlipPhase.UNDOING)
    undone = replace(state, flip=None, epoch=flip.epoch + 2)
    undone = undone.with_confirmed(raised, undone.epoch)
    rows.set_migration(undone)
    audit(rows, decision, "flip undone", _undone(state, flip))
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
        node=decision.node,
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
    """What is open, each with the command that helps."""
    told = [
        (counts.open_intents, "open write", "open writes", "crossfade status"),
        (
            counts.unbound_creates,
            "create without a known id",
            "creates without a known id",
            "crossfade status",
        ),
        (counts.dirty, "dirty key", "dirty keys", "crossfade dirty"),
        (counts.quarantined, "quarantined key", "quarantined keys", "crossfade quarantine"),
        (counts.held, "held key", "held keys", "crossfade dirty --held"),
        (counts.leases, "key being converged", "keys being converged", "crossfade dirty"),
        (counts.open_chunks, "open chunk", "open chunks", "crossfade backfill status"),
    ]
    return [
        f"{counted(number, one, several)} (see `{command}`)"
        for number, one, several, command in told
        if number
    ]


def _uncopied(rows: RowsQueries) -> list[str]:
    return [
        f"{name} is not completely copied (run `crossfade backfill start {name}`)"
        for name in entity_names(rows)
        if not is_complete(rows.entity(name).coverage)
    ]


def _undone(state: MigrationState, flip: Flip) -> dict[str, object]:
    return {"from": state.stage, "to": flip.wanted, "kind": flip.kind}


def _hold_keys_at_risk(rows: Rows, dead: Side) -> int:
    """Hold every key whose newest value only the dead side may have; returns how many.

    Holding drops the lease, so that no attempt under way can clear a held key later.
    """
    held = 0
    for name in entities_held_whole(rows):
        entity = rows.entity(name)
        rows.set_entity(replace(entity, held_authority=entity.held_authority or dead))
    after = 0
    while True:
        page = rows.dirty_keys(None, _KEYS_AT_ONCE, after=after)
        if not page:
            return held
        after = page[-1].seq
        held += len(page)
        for state in page:
            holder = state.held_authority or dead
            rows.set_key(structs.replace(state, held_authority=holder, lease=None))
