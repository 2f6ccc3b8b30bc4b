"""How far backfill and verification have come, told from a committed ledger alone."""

from typing import Any

from crossfade.control.documents import Document
from crossfade.control.telling import Telling
from crossfade.ledger.rows import RowsQueries, RowsView
from crossfade.ledger.transitions.sweeps import Sweep, look_sweep
from crossfade.ledger.transitions.verdicts import look_verdict
from crossfade.model.coverage import is_complete


class Progress:
    """Sweeps and verifications of every entity."""

    def __init__(self, told: Telling) -> None:
        self._told = told

    def backfill(self) -> Document:
        """How far each entity is copied; `pace` is the node's to know."""

        def query(rows: RowsQueries) -> Document:
            entities = [
                {
                    "name": one.name,
                    "covered": is_complete(rows.entity(one.name).coverage),
                    "sweep": of_sweep(rows, one.name),
                }
                for one in self._told.outline.entities
            ]
            migration = rows.migration()
            return self._told.document(
                "backfill",
                stage=str(migration.stage),
                copies_allowed=migration.copies_allowed,
                entities=entities,
            )

        return self._told.look(query)

    def verification(self) -> Document:
        """The last verification of each entity; `job` is the node's to know."""

        def query(rows: RowsQueries) -> Document:
            entities = [
                {"name": one.name, "verdict": of_verdict(rows, one.name)}
                for one in self._told.outline.entities
            ]
            return self._told.document("verification", entities=entities, job=None)

        return self._told.look(query)


def of_sweep(rows: RowsView, entity: str) -> dict[str, Any] | None:
    """An entity's sweep, or None where nobody asked for one."""
    sweep = look_sweep(rows, entity)
    if sweep is None:
        return None
    return {
        "state": str(sweep.state),
        "rows": sweep.rows,
        "rows_estimate": sweep.rows_estimate,
        "share": _share(sweep),
        "quarantined": sweep.quarantined,
        "extra": sweep.extra,
        "started_at": sweep.started_at,
        "finished_at": sweep.finished_at,
        "rows_per_second_max": sweep.rows_per_second_max,
    }


def of_verdict(rows: RowsView, entity: str) -> dict[str, Any] | None:
    """An entity's last verification, or None where there was none in its present generation."""
    verdict = look_verdict(rows, entity)
    if verdict is None or verdict.generation != rows.entity(entity).generation:
        return None
    return {
        "passed": verdict.passed,
        "reason": verdict.reason,
        "way": verdict.way,
        "fraction": verdict.fraction,
        "compared": verdict.compared,
        "different": verdict.different,
        "lagging": verdict.lagging,
        "quarantined": verdict.quarantined,
        "waived": verdict.waived,
        "columns": verdict.columns,
        "alarm_keys": [list(key) for key in verdict.alarm_keys],
        "started_at": verdict.started_at,
        "finished_at": verdict.finished_at,
    }


def _share(sweep: Sweep) -> float | None:
    """How much of the estimate was read, at most 1; None while there is no estimate."""
    if sweep.finished_at is not None:
        return 1.0
    return min(1.0, sweep.rows / sweep.rows_estimate) if sweep.rows_estimate else None
