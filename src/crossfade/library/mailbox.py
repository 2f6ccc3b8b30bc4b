"""Between a write on the node's event loop and its caller, who alone may call the authority."""

import asyncio
import queue
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from crossfade.errors import CrossfadeError, OutcomeUnknownError
from crossfade.execution.calls import CallFailedError
from crossfade.library.call_answer import CallAnswer
from crossfade.model.side import Side

Post = Callable[..., object]
"""Runs a function with arguments on the node's loop; nothing happens once the node has stopped."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Call this side now, in your own thread, and tell what it did."""

    side: Side
    future: "asyncio.Future[CallAnswer]"
    """Of the node's loop."""


@dataclass(frozen=True, slots=True)
class Done:
    """The write has ended as far as the caller is concerned."""

    answer: CallAnswer | None = None
    error: CrossfadeError | None = None


Message: TypeAlias = Ask | Done


class Mailbox:
    """One write's two ends; the methods of this class belong to the node's loop."""

    def __init__(self, post: Post) -> None:
        self.post = post
        self._asked: asyncio.Future[CallAnswer] | None = None
        self._left = False

    def deliver(self, message: Message) -> None:
        """Hand a message to the caller. Raises RuntimeError where it cannot be reached."""
        raise NotImplementedError

    async def ask(self, side: Side) -> CallAnswer:
        """The caller's own call of the authority.

        Raises:
            CallFailedError: the caller is gone, or was interrupted in the middle of it.

        """
        if self._left:
            raise CallFailedError("the caller has given up.", sent=False)
        future: asyncio.Future[CallAnswer] = asyncio.get_running_loop().create_future()
        self._asked = future
        try:
            self.deliver(Ask(side, future))
        except RuntimeError as error:
            raise CallFailedError("the caller's event loop has ended.", sent=False) from error
        return await future

    def end(self, message: Done) -> None:
        """Tell the caller how it ended; one that is gone need not know."""
        with suppress(RuntimeError):
            self.deliver(message)

    def answered(self, future: "asyncio.Future[CallAnswer]", answer: CallAnswer) -> None:
        """The caller has called the authority."""
        if not future.done():
            future.set_result(answer)

    def leave(self, *, sent: bool) -> None:
        """The caller waits no longer; `sent`: its call may go on somewhere, nobody knows."""
        self._left = True
        if self._asked is not None and not self._asked.done():
            reason = "the caller was interrupted."
            self._asked.set_exception(CallFailedError(reason, sent=sent))


class ThreadMailbox(Mailbox):
    """The caller is a thread that blocks."""

    def __init__(self, post: Post) -> None:
        super().__init__(post)
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def deliver(self, message: Message) -> None:
        """See `Mailbox.deliver`."""
        self._messages.put(message)

    def serve(self, call: Callable[[Side], CallAnswer]) -> CallAnswer:
        """Make the authority's call when asked to, and wait for the end; in the caller's thread.

        An interruption (`KeyboardInterrupt`, `SystemExit`) is raised at once; the write goes on to
        a settled state without us.

        Raises:
            CrossfadeError: the write could not be carried out, or its outcome is not known.

        """
        begun = False
        try:
            while True:
                message = self._messages.get()
                if isinstance(message, Done):
                    return _ended(message)
                begun = True
                answer = call(message.side)
                if answer.unknown:
                    self.post(_leave, self, begun)
                    return answer
                self.post(self.answered, message.future, answer)
                begun = False
        except CrossfadeError:
            raise
        except BaseException:
            self.post(_leave, self, begun)
            raise


class TaskMailbox(Mailbox):
    """The caller is a task of some event loop."""

    def __init__(self, post: Post) -> None:
        super().__init__(post)
        self._loop = asyncio.get_running_loop()
        self._messages: asyncio.Queue[Message] = asyncio.Queue(2)

    def deliver(self, message: Message) -> None:
        """See `Mailbox.deliver`; RuntimeError where the caller's loop is closed."""
        self._loop.call_soon_threadsafe(self._messages.put_nowait, message)

    async def serve(self, call: Callable[[Side], Awaitable[CallAnswer]]) -> CallAnswer:
        """See `ThreadMailbox.serve`; in the caller's task, which may be cancelled."""
        begun = False
        try:
            while True:
                message = await self._messages.get()
                if isinstance(message, Done):
                    return _ended(message)
                begun = True
                answer = await call(message.side)
                if answer.unknown:
                    self.post(_leave, self, begun)
                    return answer
                self.post(self.answered, message.future, answer)
                begun = False
        except CrossfadeError:
            raise
        except BaseException:
            self.post(_leave, self, begun)
            raise


def _ended(message: Done) -> CallAnswer:
    if message.answer is None:
        raise message.error or OutcomeUnknownError(
            "the node stopped: the write may have happened."
        )
    return message.answer


def _leave(mailbox: Mailbox, sent: bool) -> None:  # noqa: FBT001 - run by position on the loop
    mailbox.leave(sent=sent)
