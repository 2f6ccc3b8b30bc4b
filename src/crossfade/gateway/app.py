"""The gateway's ASGI app: operations of the migration are carried out, the rest passes through."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from crossfade.errors import (
    CrossfadeError,
    KeyHeldError,
    LedgerUnavailableError,
    OutcomeUnknownError,
    UpstreamFailedError,
    WritesHeldError,
)
from crossfade.execution.calls import Request
from crossfade.execution.failures import Failures
from crossfade.execution.reader import Reader
from crossfade.execution.writer import Writer
from crossfade.gateway.forwarding import SAFE_METHODS, send_answer
from crossfade.gateway.headers import Framing, RequestHead
from crossfade.gateway.operation_keys import KeyUnreadableError, key_of
from crossfade.gateway.options import GatewayOptions
from crossfade.gateway.problem import (
    Header,
    Problem,
    RequestRefusedError,
    Send,
    send_problem,
)
from crossfade.gateway.request import CallerGoneError, GatewayRequest, Receive, Scope
from crossfade.gateway.routes import Matched, Routes
from crossfade.gateway.service_answer import ServiceAnswer
from crossfade.gateway.service_calls import Service, ServiceCalls
from crossfade.model.migration_state import MigrationState
from crossfade.model.operation import Operation
from crossfade.model.plan import OperationKind
from crossfade.model.side import Side
from crossfade.model.stage import STAGE_RULES, Stage, WriteMode

STAGE_HEADER = b"X-Crossfade-Stage"
SIDE_HEADER = b"X-Crossfade-Side"
UNDECLARED = Problem(
    status=405,
    name="undeclared-method",
    title="Method not declared",
    detail="This path is part of the migration, the method is not: the write would be seen by "
    "nobody. Declare it as an operation of the migration. Nothing was changed.",
)
STAGE_LINES = {stage: (STAGE_HEADER, stage.value.encode("ascii")) for stage in Stage}
SIDE_LINES = {side: (SIDE_HEADER, side.value.encode("ascii")) for side in Side}


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayParts:
    """What the app is wired with."""

    routes: Routes[Operation]
    services: Mapping[Side, Service]
    reader: Reader[ServiceAnswer]
    writer: Writer[ServiceAnswer]
    migration: Callable[[], MigrationState]
    key_types: Mapping[str, tuple[type, ...]]
    """By entity: `int` or `str` for each part of its key."""
    options: GatewayOptions
    failures: Failures


class MigrationApp:
    """Answers callers for one migration."""

    def __init__(self, parts: GatewayParts) -> None:
        self._routes = parts.routes
        self._services = parts.services
        self._reader = parts.reader
        self._writer = parts.writer
        self._migration = parts.migration
        self._key_types = parts.key_types
        self._options = parts.options
        self._failures = parts.failures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; see ASGI."""
        request = GatewayRequest(scope, receive)
        passing = self._services[Side.LEGACY].forwarder
        try:
            head = passing.look_at(request)
            matched = self._routes.match(request.method, request.path)
        except RequestRefusedError as error:
            await send_problem(send, error.problem, self._stage_header())
            return
        if matched is None:
            await self._pass(request, head, send)
            return
        calls = ServiceCalls(self._services, request, head, matched.operation, self._options)
        calls.key_types = self._key_types[matched.operation.entity]
        try:
            await self._carry_out(request, head, matched, calls, send)
        except CallerGoneError:
            return
        except RequestRefusedError as error:
            await send_problem(send, error.problem, self._stage_header())
        except CrossfadeError as error:
            if isinstance(error, UpstreamFailedError | OutcomeUnknownError):
                self._failures.note(self._migration().decision)
            await send_problem(send, problem_of(error), self._stage_header())
        finally:
            await calls.aclose()

    async def _pass(self, request: GatewayRequest, head: RequestHead, send: Send) -> None:
        """What is not declared goes to legacy untouched, unless it would write a declared thing.

        From the moment on at which writes are tracked, one that is not would change a key that
        the ledger vouches for.
        """
        extra = self._stage_header()
        tracked = STAGE_RULES[self._migration().stage].writes is not WriteMode.UNTRACKED
        if tracked and request.method not in SAFE_METHODS:
            try:
                declared = self._routes.methods_at(request.path)
            except RequestRefusedError as error:
                await send_problem(send, error.problem, extra)
                return
            if declared:
                allow = (b"Allow", ", ".join(declared).encode("ascii"))
                await send_problem(send, UNDECLARED, [*extra, allow])
                return
        await self._services[Side.LEGACY].forwarder.forward(request, head, send, extra)

    async def _carry_out(
        self,
        request: GatewayRequest,
        head: RequestHead,
        matched: Matched[Operation],
        calls: ServiceCalls,
        send: Send,
    ) -> None:
        """Read or write, then answer."""
        operation = matched.operation
        if head.framing is not Framing.NONE:
            calls.body = await request.read(
                self._options.buffered_body_bytes_max, self._options.body_idle_seconds_max
            )
        try:
            key = key_of(operation, matched.parameters, request.query, calls.key_types)
        except KeyUnreadableError:
            # While keys are held nobody can tell whether this one is: a service may read it.
            if operation.kind is OperationKind.WRITE or self._migration().holds_keys:
                raise
            key = None
        keys = (key,) if key is not None else ()
        asked = Request(operation, keys, calls)
        if operation.kind is OperationKind.READ:
            answer, side = await self._reader.read(asked)
        else:
            answer, side = await self._writer.write(asked)
        decision = self._migration().decision
        extra = [*self._stage_header(), SIDE_LINES[side]]
        cut = await send_answer(answer, request, send, extra)
        if answer.failed or cut is not None:
            self._failures.note(decision)

    def _stage_header(self) -> list[Header]:
        return [STAGE_LINES[self._migration().stage]]


def problem_of(error: CrossfadeError) -> Problem:
    """What a caller is told when a request could not be carried out."""
    if isinstance(error, WritesHeldError | KeyHeldError):
        return Problem(
            status=503,
            name="writes-held" if isinstance(error, WritesHeldError) else "key-held",
            title="Writes wait" if isinstance(error, WritesHeldError) else "The key is held",
            detail=f"{error} Nothing was changed.",
            retry_after_seconds=max(1, round(error.retry_after_seconds)),
        )
    if isinstance(error, LedgerUnavailableError):
        return Problem(
            status=503,
            name="ledger-unavailable",
            title="No write can be recorded",
            detail="The gateway cannot record writes, so it accepts none. Nothing was changed.",
            retry_after_seconds=2,
        )
    if isinstance(error, OutcomeUnknownError):
        return Problem(
            status=504, name="outcome-unknown", title="Outcome unknown", detail=str(error)
        )
    if isinstance(error, UpstreamFailedError):
        return Problem(
            status=502, name="service-failed", title="The service failed", detail=str(error)
        )
    if isinstance(error, KeyUnreadableError):
        return Problem(
            status=400, name="key-unreadable", title="Unreadable key", detail=str(error)
        )
    return Problem(
        status=500, name="internal-error", title="Internal error",
        detail="The gateway failed; its log says how.",
    )  # fmt: skip
