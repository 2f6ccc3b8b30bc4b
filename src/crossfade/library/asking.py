"""How execution asks a side for a call: the authority where the caller is, the other apart."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from functools import partial

from crossfade.execution.calls import CallFailedError, CallTag
from crossfade.execution.comparison_job import ComparisonSkippedError, SkipReason
from crossfade.library.call import Call
from crossfade.library.call_answer import CallAnswer, NotAskedError
from crossfade.library.nesting import COMPARE
from crossfade.library.shadow_tasks import ShadowTasks
from crossfade.library.shadow_threads import ShadowThreads
from crossfade.model.side import Side


class Shadows:
    """Where calls of the other side are made; one per process."""

    def __init__(self, at_once_max: int) -> None:
        self.threads = ShadowThreads(at_once_max)
        self.tasks = ShadowTasks(at_once_max)

    def close(self) -> None:
        """Begin no more; nobody waits any longer for what has begun."""
        self.threads.close()
        self.tasks.close()


class Asking:
    """A caller's request, as `Request.call` wants it."""

    def __init__(
        self,
        call: Call,
        serve: Callable[[Side], Awaitable[CallAnswer]],
        shadows: Shadows,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Say how each side is asked.

        Args:
            call: what is called.
            serve: makes the authority's call.
            shadows: where the other side's call is made.
            loop: the caller's, where the functions are awaited.

        """
        self.call = call
        self._serve = serve
        self._shadows = shadows
        self._loop = loop

    async def __call__(self, side: Side, tag: CallTag) -> CallAnswer:
        """Ask one side once.

        Raises:
            CallFailedError: there is no complete answer.
            ComparisonSkippedError: this process could not ask.

        """
        if tag.role == "serve":
            return await self._serve(side)
        context = self.call.context
        if context is None:
            raise CallFailedError("the arguments were not copied", sent=False)
        try:
            return await self._ask_apart(side, tag.role, context.copy())
        except NotAskedError as error:
            if tag.role == COMPARE:
                # That says nothing of the other side.
                raise ComparisonSkippedError(SkipReason.NOT_ASKED) from error
            raise

    async def _ask_apart(self, side: Side, role: str, context: Context) -> CallAnswer:
        if self._loop is None:
            work = partial(self.call.run_shadow, side, role)
            return await self._shadows.threads.run(work, context)
        awaited = partial(self.call.run_shadow_async, side, role)
        return await self._shadows.tasks.run(awaited, context, self._loop)
