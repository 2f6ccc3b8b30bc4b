"""A database that lost what it knew of the migration: nothing copied into it counts."""

from crossfade.ledger.rows import Rows, RowsView
from crossfade.ledger.transitions.chunks import void_coverage
from crossfade.ledger.transitions.moves import Decision, audit, entity_names
from crossfade.ledger.transitions.sweeps import SweepState, pause_sweep, renew_sweep
from crossfade.model.side import Side


def note_store_forgot(rows: Rows, side: Side, database: str, decision: Decision) -> bool:
    """Void all coverage; False, and nothing changed, where nothing had been copied.

    The rows of a database that was dropped, made anew or restored from a backup are not those
    that we put: every entity is swept again. Where it is the authority's, its sweeps wait for an
    operator, since a sweep deletes from the mirror what the authority lacks. To be called before
    the database's epoch is raised; may be repeated.
    """
    names = [name for name in entity_names(rows) if _was_copied(rows, name)]
    if not names:
        return False
    paused = rows.migration().authority is side
    for name in names:
        void_coverage(rows, rows.entity(name))
        sweep = renew_sweep(rows, name, decision.at)
        if paused and sweep is not None and sweep.state is SweepState.RUNNING:
            pause_sweep(rows, name)
    detail: dict[str, object] = {"side": side, "database": database, "sweeps_paused": paused}
    audit(rows, decision, "store forgot", detail)
    return True


def _was_copied(rows: RowsView, name: str) -> bool:
    """Whether anything of this generation was put, or may be under way."""
    entity = rows.entity(name)
    chunks = rows.chunks_since(name, 0)
    return bool(entity.coverage) or any(one.generation == entity.generation for one in chunks)
