"""An intent: the durable promise that precedes every tracked write."""

from enum import StrEnum

from msgspec import Struct

from crossfade.model.key import Key
from crossfade.model.side import Side


class Doubt(StrEnum):
    """Which call of a write has no complete answer."""

    NONE = "none"
    AUTHORITY = "authority"
    MIRROR = "mirror"


class Intent(Struct, frozen=True):
    """A write under way: recorded before any side is touched, deleted when it has ended.

    A struct, like `KeyState`; changed by `msgspec.structs.replace`.
    """

    id: int
    """Taken from the global sequence; doubles as the idempotency key of its calls."""
    entity: str
    keys: tuple[Key, ...]
    """Sorted; empty while the id of a create is not known (`unbound`)."""
    unbound: bool
    epoch: int
    authority: Side
    node: str
    operation: str
    doubt: Doubt = Doubt.NONE
