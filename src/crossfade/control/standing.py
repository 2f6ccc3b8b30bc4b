"""Where a migration stands, told from a committed ledger alone."""

from typing import Any

from crossfade.control.documents import Document, of_audit, of_counts, of_flip, of_hold
from crossfade.control.next_steps import next_steps
from crossfade.control.outline import EntityOutline, level_document
from crossfade.control.progress import of_sweep, of_verdict
from crossfade.control.telling import LIST_ROWS_MAX, Telling, bounded
from crossfade.ledger.rows import RowsQueries
from crossfade.ledger.transitions.moves import FREEZE
from crossfade.ledger.transitions.observations import mismatch_groups, observed_operations
from crossfade.model.coverage import is_complete
from crossfade.model.key import encode_key
from crossfade.model.migration_state import MigrationState


class Standing:
    """Where the migration stands; changes nothing, and needs no node."""

    def __init__(self, told: Telling) -> None:
        self._told = told

    def status(self) -> Document:
        """Where the migration stands, what is open, what to do next."""
        return self._told.look(self._status)

    def stage(self) -> Document:
        """The stage, its authority, and who decided it."""

        def query(rows: RowsQueries) -> Document:
            decisions = [entry for entry in rows.audit(LIST_ROWS_MAX) if _moves(entry.action)]
            last = of_audit(decisions[0]) if decisions else None
            return self._told.document("stage", **_standing(rows.migration()), last_decision=last)

        return self._told.look(query)

    def history(self, limit: int = 50) -> Document:
        """Who did what, when and why; newest first."""

        def query(rows: RowsQueries) -> Document:
            entries = rows.audit(bounded(limit))
            return self._told.document("history", entries=[of_audit(entry) for entry in entries])

        return self._told.look(query)

    def canary(self) -> Document:
        """The share of reads that new serves, by entity."""

        def query(rows: RowsQueries) -> Document:
            shares = {
                one.name: canary_percent(rows, one.name) for one in self._told.outline.entities
            }
            return self._told.document("canary", percent=shares, stage=str(rows.migration().stage))

        return self._told.look(query)

    def ledger(self) -> Document:
        """Which ledger this is."""
        identity = self._told.look(lambda rows: rows.identity())
        return self._told.document(
            "ledger", ledger_id=identity.ledger_id, incarnation=identity.incarnation
        )

    def _status(self, rows: RowsQueries) -> Document:
        told = self._told.document(
            "status",
            **_standing(rows.migration()),
            totals=of_counts(rows.counts()),
            entities=[_entity(rows, one) for one in self._told.outline.entities],
            differences=_differences(rows),
            now=None,
        )
        return {**told, "next": next_steps(told)}


def canary_percent(rows: RowsQueries, entity: str) -> float:
    """The share that was set for an entity."""
    return float(rows.document("canary", entity) or 0.0)


def _standing(state: MigrationState) -> dict[str, Any]:
    """Stage, epoch and holds."""
    return {
        "stage": str(state.stage),
        "stage_since": state.stage_since,
        "decision": state.decision,
        "epoch": state.epoch,
        "authority": str(state.authority),
        "mirror": str(state.mirror),
        "barrier_passed": state.barrier_passed,
        "copies_allowed": state.copies_allowed,
        "retired": state.retired,
        "frozen": any(hold.name == FREEZE for hold in state.holds),
        "holds": [of_hold(hold) for hold in state.holds],
        "flip": of_flip(state.flip),
        "lost_side": None if state.lost_side is None else str(state.lost_side),
    }


def _entity(rows: RowsQueries, outline: EntityOutline) -> Document:
    state = rows.entity(outline.name)
    ranges = [
        [None if bound is None else encode_key(bound) for bound in (one.lower, one.upper)]
        for one in state.coverage
    ]
    return {
        "name": outline.name,
        "writers": outline.writers,
        **level_document(outline),
        "generation": state.generation,
        "mapping_version": state.mapping_version,
        "covered": is_complete(state.coverage),
        "covered_ranges": ranges,
        "counts": of_counts(rows.counts(outline.name)),
        "canary_percent": canary_percent(rows, outline.name),
        "backfill": of_sweep(rows, outline.name),
        "verification": of_verdict(rows, outline.name),
    }


def _differences(rows: RowsQueries) -> Document:
    """What comparisons and replays found."""
    groups = mismatch_groups(rows)
    operations = observed_operations(rows)
    return {
        "open_kinds": len(groups),
        "open": sum(group.open for group in groups),
        "matched": sum(one.since.matched for one in operations),
        "refused_replays": sum(group.open for group in groups if group.refused),
    }


def _moves(action: str) -> bool:
    return action in ("stage moved", "retired")
