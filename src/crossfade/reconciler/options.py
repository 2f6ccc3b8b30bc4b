"""Limits of the reconciler."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcilerOptions:
    """How many keys are converged at once, and how failures are met."""

    converges_max: int = 16
    """Keys converged at once while both sides answer; more would only queue in the stores."""
    keys_at_once: int = 200
    """Dirty keys looked at in one query."""
    pages_max: int = 20
    """Queries in one round, so that keys which wait never hide those behind them for long."""
    from_head_seconds: float = 2.0
    """How often the list of dirty keys is begun anew at its oldest."""
    retry_seconds: float = 0.1
    """First pause after a failed attempt on a key; doubled with each further one, with jitter."""
    retry_seconds_max: float = 30.0
    """Longest pause between two attempts on a key."""
    entity_pause_seconds_max: float = 5.0
    """Longest pause of an entity whose stores do not answer, between two keys that probe them."""
    waiting_keys_max: int = 100_000
    """Keys whose pause is remembered; beyond it a key may be tried a little too early."""
    lease_patience_seconds: float = 1.0
    """How long a lease of this process is left alone: a writer is converging that key itself."""
    idle_seconds: float = 0.02
    """First pause when nothing is dirty; doubled up to the longest one."""
    idle_seconds_max: float = 0.25
    """Longest pause when nothing is dirty."""
    intents_at_once: int = 10_000
    """Open intents looked at in one round; the oldest come first."""
    closes_at_once: int = 100
    """Intents closed in one transaction."""
    resolve_seconds: float = 0.25
    """How often open intents are looked at."""
    scan_rows: int = 1000
    """Keys read at once from each side in search of a record whose create never told its id."""
    upkeep_seconds: float = 2.0
    """How often epochs, lost sides and clean rows are looked after."""
    quarantined_at_once: int = 1000
    """Quarantined keys of which those are looked at that wait for another record."""
    waits_looked_at: int = 100
    """Records that are looked up on the mirror in one round, for keys that wait for them."""
    forget_rows_max: int = 5000
    """Clean rows of one entity forgotten in one transaction."""
    forget_rows_min: int = 1000
    """Fewer clean rows are kept: forgetting makes canary reads under way fall back."""
