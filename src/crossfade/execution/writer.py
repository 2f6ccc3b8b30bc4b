"""Writes: intent, authority, answer, mirror (PROTOCOL.md `write`)."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Generic, TypeAlias

from crossfade.convergence.converge import Convergence, Observer
from crossfade.errors import (
    CrossfadeError,
    KeyHeldError,
    LedgerError,
    LedgerUnavailableError,
    OutcomeUnknownError,
    UpstreamFailedError,
    WritesHeldError,
)
from crossfade.execution.calls import SERVE, AnswerT, CallFailedError, CallTag, Request
from crossfade.execution.closing import Closed, bind_created, close_and_lease
from crossfade.execution.options import ExecutionOptions
from crossfade.execution.replaying import NOT_REPLAYED, Replayed, Replaying
from crossfade.execution.standing import is_entity_held, is_held
from crossfade.execution.untracked import UntrackedWrites
from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.intents import (
    OpenedIntent,
    WriteRequest,
    close_intent,
    doubt_intent,
    open_intent,
)
from crossfade.model.intent import Doubt, Intent
from crossfade.model.key import Key
from crossfade.model.operation import MirrorWhen
from crossfade.model.plan import KeyStanding, WritePlan, plan_write
from crossfade.model.side import Side
from crossfade.observability.events import ReplaySkipped, WorkerFailed, WriteUnknown
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams

_Reply: TypeAlias = asyncio.Future[tuple[AnswerT, Side]]
"""What the caller waits for: the authority's answer, and which side that was."""


class Writer(Generic[AnswerT]):
    """Carries out writes; one per node."""

    def __init__(
        self,
        ledger: Ledger,
        convergence: Convergence,
        replaying: Replaying,
        hooks: Hooks,
        seams: Seams,
        node: str,
    ) -> None:
        self._ledger = ledger
        self._convergence = convergence
        self._replaying = replaying
        self._hooks = hooks
        self._seams = seams
        self._node = node
        self._waiting = 0
        self._following = 0
        self._alive: dict[int, list[int]] = {}
        self.options = ExecutionOptions()
        self.untracked: UntrackedWrites | None = None

    def is_alive(self, intent: int) -> bool:
        """Whether the intent's task runs in this process; the resolver leaves it alone."""
        return intent in self._alive

    def forsake(self) -> None:
        """Others settled this process's writes, since it stood still; called by any thread."""
        self._alive.clear()

    async def write(self, request: Request[AnswerT]) -> tuple[AnswerT, Side]:
        """Carry out one write; returns the authority's answer and which side that was.

        The caller may be cancelled at any time: from the intent on, the write runs in a task of
        its own. Survives a crash at any point: the intent stays, and the resolver settles it.

        Raises:
            WritesHeldError: writes are held and waiting was in vain; nothing was touched.
            KeyHeldError: the key is held; nothing was touched.
            LedgerUnavailableError: no durable intent, so nothing was touched.
            UpstreamFailedError: the authority certainly did not get the request.
            OutcomeUnknownError: no complete answer, or the stage changed under way.

        """
        until = self._seams.clock.monotonic() + self.options.held_seconds_max
        while not (plan := await self._planned(request, until)).tracked:
            written = await self._write_untracked(request, plan)
            if written is not None:
                return written
        reply: _Reply[AnswerT] = asyncio.get_running_loop().create_future()
        self._seams.tasks.spawn(self._run(request, until, reply), name="write")
        return await reply

    async def _planned(self, request: Request[AnswerT], until: float) -> WritePlan:
        """The plan once nothing holds the write; waits, bounded in time and number."""
        await self._convergence.key_holds.wait(request.operation.entity, request.keys)
        while True:
            plan, reason = self._plan_now(request)
            if reason is None:
                return plan
            late = self._seams.clock.monotonic() >= until
            if late or self._waiting >= self.options.held_writes_max:
                raise WritesHeldError(reason, retry_after_seconds=1.0)
            self._waiting += 1
            try:
                await self._seams.clock.sleep(self.options.held_poll_seconds)
            finally:
                self._waiting -= 1

    def _plan_now(self, request: Request[AnswerT]) -> tuple[WritePlan, str | None]:
        migration = self._ledger.migration
        entity = request.operation.entity
        if request.keys:
            held = is_held(self._ledger, entity, request.keys[0])
        else:
            # A create makes a new key: the keys that are held are none of its business.
            held = is_entity_held(self._ledger, entity)
        standing = KeyStanding.HELD if held else KeyStanding.UNSURE
        plan = plan_write(migration.stage, standing, retired=migration.retired)
        if held:
            raise KeyHeldError(entity, retry_after_seconds=5.0)
        reason = migration.hold_for(entity, request.keys)
        if reason is None and plan.authority is None:
            raise WritesHeldError(f"the stage is {migration.stage}", retry_after_seconds=30.0)
        return plan, reason

    async def _write_untracked(
        self, request: Request[AnswerT], plan: WritePlan
    ) -> tuple[AnswerT, Side] | None:
        """A write without intent (off, retired); None: to be planned again, nothing was sent.

        Planned once more when counted: whoever tells others of a move seen here sees the count.
        """
        if plan.authority is None or self.untracked is None:
            raise WritesHeldError("the node is not ready to write", retry_after_seconds=1.0)
        try:
            with self.untracked.write():
                if not self._stays(request, plan):
                    return None
                answer = await request.call(plan.authority, SERVE)
        except CallFailedError as error:
            raise _caller_error(error) from error
        if answer.ambiguous or answer.deferred:
            self.untracked.doubt()
        return answer, plan.authority

    def _stays(self, request: Request[AnswerT], plan: WritePlan) -> bool:
        """Whether the request would be planned the same now."""
        with suppress(CrossfadeError):
            return self._plan_now(request) == (plan, None)
        return False

    async def _open(
        self, request: Request[AnswerT], until: float, mine: list[int]
    ) -> OpenedIntent:
        """The durable intent; a hold that came up meanwhile is waited for again."""
        operation = request.operation
        wanted = WriteRequest(operation.entity, request.keys, operation.name, self._node)
        at = self._seams.clock.now().timestamp()
        opening = partial(self._open_alive, request=wanted, at=at, mine=mine)
        while True:
            try:
                return await self._ledger.transact(opening)
            except WritesHeldError:
                plan = await self._planned(request, until)
                if not plan.tracked:
                    raise

    def _open_alive(
        self, rows: Rows, request: WriteRequest, at: float, mine: list[int]
    ) -> OpenedIntent:
        """Alive before anybody can see the intent: a resolver must never take it for orphaned.

        A ledger may run a transition again, with other numbers: only the last run counts.
        """
        self._forget(mine)
        opened = open_intent(rows, request, at)
        self._alive[opened.intent.id] = mine
        mine.append(opened.intent.id)
        return opened

    def _forget(self, mine: list[int]) -> None:
        """The write is no longer alive under the numbers that it noted."""
        for intent in mine:
            if self._alive.get(intent) is mine:
                del self._alive[intent]
        mine.clear()

    async def _run(self, request: Request[AnswerT], until: float, reply: _Reply[AnswerT]) -> None:
        """The write from its intent on; nobody can cancel it."""
        mine: list[int] = []
        try:
            opened = await self._open(request, until, mine)
            # Crash here: no side was touched; the resolver closes the intent.
            await self._seams.failpoint("writer.intent_open")
            await self._carry_out(request, opened, reply)
        except CrossfadeError as error:
            _fail(reply, error)
        except BaseException as error:
            if mine and not reply.done():
                operation = request.operation
                self._hooks.emit(WriteUnknown(operation.entity, operation.name, mine[-1]))
            _fail(reply, OutcomeUnknownError("the write was interrupted; it may have happened."))
            self._hooks.emit(WorkerFailed("writer", type(error).__name__))
            raise
        finally:
            self._forget(mine)

    async def _carry_out(
        self, request: Request[AnswerT], opened: OpenedIntent, reply: _Reply[AnswerT]
    ) -> None:
        """Authority, then the rest: once the authority has answered, the caller gets that."""
        answer = await self._ask_authority(request, opened)
        try:
            await self._mirror(request, opened, answer, reply)
        except Exception as error:
            # The write stands and its intent is open: the resolver does what is left.
            self._reply(reply, opened, answer)
            if not isinstance(error, CrossfadeError):
                raise
            self._hooks.emit(WorkerFailed("writer", type(error).__name__))

    async def _mirror(
        self,
        request: Request[AnswerT],
        opened: OpenedIntent,
        answer: AnswerT,
        reply: _Reply[AnswerT],
    ) -> None:
        """Answer to the caller and mirror, in the order that the operation asks for."""
        intent = await self._bound(opened.intent, answer)
        if request.operation.mirror_when is MirrorWhen.AFTER_ANSWER:
            self._reply(reply, opened, answer)
        if answer.deferred or (intent.unbound and not answer.refused):
            # The authority may act later, or may have made a record whose id is not known: the
            # resolver waits and looks. It does so after a redirect too, which is how forms answer
            # to a create.
            await self._doubt(intent, Doubt.AUTHORITY)
        else:
            await self._follow(request, opened, intent, answer)
        self._reply(reply, opened, answer)

    async def _ask_authority(self, request: Request[AnswerT], opened: OpenedIntent) -> AnswerT:
        intent = opened.intent
        if not self._route_holds(opened):
            # This process stood still after the intent was durable, and others have settled it.
            await self._note_unanswered(intent, sent=False)
            raise WritesHeldError("the write waited for too long", retry_after_seconds=1.0)
        try:
            answer = await request.call(intent.authority, CallTag(intent=intent.id))
        except CallFailedError as error:
            await self._note_unanswered(intent, sent=error.sent)
            raise _caller_error(error) from error
        # Crash here: the authority may have the write, the mirror has not; the intent stays open.
        await self._seams.failpoint("writer.authority_answered")
        if answer.ambiguous:
            await self._note_unanswered(intent, sent=True)
            raise OutcomeUnknownError(
                "the authority's answer came from an intermediary: the write may have happened. "
                "Read it back before you try again."
            )
        return answer

    async def _note_unanswered(self, intent: Intent, *, sent: bool) -> None:
        """Doubt the intent, or close it where nothing was sent.

        What the caller is told is true whether or not the ledger can be written: an intent that
        is left as it was stays open, and the resolver settles it.
        """
        if sent:
            self._hooks.emit(WriteUnknown(intent.entity, intent.operation, intent.id))
        try:
            if sent:
                await self._doubt(intent, Doubt.AUTHORITY)
            else:
                await self._close(intent)
        except LedgerError as error:
            self._hooks.emit(WorkerFailed("writer", type(error).__name__))

    async def _bound(self, intent: Intent, answer: AnswerT) -> Intent:
        """Give a create its key; an answer that names none leaves it unbound."""
        key = answer.created_key() if intent.unbound and answer.acknowledged else None
        if key is None:
            return intent
        at = self._seams.clock.now().timestamp()
        bind = partial(bind_created, intent=intent, key=key, at=at)
        bound = await self._ledger.transact(bind)
        await self._seams.failpoint("writer.bound")
        return bound or intent

    def _reply(self, reply: _Reply[AnswerT], opened: OpenedIntent, answer: AnswerT) -> None:
        """Answer the caller, once; "done" only if the route of the intent holds (rule 2)."""
        if reply.done():
            return
        intent = opened.intent
        if self._route_holds(opened):
            reply.set_result((answer, intent.authority))
            return
        self._hooks.emit(WriteUnknown(intent.entity, intent.operation, intent.id))
        _fail(reply, OutcomeUnknownError("the authority changed while the write was made."))

    def _route_holds(self, opened: OpenedIntent) -> bool:
        """Whether the intent is still ours, and the authority was the same all the time since."""
        try:
            migration = self._ledger.migration
        except LedgerUnavailableError:
            return False
        # Without a new decision an epoch was raised by the barrier or by an undone flip alone.
        same_epoch = migration.epoch == opened.intent.epoch
        no_flip = same_epoch or migration.decision == opened.decision
        same = no_flip and migration.authority is opened.intent.authority
        return same and self.is_alive(opened.intent.id)

    async def _follow(
        self, request: Request[AnswerT], opened: OpenedIntent, intent: Intent, answer: AnswerT
    ) -> None:
        """Replay where wanted, close the intent, converge its keys."""
        self._following += 1
        try:
            replayed = await self._replay(request, opened, intent, answer)
            if replayed.doubtful:
                await self._doubt(intent, Doubt.MIRROR)
                return
            # Crash here: a replay may have reached the mirror; the intent is still open.
            await self._seams.failpoint("writer.replayed")
            await self._settle(request, replace(opened, intent=intent), replayed)
        finally:
            self._following -= 1

    async def _replay(
        self, request: Request[AnswerT], opened: OpenedIntent, intent: Intent, answer: AnswerT
    ) -> Replayed:
        """Ask the mirror to do the same, where that can teach anything."""
        operation = request.operation
        # A side that became the authority is written by nothing but its own writes.
        wanted = operation.replay and request.replayable and opened.agreed
        if not wanted or not self._route_holds(opened):
            return NOT_REPLAYED
        if self._falls_behind():
            self._hooks.emit(ReplaySkipped(operation.name, "the mirror does not keep up"))
            return NOT_REPLAYED
        return await self._replaying.replay(request, intent, answer)

    async def _settle(
        self, request: Request[AnswerT], opened: OpenedIntent, replayed: Replayed
    ) -> None:
        """Close the intent and converge its keys, or leave them to the reconciler."""
        entity, keys = opened.intent.entity, opened.intent.keys
        left = replayed.observer is None and self._falls_behind()
        hot = any(self._convergence.is_hot(entity, key) for key in keys)
        owner = None if left or hot else self._node
        at = self._seams.clock.now().timestamp()
        closing = partial(close_and_lease, opened=opened, owner=owner, at=at)
        closed = await self._ledger.transact(closing)
        # Crash here: the keys are dirty, one may be leased; the reconciler converges them.
        await self._seams.failpoint("writer.closed")
        judged = self._replaying.judged
        observer = judged(request.operation, replayed) if closed.undisturbed else None
        if not left:
            await self._converge(entity, closed, observer)

    async def _converge(self, entity: str, closed: Closed, observer: Observer | None) -> None:
        if closed.grant is not None:
            await self._convergence.converge_leased(closed.grant, observer=observer)
            return
        for key in closed.keys:
            await self._convergence.converge(entity, key, observer=observer)

    def _falls_behind(self) -> bool:
        """Whether so many answered writes wait for the mirror that shadow work is shed."""
        return self._following > self.options.followers_max

    async def _close(self, intent: Intent) -> tuple[Key, ...]:
        at = self._seams.clock.now().timestamp()
        return await self._ledger.transact(partial(close_intent, intent_id=intent.id, at=at))

    async def _doubt(self, intent: Intent, doubt: Doubt) -> None:
        await self._ledger.transact(partial(doubt_intent, intent_id=intent.id, doubt=doubt))


def _caller_error(error: CallFailedError) -> CrossfadeError:
    if error.sent:
        return OutcomeUnknownError(f"{error} The write may have happened: read it back.")
    return UpstreamFailedError(f"{error} Nothing was written.")


def _fail(reply: _Reply[AnswerT], error: CrossfadeError) -> None:
    """Raise in the caller, if it is still there; nobody is told of an error that nobody awaits."""
    if not reply.done():
        reply.set_exception(error)
        reply.exception()
