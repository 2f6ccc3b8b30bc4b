"""Nothing of the control API is reached without host, token, kind of content and bound."""

from collections.abc import Mapping
from typing import Any

import pytest

from crossfade.codec import decode
from crossfade.control.api.guard import BODY_BYTES_MAX, BodyTooLargeError, Guard

TOKEN = "t" * 64
GOOD = {
    "host": "127.0.0.1:8410",
    "authorization": f"Bearer {TOKEN}",
    "content-type": "application/json",
}


class Caller:
    """Asks a guarded app and keeps what comes back."""

    def __init__(self) -> None:
        self.reached = 0
        self.sent: list[dict[str, Any]] = []

    async def inner(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Read everything, answer 200."""
        assert scope["type"] == "http"
        self.reached += 1
        while (await receive())["more_body"]:
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def ask(
        self,
        method: str = "POST",
        body: bytes = b"",
        headers: Mapping[str, str | None] | None = None,
    ) -> int:
        """The status of one request; None leaves a header out."""
        wanted = {**GOOD, **(headers or {})}
        scope = {
            "type": "http",
            "method": method,
            "headers": [
                (name.encode(), value.encode()) for name, value in wanted.items() if value
            ],
        }
        chunks = [body[:1], body[1:]]

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

        async def send(message: dict[str, Any]) -> None:
            self.sent.append(message)

        await Guard(self.inner, TOKEN, lambda: 8410)(scope, receive, send)
        return int(self.sent[0]["status"])


async def test_a_proper_request_comes_through() -> None:
    """By any name of loopback; reading needs no kind of content."""
    for host in ("127.0.0.1:8410", "localhost:8410", "LOCALHOST:8410", "[::1]:8410"):
        assert await Caller().ask(headers={"host": host}) == 200
    assert await Caller().ask("GET", headers={"content-type": None}) == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example:8410"}, 421),
        ({"host": "127.0.0.1:9999"}, 421),
        ({"host": None}, 421),
        ({"authorization": None}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"authorization": f"Bearer {TOKEN}x"}, 401),
        ({"authorization": f"Basic {TOKEN}"}, 401),
        ({"content-type": None}, 415),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-length": str(BODY_BYTES_MAX + 1)}, 413),
        ({"content-length": "-1"}, 413),
    ],
)
async def test_anything_else_is_refused_before_it_is_looked_at(
    headers: dict[str, str | None], status: int
) -> None:
    """As a problem with an exit code, and without a word about the token."""
    caller = Caller()

    assert await caller.ask(headers=headers) == status
    assert caller.reached == 0
    content = decode(caller.sent[1]["body"])
    assert (content["status"], content["exit_code"]) == (status, 1)
    assert TOKEN not in str(content)


async def test_the_bound_itself_is_allowed() -> None:
    """One byte more is not, whether or not its length was declared."""
    assert await Caller().ask(body=b"x" * BODY_BYTES_MAX) == 200
    with pytest.raises(BodyTooLargeError):
        await Caller().ask(body=b"x" * (BODY_BYTES_MAX + 1))
