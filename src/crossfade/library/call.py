"""One call of a decorated function, ready to be made on either side any number of times."""

import asyncio
import contextvars
from collections.abc import Mapping
from typing import Any

from crossfade.errors import CrossfadeError, DefinitionError, NestedWriteError
from crossfade.execution.calls import CallFailedError
from crossfade.library import canonical
from crossfade.library.call_answer import CallAnswer, NotAskedError
from crossfade.library.copying import copied
from crossfade.library.nesting import INSIDE, SERVE, Inside, place
from crossfade.model.function_operation import FunctionOperation
from crossfade.model.function_signature import Arguments
from crossfade.model.key import Key
from crossfade.model.side import Side


class Call:
    """A function operation with the arguments of one caller."""

    __slots__ = ("args", "called", "connection", "context", "keys", "kwargs", "observes", "owner",
                 "pristine", "types")  # fmt: skip

    def __init__(
        self,
        owner: object,
        called: FunctionOperation,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        types: tuple[type, ...],
    ) -> None:
        self.owner = owner
        self.called = called
        self.args = args
        self.kwargs = kwargs
        self.types = types
        self.keys: tuple[Key, ...] = called.keys(args, kwargs, types)
        self.pristine: Arguments | None = None
        """The arguments as they were before any side had them, for the other side."""
        self.context: contextvars.Context | None = None
        """The caller's context, as it was then."""
        self.observes = False
        self.connection: object = None
        """Whose transaction the write is part of, where it is part of its caller's."""

    def prepare(self) -> bool:
        """Copy arguments and context before any side is asked; False where that cannot be done."""
        try:
            self.pristine = copied(self.called, self.args, self.kwargs)
        except Exception:  # noqa: BLE001 - arguments may do anything when they are copied
            return False
        self.context = contextvars.copy_context()
        self.observes = True
        return True

    # The authority's call: in the caller's own thread or task.

    def run(self, side: Side) -> CallAnswer:
        """Call the side's function here; what ends a thread or a program is raised on."""
        token = INSIDE.set(self._inside(side, SERVE, INSIDE.get()))
        try:
            value = self.called.functions[side](*self.args, **self.kwargs)
        except Exception as error:  # noqa: BLE001 - it is the caller's, who gets it
            return self._answered(self._raised(error))
        finally:
            INSIDE.reset(token)
        if _is_awaitable(value):
            return self._answered(CallAnswer(error=self._forgotten_await(value)))
        return self._answered(self._returned(value))

    async def run_async(self, side: Side) -> CallAnswer:
        """Await the side's function here; a cancellation is raised on."""
        token = INSIDE.set(self._inside(side, SERVE, INSIDE.get()))
        try:
            value = await self.called.functions[side](*self.args, **self.kwargs)
        except Exception as error:  # noqa: BLE001 - it is the caller's, who gets it
            return self._answered(self._raised(error))
        finally:
            INSIDE.reset(token)
        return self._answered(self._returned(value))

    # The other side's call: elsewhere, with copies, and whatever it does stays there.

    def run_shadow(self, side: Side, role: str) -> CallAnswer:
        """Call the side's function with copies of the arguments; see `_shadowed` for errors."""
        args, kwargs = self._copies()
        INSIDE.set(self._inside(side, role, None))
        try:
            value = self.called.functions[side](*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - the caller's thread is not this one
            return self._shadowed(error, role)
        if _is_awaitable(value):
            return self._shadowed(self._forgotten_await(value), role)
        return self._shadow_returned(value)

    async def run_shadow_async(self, side: Side, role: str) -> CallAnswer:
        """Await the side's function with copies of the arguments; see `_shadowed` for errors."""
        args, kwargs = self._copies()
        INSIDE.set(self._inside(side, role, None))
        try:
            value = await self.called.functions[side](*args, **kwargs)
        except BaseException as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
                # By us at the deadline, or by the end of the caller's loop.
                raise NotAskedError("it was cancelled", sent=True) from error
            return self._shadowed(error, role)
        return self._shadow_returned(value)

    def _copies(self) -> Arguments:
        if self.pristine is None:
            raise CallFailedError("the arguments were not copied", sent=False)
        try:
            return copied(self.called, *self.pristine)
        except Exception as error:
            raise CallFailedError("the arguments cannot be copied twice", sent=False) from error

    def _shadowed(self, error: BaseException, role: str) -> CallAnswer:
        """The answer of a side that raised.

        Raises:
            CallFailedError: nothing can be said of it: it did not begin, or nobody knows what a
                replay has done.

        """
        if isinstance(error, NestedWriteError):
            raise CallFailedError(str(error), sent=False) from error
        answer = CallAnswer.raised(self.called, error)
        ended = isinstance(error, Exception)
        if role == "replay" and (answer.unknown or not ended):
            raise CallFailedError(type(error).__name__, sent=True) from error
        answer.observe()
        return answer

    def _shadow_returned(self, value: object) -> CallAnswer:
        answer = CallAnswer()
        try:
            answer.observation = canonical.returned(value)
        except BaseException:  # noqa: BLE001 - a value that exits when it is looked at
            answer.observation = None
        answer.observation = answer.observation or canonical.returned_nonsense(value)
        return answer

    def _raised(self, error: Exception) -> CallAnswer:
        if error.__traceback__ is not None:
            # The frame of `run` would stand between the caller and the function.
            error.__traceback__ = error.__traceback__.tb_next
        return CallAnswer.raised(self.called, error)

    def _returned(self, value: object) -> CallAnswer:
        created = None
        if self.called.created is not None:
            try:
                created = self.called.created_key(value, self.types)
            except Exception:  # noqa: BLE001 - the write stands: the resolver looks for its key
                created = None
        return CallAnswer(value, created=created)

    def _answered(self, answer: CallAnswer) -> CallAnswer:
        if self.observes:
            answer.observe()
        return answer

    def _forgotten_await(self, value: object) -> CrossfadeError:
        close = getattr(value, "close", None)
        if callable(close):
            close()
        return DefinitionError(
            f"{self.called.name}: a function that is not async returned something to be awaited, "
            "so it has not run. Declare it with async def."
        )

    def _inside(self, side: Side, role: str, outer: Inside | None) -> Inside:
        entity = self.called.operation.entity
        writes = not self.called.is_read
        connection = self.connection if role == SERVE else None
        return Inside(
            self.owner, side, role, writes, entity, self.keys, place(), outer, connection
        )


def _is_awaitable(value: object) -> bool:
    """Asks the type alone: the value may be a proxy that does something when it is looked at."""
    return hasattr(type(value), "__await__")
