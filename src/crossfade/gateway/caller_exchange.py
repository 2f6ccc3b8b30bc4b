"""One request of a caller and the answer to it, on a connection of our own server."""

import asyncio
import http
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl

from crossfade.gateway.problem import Header, Problem, Send
from crossfade.gateway.request import EXTENSION

App = Callable[[dict[str, Any], Callable[[], Awaitable[dict[str, Any]]], Send], Awaitable[None]]

_CLOSE = (b"Connection", b": ", b"close", b"\r\n")
_CHUNKED = (b"Transfer-Encoding", b": ", b"chunked", b"\r\n")
_AT_ONCE = struct.pack("ii", 1, 0)
_LOG = logging.getLogger("crossfade.gateway")
_BODILESS = frozenset({204, 304})
_INTERNAL = Problem(
    status=500,
    name="internal-error",
    title="Internal error",
    detail="The gateway failed; its log says how.",
    close=True,
)


def _status_line(status: int) -> bytes:
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode("ascii")


STATUS_LINES = {status: _status_line(status) for status in range(200, 600)}


def rendered(problem: Problem) -> bytes:
    """A whole answer, for requests that never become one of these exchanges."""
    body = problem.body()
    lines = [name + b": " + value + b"\r\n" for name, value in problem.headers(body)]
    return b"".join([STATUS_LINES[problem.status], *lines, b"\r\n", body])


def reset(transport: asyncio.Transport) -> None:
    """Close so that a caller that reads until the end cannot take a part for the whole."""
    connection = transport.get_extra_info("socket")
    if connection is not None and not transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()


class CallerExchange:
    """Speaks ASGI to the app and HTTP/1 to the transport; also the `CallerConnection`."""

    def __init__(
        self,
        scope: dict[str, Any],
        target: bytes,
        raw_headers: list[Header],
        transport: asyncio.Transport,
        flow: FlowControl,
        on_response: Callable[[], None],
    ) -> None:
        self._scope = scope
        self._is_head = scope["method"] == "HEAD"
        self._chunks_known = scope["http_version"] == "1.1"
        self.target = target
        self.raw_headers = raw_headers
        self.on_gone: Callable[[], None] | None = None
        self.disconnected = False
        self.keep_alive = True
        self.waits_for_continue = False
        self.write_seconds_max = 30.0
        self.more_body = True
        self.response_started = False
        self.response_complete = False
        self._on_response = on_response
        self._transport = transport
        self._flow = flow
        self._pieces: list[bytes] = []
        self._buffered = 0
        self._waiter: asyncio.Future[None] | None = None
        self._head = b""
        self._chunked = False
        self._left = -1
        """Bytes of the answer's body still to come; -1: not declared."""
        scope["extensions"] = {EXTENSION: self}

    # Called by the connection.

    def body_came(self, piece: bytes) -> None:
        """Some bytes of the request's body."""
        self._pieces.append(piece)
        self._buffered += len(piece)
        if self._buffered > HIGH_WATER_LIMIT:
            self._flow.pause_reading()
        self._wake()

    def body_ended(self) -> None:
        """The request is complete."""
        self.more_body = False
        self._wake()

    def caller_gone(self) -> None:
        """The caller closed, or sent something that is no HTTP."""
        if self.response_complete or self.disconnected:
            return
        self.disconnected = True
        self._wake()
        if self.on_gone is not None:
            self.on_gone()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def run(self, app: App) -> None:
        """Answer with `app`; whatever goes wrong, the caller never takes a part for the whole."""
        # The scope leads back here; a cycle for each request would be work for the collector.
        scope, self._scope = self._scope, {}
        try:
            await app(scope, self.receive, self.send)
        except Exception:  # noqa: BLE001 - the edge: nothing above would tell the caller
            _LOG.exception("the gateway failed on a request")
            self._give_up()
        except BaseException:
            reset(self._transport)
            raise
        else:
            if not self.response_complete and not self.disconnected:
                self._give_up()

    def _give_up(self) -> None:
        if not self.response_started and not self._transport.is_closing():
            self._transport.write(rendered(_INTERNAL))
            self._transport.close()
        elif not self.response_complete:
            reset(self._transport)

    # Called by the app.

    async def receive(self) -> dict[str, Any]:
        """The next piece of the body, or `http.disconnect`; see ASGI."""
        if self.waits_for_continue and not self._transport.is_closing():
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waits_for_continue = False
        if not self._pieces and self.more_body:
            await self._wait()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces = []
        self._buffered = 0
        self._flow.resume_reading()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def _wait(self) -> None:
        if self.disconnected or self.response_complete:
            return
        self._flow.resume_reading()
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def send(self, message: dict[str, Any]) -> None:
        """Take one ASGI message; the head goes out with the first piece of the body."""
        if self._flow.write_paused and not self.disconnected:
            await self._drain()
        if self.disconnected:
            return
        if self.response_complete:
            raise RuntimeError("the answer is complete already")
        if self.response_started:
            self._write(message.get("body", b""), more=message.get("more_body", False))
        else:
            self._start(message["status"], message.get("reason"), message.get("headers", ()))

    async def _drain(self) -> None:
        """Wait until the caller has read some; one that never reads is let go."""
        try:
            async with asyncio.timeout(self.write_seconds_max):
                await self._flow.drain()
        except TimeoutError:
            self._transport.abort()
            self.caller_gone()

    def _start(self, status: int, reason: bytes | None, headers: list[Header]) -> None:
        line = STATUS_LINES[status] if reason is None else b"HTTP/1.1 %d %b\r\n" % (status, reason)
        parts = [line]
        for name, value in headers:
            length = len(name)
            if length == 14 and name.lower() == b"content-length":  # noqa: PLR2004
                self._left = int(value)
            elif length == 10 and name.lower() == b"connection":  # noqa: PLR2004
                # The app says `close` and nothing else; it is written below.
                self.keep_alive = False
                continue
            parts += (name, b": ", value, b"\r\n")
        if self._is_head or status in _BODILESS:
            self._left = 0
        elif self._left < 0:
            self._frame_unknown_length(parts)
        if not self.keep_alive:
            parts += _CLOSE
        head = b"".join(parts)
        if head.count(b"\n") * 4 != len(parts) + 3:
            raise RuntimeError("a header of an answer holds a line break")
        self._head = head + b"\r\n"
        self.response_started = True
        self.waits_for_continue = False

    def _frame_unknown_length(self, parts: list[bytes]) -> None:
        """Chunks where the caller knows them, else the answer ends with the connection."""
        if self._chunks_known:
            self._chunked = True
            parts += _CHUNKED
        else:
            self.keep_alive = False

    def _write(self, body: bytes, *, more: bool) -> None:
        if self._is_head:
            body = b""
        if self._chunked:
            framed = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            body = framed if more else framed + b"0\r\n\r\n"
        elif self._left >= 0:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the answer is not as long as its Content-Length says")
        if self._head or body:
            self._transport.write(self._head + body)
            self._head = b""
        if not more:
            self._complete()

    def _complete(self) -> None:
        self.response_complete = True
        self.on_gone = None
        self._wake()
        self._on_response()
