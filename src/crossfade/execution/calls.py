"""What execution asks of a transport: call one side, and say how it ended."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from crossfade.errors import CrossfadeError
from crossfade.model.comparison import Observed
from crossfade.model.key import Key
from crossfade.model.operation import Operation
from crossfade.model.side import Side


class Answer(Protocol):
    """A complete answer of one side, as the transport holds it."""

    @property
    def acknowledged(self) -> bool:
        """Whether the side says that it did what was asked (2xx)."""

    @property
    def failed(self) -> bool:
        """Whether the side says that it failed (5xx): what happened must be read back."""

    @property
    def refused(self) -> bool:
        """Whether the side says that it did not do what was asked (4xx)."""

    @property
    def deferred(self) -> bool:
        """Whether the side only says that it will act (202): that settles nothing (rule 7)."""

    @property
    def ambiguous(self) -> bool:
        """Whether an intermediary may have made this answer (502, 504), so it is none (rule 7)."""

    def observed(self) -> Observed | None:
        """The answer as a comparison sees it; None where it was too large to keep."""

    def created_key(self) -> Key | None:
        """The key that the side made, where the operation says how to find it."""


AnswerT = TypeVar("AnswerT", bound=Answer)


class CallFailedError(CrossfadeError):
    """A side gave no complete answer."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent
        """Whether the request may have reached the service; False: it certainly did not."""


@dataclass(frozen=True, slots=True)
class CallTag:
    """What a call carries besides the caller's request."""

    intent: int | None = None
    """The write's idempotency key."""
    role: str = "serve"
    """`serve`, `replay` or `compare`; told to the service in a header."""


SERVE = CallTag()
COMPARE = CallTag(role="compare")

Call = Callable[[Side, CallTag], Awaitable[AnswerT]]
"""Ask one side. Raises `CallFailedError` where there is no complete answer within the deadline."""


@dataclass(frozen=True, slots=True)
class Request(Generic[AnswerT]):
    """One read or write, ready to be asked of either side, any number of times."""

    operation: Operation
    keys: tuple[Key, ...]
    """Sorted; empty for a read without a key and for a create whose id the authority makes."""
    call: Call[AnswerT]
    replayable: bool = True
    """False where the request was too large to be kept for a replay or a comparison."""
