"""Adopting a ledger by name: it was restored, or its stores belonged to another one."""

from dataclasses import dataclass, replace

from crossfade.errors import ConfigurationError
from crossfade.ledger.rows import LedgerIdentity, Rows
from crossfade.ledger.transitions.chunks import void_coverage
from crossfade.ledger.transitions.moves import Decision, audit, entity_names
from crossfade.model.migration_state import MigrationState


@dataclass(frozen=True, slots=True)
class StoresSeen:
    """The highest numbers that the stores remember, of whatever ledger they belonged to."""

    token: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Adopted:
    """What the stores' epoch rows must say from now on."""

    identity: LedgerIdentity
    migration: MigrationState


def adopt_ledger(rows: Rows, ledger_id: str, seen: StoresSeen, decision: Decision) -> Adopted:
    """Make this ledger the one that the stores obey; then call `FencedDatabase.adopt` on each.

    What happened since the ledger's copy was made is unknown, so coverage is void and everything
    is swept again; its open intents stay open until they are settled. Tokens and epochs go past
    all that the stores remember, so that no copier of another ledger, or of a later state of this
    one, can be mistaken for ours.

    Crash here: the ledger has a higher incarnation than the stores, which refuse it until it is
    adopted again.

    Args:
        rows: the ledger's rows.
        ledger_id: the ledger's own id, as the operator typed it.
        seen: the highest token and epoch of both stores.
        decision: who wants it and why.

    Raises:
        ConfigurationError: the name is that of another ledger.

    """
    identity = rows.identity()
    if ledger_id != identity.ledger_id:
        raise ConfigurationError(
            f"this ledger is {identity.ledger_id}, not {ledger_id}. "
            "Name the ledger that `crossfade status` shows, if it is the one you mean."
        )
    state = rows.migration()
    rows.raise_sequence(seen.token)
    rows.set_incarnation(identity.incarnation + 1)
    for name in entity_names(rows):
        void_coverage(rows, rows.entity(name))
    # An epoch change that was under way ends here: its epochs are passed as well.
    under_way = 0 if state.flip is None else state.flip.epoch + 2
    epoch = max(state.epoch, seen.epoch, under_way) + 1
    rows.set_migration(replace(state, epoch=epoch, flip=None))
    audit(
        rows,
        decision,
        "ledger adopted",
        {
            "incarnation": identity.incarnation + 1,
            "epoch": {"ledger": state.epoch, "stores": seen.epoch, "now": epoch},
            "token": seen.token,
        },
    )
    return Adopted(rows.identity(), rows.migration())
