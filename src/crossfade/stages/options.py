"""Limits of stage moves."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOptions:
    """How long a change of authority may take, and how hard it tries."""

    pause_seconds_max: float = 2.0
    """Longest time that writers wait for a flip forward; over it the flip is undone."""
    rollback_pause_seconds_max: float = 10.0
    """The same for a roll-back, which is tried harder."""
    prepare_seconds_max: float = 15.0
    """Longest time that a flip waits for old intents and a backlog before it holds any writer."""
    drain_poll_seconds: float = 0.005
    """Pause between two looks at what is still open."""
    drain_keys_at_once: int = 32
    """Keys converged side by side while writers wait."""
    drain_page: int = 500
    """Dirty keys listed at once."""
    store_seconds_max: float = 5.0
    """Longest wait for one store to take an epoch, or to show that it answers."""
    watch_seconds: float = 0.2
    """How often the barrier, and a change of epoch that was cut off, are looked at again."""
