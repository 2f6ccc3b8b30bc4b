"""What the ledger says of a request's keys when it is routed."""

from functools import partial

from crossfade.ledger.base import Ledger
from crossfade.ledger.transitions.keys import Agreement, agreement
from crossfade.model.key import Key
from crossfade.model.plan import KeyStanding


def look_at(ledger: Ledger, entity: str, key: Key) -> Agreement:
    """The key's agreement as committed now."""
    return ledger.look(partial(agreement, entity_name=entity, key=key))


def is_held(ledger: Ledger, entity: str, key: Key | None) -> bool:
    """Whether a read of the key must be refused; costs nothing unless something is held."""
    if not ledger.migration.holds_keys:
        return False
    if key is None:
        return ledger.look(lambda rows: rows.entity(entity).held_authority is not None)
    return look_at(ledger, entity, key).standing is KeyStanding.HELD
