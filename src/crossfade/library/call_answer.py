"""What one side did with a call: returned or raised, as execution and the caller need it."""

from typing import Any

from crossfade.execution.calls import CallFailedError
from crossfade.library import canonical
from crossfade.model.comparison import Observed
from crossfade.model.function_operation import FunctionOperation
from crossfade.model.key import Key


class NotAskedError(CallFailedError):
    """The other side could not be asked here, or not to the end: its function is not to blame."""


class CallAnswer:
    """A complete answer: a value, or an exception that says what happened.

    `observation` is made when the answer is, in the caller's own thread: the value belongs to the
    caller afterwards, who may change it.
    """

    __slots__ = ("_created", "_refused", "error", "observation", "unknown", "value")

    def __init__(
        self,
        value: Any = None,  # noqa: ANN401 - whatever the function returns
        error: BaseException | None = None,
        created: Key | None = None,
    ) -> None:
        self.value = value
        self.error = error
        self.observation: Observed | None = None
        self.unknown = False
        """Whether the exception leaves open what happened."""
        self._created = created
        self._refused = False

    @classmethod
    def raised(cls, called: FunctionOperation, error: BaseException) -> "CallAnswer":
        """The side raised."""
        answer = cls(error=error)
        answer._refused = isinstance(error, called.refused)
        answer.unknown = isinstance(error, called.unknown) and not answer._refused
        return answer

    @property
    def acknowledged(self) -> bool:
        """See `Answer.acknowledged`: it returned."""
        return self.error is None

    @property
    def failed(self) -> bool:
        """See `Answer.failed`: it raised, and may have written all the same."""
        return self.error is not None and not self._refused

    @property
    def refused(self) -> bool:
        """See `Answer.refused`: it raised what is declared to have written nothing."""
        return self._refused

    @property
    def deferred(self) -> bool:
        """See `Answer.deferred`: a function has ended when it has ended."""
        return False

    @property
    def ambiguous(self) -> bool:
        """See `Answer.ambiguous`: nobody is in between."""
        return False

    def observe(self) -> None:
        """Keep what can be compared of it."""
        error = self.error
        if error is None:
            self.observation = canonical.returned(self.value)
        elif self.unknown:
            self.observation = canonical.unanswered(error)
        else:
            self.observation = canonical.raised(error)

    def observed(self) -> Observed | None:
        """See `Answer.observed`; None where it has no comparable form, or nobody asked for it."""
        return self.observation

    def created_key(self) -> Key | None:
        """See `Answer.created_key`."""
        return self._created

    def result(self) -> Any:  # noqa: ANN401 - whatever the function returns
        """The value; raises the very exception that the side raised."""
        if self.error is not None:
            raise self.error
        return self.value
