"""Lists of keys that need somebody's attention, told from a committed ledger alone."""

from crossfade.control.documents import Document, of_key
from crossfade.control.telling import Telling, bounded
from crossfade.ledger.rows import RowsQueries


class KeyLists:
    """Dirty, held and quarantined keys."""

    def __init__(self, told: Telling) -> None:
        self._told = told

    def dirty(
        self, entity: str | None = None, limit: int = 100, *, held: bool = False
    ) -> Document:
        """Keys whose sides are not known to agree; `held`: only those that nobody may touch."""
        self._told.check_entity(entity)

        def query(rows: RowsQueries) -> Document:
            counts = rows.counts(entity)
            if held:
                keys = list(rows.held_keys(entity, bounded(limit)))
                whole = [
                    one.name for one in self._told.outline.entities if _is_held(rows, one.name)
                ]
            else:
                keys, whole = list(rows.dirty_keys(entity, bounded(limit))), []
            total = counts.held if held else counts.dirty
            shown = [of_key(key) for key in keys[: bounded(limit)]]
            return self._told.document(
                "dirty", held=held, total=total, keys=shown, entities_held=whole
            )

        return self._told.look(query)

    def quarantine(self, entity: str | None = None, limit: int = 100) -> Document:
        """Keys that cannot converge, and why."""
        self._told.check_entity(entity)

        def query(rows: RowsQueries) -> Document:
            counts = rows.counts(entity)
            keys = rows.quarantined_keys(entity, bounded(limit))
            return self._told.document(
                "quarantine",
                quarantined=counts.quarantined,
                waived=counts.waived,
                keys=[of_key(key) for key in keys],
            )

        return self._told.look(query)


def _is_held(rows: RowsQueries, entity: str) -> bool:
    return rows.entity(entity).held_authority is not None
