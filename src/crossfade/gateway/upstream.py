"""The port to a service: one request out, one answer in, and what is known when it fails."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from crossfade.errors import CrossfadeError
from crossfade.gateway.problem import Header


class UpstreamFailure(Enum):
    """Why a call gave no complete answer."""

    REFUSED = "refused"
    """Nobody listens there."""
    CONNECT_TIMEOUT = "connect_timeout"
    """No connection in time."""
    NAME_UNKNOWN = "name_unknown"
    """The host name has no address."""
    UNREACHABLE = "unreachable"
    """Any other failure to connect: no route, TLS, too many files."""
    FULL = "full"
    """As many calls as allowed are under way and as many as allowed wait."""
    RESET = "reset"
    """The connection ended before an answer began."""
    ANSWER_TIMEOUT = "answer_timeout"
    """The request went out; no answer began in time."""
    CUT = "cut"
    """The connection ended, or stood still too long, in the middle of the answer's body."""
    STALLED = "stalled"
    """The service stopped reading the request's body."""
    TOTAL_TIMEOUT = "total_timeout"
    """The time for the whole call is over."""
    MALFORMED = "malformed"
    """What came is not one HTTP answer."""
    OVER_LIMIT = "over_limit"
    """The body is longer than whoever reads it whole allows."""


NEVER_SENT = frozenset(
    {
        UpstreamFailure.REFUSED,
        UpstreamFailure.CONNECT_TIMEOUT,
        UpstreamFailure.NAME_UNKNOWN,
        UpstreamFailure.UNREACHABLE,
        UpstreamFailure.FULL,
    }
)
"""After these the service certainly has not seen one byte of the request."""


class UpstreamError(CrossfadeError):
    """A call gave no complete answer; `sent` tells whether the service may have acted."""

    exit_code = 4

    def __init__(self, failure: UpstreamFailure, service: str, detail: str) -> None:
        super().__init__(f"{service} gave no complete answer ({failure.value}): {detail}.")
        self.failure = failure
        self.service = service
        self.detail = detail

    @property
    def sent(self) -> bool:
        """False: the service certainly did not act. True: nobody knows."""
        return self.failure not in NEVER_SENT


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """How long each part of one call may take, in seconds."""

    connect_seconds: float
    """To wait for a free connection and open one."""
    answer_seconds: float
    """From the last byte of the request to the head of the answer."""
    idle_seconds: float
    """Without progress while a body moves."""
    total_seconds: float | None = None
    """For everything, body of the answer included; None for streams of any length."""


@dataclass(slots=True, kw_only=True)
class OutgoingRequest:
    """A request as it will stand on the wire; whoever makes it has checked every part."""

    method: bytes
    target: bytes
    """Path and query exactly as in the request line."""
    headers: Sequence[Header]
    """All lines, `Content-Length` or `Transfer-Encoding: chunked` among them."""
    body: bytes | AsyncIterator[bytes] = b""
    chunked: bool = False
    """An iterated body is framed as chunks; else its length is declared in the headers."""
    length: int = 0
    """Declared length of an iterated body, in bytes."""
    repeatable: bool = False
    """May be sent once more when a reused connection closes before any byte of an answer;
    only for requests that change nothing and have no body."""
    limits: CallLimits | None = None
    """None: those of the upstream."""


class StreamedAnswer(Protocol):
    """An answer on its way to a caller; its head is here, its body may still be coming."""

    @property
    def status(self) -> int:
        """200 to 599."""

    @property
    def reason(self) -> bytes:
        """The words after the status, as they came."""

    @property
    def headers(self) -> Sequence[Header]:
        """All header lines, bytes, case and order as they came."""

    def whole_body(self) -> bytes | None:
        """The whole body if it is here already; None while some of it is missing."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body in pieces as they come; raises UpstreamError (sent) when it is cut."""

    async def aclose(self) -> None:
        """Done with this answer; what has not been read is thrown away. May be repeated."""


class UpstreamAnswer(StreamedAnswer, Protocol):
    """The answer of a service."""

    async def read(self, bytes_max: int) -> bytes:
        """The whole body; raises UpstreamError when it is cut or longer than allowed."""


class Upstream(Protocol):
    """One service over HTTP."""

    @property
    def authority(self) -> bytes:
        """Its host and port, for requests that come without a `Host`."""

    async def send(self, request: OutgoingRequest) -> UpstreamAnswer:
        """Send once and wait for the head of the answer.

        Never sends a request twice, but for `repeatable` ones on a connection that turned out
        to be closed. Raises UpstreamError; an error of the request's own body is passed on,
        and the call is broken off so that the service sees an incomplete request. Cancelling
        breaks the call off: the service may or may not have acted.
        """

    async def aclose(self) -> None:
        """Close all connections; calls under way end with UpstreamError. May be repeated."""
