"""The gateway in front of two services in memory: what is refused, told and counted."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from crossfade.codec import decode
from crossfade.execution.reader import Reader
from crossfade.execution.replaying import Replaying
from crossfade.execution.writer import Writer
from crossfade.gateway.app import GatewayParts, MigrationApp
from crossfade.gateway.forwarding import Forwarder
from crossfade.gateway.memory_upstream import MemoryAnswer, MemoryUpstream, SeenRequest
from crossfade.gateway.options import GatewayOptions
from crossfade.gateway.routes import Routes
from crossfade.gateway.service_answer import ServiceAnswer
from crossfade.gateway.service_calls import Service
from crossfade.gateway.upstream import UpstreamError, UpstreamFailure
from crossfade.ledger.rows import Rows
from crossfade.model.operation import Operation
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from tests.builders import CUSTOMERS, DECISION, Node, make_node, make_operation
from tests.settling import start_shadow
from tests.unit.gateway.test_forwarding import Caller, scope

DECLARED = (
    make_operation("GET"),
    make_operation("PUT"),
    replace(make_operation("GET", name="GET /customers", key=None), template="/customers"),
)


class Gateway:
    """The app over a node's ledger; both services answer 200 with their name."""

    def __init__(self, node: Node, operations: Sequence[Operation] = DECLARED) -> None:
        self.node = node
        self.answers: dict[Side, MemoryAnswer] = {}
        self.upstreams = {side: MemoryUpstream(self._handler(side)) for side in Side}
        options = GatewayOptions(compared_body_bytes_max=1000)
        services = {
            side: Service(upstream, Forwarder(upstream, "shop", options), 10.0)
            for side, upstream in self.upstreams.items()
        }
        self.writer = Writer[ServiceAnswer](
            node.ledger, node.convergence, Replaying(node.replays, node.hooks), node.hooks,
            node.seams, "node-1",
        )  # fmt: skip
        self.writer.untracked = node.untracked
        comparer: Any = node.reader._comparer  # noqa: SLF001 - it samples nothing here
        self._app = MigrationApp(
            GatewayParts(
                routes=Routes([(one.method, one.template, one) for one in operations]),
                services=services,
                reader=Reader[ServiceAnswer](node.ledger, node.canary, comparer, node.hooks),
                writer=self.writer,
                migration=lambda: node.ledger.migration,
                key_types={CUSTOMERS: (int,)},
                options=options,
                failures=node.observations.failures,
            )
        )

    def _handler(self, side: Side) -> Any:  # noqa: ANN401 - a handler
        async def answer(_: SeenRequest) -> MemoryAnswer:
            return self.answers.get(side) or MemoryAnswer(body=side.value.encode())

        return answer

    async def ask(self, method: str, path: str) -> Caller:
        """One request of a caller, without a body."""
        caller = Caller(b"")
        asked = scope(method, path=path, raw_path=path.encode(), query_string=b"")
        await self.node.finish(self._app(asked, caller.receive, caller.send))
        return caller

    @property
    def failures(self) -> int:
        """How many failed answers count for the present stage."""
        return self.node.observations.failures.count(self.node.ledger.migration.decision)

    def seen(self) -> int:
        """How many requests reached a service."""
        return sum(len(upstream.seen) for upstream in self.upstreams.values())


def header(caller: Caller, name: bytes) -> bytes:
    """One header line of the answer."""
    lines: list[tuple[bytes, bytes]] = caller.sent[0]["headers"]
    return next(value for given, value in lines if given.lower() == name)


async def at(stage: Stage) -> Gateway:
    """A gateway at a stage."""
    if stage in (Stage.OFF, Stage.READ_ONLY):
        node = make_node()
        if stage is Stage.READ_ONLY:
            await node.move(stage)
        return Gateway(node)
    node = await start_shadow()
    if stage is not Stage.SHADOW:
        await node.finish(node.flipper.flip(Stage.LIVE, DECISION, 2.0))
    if stage is Stage.COMPLETED:
        await node.move(stage)
    return Gateway(node)


@pytest.mark.parametrize(
    ("stage", "side"), [(Stage.OFF, b"legacy"), (Stage.SHADOW, b"legacy"), (Stage.LIVE, b"new")]
)
async def test_reads_and_writes_tell_the_side_that_answered(stage: Stage, side: bytes) -> None:
    """In a header of the answer."""
    gateway = await at(stage)

    for method in ("GET", "PUT"):
        caller = await gateway.ask(method, "/customers/1")
        assert (header(caller, b"x-crossfade-side"), caller.body) == (side, side)


async def test_a_write_tells_the_side_that_answered_it_and_not_the_next_one() -> None:
    """The stage may move between the answer of the service and that of the gateway."""
    gateway = await at(Stage.OFF)

    async def answer(_: SeenRequest) -> MemoryAnswer:
        gateway.node.world.rows.apply(_be_live)
        return MemoryAnswer(body=b"legacy")

    gateway.upstreams[Side.LEGACY]._handler = answer  # noqa: SLF001 - a service that is slow
    caller = await gateway.ask("PUT", "/customers/1")

    assert header(caller, b"x-crossfade-side") == b"legacy"


def _be_live(rows: Rows) -> None:
    rows.set_migration(replace(rows.migration(), stage=Stage.LIVE))


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage is not Stage.OFF])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/customers/1"),
        ("PATCH", "/customers/1/"),
        ("POST", "/customers"),
        ("DELETE", "//customers/1"),
        ("DELETE", "/customers/./1;a=b"),
        ("DELETE", "/%63ustomers/1"),
    ],
)
async def test_a_write_of_a_declared_thing_by_another_method_is_refused(
    stage: Stage, method: str, path: str
) -> None:
    """It would change a key that the ledger vouches for, and nobody would know."""
    gateway = await at(stage)

    caller = await gateway.ask(method, path)

    assert (caller.status, gateway.seen()) == (405, 0)
    assert decode(caller.body)["type"] == "urn:crossfade:problem:undeclared-method"
    assert header(caller, b"allow") == (b"GET" if path == "/customers" else b"GET, PUT")


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize(
    ("method", "path"),
    [("OPTIONS", "/customers/1"), ("HEAD", "/customers"), ("POST", "/other"), ("PUT", "/")],
)
async def test_what_is_safe_or_of_no_declared_path_passes(
    stage: Stage, method: str, path: str
) -> None:
    """Untouched, in every stage."""
    gateway = await at(stage)

    assert (await gateway.ask(method, path)).status == 200


async def test_in_off_every_method_passes() -> None:
    """Nothing was copied that could be wrong."""
    gateway = await at(Stage.OFF)

    assert (await gateway.ask("DELETE", "/customers/1")).status == 200


async def test_an_unreadable_key_is_not_read_while_keys_are_held() -> None:
    """A service may read it as a key that is held; otherwise the service says what it means."""
    gateway = await at(Stage.SHADOW)
    before = await gateway.ask("GET", "/customers/%20%31")
    gateway.node.world.rows.apply(
        lambda rows: rows.set_migration(replace(rows.migration(), holds_keys=True))
    )

    during = await gateway.ask("GET", "/customers/%20%31")

    assert (before.status, during.status) == (200, 400)
    assert decode(during.body)["type"] == "urn:crossfade:problem:key-unreadable"


async def test_answers_that_failed_or_were_cut_are_counted() -> None:
    """A 5xx, and an answer that ends in the middle of its body; a 4xx is the caller's own."""
    gateway = await at(Stage.SHADOW)
    cut = UpstreamError(UpstreamFailure.CUT, "legacy", "the connection ended")
    counted = []

    for answer in (
        MemoryAnswer(404),
        MemoryAnswer(500),
        MemoryAnswer(pieces=[b"a" * 600] * 2, cut=cut),
        MemoryAnswer(pieces=[b"a" * 600] * 2),
    ):
        gateway.answers[Side.LEGACY] = answer
        await gateway.ask("GET", "/customers/1")
        counted.append(gateway.failures)

    assert counted == [0, 1, 2, 2]
