"""Keys held after a forced roll-back: taking the dead side back, or letting go of its values."""

from dataclasses import replace

from msgspec import structs

from crossfade.errors import GateError
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.chunks import void_coverage
from crossfade.ledger.transitions.moves import Decision, audit, entity_names
from crossfade.model.key import Key
from crossfade.model.key_state import DirtyReason, touched
from crossfade.model.migration_state import MigrationState

_EVERY_KEY = 2**62


def begin_release(rows: Rows, entity: str, key: Key) -> int:
    """An operator gives up what only the dead side may have: first, no lease may be taken.

    Returns the token to raise on the store that answers; then call `commit_release`
    (PROTOCOL.md cases 67, 69, 88). May be repeated.

    Raises:
        GateError: the key is not held.

    """
    state = rows.key(entity, key)
    if state.held_authority is None:
        raise GateError("the key is not held. Run `crossfade dirty --held` to see the held keys.")
    token = rows.next_sequence()
    rows.set_key(structs.replace(state, releasing=True, lease=None))
    return token


def commit_release(rows: Rows, entity: str, key: Key, decision: Decision) -> None:
    """The key's token is raised on the side that answers: that side has authority from now on."""
    state = rows.key(entity, key)
    if not state.releasing:
        return
    state = touched(state, rows.next_sequence(), DirtyReason.REPAIR, decision.at)
    rows.set_key(
        structs.replace(state, held_authority=None, releasing=False, lease=None, quarantine=None)
    )
    audit(rows, decision, "held key released", {"entity": entity})


def release_entity(rows: Rows, name: str, decision: Decision) -> bool:
    """Let go of an entity that is held as a whole; False where it is not.

    The side that answers has authority for all its keys from now on, and nothing of it counts as
    copied. No put of another authority can be under way: while the entity is held no lease is
    taken, and those from before are refused by their epoch.
    """
    entity = rows.entity(name)
    if entity.held_authority is None:
        return False
    void_coverage(rows, replace(entity, held_authority=None))
    audit(rows, decision, "held entity released", {"entity": name})
    return True


def take_back(rows: Rows, store_epoch: int, decision: Decision) -> MigrationState:
    """The dead side answers again; its epoch is being raised to the ledger's by the caller.

    A side that remembers a lower epoch than it had when it was lost has come back with older
    data: coverage is void, and the held keys stay with the operator (cases 93 to 95).
    Otherwise held keys converge from it, and are then free. An entity that is held as a whole
    stays with the operator in any case: nobody knows which of its keys are newer where.
    """
    state = rows.migration()
    if state.lost_side is None:
        return state
    older = store_epoch < state.lost_epoch
    for name in entity_names(rows):
        entity = rows.entity(name)
        if older:
            void_coverage(rows, entity)
    if older:
        _keep_with_operator(rows)
    taken = replace(state, lost_side=None, lost_epoch=0)
    rows.set_migration(taken)
    audit(rows, decision, "side taken back", {"side": state.lost_side, "older_data": older})
    return taken


def note_nothing_held(rows: Rows) -> MigrationState:
    """Stop asking the ledger on every read once no key is held any more."""
    state = rows.migration()
    entities_held = any(rows.entity(name).held_authority for name in entity_names(rows))
    done = state.holds_keys and state.lost_side is None and not entities_held
    if done and not rows.held_keys(None, 1):
        state = replace(state, holds_keys=False)
        rows.set_migration(state)
    return state


def _keep_with_operator(rows: Rows) -> None:
    """Held keys must not converge from older data: `releasing` refuses every lease on them."""
    for state in rows.held_keys(None, _EVERY_KEY):
        rows.set_key(structs.replace(state, releasing=True, lease=None))
