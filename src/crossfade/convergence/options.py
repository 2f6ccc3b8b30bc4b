"""Limits of convergence."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvergenceOptions:
    """How hard one key is tried."""

    refused_tries_max: int = 5
    """Attempts on a missing parent or an unnamed unique clash before the key is quarantined."""
    together_max: int = 16
    """Records put in one transaction because none can be put before the others."""
    hot_key_tries: int = 6
    """Attempts after which writers of the key are held, at most 50 ms, so that it converges."""
    store_seconds_max: float = 10.0
    """Longest wait for one read or put of a store; then its outcome counts as unknown."""
