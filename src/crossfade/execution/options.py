"""Limits of execution."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionOptions:
    """How long requests wait and how often they are routed anew."""

    held_seconds_max: float = 3.0
    """Longest wait of a write for a flip, a freeze or a hold; then 503 with Retry-After."""
    held_poll_seconds: float = 0.01
    """How often a waiting write looks again."""
    held_writes_max: int = 1000
    """Writes that may wait at once; one more is refused at once."""
    reroutes_max: int = 4
    """How often a read is routed anew because the stage or its key changed under way."""
    followers_max: int = 256
    """Writes that may be answered and not yet converged inline; above, the reconciler does it,
    and nothing is replayed. A mirror that cannot follow so costs callers nothing, and memory is
    bounded; few enough that a lease is seldom old before its key's turn comes."""
