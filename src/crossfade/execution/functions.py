"""Decorated functions: what their callers call, and where whoever runs them plugs in."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from crossfade.errors import NotRunningError
from crossfade.model.function_operation import FunctionOperation

P = ParamSpec("P")
R = TypeVar("R")


class CallRuntime(Protocol):
    """Carries out calls of decorated functions, in the caller's thread or task."""

    def read(
        self, called: FunctionOperation, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        """Read; raises what the serving side raises, unchanged."""

    def write(
        self, called: FunctionOperation, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        """Write; raises what the authority raises, unchanged."""

    async def read_async(
        self, called: FunctionOperation, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        """Read with functions that are awaited."""

    async def write_async(
        self, called: FunctionOperation, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        """Write with functions that are awaited."""


class NotRunning:
    """Stands where no crossfade runs: every call says so, and asks neither side."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def read(self, called: FunctionOperation, *_: object) -> Any:  # noqa: ANN401 - never returns
        """See `CallRuntime.read`."""
        raise self._error(called)

    def write(self, called: FunctionOperation, *_: object) -> Any:  # noqa: ANN401 - never returns
        """See `CallRuntime.write`."""
        raise self._error(called)

    async def read_async(self, called: FunctionOperation, *_: object) -> Any:  # noqa: ANN401 - never returns
        """See `CallRuntime.read_async`."""
        raise self._error(called)

    async def write_async(self, called: FunctionOperation, *_: object) -> Any:  # noqa: ANN401 - never returns
        """See `CallRuntime.write_async`."""
        raise self._error(called)

    def _error(self, called: FunctionOperation) -> NotRunningError:
        return NotRunningError(f"{called.name} cannot be carried out: {self.reason}")


class CallSlot:
    """Where a migration's functions find who carries out their calls in this process."""

    __slots__ = ("runtime",)

    def __init__(self, migration: str) -> None:
        self.runtime: CallRuntime = not_started(migration)

    @property
    def is_free(self) -> bool:
        """Whether nobody carries out calls."""
        return isinstance(self.runtime, NotRunning)


def not_started(migration: str) -> NotRunning:
    """What holds before a runtime was started, and after it was stopped."""
    return NotRunning(
        f'no crossfade is running for "{migration}" in this process, so nobody knows which side '
        "has authority. Run the program inside `with crossfade.running(...)`."
    )


def forked(migration: str) -> NotRunning:
    """What holds in a process that was forked from one in which a runtime was started."""
    return NotRunning(
        f'this process was forked after crossfade was started for "{migration}", and threads do '
        "not survive a fork. Start it in each worker (gunicorn: in post_fork), not before."
    )


def decorated(slot: CallSlot, called: FunctionOperation, body: Callable[P, R]) -> Callable[P, R]:
    """The function that takes the body's place: same name, signature and colour."""
    if called.asynchronous:
        return cast("Callable[P, R]", _awaited(slot, called, body))
    if called.is_read:

        @wraps(body)
        def operation(*args: P.args, **kwargs: P.kwargs) -> R:
            return slot.runtime.read(called, args, kwargs)  # type: ignore[no-any-return] # as the body

    else:

        @wraps(body)
        def operation(*args: P.args, **kwargs: P.kwargs) -> R:
            return slot.runtime.write(called, args, kwargs)  # type: ignore[no-any-return] # as the body

    return operation


def _awaited(
    slot: CallSlot, called: FunctionOperation, body: Callable[..., Any]
) -> Callable[..., Any]:
    if called.is_read:

        @wraps(body)
        async def operation(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the body's
            return await slot.runtime.read_async(called, args, kwargs)

    else:

        @wraps(body)
        async def operation(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the body's
            return await slot.runtime.write_async(called, args, kwargs)

    return operation
