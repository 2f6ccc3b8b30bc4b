"""Limits of verification."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationOptions:
    """How much is compared at once, and how failures are met."""

    page_rows: int = 500
    """Rows read at once from each side."""
    compare_slice_rows: int = 100
    """Rows compared at a stretch before other tasks of the process get their turn."""
    store_seconds_max: float = 60.0
    """Longest wait for one read of a side."""
    tries_max: int = 5
    """Reads of one page before an unreachable side ends the verification."""
    retry_seconds: float = 0.5
    """First pause before a page is read again; doubled with each further one."""
    rows_per_second_max: float | None = None
    """Rows compared per second; None is no limit but that of a slow authority."""
    sum_rows: int = 20_000
    """Rows of which a database makes one sum of digests, in one statement."""
    sum_rows_min: int = 1_000
    """The same after statements that took too long, each of which halves it."""
    sums_at_once: int = 2
    """Statements that a side runs at the same time to add up its rows."""
    part_rows: int = 1_000
    """Rows whose digests are read one by one where the sums of both sides differ."""
    read_keys_max: int = 50
    """Keys of such a part that are read one by one; where more differ, all of its records are."""
    distrust_rows: int = 20
    """Rows of each sum that are compared all the same, lest digests outlive a changed mapping."""
