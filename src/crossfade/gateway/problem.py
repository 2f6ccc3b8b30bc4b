"""Answers of the gateway itself, as problem+json (RFC 9457): what happened and what to do."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from crossfade.codec import encode
from crossfade.errors import CrossfadeError

Header = tuple[bytes, bytes]
Send = Callable[[dict[str, Any]], Awaitable[None]]

TYPE_PREFIX = "urn:crossfade:problem:"
CONTENT_TYPE: Header = (b"Content-Type", b"application/problem+json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One answer that no service gave.

    `name` is stable and documented (`urn:crossfade:problem:<name>`); `detail` is one sentence
    for a person and never holds a value of a request.
    """

    status: int
    name: str
    title: str
    detail: str
    retry_after_seconds: int | None = None
    close: bool = False
    """The connection cannot be used further: the rest of the request is unknown or unread."""

    def body(self) -> bytes:
        """The JSON document."""
        return encode(
            {
                "type": TYPE_PREFIX + self.name,
                "title": self.title,
                "status": self.status,
                "detail": self.detail,
            }
        )

    def headers(self, body: bytes) -> list[Header]:
        """The header lines that belong to `body`."""
        lines = [CONTENT_TYPE, (b"Content-Length", b"%d" % len(body))]
        lines.append((b"Cache-Control", b"no-store"))
        if self.retry_after_seconds is not None:
            lines.append((b"Retry-After", b"%d" % self.retry_after_seconds))
        if self.close:
            lines.append((b"Connection", b"close"))
        return lines


class RequestRefusedError(CrossfadeError):
    """A request is answered by the gateway and reaches no service."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.status} {problem.title}: {problem.detail}")
        self.problem = problem


async def send_problem(send: Send, problem: Problem, extra: Sequence[Header] = ()) -> None:
    """Answer with `problem`; `extra` are further header lines (the stage, say)."""
    body = problem.body()
    await send(
        {
            "type": "http.response.start",
            "status": problem.status,
            "headers": [*problem.headers(body), *extra],
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})
