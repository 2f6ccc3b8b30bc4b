"""One connection to a service: writes one request at a time, reads its answer, times both.

Made here and not taken from aiohttp, whose client sends a PUT again when a reused connection
closes, merges header lines that differ in case, drops bytes that are not UTF-8 and the `?` of
an empty query (decision record "The gateway has its own HTTP client").
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol, cast

from crossfade.gateway.answer_body import HttpAnswer
from crossfade.gateway.answer_parser import AnswerMalformedError, AnswerParser
from crossfade.gateway.upstream import (
    CallLimits,
    OutgoingRequest,
    UpstreamError,
    UpstreamFailure,
)
from crossfade.seams.tasks import Tasks


@dataclass(frozen=True, slots=True)
class ConnectionBounds:
    """How much one connection may hold."""

    head_bytes_max: int
    buffer_bytes_max: int


class ConnectionOwner(Protocol):
    """The pool that lends the connection out."""

    def connection_free(self, connection: "HttpConnection") -> None:
        """The answer is complete and the connection can carry another request."""

    def connection_gone(self, connection: "HttpConnection") -> None:
        """The connection is closed; called exactly once."""


class HttpConnection(asyncio.Protocol):
    """See the module; `exchange` is called only while the connection is free and open."""

    def __init__(
        self, service: str, owner: ConnectionOwner, bounds: ConnectionBounds, tasks: Tasks
    ) -> None:
        self.service = service
        self.idle_since = 0.0
        """Set by the owner, which alone keeps time."""
        self.used = False
        """Whether an answer has come over this connection before."""
        self.made = False
        """Whether it was ever open; only then `connection_gone` is called."""
        self.open = False
        self._owner = owner
        self._bounds = bounds
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser = AnswerParser(self, bounds.head_bytes_max)
        self._timer: asyncio.TimerHandle | None = None
        self._total_timer: asyncio.TimerHandle | None = None
        self._writable: asyncio.Future[None] | None = None
        self._write_paused = False
        self._broken = False
        self._busy = False
        self._upload: asyncio.Task[None] | None = None
        self._current: asyncio.Future[HttpAnswer] | None = None
        """Names the call under way; the next call may begin before its caller has woken up."""
        self._limits: CallLimits
        self._waiter: asyncio.Future[HttpAnswer] | None = None
        """The caller until it has the head of its answer."""
        self._paused = False

    # The call.

    @property
    def untouched(self) -> bool:
        """Whether no byte of an answer has come since the request went out."""
        return self._parser.head_bytes == 0

    async def exchange(
        self,
        request: OutgoingRequest,
        head: bytes,
        limits: CallLimits,
        total_seconds: float | None,
    ) -> HttpAnswer:
        """Send `request` once and wait for the head; raises and cancels as `Upstream.send`.

        `head` is the rendered head of `request` (see `request_head`).
        """
        self._parser.expect(request.method)
        self._busy = True
        self._paused = False
        self._limits = limits
        waiter: asyncio.Future[HttpAnswer] = self._loop.create_future()
        self._waiter = self._current = waiter
        if total_seconds is not None:
            self._total_timer = self._loop.call_later(
                max(total_seconds, 0.0), self._expire, UpstreamFailure.TOTAL_TIMEOUT
            )
        try:
            self._write(request, head)
            return await waiter
        except BaseException:
            if self._current is waiter:
                self.break_off()
            raise

    def _write(self, request: OutgoingRequest, head: bytes) -> None:
        if isinstance(request.body, bytes):
            self._transport.write(head + request.body if request.body else head)
            self._arm(self._limits.answer_seconds, UpstreamFailure.ANSWER_TIMEOUT)
        else:
            self._transport.write(head)
            self._upload = self._tasks.spawn(
                self._send_body(request.body, request), name="gateway upload"
            )

    async def _send_body(self, pieces: AsyncIterator[bytes], request: OutgoingRequest) -> None:
        """Runs beside the wait for the answer, since a service may answer while it reads."""
        left = request.length
        try:
            async for piece in pieces:
                left -= len(piece)
                if piece and request.chunked:
                    self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                elif piece:
                    self._transport.write(piece)
                await self._drain()
        except Exception as error:  # noqa: BLE001 - the body's own error belongs to the caller
            self._upload_failed(error)
            return
        if request.chunked:
            self._transport.write(b"0\r\n\r\n")
        elif left:
            self._upload_failed(ValueError("the body is not as long as declared"))
            return
        self._upload = None
        if self._waiter is not None:
            self._arm(self._limits.answer_seconds, UpstreamFailure.ANSWER_TIMEOUT)

    async def _drain(self) -> None:
        if not self._write_paused or not self.open:
            return
        self._writable = self._loop.create_future()
        if self._waiter is not None:
            self._arm(self._limits.idle_seconds, UpstreamFailure.STALLED)
        try:
            await self._writable
        finally:
            self._writable = None
            if self._waiter is not None:
                self._disarm()

    def _upload_failed(self, error: Exception) -> None:
        self._upload = None
        if self._waiter is not None:
            _resolve(self._waiter, None, error)
        self._fail(UpstreamFailure.CUT, "the body of the request broke off")

    # Failing.

    def break_off(self) -> None:
        """Nobody waits for this call any more; the service may or may not have acted."""
        self._fail(UpstreamFailure.CUT, "the call was broken off")

    def close(self) -> None:
        """Close an idle connection."""
        self.open = False
        self._transport.close()

    def _expire(self, failure: UpstreamFailure) -> None:
        self._fail(failure, "it took too long")

    def _fail(self, failure: UpstreamFailure, detail: str) -> None:
        if not self._busy or self._parser.complete:
            return
        self._broken = True
        self._end_call(UpstreamError(failure, self.service, detail))
        self.open = False
        self._transport.abort()

    def _end_call(self, error: UpstreamError | None) -> None:
        """The call is over: the answer is complete, or `error` says why it never will be."""
        self._busy = False
        self._disarm()
        if self._total_timer is not None:
            self._total_timer.cancel()
            self._total_timer = None
        waiter, answer = self._waiter, self._parser.answer
        if answer is not None and error is None:
            answer.finish()
        if waiter is not None:
            self._waiter = None
            _resolve(waiter, answer, error)
        elif answer is not None and error is not None:
            answer.fail(error)
        if self._upload is not None:
            self._upload.cancel()
            self._upload = None
            self._parser.keep_alive = False

    def _arm(self, seconds: float, failure: UpstreamFailure) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._expire, failure)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Called by the answer (see `BodySender`).

    def resume(self) -> None:
        """See `BodySender.resume`."""
        answer = self._parser.answer
        if self._paused and answer and answer.buffered <= self._bounds.buffer_bytes_max // 2:
            self._paused = False
            if self.open:
                self._transport.resume_reading()

    def reader_waits(self) -> None:
        """See `BodySender.reader_waits`."""
        if self._busy:
            self._arm(self._limits.idle_seconds, UpstreamFailure.CUT)

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        # The transports of uvloop are none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._bounds.buffer_bytes_max)
        self.made = self.open = True

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed, by whomever."""
        self.open = False
        if self._busy:
            self._lost_in_call(exc)
        self._disarm()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._owner.connection_gone(self)

    def _lost_in_call(self, exc: Exception | None) -> None:
        parser = self._parser
        reads_until_close = parser.answer is not None and not parser.framed
        if reads_until_close and exc is None and not self._broken:
            self._end_call(None)
            return
        failure = UpstreamFailure.RESET if parser.answer is None else UpstreamFailure.CUT
        self._end_call(UpstreamError(failure, self.service, "it closed the connection"))

    def pause_writing(self) -> None:
        """The service reads more slowly than we write."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """The service has caught up."""
        self._write_paused = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer."""
        if not self._busy:
            # Nobody asked: whatever this is, it must not become the answer to somebody else.
            self.open = False
            self._transport.abort()
            return
        parser = self._parser
        try:
            parser.feed(data)
        except AnswerMalformedError:
            self._fail(
                UpstreamFailure.MALFORMED,
                "what it sent is no HTTP answer, or its head is too long",
            )
            return
        if parser.complete:
            self._finish()
        elif parser.answer is not None:
            self._deliver(parser.answer)

    def _deliver(self, answer: HttpAnswer) -> None:
        """The body is incomplete: hand over the head, and stop reading when there is plenty."""
        self._disarm()
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            _resolve(waiter, answer, None)
        if answer.buffered > self._bounds.buffer_bytes_max and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _finish(self) -> None:
        self._end_call(None)
        if self._paused:
            self._transport.resume_reading()
        self.used = True
        if self._parser.keep_alive and self.open and not self._transport.is_closing():
            self._owner.connection_free(self)
        else:
            self.close()


def request_head(request: OutgoingRequest) -> bytes:
    """The head as it goes out; raises ValueError when a part of it would be a second request."""
    parts = [request.method, b" ", request.target, b" HTTP/1.1\r\n"]
    for name, value in request.headers:
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"\r\n")
    head = b"".join(parts)
    if head.count(b"\n") != len(request.headers) + 2:
        raise ValueError("a request line or header holds a line break")
    return head


def _resolve(
    waiter: "asyncio.Future[HttpAnswer]", answer: HttpAnswer | None, error: Exception | None
) -> None:
    if waiter.done():
        return
    if error is not None:
        waiter.set_exception(error)
    elif answer is not None:
        waiter.set_result(answer)
