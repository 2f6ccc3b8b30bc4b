"""Records of creates whose id was never learned: found by a search, then their intents settled."""

from collections.abc import Iterable
from dataclasses import replace

from msgspec import structs

from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.intents import settle_unbound
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.model.key import Key
from crossfade.model.key_state import DirtyReason, touched
from crossfade.model.side import Side


def note_found(rows: Rows, entity: str, keys: Iterable[Key], creator: Side, at: float) -> None:
    """The keys are dirty; where the authority has changed since, their creator is held to it.

    After a forced roll-back a record that only the lost side has must be copied from there, and
    not be deleted there. A key that is dirty already has been decided on.
    """
    migration = rows.migration()
    unknown = [key for key in keys if not rows.key(entity, key).dirty]
    if migration.authority is creator:
        mark_dirty(rows, entity, unknown, DirtyReason.UNBOUND, at)
        return
    for key in unknown:
        state = touched(rows.key(entity, key), rows.next_sequence(), DirtyReason.UNBOUND, at)
        rows.set_key(structs.replace(state, held_authority=creator))
    if unknown and not migration.holds_keys:
        rows.set_migration(replace(migration, holds_keys=True))


def settle_searched(rows: Rows, intent_ids: Iterable[int], at: float) -> None:
    """Close the intents of creates for which every range was searched: what was found is dirty."""
    for intent_id in intent_ids:
        settle_unbound(rows, intent_id, (), at)
