"""The way through, with an in-memory service: what it gets, what the caller is told."""

import asyncio
import json
from typing import Any

import pytest

from crossfade.gateway.forwarding import Forwarder, PassThrough, problem_of, send_answer
from crossfade.gateway.memory_upstream import MemoryAnswer, MemoryUpstream, SeenRequest
from crossfade.gateway.options import GatewayOptions
from crossfade.gateway.request import GatewayRequest
from crossfade.gateway.upstream import NEVER_SENT, UpstreamError, UpstreamFailure

Message = dict[str, Any]


class Caller:
    """A caller without sockets."""

    def __init__(self, *pieces: bytes) -> None:
        self.sent: list[Message] = []
        self._messages: list[Message] = [
            {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
            for number, piece in enumerate(pieces, 1)
        ]

    async def receive(self) -> Message:
        """See ASGI."""
        return self._messages.pop(0) if self._messages else {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """See ASGI."""
        self.sent.append(message)

    @property
    def status(self) -> int:
        """The status it got."""
        status: int = self.sent[0]["status"]
        return status

    @property
    def body(self) -> bytes:
        """The body it got."""
        return b"".join(message["body"] for message in self.sent[1:])


def scope(method: str = "GET", **changes: Any) -> Message:  # noqa: ANN401 - as ASGI
    """A request as ASGI tells it."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": "/a b",
        "raw_path": b"/a%20b",
        "query_string": b"x=%7E",
        "headers": [(b"host", b"shop")],
        "client": ("10.0.0.9", 1234),
        **changes,
    }


async def answer_ok(seen: SeenRequest) -> MemoryAnswer:
    """The service of most tests."""
    return MemoryAnswer(body=b"got " + seen.body)


def app_for(upstream: MemoryUpstream) -> PassThrough:
    """A gateway in front of it."""
    return PassThrough(Forwarder(upstream, "shop-1", GatewayOptions()))


async def test_a_request_reaches_the_service_on_any_asgi_server() -> None:
    """Without our own server the target comes from the scope."""
    upstream, caller = MemoryUpstream(answer_ok), Caller(b"abc", b"def")
    headers = [(b"host", b"shop"), (b"content-length", b"6")]
    await app_for(upstream)(scope("PUT", headers=headers), caller.receive, caller.send)

    seen = upstream.seen[0]
    assert (seen.method, seen.target, seen.body) == (b"PUT", b"/a%20b?x=%7E", b"abcdef")
    assert (b"X-Forwarded-For", b"10.0.0.9") in seen.headers
    assert (caller.status, caller.body) == (200, b"got abcdef")


async def test_a_caller_that_leaves_half_way_gets_no_answer() -> None:
    """The request is incomplete, so the service never sees it whole."""
    upstream, caller = MemoryUpstream(answer_ok), Caller()
    headers = [(b"host", b"shop"), (b"content-length", b"6")]
    await app_for(upstream)(scope("PUT", headers=headers), caller.receive, caller.send)

    assert (upstream.seen, caller.sent) == ([], [])


@pytest.mark.parametrize("failure", list(UpstreamFailure))
def test_every_failure_has_a_clear_answer(failure: UpstreamFailure) -> None:
    """502, 503 or 504, and whether the service may have acted."""
    error = UpstreamError(failure, "http://service", "it broke")
    problem = problem_of(error, 1)

    assert problem.status in (502, 503, 504)
    assert error.sent is (failure not in NEVER_SENT)
    assert ("may or may not have acted" in problem.detail) is error.sent
    assert ("has not seen" in problem.detail) is not error.sent
    assert "http://service" not in problem.detail


async def test_a_failed_call_is_told_with_the_extra_headers() -> None:
    """The stage is on every answer, on those of the gateway itself too."""

    async def fail(seen: SeenRequest) -> MemoryAnswer:
        del seen
        raise UpstreamError(UpstreamFailure.FULL, "memory", "full")

    forwarder = Forwarder(MemoryUpstream(fail), "shop-1", GatewayOptions(retry_after_seconds=7))
    caller = Caller(b"")
    request = GatewayRequest(scope(), caller.receive)
    stage = (b"X-Crossfade-Stage", b"shadow")
    await forwarder.forward(request, forwarder.look_at(request), caller.send, [stage])

    assert caller.status == 503
    assert stage in caller.sent[0]["headers"]
    assert (b"Retry-After", b"7") in caller.sent[0]["headers"]
    assert json.loads(caller.body)["type"] == "urn:crossfade:problem:service-full"


async def test_a_cut_answer_is_never_completed() -> None:
    """The last message still promises more, so that the server closes the connection."""
    cut = UpstreamError(UpstreamFailure.CUT, "memory", "cut")
    answer = MemoryAnswer(pieces=[b"abc"], cut=cut)
    caller = Caller(b"")
    error = await send_answer(answer, GatewayRequest(scope(), caller.receive), caller.send)

    assert error is cut
    assert caller.body == b"abc"
    assert caller.sent[-1]["more_body"] is True
    assert answer.closed


async def test_a_body_over_the_limit_is_refused() -> None:
    """At the limit it is read, over it the caller is told so."""
    read = await GatewayRequest(scope(), Caller(b"123", b"45").receive).read(5, 1.0)

    assert read == b"12345"
    with pytest.raises(Exception, match="413 Body too large"):
        await GatewayRequest(scope(), Caller(b"123", b"456").receive).read(5, 1.0)


async def test_a_chunked_body_read_whole_goes_out_with_its_length() -> None:
    """For both sides it is framed once, by its length."""
    upstream = MemoryUpstream(answer_ok)
    forwarder = Forwarder(upstream, "shop-1", GatewayOptions())
    headers = [(b"host", b"shop"), (b"transfer-encoding", b"chunked")]
    request = GatewayRequest(scope("POST", headers=headers), Caller(b"abc").receive)
    head = forwarder.look_at(request)
    body = await request.read(100, 1.0)
    outgoing = forwarder.outgoing(request, head, body)

    assert (outgoing.chunked, outgoing.body) == (False, b"abc")
    assert (b"Content-Length", b"3") in outgoing.headers
    assert b"transfer-encoding" not in [name.lower() for name, _ in outgoing.headers]


@pytest.mark.parametrize(
    ("method", "headers", "repeatable"),
    [
        ("GET", [], True),
        ("HEAD", [], True),
        ("GET", [(b"content-length", b"3")], False),
        ("PUT", [], False),
        ("DELETE", [], False),
        ("POST", [], False),
    ],
)
def test_only_reads_without_a_body_may_be_sent_again(
    method: str,
    headers: list[tuple[bytes, bytes]],
    repeatable: bool,  # noqa: FBT001 - a table
) -> None:
    """PUT and DELETE are idempotent by the book and still never repeated."""
    forwarder = Forwarder(MemoryUpstream(answer_ok), "shop-1", GatewayOptions())
    changed = scope(method, headers=[(b"host", b"shop"), *headers])
    request = GatewayRequest(changed, Caller(b"").receive)

    assert forwarder.outgoing(request, forwarder.look_at(request)).repeatable is repeatable


async def test_a_silent_caller_is_given_up() -> None:
    """Nothing for too long: 408, and no body."""

    async def never() -> Message:
        await asyncio.Event().wait()
        return {}

    with pytest.raises(Exception, match="408 Body too slow"):
        await GatewayRequest(scope(), never).read(100, 0.01)
