"""The limits of a SQLite ledger."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteLedgerOptions:
    """Every bound of a SQLite ledger, with its reason."""

    queue_max: int = 4096
    """Transitions of one event loop that are queued or running; further callers wait."""
    batch_max: int = 1024
    """Transitions in one group commit, so that the first of them does not wait for too many."""
    rows_remembered_max: int = 50_000
    """Rows that the writer keeps in memory between commits."""
    busy_seconds_max: float = 5.0
    """How long a commit waits for somebody else's lock on the file."""
