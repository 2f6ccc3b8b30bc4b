"""What every request to the control API must pass: host, token, size, kind of content."""

import hmac
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from crossfade.codec import encode
from crossfade.control.api.problems import CONTENT_TYPE, problem

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_BYTES_MAX = 1024 * 1024
"""Bytes of a request; keys by name are the largest thing that is asked."""
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
READING_METHODS = {"GET", "HEAD"}
HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class Guard:
    """An ASGI app in front of the control API; refuses before anything is looked at."""

    def __init__(self, inner: App, token: str, port: Callable[[], int]) -> None:
        """Guard an app.

        Args:
            inner: the app.
            token: what a caller must know; compared in constant time.
            port: the port that is listened on, known once it is bound.

        """
        self._inner = inner
        self._token = token.encode()
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it; see ASGI."""
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await _answer(send, refusal)
            return
        await self._inner(scope, _bounded(receive), send)

    def _refusal(self, scope: Scope) -> dict[str, Any] | None:
        headers = scope["headers"]
        hosts = _values(headers, b"host")
        # Another name on loopback is a page in a browser that had its name resolved to us.
        allowed = {f"{name}:{self._port()}" for name in LOOPBACK_NAMES}
        if len(hosts) != 1 or hosts[0].decode("latin-1").lower() not in allowed:
            return problem(421, "wrong-host", "This API answers to its loopback address only.")
        tokens = _values(headers, b"authorization")
        expected = b"Bearer " + self._token
        if len(tokens) != 1 or not hmac.compare_digest(tokens[0], expected):
            return problem(401, "no-token", "Send the token of this node as a bearer token.")
        if scope["method"] in READING_METHODS:
            return None
        return _content_refusal(headers)


class BodyTooLargeError(Exception):
    """A body without a declared length went over the bound."""


def _content_refusal(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, Any] | None:
    kinds = _values(headers, b"content-type")
    # A form on somebody's page cannot send this kind of content without being asked first.
    if len(kinds) != 1 or kinds[0].partition(b";")[0].strip().lower() != b"application/json":
        return problem(415, "not-json", "Send application/json.")
    lengths = _values(headers, b"content-length")
    if lengths and (not lengths[0].isdigit() or int(lengths[0]) > BODY_BYTES_MAX):
        return problem(413, "too-large", f"Send at most {BODY_BYTES_MAX} bytes.")
    return None


def _bounded(receive: Receive) -> Receive:
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > BODY_BYTES_MAX:
            raise BodyTooLargeError
        return message

    return bounded


def _values(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name.lower() == wanted]


async def _answer(send: Send, content: dict[str, Any]) -> None:
    body = encode(content)
    headers = [
        *HEADERS,
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": content["status"], "headers": headers})
    await send({"type": "http.response.body", "body": body})
