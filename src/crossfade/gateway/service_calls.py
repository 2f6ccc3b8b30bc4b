"""Ask either side for one caller's request: the gateway's half of every read and write."""

from collections.abc import Mapping
from dataclasses import dataclass

from crossfade.execution.calls import CallFailedError, CallTag
from crossfade.gateway.forwarding import Forwarder
from crossfade.gateway.headers import RequestHead
from crossfade.gateway.options import GatewayOptions
from crossfade.gateway.problem import Header
from crossfade.gateway.request import GatewayRequest
from crossfade.gateway.service_answer import ServiceAnswer
from crossfade.gateway.upstream import (
    CallLimits,
    Upstream,
    UpstreamAnswer,
    UpstreamError,
)
from crossfade.model.operation import Operation
from crossfade.model.plan import OperationKind
from crossfade.model.side import Side


@dataclass(frozen=True, slots=True)
class Service:
    """One side's service as the gateway reaches it."""

    upstream: Upstream
    forwarder: Forwarder
    answers_within_seconds: float
    """After that an unanswered call has certainly ended."""


class ServiceCalls:
    """One caller's request, ready to be asked of either side any number of times."""

    def __init__(
        self,
        services: Mapping[Side, Service],
        request: GatewayRequest,
        head: RequestHead,
        operation: Operation,
        options: GatewayOptions,
    ) -> None:
        self._services = services
        self._request = request
        self._head = head
        self._operation = operation
        self._options = options
        self.body: bytes = b""
        """The caller's body, read whole before any side is asked."""
        self.key_types: tuple[type, ...] = (int,)
        self._streams: list[ServiceAnswer] = []

    async def __call__(self, side: Side, tag: CallTag) -> ServiceAnswer:
        """Ask one side once, within its deadline.

        Raises:
            CallFailedError: no complete answer; `sent` says whether the side may have acted.

        """
        service = self._services[side]
        outgoing = service.forwarder.outgoing(self._request, self._head, self.body)
        outgoing.headers = [*outgoing.headers, *_tag_lines(tag)]
        outgoing.limits = self._limits(service)
        try:
            answer = await service.upstream.send(outgoing)
            body = await self._whole_body(answer)
        except UpstreamError as error:
            raise CallFailedError(str(error), sent=error.sent) from error
        asked = ServiceAnswer(answer, body, self._operation, self.key_types)
        if body is None and tag.role == "serve":
            self._streams.append(asked)
        elif body is None:
            await answer.aclose()
        return asked

    async def aclose(self) -> None:
        """Give up answers that nobody streamed to the end."""
        for answer in self._streams:
            await answer.aclose()

    def _limits(self, service: Service) -> CallLimits:
        within = service.answers_within_seconds
        return CallLimits(
            connect_seconds=min(self._options.connect_seconds_max, within),
            answer_seconds=within,
            idle_seconds=within,
            total_seconds=within if self._operation.kind is OperationKind.WRITE else None,
        )

    async def _whole_body(self, answer: UpstreamAnswer) -> bytes | None:
        """The body, so that the answer is known to be complete; a large read's still streams."""
        whole = answer.whole_body()
        if whole is not None:
            return whole
        if self._operation.kind is OperationKind.READ and self._is_large(answer):
            return None
        return await answer.read(self._options.buffered_body_bytes_max)

    def _is_large(self, answer: UpstreamAnswer) -> bool:
        """Whether a read's body is longer than is kept for a comparison, or of unknown length."""
        for name, value in answer.headers:
            if name.lower() == b"content-length":
                return int(value) > self._options.compared_body_bytes_max
        return True


def _tag_lines(tag: CallTag) -> list[Header]:
    """What tells the service why it is called."""
    lines = [_ROLE_LINES[tag.role]]
    if tag.intent is not None:
        lines.append((b"X-Crossfade-Intent", b"%d" % tag.intent))
    return lines


_ROLE_LINES = {
    role: (b"X-Crossfade-Role", role.encode("ascii")) for role in ("serve", "replay", "compare")
}
