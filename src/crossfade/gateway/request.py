"""A caller's request: what was sent byte for byte, its body as it comes, who still waits."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, cast

from crossfade.errors import CrossfadeError
from crossfade.gateway.problem import Header, Problem, RequestRefusedError

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]

EXTENSION = "crossfade.caller"
"""Where our own server puts what ASGI has no place for (see `CallerConnection`)."""


class CallerConnection(Protocol):
    """The caller's connection, as our own server knows it."""

    target: bytes
    """The request target exactly as sent."""
    raw_headers: list[Header]
    """The header lines exactly as sent; ASGI wants lower-case names."""
    disconnected: bool
    on_gone: Callable[[], None] | None
    """Called once when the caller closes before its answer is complete."""


class CallerGoneError(CrossfadeError):
    """The caller closed its connection before its request was complete."""

    def __init__(self) -> None:
        super().__init__("the caller left before its request was complete.")


class GatewayRequest:
    """One request of a caller; made from an ASGI scope."""

    __slots__ = ("_connection", "_receive", "headers", "http_version", "method", "peer",
                 "scheme", "target")  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive) -> None:
        extension = scope.get("extensions", {}).get(EXTENSION)
        self._connection = cast("CallerConnection | None", extension)
        self._receive = receive
        self.method: str = scope["method"]
        self.http_version: str = scope["http_version"]
        self.scheme: str = scope.get("scheme", "http")
        client = scope.get("client")
        self.peer: str = client[0] if client else "unknown"
        """Address of whoever is connected, without its port."""
        if self._connection is not None:
            self.target = self._connection.target
            self.headers: list[Header] = self._connection.raw_headers
        else:
            self.target = _target(scope)
            self.headers = list(scope["headers"])

    @property
    def path(self) -> bytes:
        """The path exactly as sent, without the query."""
        return self.target.partition(b"?")[0]

    @property
    def query(self) -> bytes:
        """The query exactly as sent; empty when there is none."""
        return self.target.partition(b"?")[2]

    @property
    def gone(self) -> bool:
        """Whether the caller is known to have left."""
        return self._connection is not None and self._connection.disconnected

    def when_gone(self, callback: Callable[[], None] | None) -> None:
        """Call `callback` when the caller leaves before its answer is complete; None: do not.

        On a server other than ours nothing is called: a caller's leaving is noticed when its
        answer is sent.
        """
        if self._connection is not None:
            self._connection.on_gone = callback

    async def chunks(self, idle_seconds: float) -> AsyncIterator[bytes]:
        """The body in pieces as they come, unbounded; the reader's pace holds the caller back.

        Raises CallerGoneError when the caller leaves and RequestRefusedError (408) when it
        sends nothing for `idle_seconds`: the body is incomplete then and must not be used.
        """
        more = True
        while more:
            try:
                async with asyncio.timeout(idle_seconds):
                    message = await self._receive()
            except TimeoutError as error:
                raise RequestRefusedError(_SLOW) from error
            if message["type"] == "http.disconnect":
                raise CallerGoneError
            more = message.get("more_body", False)
            piece = message.get("body", b"")
            if piece:
                yield piece

    async def read(self, bytes_max: int, idle_seconds: float) -> bytes:
        """The whole body; raises RequestRefusedError (413) when it is longer than allowed."""
        pieces: list[bytes] = []
        size = 0
        async for piece in self.chunks(idle_seconds):
            size += len(piece)
            if size > bytes_max:
                raise RequestRefusedError(too_large(bytes_max))
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def too_large(bytes_max: int) -> Problem:
    """The answer to a body over the limit."""
    return Problem(
        status=413,
        name="body-too-large",
        title="Body too large",
        detail=f"The body of this request may have at most {bytes_max} bytes.",
        close=True,
    )


_SLOW = Problem(
    status=408,
    name="body-too-slow",
    title="Body too slow",
    detail="The caller stopped sending the body of its request.",
    close=True,
)


def _target(scope: Scope) -> bytes:
    """The target as far as ASGI tells it: an empty query is lost."""
    raw: bytes | None = scope.get("raw_path")
    path = raw if raw is not None else str(scope["path"]).encode("utf-8")
    query: bytes = scope.get("query_string", b"")
    return path + b"?" + query if query else path
