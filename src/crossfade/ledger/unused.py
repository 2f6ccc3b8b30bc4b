"""Whether a ledger holds nothing yet: one that was made for nothing is removed again."""

from crossfade.ledger.rows import RowsQueries
from crossfade.model.migration_state import MigrationState


def is_unused(rows: RowsQueries) -> bool:
    """Whether nothing was decided, and no store may have been told to obey this ledger."""
    decided = rows.migration() != MigrationState() or rows.audit(1)
    return not decided and not rows.documents("stores") and not rows.documents("entities")
