"""Reads of decorated functions: straight to the authority, with care only where it is needed."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from crossfade.execution.calls import Request
from crossfade.execution.canary import Canary
from crossfade.execution.reader import Reader
from crossfade.ledger.base import Ledger
from crossfade.library.asking import Asking, Shadows
from crossfade.library.call import Call
from crossfade.library.call_answer import CallAnswer
from crossfade.library.handed_comparer import HandedComparer
from crossfade.library.nesting import INSIDE, inside_of, shadow_side
from crossfade.model.function_operation import FunctionOperation
from crossfade.model.migration_state import MigrationState
from crossfade.model.plan import READ_PLANS
from crossfade.model.side import Side
from crossfade.model.stage import STAGE_RULES

_ROUTES = {
    stage: (rules.authority, READ_PLANS[stage].compare, rules.canary_reads)
    for stage, rules in STAGE_RULES.items()
}
"""Stage -> who serves, whether the other side may be compared, whether new may serve a share."""


@dataclass(frozen=True, slots=True)
class ReadParts:
    """What reads are wired with."""

    owner: object
    """Marks the operations of this runtime."""
    ledger: Ledger
    canary: Canary
    reader: Reader[CallAnswer]
    comparer: HandedComparer
    shadows: Shadows
    key_types: Mapping[str, tuple[type, ...]]


class Reads:
    """Carries out reads in their callers' threads and tasks.

    An answer counts only if epoch and authority are unchanged when it comes back, and nothing was
    held meanwhile (rules 10 and 11); else, and for canaries, held keys and comparisons, the node's
    own reader routes it. All that is thrown away of a call that is routed anew is its answer.
    """

    def __init__(self, parts: ReadParts) -> None:
        self._owner = parts.owner
        self._ledger = parts.ledger
        self._canary = parts.canary
        self._reader = parts.reader
        self._comparer = parts.comparer
        self._shadows = parts.shadows
        self._key_types = parts.key_types

    def read(
        self, called: FunctionOperation, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        """See `CallRuntime.read`."""
        if INSIDE.get() is not None:
            side = self._inside()
            if side is not None:
                return called.functions[side](*args, **kwargs)
        state = self._ledger.migration
        authority, compares, canary = _ROUTES[state.stage]
        compares = compares and self._comparer.chosen()
        if compares or state.holds_keys or (canary and self._is_shared(called)):
            return _ended(self._with_care(called, args, kwargs, sampled=compares)).result()
        try:
            result = called.functions[authority](*args, **kwargs)
        except Exception:
            if self._holds(state, authority):
                raise
        else:
            if self._holds(state, authority):
                return result
        return _ended(self._with_care(called, args, kwargs, sampled=False)).result()

    async def read_async(
        self, called: FunctionOperation, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        """See `CallRuntime.read_async`."""
        if INSIDE.get() is not None:
            side = self._inside()
            if side is not None:
                return await called.functions[side](*args, **kwargs)
        state = self._ledger.migration
        authority, compares, canary = _ROUTES[state.stage]
        compares = compares and self._comparer.chosen()
        if compares or state.holds_keys or (canary and self._is_shared(called)):
            return (await self._with_care(called, args, kwargs, sampled=compares)).result()
        try:
            result = await called.functions[authority](*args, **kwargs)
        except Exception:
            if self._holds(state, authority):
                raise
        else:
            if self._holds(state, authority):
                return result
        return (await self._with_care(called, args, kwargs, sampled=False)).result()

    def _holds(self, state: MigrationState, authority: Side) -> bool:
        """Whether the route that was taken is the right one still."""
        now = self._ledger.migration
        if now is state:
            return True
        same = now.epoch == state.epoch and _ROUTES[now.stage][0] is authority
        return same and not now.holds_keys

    def _is_shared(self, called: FunctionOperation) -> bool:
        return self._canary.has_share(called.operation.entity)

    def _inside(self) -> Side | None:
        """The side that the operation around this one demands, if any."""
        outer = inside_of(self._owner)
        return None if outer is None else shadow_side(outer, writes=False)

    async def _with_care(
        self,
        called: FunctionOperation,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        sampled: bool,
    ) -> CallAnswer:
        """The node's reader, in the caller's own thread or task.

        Raises:
            KeyHeldError: the key's newest value is on a side that does not answer.
            UpstreamFailedError: the stage kept changing.

        """
        operation = called.operation
        call = Call(self._owner, called, args, kwargs, self._key_types[operation.entity])
        sampled = sampled and self._comparer.prepare(call)
        loop = asyncio.get_running_loop() if called.asynchronous else None
        serve = call.run_async if called.asynchronous else _at_once(call)
        asking = Asking(call, serve, self._shadows, loop)
        # Several keys in one read are routed as a read without a key: all must agree.
        keys = call.keys if len(call.keys) == 1 else ()
        answer, _ = await self._reader.read(Request(operation, keys, asking, sampled))
        return answer


def _at_once(call: Call) -> Any:  # noqa: ANN401 - a coroutine function
    async def serve(side: Side) -> CallAnswer:
        return call.run(side)

    return serve


def _ended(work: Coroutine[Any, Any, CallAnswer]) -> CallAnswer:
    """Run what never waits: the reader awaits the call alone, which is made at once."""
    try:
        work.send(None)
    except StopIteration as ended:
        answer: CallAnswer = ended.value
        return answer
    work.close()
    raise RuntimeError("a read waited for something but its own call")
