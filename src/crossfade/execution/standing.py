"""What the ledger says of a request's keys when it is routed."""

from dataclasses import dataclass
from functools import partial

from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import RowsQueries
from crossfade.ledger.transitions.keys import Agreement, agreement
from crossfade.model.coverage import is_complete
from crossfade.model.key import Key
from crossfade.model.plan import KeyStanding


def look_at(ledger: Ledger, entity: str, key: Key) -> Agreement:
    """The key's agreement as committed now."""
    return ledger.look(partial(agreement, entity_name=entity, key=key))


@dataclass(frozen=True, slots=True)
class EntityAgreement:
    """What the ledger says of a whole entity; equal values mean that no key was touched."""

    quiet: bool
    """Everything is copied, nothing is dirty, no write is open."""
    last_touched: int
    generation: int


Standing = Agreement | EntityAgreement
"""Of a read: its key's, or, without a key, its whole entity's."""


def look_at_entity(ledger: Ledger, entity: str) -> EntityAgreement:
    """The entity's agreement as committed now, for reads without a key."""
    return ledger.look(partial(_entity_agreement, name=entity))


def _entity_agreement(rows: RowsQueries, name: str) -> EntityAgreement:
    entity = rows.entity(name)
    counts = rows.counts(name)
    busy = counts.dirty or counts.open_intents or counts.quarantined or counts.held
    return EntityAgreement(
        quiet=is_complete(entity.coverage) and not busy,
        last_touched=rows.last_touched(name),
        generation=entity.generation,
    )


def is_held(ledger: Ledger, entity: str, key: Key | None) -> bool:
    """Whether a request for the key must be refused; costs nothing unless something is held.

    A read without a key may show any key of the entity: it is refused while one of them is held.
    """
    if not ledger.migration.holds_keys:
        return False
    if key is None:
        return ledger.look(partial(_shows_held_keys, name=entity))
    return look_at(ledger, entity, key).standing is KeyStanding.HELD


def is_entity_held(ledger: Ledger, entity: str) -> bool:
    """Whether the entity is held as a whole, so that not even a new key may be made."""
    if not ledger.migration.holds_keys:
        return False
    return ledger.look(lambda rows: rows.entity(entity).held_authority is not None)


def _shows_held_keys(rows: RowsQueries, name: str) -> bool:
    return rows.entity(name).held_authority is not None or rows.counts(name).held > 0
