"""Limits of comparison, each with its unit and the reason for its default."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonOptions:
    """How much is compared, how long it may take, and how much of it is kept."""

    sample_fraction: float = 1.0
    """Share of reads that are compared, in [0, 1]; each costs the other side one read."""

    concurrency_max: int = 16
    """Comparisons under way at once; the most that the other side gets beside its own load."""

    queue_max: int = 64
    """Comparisons that wait; with `body_bytes_max` it bounds memory. One more is dropped."""

    deadline_seconds: float = 5.0
    """Seconds for one comparison, waiting for its turn not counted; then it is given up."""

    body_bytes_max: int = 256 * 1024
    """Bytes of one body; a larger one is not compared, since that takes milliseconds in which
    callers wait."""

    confirm_pause_seconds: float = 0.2
    """Seconds before both sides are asked again where the ledger cannot vouch for a key: longer
    than a write usually takes to reach the other side."""

    breaker_failures_max: int = 5
    """Unanswered comparisons in a row after which an operation is left alone for a while."""

    breaker_open_seconds: float = 10.0
    """Seconds until one comparison tries whether the other side answers again."""

    groups_max: int = 200
    """Kinds of mismatches that are kept apart; further ones are only counted."""

    samples_max: int = 3
    """Samples kept of each kind of mismatch: redacted values of both sides."""

    keys_shown: bool = False
    """Whether samples name the key; a key may be an e-mail address, so by default its hash."""

    flush_seconds: float = 1.0
    """Seconds between two flushes to the ledger; a crash loses the counts of so long."""
