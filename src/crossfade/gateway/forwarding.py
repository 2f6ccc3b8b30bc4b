"""The way of a request that passes through: to one service untouched, and its answer back."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus

from crossfade.gateway.headers import (
    Framing,
    Hop,
    RequestHead,
    headers_for_caller,
    headers_for_service,
    is_loop,
    read_request_head,
    refuse,
    with_body,
)
from crossfade.gateway.options import GatewayOptions
from crossfade.gateway.problem import (
    Header,
    Problem,
    RequestRefusedError,
    Send,
    send_problem,
)
from crossfade.gateway.request import CallerGoneError, GatewayRequest, Receive, Scope
from crossfade.gateway.upstream import (
    OutgoingRequest,
    StreamedAnswer,
    Upstream,
    UpstreamError,
    UpstreamFailure,
)

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Change nothing (RFC 9110, 9.2.1): broken off when the caller leaves, may be repeated."""

_TIMEOUTS = frozenset(
    {
        UpstreamFailure.CONNECT_TIMEOUT,
        UpstreamFailure.ANSWER_TIMEOUT,
        UpstreamFailure.STALLED,
        UpstreamFailure.TOTAL_TIMEOUT,
    }
)


class Forwarder:
    """Passes requests to one service."""

    def __init__(self, upstream: Upstream, identity: str, options: GatewayOptions) -> None:
        self._upstream = upstream
        self._identity = identity.encode("ascii")
        self._options = options

    def look_at(self, request: GatewayRequest) -> RequestHead:
        """The request's head, checked; raises RequestRefusedError."""
        head = read_request_head(request.headers, request.http_version)
        if is_loop(head, self._identity):
            raise refuse(
                508,
                "loop",
                "Loop detected",
                "This request has passed the gateway of this migration before: "
                "a service behind the gateway calls the gateway.",
            )
        if b"upgrade" in head.noted and b"websocket" in head.upgrade:
            raise refuse(
                501, "upgrade-refused", "Upgrade refused", "The gateway carries no WebSockets."
            )
        return head

    def outgoing(
        self, request: GatewayRequest, head: RequestHead, body: bytes | None = None
    ) -> OutgoingRequest:
        """The request for the service: its body streamed, or `body` where it was read whole."""
        hop = Hop(
            self._identity,
            request.scheme.encode("ascii"),
            request.peer.encode("ascii", "replace"),
            self._options.forwarded_hops_trusted,
        )
        lines = headers_for_service(head, hop)
        if b"host" not in head.noted:
            lines.insert(0, (b"Host", self._upstream.authority))
        pieces: bytes | AsyncIterator[bytes] = b""
        chunked = head.framing is Framing.CHUNKED
        if body is not None:
            pieces = body
            lines = with_body(lines, body) if chunked else lines
            chunked = False
        elif head.framing is not Framing.NONE:
            pieces = request.chunks(self._options.body_idle_seconds_max)
        return OutgoingRequest(
            method=request.method.encode("ascii"),
            target=request.target,
            headers=lines,
            body=pieces,
            chunked=chunked,
            length=head.length,
            repeatable=request.method in SAFE_METHODS and head.framing is Framing.NONE,
        )

    async def forward(
        self,
        request: GatewayRequest,
        head: RequestHead,
        send: Send,
        extra: Sequence[Header] = (),
    ) -> None:
        """Pass one request on and answer it; `extra` are header lines for the caller.

        When the caller leaves, a read is broken off; a write whose request is complete is seen
        through, so that nobody cuts it half done.
        """
        if request.method in SAFE_METHODS:
            await self._breakable(request, head, send, extra)
        else:
            await self._pass(request, head, send, extra)

    async def _breakable(
        self,
        request: GatewayRequest,
        head: RequestHead,
        send: Send,
        extra: Sequence[Header],
    ) -> None:
        task = asyncio.current_task()
        request.when_gone(task.cancel if task is not None else None)  # type: ignore[arg-type] # its answer is ignored
        try:
            await self._pass(request, head, send, extra)
        except asyncio.CancelledError:
            if not request.gone or task is None or task.uncancel():
                raise
        finally:
            request.when_gone(None)

    async def _pass(
        self,
        request: GatewayRequest,
        head: RequestHead,
        send: Send,
        extra: Sequence[Header],
    ) -> None:
        try:
            answer = await self._upstream.send(self.outgoing(request, head))
        except UpstreamError as error:
            problem = problem_of(error, self._options.retry_after_seconds)
            await send_problem(send, problem, extra)
        except RequestRefusedError as error:
            await send_problem(send, error.problem, extra)
        except CallerGoneError:
            return
        else:
            await send_answer(answer, request, send, extra)


async def send_answer(
    answer: StreamedAnswer, request: GatewayRequest, send: Send, extra: Sequence[Header] = ()
) -> UpstreamError | None:
    """Stream a service's answer to the caller.

    Returns the error that cut the answer, if one did: the ASGI app must then return, so that the
    server closes the connection and the caller sees the answer cut too.
    """
    headers = headers_for_caller(answer.headers, answer.status)
    headers += extra
    start = {
        "type": "http.response.start",
        "status": answer.status,
        "headers": headers,
        "reason": answer.reason,
    }
    await send(start)
    whole = answer.whole_body()
    if whole is not None:
        await send({"type": "http.response.body", "body": whole, "more_body": False})
        return None
    try:
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        async for piece in answer.chunks():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if request.gone:
                return None
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except UpstreamError as error:
        return error
    finally:
        await answer.aclose()
    return None


def problem_of(error: UpstreamError, retry_after_seconds: int) -> Problem:
    """What a caller is told of a call that failed."""
    if error.failure is UpstreamFailure.FULL:
        return Problem(
            status=HTTPStatus.SERVICE_UNAVAILABLE,
            name="service-full",
            title="Too many requests under way",
            detail="The gateway has as many requests under way as it may. The service has not "
            "seen this one; try again.",
            retry_after_seconds=retry_after_seconds,
        )
    said = (
        "It may or may not have acted on the request."
        if error.sent
        else "The service has not seen the request."
    )
    timed_out = error.failure in _TIMEOUTS
    return Problem(
        status=HTTPStatus.GATEWAY_TIMEOUT if timed_out else HTTPStatus.BAD_GATEWAY,
        name="service-" + error.failure.value.replace("_", "-"),
        title="The service did not answer in time" if timed_out else "The service failed",
        detail=f"The call of the service failed: {error.detail}. {said}",
    )


class PassThrough:
    """An ASGI app that passes everything to one service: the gateway without a migration."""

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; see ASGI."""
        request = GatewayRequest(scope, receive)
        try:
            head = self._forwarder.look_at(request)
        except RequestRefusedError as error:
            await send_problem(send, error.problem)
            return
        await self._forwarder.forward(request, head, send)
