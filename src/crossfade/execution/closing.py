"""The end of a write's intent and the lease on its key, as one ledger transaction."""

from dataclasses import dataclass

from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.intents import OpenedIntent, bind_intent, close_replayed
from crossfade.ledger.transitions.keys import LeaseGrant, mark_dirty, take_lease
from crossfade.model.intent import Intent
from crossfade.model.key import Key
from crossfade.model.key_state import DirtyReason


@dataclass(frozen=True, slots=True)
class Closed:
    """A write that has ended."""

    keys: tuple[Key, ...]
    """To be converged."""
    undisturbed: bool
    """Nothing else has touched the keys since the intent was opened."""
    grant: LeaseGrant | None = None
    """The lease on the one key, where it was taken."""


def bind_created(rows: Rows, intent: Intent, key: Key, at: float) -> Intent | None:
    """Give a create's intent its key; None: others settled it, who took this process for dead.

    They looked for its record before it was made: nobody knows of the key but from here.
    """
    bound = bind_intent(rows, intent.id, key, at)
    if bound is None:
        mark_dirty(rows, intent.entity, (key,), DirtyReason.UNBOUND, at)
    return bound


def close_and_lease(rows: Rows, opened: OpenedIntent, owner: str | None, at: float) -> Closed:
    """Close an intent; then, for its one key, take the lease that would be asked for next.

    Two transitions of the protocol in one transaction: nobody can come in between, and a write
    costs a trip to the disk less. The key takes both numbers, that of the end and that of the
    lease (rule 3).

    Args:
        rows: the ledger's rows.
        opened: the intent as it was opened, bound to its key.
        owner: who converges the key at once; None: nobody does, or the keys are several.
        at: wall-clock seconds.

    """
    if rows.intent(opened.intent.id) is None:
        # Settled by others, who took this process for dead; what it has done since, nobody saw.
        mark_dirty(rows, opened.intent.entity, opened.intent.keys, DirtyReason.WRITE, at)
        return Closed(opened.intent.keys, undisturbed=False)
    keys, undisturbed = close_replayed(rows, opened=opened, at=at)
    if owner is None or len(keys) != 1:
        return Closed(keys, undisturbed)
    grant = take_lease(rows, opened.intent.entity, keys[0], owner, at)
    return Closed(keys, undisturbed, grant)
