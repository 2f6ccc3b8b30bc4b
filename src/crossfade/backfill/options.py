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
    processes: int = 0
    """Processes beside the node that read, map and put; 0 leaves that to the node itself. Each
    opens connections of its own, two of each kind."""
    process_chunk_rows: int = 10_000
    """`chunk_rows` where processes copy: a trip to them and back is shared by more rows."""
    chunks_at_once: int = 1
    """Chunks of an entity that the node copies at the same time; with processes it is twice their
    number, so that each reads while it puts."""
    page_bytes_max: int = 16_000_000
    """About how much memory the rows of a page may take: fewer are read at once where they are
    large. A chunk has as many pages as it needs."""
    keep_digests: bool = True
    """Whether a digest of each row is kept beside its fence where the mapping is a function, for
    fast verification; without it a copy costs about a tenth less, and the first verification
    reads every row."""
    page_seconds_max: float = 120.0
    """Longest wait for a process to copy a page; then it is ended, and the chunk is run again."""
    throttle_file: str = ""
    """While this file is there nothing more is copied; a relative path counts from the folder of
    the definition. Empty: none."""
    lag_database: str = ""
    """URL of the replica, or whatever knows its lag; a reference such as `${env:REPLICA}`."""
    lag_query: str = ""
    """Query there that gives the lag in seconds. Empty: none."""
    lag_seconds_max: float = 10.0
    """While the lag is larger nothing more is copied."""
    load_database: str = ""
    """URL of the database that `load_query` asks."""
    load_query: str = ""
    """Query that gives any number that tells of load, such as sessions at work. Empty: none."""
    load_max: float = 100.0
    """While that number is larger nothing more is copied."""
    throttle_poll_seconds: float = 2.0
    """How often file, lag and load are looked at."""
    throttle_answer_seconds_max: float = 5.0
    """Longest wait for their answers; one that does not come counts as a reason to rest."""
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
