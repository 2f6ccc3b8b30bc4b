"""Writes of decorated functions: the node's writer, with the call made where the caller is."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crossfade.errors import (
    CrossfadeError,
    KeyArgumentError,
    NestedWriteError,
    NotRunningError,
    OutcomeUnknownError,
)
from crossfade.execution.calls import Request
from crossfade.execution.failures import Failures
from crossfade.execution.writer import Writer
from crossfade.ledger.base import Ledger
from crossfade.library.asking import Asking, Shadows
from crossfade.library.call import Call
from crossfade.library.call_answer import CallAnswer
from crossfade.library.handed_comparer import HandedComparer
from crossfade.library.mailbox import Done, Mailbox, TaskMailbox, ThreadMailbox
from crossfade.library.nesting import inside_of, owned_side, shadow_side
from crossfade.library.node_thread import NodeThread
from crossfade.library.within import Within, connection_of
from crossfade.model.function_operation import FunctionOperation
from crossfade.model.side import Side
from crossfade.seams.tasks import Tasks


@dataclass(frozen=True, slots=True)
class WriteParts:
    """What writes are wired with."""

    owner: object
    ledger: Ledger
    writer: Writer[CallAnswer]
    comparer: HandedComparer
    shadows: Shadows
    failures: Failures
    tasks: Tasks
    thread: "NodeThread[Any]"
    key_types: Mapping[str, tuple[type, ...]]
    within: Within


class Writes:
    """Carries out writes: intent and mirror on the node's loop, the authority's call here."""

    def __init__(self, parts: WriteParts) -> None:
        self._parts = parts
        self._within = parts.within
        self._open: dict[Mailbox, None] = {}

    @property
    def under_way(self) -> int:
        """How many callers wait for a write."""
        return len(self._open)

    def write(
        self, called: FunctionOperation, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        """See `CallRuntime.write`.

        Raises whatever the authority raises, and:
            WritesHeldError: writes are held or refused, and waiting was in vain.
            KeyHeldError, LedgerUnavailableError: likewise nothing was touched.
            NestedWriteError: likewise; a write may not be made from there.
            OutcomeUnknownError: the authority changed while it wrote.

        """
        call = self._call(called, args, kwargs)
        side = self._owner_side(call)
        if side is not None:
            return called.functions[side](*args, **kwargs)
        if called.transaction is not None:
            answer = self._within.write(call)
            if answer is not None:
                return answer.result()
        if self._parts.thread.is_here:
            raise NestedWriteError(
                f"{called.name} was called by a mapping, a hook or a store's function, on the "
                "event loop that would carry it out. Nothing was written; write elsewhere."
            )
        self._prepare(call)
        mailbox = ThreadMailbox(self._parts.thread.post)
        asking = Asking(call, mailbox.ask, self._parts.shadows)
        self._begin(asking, mailbox)
        try:
            return mailbox.serve(call.run).result()
        finally:
            self._open.pop(mailbox, None)

    async def write_async(
        self, called: FunctionOperation, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        """See `CallRuntime.write_async` and `write`; a cancellation leaves no half write."""
        call = self._call(called, args, kwargs)
        side = self._owner_side(call)
        if side is not None:
            return await called.functions[side](*args, **kwargs)
        if called.transaction is not None:
            answer = await self._within.write_async(call)
            if answer is not None:
                return answer.result()
        self._prepare(call)
        mailbox = TaskMailbox(self._parts.thread.post)
        loop = asyncio.get_running_loop()
        asking = Asking(call, mailbox.ask, self._parts.shadows, loop)
        self._begin(asking, mailbox)
        try:
            return (await mailbox.serve(call.run_async)).result()
        finally:
            self._open.pop(mailbox, None)

    def abandon(self) -> None:
        """The node has stopped: callers that still wait are told that nobody will answer."""
        for mailbox in list(self._open):
            mailbox.end(Done())

    def _call(
        self, called: FunctionOperation, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Call:
        types = self._parts.key_types[called.operation.entity]
        call = Call(self._parts.owner, called, args, kwargs, types)
        if not call.keys and called.created is None:
            raise KeyArgumentError(called.name, "there is none")
        return call

    def _owner_side(self, call: Call) -> Side | None:
        """The side of the operation around this one, where that one owns this write already."""
        outer = inside_of(self._parts.owner)
        if outer is None:
            return None
        side = shadow_side(outer, writes=True)
        if side is not None:
            return side
        within = call.called.transaction is not None
        connection = connection_of(call) if within else None
        return owned_side(outer, call.called.operation.entity, call.keys, connection)

    def _prepare(self, call: Call) -> None:
        if call.called.operation.replay:
            self._parts.comparer.prepare(call)

    def _begin(self, asking: Asking, mailbox: Mailbox) -> None:
        """Hand the write over to the node."""
        call = asking.call
        replayable = call.pristine is not None
        request = Request(call.called.operation, call.keys, asking, replayable)
        # Noted before it is handed over: whoever stops the node must find it.
        self._open[mailbox] = None
        if not self._parts.thread.post(self._spawn, request, mailbox):
            self._open.pop(mailbox, None)
            raise NotRunningError(f"{call.called.name}: crossfade has just stopped here.")

    def _spawn(self, request: Request[CallAnswer], mailbox: Mailbox) -> None:
        self._parts.tasks.spawn(self._carry_out(request, mailbox), name="call")

    async def _carry_out(self, request: Request[CallAnswer], mailbox: Mailbox) -> None:
        """The write on the node's loop; however it ends, the caller is told."""
        ended = Done(error=OutcomeUnknownError("the write was interrupted; it may have happened."))
        try:
            answer, _ = await self._parts.writer.write(request)
            ended = Done(answer)
        except CrossfadeError as error:
            ended = Done(error=error)
        finally:
            mailbox.end(ended)
            if isinstance(ended.error, OutcomeUnknownError):
                self._parts.failures.note(self._parts.ledger.migration.decision)
