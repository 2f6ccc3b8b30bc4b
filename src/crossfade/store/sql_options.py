"""Every limit of an SQL store, with unit and reason."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlOptions:
    """How much of a user's database we may take."""

    reader_connections_max: int = 4
    """Connections for reads, each with its thread."""
    writer_connections_max: int = 4
    """Connections for puts, each with its thread; SQLite has one writer and gets one."""
    busy_seconds_max: float = 5.0
    """How long a call waits for a lock that somebody else holds before it says unreachable."""
    connect_seconds_max: float = 10.0
    """How long a server may take to answer a new connection, at least 2 s."""
    call_seconds_max: float = 60.0
    """Longest wait for one transaction, the wait for its thread included. One that began and does
    not end keeps its thread; once all of them hang, calls are refused at once as unreachable."""
    check_seconds_max: float = 600.0
    """Longest wait to open a store: all keys are read where the schema promises too little."""
    calls_waiting_max: int = 2000
    """Calls that may wait for a connection; more are refused at once as unreachable."""
    foreign_keys: bool = True
    """Whether the database checks foreign keys for what we write (SQLite asks this of callers)."""
