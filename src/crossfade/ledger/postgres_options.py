"""The limits of a ledger on PostgreSQL."""

from dataclasses import dataclass

from crossfade.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresLedgerOptions:
    """Every bound of a ledger that several processes share, with its reason."""

    queue_max: int = 4096
    """Transitions of one event loop that are queued or running; further callers wait."""
    batch_max: int = 512
    """Transitions in one group commit: other processes wait for the ledger meanwhile."""
    route_seconds: float = 0.5
    """How old the migration's row may be that requests are routed by; a flip waits that long for
    a process that does not say that it has seen the flip."""
    poll_seconds: float = 0.1
    """How often that row is read again, besides being told when it changes."""
    beat_seconds: float = 1.0
    """How often a process shows that it lives."""
    dead_seconds: float = 6.0
    """How long a process may show nothing before the others take it for dead."""
    connect_seconds_max: float = 5.0
    """Longest wait for a new connection."""
    lock_seconds_max: float = 5.0
    """Longest wait for the group commit of another process."""
    blocked_seconds: float = 0.1
    """Longest wait, inside a group commit, for a row that a user's transaction holds. Below
    PostgreSQL's own `deadlock_timeout`, so that we give way and not the user."""
    quiet_seconds: float = 1.0
    """Longest wait, at once, for users' transactions to end before the stage changes."""
    blocked_seconds_max: float = 4.0
    """How long a transition that was blocked is tried again before its caller is told."""
    idle_seconds_max: float = 3.0
    """After that the server ends a transaction of a process that stands still within it."""
    statement_seconds_max: float = 30.0
    """Longest time for one statement."""
    outcome_seconds_max: float = 15.0
    """How long callers wait to be told what became of a commit whose answer was lost."""

    def __post_init__(self) -> None:
        """Refuse times that do not fit together."""
        if self.dead_seconds < 4 * max(self.beat_seconds, self.poll_seconds):
            raise ConfigurationError(
                "shared_ledger.dead_seconds must be at least four times beat_seconds and "
                "poll_seconds: a process that is only slow would be taken for dead."
            )
        if self.route_seconds < self.poll_seconds:
            raise ConfigurationError(
                "shared_ledger.route_seconds is less than poll_seconds: every request would ask "
                "the ledger. Give more."
            )
