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
