"""Adopting a ledger by name: it was restored, or its stores belonged to another one."""

from dataclasses import dataclass, replace

from crossfade.errors import ConfigurationError
from crossfade.ledger.rows import LedgerIdentity, Rows
from crossfade.ledger.transitions.chunks import void_coverage
from crossfade.ledger.transitions.moves import Decision, audit, entity_names
from crossfade.model.migration_state import MigrationState
from crossfade.model.stage import Stage


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


def check_stage_known(state: MigrationState, seen: StoresSeen, stage: Stage | None) -> None:
    """Every change of authority raises the epoch: stores that are ahead know a later stage.

    Raises:
        ConfigurationError: they are ahead, and the operator did not say which stage held last.

    """
    passed = state.epoch if state.flip is None else state.flip.epoch + 2
    if stage is None and seen.epoch > passed:
        raise ConfigurationError(
            f"the stores have seen later stages than this ledger, which says {state.stage}. "
            "Say with --stage which one held last: shadow if legacy had authority, live if new."
        )


def adopt_ledger(
    rows: Rows, ledger_id: str, seen: StoresSeen, decision: Decision, stage: Stage | None = None
) -> Adopted:
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
        stage: the stage that held last, as the operator knows it; None keeps the ledger's.

    Raises:
        ConfigurationError: the name is that of another ledger, or the stores have seen epochs
            that this ledger does not know, and the stage was not named: answering from the side
            that had no authority would lose acknowledged writes.

    """
    identity = rows.identity()
    if ledger_id != identity.ledger_id:
        raise ConfigurationError(
            f"this ledger is {identity.ledger_id}, not {ledger_id}. "
            "Name the ledger that `crossfade status` shows, if it is the one you mean."
        )
    state = rows.migration()
    check_stage_known(state, seen, stage)
    rows.raise_sequence(seen.token)
    rows.set_incarnation(identity.incarnation + 1)
    for name in entity_names(rows):
        void_coverage(rows, rows.entity(name))
    adopted = _adopted(state, seen, decision, stage)
    rows.set_migration(adopted)
    detail = {
        "incarnation": identity.incarnation + 1,
        "stage": adopted.stage,
        "epoch": {"ledger": state.epoch, "stores": seen.epoch, "now": adopted.epoch},
        "token": seen.token,
    }
    audit(rows, decision, "ledger adopted", detail)
    return Adopted(rows.identity(), rows.migration())


def _adopted(
    state: MigrationState, seen: StoresSeen, decision: Decision, stage: Stage | None
) -> MigrationState:
    """The migration past every epoch that anybody has seen, in the stage that was named."""
    # An epoch change that was under way ends here: its epochs are passed as well.
    under_way = 0 if state.flip is None else state.flip.epoch + 2
    adopted = replace(state, epoch=max(state.epoch, seen.epoch, under_way) + 1, flip=None)
    if stage is None:
        return adopted
    # Writes of the node that was lost may still be under way: the barrier waits for them.
    return replace(
        adopted,
        stage=stage,
        stage_since=decision.at,
        decision=state.decision + 1,
        barrier_passed=False,
        untracked_served=True,
    )
