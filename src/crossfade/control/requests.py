"""What a caller asks for when it wants something changed: plain values, checked by their types."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from crossfade.model.verification_way import AskedWay

TEXT_CHARACTERS_MAX = 1000
"""Characters of a reason or an actor that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Base of all requests: who asks, and whether only to see what would happen."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "str_max_length": 10_000}

    actor: str = "unknown"
    reason: str = ""
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveAsked(Asked):
    """Move to a stage, forward or back."""

    wanted: str
    expected: int | None = None
    """The decision that the asker saw; another one in force refuses the move."""
    waive: tuple[str, ...] = ()
    """Names of gates that may be red."""
    budget_seconds: float | None = None
    """Longest pause of writers; None is the configured one."""
    force: bool = False
    """Only for a roll-back: the authority is dead, its unread keys are held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeAsked(Asked):
    """Hold all writes, or let them go on."""

    off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryAsked(Asked):
    """Let new serve a share of an entity's reads."""

    entity: str
    percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitiesAsked(Asked):
    """Work on entities; none named means all."""

    entities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillAsked(EntitiesAsked):
    """Copy entities."""

    rows_per_second_max: float | None = None
    """None is no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyAsked(EntitiesAsked):
    """Compare entities key by key."""

    fraction: float = 1.0
    """Share of the keys, above 0 and up to 1; the same share is the same keys."""
    way: AskedWay = AskedWay.BEST
    """`exact` reads every record, `fast` refuses to; `best` is fast where that is possible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysAsked(Asked):
    """Do something to keys, by name."""

    entity: str
    keys: tuple[tuple[int | str, ...], ...] = field(default=())
    every: bool = False
    """All that qualify, instead of the named ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceAsked(Asked):
    """Close a kind of difference."""

    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireAsked(Asked):
    """End the write-back; the migration's name is the confirmation."""

    name: str
