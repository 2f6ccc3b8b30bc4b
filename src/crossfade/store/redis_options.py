"""Every limit of a Redis store, with unit and reason."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisOptions:
    """How much of a user's Redis we may take; it runs one script at a time for everybody."""

    connections_max: int = 16
    """Connections of this process; calls beyond wait for one."""
    connect_seconds_max: float = 5.0
    """Longest wait for a connection; nothing was sent then."""
    answer_seconds_max: float = 20.0
    """Longest wait for an answer; a put that has none may have been applied."""
    documents_at_once: int = 2000
    """Documents of one put; a larger batch is refused, so that whoever made it halves it."""
    put_bytes_max: int = 16 * 1024 * 1024
    """Bytes of one put's documents: Redis serves nobody else while its script runs."""
    document_bytes_max: int = 8 * 1024 * 1024
    """A larger document is refused."""
    changed_tries: int = 20
    """Times that a put is made anew since the service changed a document in between."""
    scan_at_once: int = 1000
    """Keys that one step of a scan looks at."""
    index_seconds_max: float = 60.0
    """Age at which the index of keys is completed by a scan of the server before it is used."""
