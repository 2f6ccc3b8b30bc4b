"""The body of an answer on its way: a bounded buffer between a connection and its reader."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol

from crossfade.gateway.problem import Header
from crossfade.gateway.upstream import UpstreamError, UpstreamFailure


class BodySender(Protocol):
    """The connection that fills the buffer."""

    service: str

    def resume(self) -> None:
        """The reader has taken some; more may come."""

    def reader_waits(self) -> None:
        """The buffer is empty and somebody waits: time counts from now."""

    def break_off(self) -> None:
        """Nobody wants the rest."""


class HttpAnswer:
    """An answer whose head is complete; see `UpstreamAnswer` for what is promised."""

    __slots__ = ("_complete", "_error", "_pieces", "_sender", "_waiter", "buffered", "headers",
                 "reason", "status")  # fmt: skip

    def __init__(
        self, status: int, reason: bytes, headers: list[Header], sender: BodySender
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.buffered = 0
        self._sender = sender
        self._pieces: deque[bytes] = deque()
        self._complete = False
        self._error: UpstreamError | None = None
        self._waiter: asyncio.Future[None] | None = None

    # Called by the connection.

    def push(self, piece: bytes) -> None:
        """One more piece has come."""
        self._pieces.append(piece)
        self.buffered += len(piece)
        self._wake()

    def finish(self) -> None:
        """The body is complete."""
        self._complete = True
        self._wake()

    def fail(self, error: UpstreamError) -> None:
        """The rest will not come."""
        self._error = error
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # Called by the reader.

    def whole_body(self) -> bytes | None:
        """See `UpstreamAnswer.whole_body`; takes the body out of the buffer."""
        if not self._complete:
            return None
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.buffered = 0
        return body

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `UpstreamAnswer.chunks`."""
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                self.buffered -= len(piece)
                yield piece
                if not self._complete:
                    self._sender.resume()
            if self._complete:
                return
            if self._error is not None:
                raise self._error
            await self._wait()

    async def _wait(self) -> None:
        self._sender.reader_waits()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def read(self, bytes_max: int) -> bytes:
        """See `UpstreamAnswer.read`."""
        pieces: list[bytes] = []
        size = 0
        async for piece in self.chunks():
            size += len(piece)
            if size > bytes_max:
                await self.aclose()
                raise UpstreamError(
                    UpstreamFailure.OVER_LIMIT,
                    self._sender.service,
                    f"the body of the answer is over {bytes_max} bytes",
                )
            pieces.append(piece)
        return b"".join(pieces)

    async def aclose(self) -> None:
        """See `UpstreamAnswer.aclose`."""
        if not self._complete and self._error is None:
            self._sender.break_off()
        self._pieces.clear()
        self.buffered = 0
