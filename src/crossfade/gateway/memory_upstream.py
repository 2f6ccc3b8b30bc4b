"""The in-memory twin of a service: no sockets, every failure on demand."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from crossfade.gateway.problem import Header
from crossfade.gateway.upstream import OutgoingRequest, UpstreamError, UpstreamFailure

Handler = Callable[["SeenRequest"], Awaitable["MemoryAnswer"]]


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request as a service saw it, its body whole."""

    method: bytes
    target: bytes
    headers: tuple[Header, ...]
    body: bytes


@dataclass(slots=True)
class MemoryAnswer:
    """An answer that is here already; see `UpstreamAnswer` for what is promised."""

    status: int = 200
    body: bytes = b""
    headers: Sequence[Header] = ()
    reason: bytes = b""
    pieces: Sequence[bytes] | None = None
    """The body in pieces, as a stream; None: all at once."""
    cut: UpstreamError | None = None
    """Raised after the last piece instead of a proper end."""
    closed: bool = field(default=False, init=False)

    def whole_body(self) -> bytes | None:
        """See `UpstreamAnswer.whole_body`."""
        return self.body if self.pieces is None and self.cut is None else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `UpstreamAnswer.chunks`."""
        for piece in (self.body,) if self.pieces is None else self.pieces:
            yield piece
        if self.cut is not None:
            raise self.cut

    async def read(self, bytes_max: int) -> bytes:
        """See `UpstreamAnswer.read`."""
        body = b"".join([piece async for piece in self.chunks()])
        if len(body) > bytes_max:
            raise UpstreamError(
                UpstreamFailure.OVER_LIMIT, "memory", f"the body is over {bytes_max} bytes"
            )
        return body

    async def aclose(self) -> None:
        """See `UpstreamAnswer.aclose`."""
        self.closed = True


class MemoryUpstream:
    """Answers by `handler`, which may raise UpstreamError; remembers what it was asked."""

    def __init__(self, handler: Handler) -> None:
        self.authority = b"memory"
        self.seen: list[SeenRequest] = []
        self._handler = handler
        self._closed = False

    async def send(self, request: OutgoingRequest) -> MemoryAnswer:
        """See `Upstream.send`."""
        if self._closed:
            raise UpstreamError(UpstreamFailure.UNREACHABLE, "memory", "it is closed")
        body = request.body
        if not isinstance(body, bytes):
            body = b"".join([piece async for piece in body])
        seen = SeenRequest(request.method, request.target, tuple(request.headers), body)
        self.seen.append(seen)
        return await self._handler(seen)

    async def aclose(self) -> None:
        """See `Upstream.aclose`."""
        self._closed = True
