"""What can be said beside a decorated function, as keyword arguments with their types."""

from typing import Literal, TypedDict

from crossfade.model.comparison import Compare
from crossfade.model.function_operation import CreatedFrom, Errors


class CallOptions(TypedDict, total=False):
    """What reads and writes have in common."""

    name: str
    """The operation's name in reports; the function's own (`Profiles.get`) unless given."""
    compare: Compare | None
    """How results are compared, as the answers of a route are."""
    unknown: type[BaseException] | Errors
    """Exceptions after which nobody knows whether the side has acted; `ConnectionError` and
    `TimeoutError` unless given."""
    shared: tuple[str, ...]
    """Parameters that are handed to both sides as they are, such as a session; all others are
    copied for the side whose result is only compared."""


class WriteOptions(CallOptions, total=False):
    """What only writes have."""

    created: CreatedFrom | None
    """Where the returned value has the id that the authority made."""
    replay: bool
    """Whether the other side is called too, observed only."""
    mirror_when: Literal["after_answer", "before_answer"]
    """Whether the caller waits until the other side's store has followed."""
    refused: type[BaseException] | Errors
    """Exceptions that say for certain that nothing was written."""
    transaction: str | None
    """The parameter that carries the connection whose transaction the write belongs to."""
