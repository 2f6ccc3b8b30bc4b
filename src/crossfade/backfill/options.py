"""Limits of the backfill."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillOptions:
    """How much is copied at once, and how failures are met."""

    chunk_rows: int = 1_000
    """Rows copied under one chunk: one transaction of the mirror and two commits of the ledger, so
    that their cost is shared by many rows while the mirror's writers wait only milliseconds."""
    map_slice_rows: int = 100
    """Rows mapped at a stretch before other tasks of the process get their turn."""
    read_ahead: bool = True
    """Whether the next chunk is read while this one is put; at most one is held in memory."""
    store_seconds_max: float = 60.0
    """Longest wait for one page read or one batch put; a batch's outcome is then unknown."""
    room_seconds_max: float = 10.0
    """Longest wait of an open chunk while too many keys are dirty; then it is run again later."""
    idle_seconds: float = 1.0
    """How often a worker with nothing to copy looks for a sweep that was asked for."""
    retry_seconds: float = 0.5
    """First pause after a failure; doubled with each further one, with jitter."""
    retry_seconds_max: float = 30.0
    """Longest pause after a failure."""
