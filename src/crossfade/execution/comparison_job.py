"""One read to compare, as it was when its caller was answered, and the ways to give it up."""

import contextvars
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic

from crossfade.execution.calls import AnswerT, Request
from crossfade.execution.standing import Standing
from crossfade.model.comparison import Observed
from crossfade.model.key import Key
from crossfade.model.observation import MismatchKind
from crossfade.model.side import Side


class SkipReason(StrEnum):
    """Why a comparison was not made, or says nothing."""

    QUEUE_FULL = "as many comparisons as allowed are waiting"
    BREAKER_OPEN = "the other side has not answered lately"
    BODY_OVER_LIMIT = "an answer is too large to compare"
    NOT_COPIED = "the sides are not known to agree yet"
    CHANGED = "the key or the stage changed meanwhile"
    NOT_CONFIRMED = "the difference was gone when both sides were asked again"
    NOT_ASKED = "the program had no place to ask the other side"
    FAULT = "the comparison failed in itself"


class ComparisonSkippedError(Exception):
    """Ends a comparison that cannot be judged."""

    def __init__(self, reason: SkipReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(slots=True)
class ComparisonJob(Generic[AnswerT]):
    """One read to compare; all but `late` stays as it was when the caller was answered."""

    request: Request[AnswerT]
    kind: MismatchKind
    answered_by: Side
    answered: Observed
    before: Standing
    decision: int
    tracked: bool
    """Whether the ledger knows of every write."""
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    late: bool = False
    """The deadline has passed and was counted; whatever still comes is dropped."""

    @property
    def key(self) -> Key | None:
        """The key that was read."""
        return self.request.keys[0] if self.request.keys else None
