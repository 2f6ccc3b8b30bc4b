"""Valid defaults for tests: entities, operations, requests, whole nodes; override what matters."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from crossfade.convergence.converge import Convergence, Effect
from crossfade.convergence.sides import EntityStores, Sides
from crossfade.execution.calls import CallTag, Request
from crossfade.execution.canary import Canary
from crossfade.execution.comparing import ReadComparer
from crossfade.execution.comparison_options import ComparisonOptions
from crossfade.execution.observations import Observations
from crossfade.execution.reader import Reader
from crossfade.execution.replaying import Replaying
from crossfade.execution.untracked import UntrackedWrites
from crossfade.execution.writer import Writer
from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.rows import Counts
from crossfade.ledger.transitions.moves import Decision, move_stage
from crossfade.model.comparison import Observed
from crossfade.model.entity import Entity
from crossfade.model.evidence import GateOptions
from crossfade.model.intent import Intent
from crossfade.model.key import Key
from crossfade.model.key_state import KeyState
from crossfade.model.operation import KeyFrom, KeyPlace, Operation
from crossfade.model.plan import OperationKind
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import Event
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams
from crossfade.seams.randomness import SeededRandomness
from crossfade.seams.tasks import TaskOwner
from crossfade.stages.barrier import Barrier
from crossfade.stages.epochs import Epochs
from crossfade.stages.evidence import EvidenceGatherer
from crossfade.stages.flip import Flipper
from crossfade.stages.options import StageOptions
from crossfade.stages.stages import Stages
from crossfade.stages.watch import StageWatch
from crossfade.store.memory import MemoryDatabase, MemoryTable
from crossfade.store.memory_store import MemoryStore
from crossfade.testing.manual_clock import ManualClock
from tests.fake_seams import (
    CrashingFailpoint,
    Life,
    NodeDatabase,
    NodeDiedError,
    NodeLedger,
    NodeStore,
    StoreFaults,
    Turns,
)
from tests.fake_services import Act, FakeAnswer, FakeService, ServiceRows

Result = TypeVar("Result")

CUSTOMERS = "customers"
COLUMNS = {Side.LEGACY: "name", Side.NEW: "title"}
"""Where each side keeps the value of a customer."""
ANSWERS_WITHIN_SECONDS = 10.0
DECISION = Decision("tester", "a test asks for it", 0.0)


def make_entity(**overrides: Any) -> Entity:  # noqa: ANN401 - whatever an entity has
    """Customers: legacy says `name`, new says `title`."""
    entity = Entity(
        name=CUSTOMERS,
        legacy=None,
        new=None,
        to_new=lambda row: {"id": row["id"], "title": row["name"]},
        to_legacy=lambda row: {"id": row["id"], "name": row["title"]},
    )
    return replace(entity, **overrides)


def make_operation(method: str = "PUT", **overrides: Any) -> Operation:  # noqa: ANN401 - same
    """`PUT /customers/{id}`, or what the method makes of it."""
    kind = OperationKind.READ if method == "GET" else OperationKind.WRITE
    operation = Operation(
        name=f"{method} /customers/{{id}}",
        kind=kind,
        entity=CUSTOMERS,
        method=method,
        template="/customers/{id}",
        key=KeyFrom(KeyPlace.PATH, ("id",)),
    )
    return replace(operation, **overrides)


class NotedReplays:
    """A sink of replays that keeps what it is told."""

    def __init__(self) -> None:
        self.answered: list[dict[Side, Observed]] = []
        self.refused: list[tuple[int, int]] = []
        self.effects: list[Effect] = []

    def replay_answered(
        self, operation: Operation, intent: Intent, answers: dict[Side, Observed]
    ) -> None:
        """See `ReplaySink.replay_answered`."""
        assert (operation.entity, intent.unbound) == (intent.entity, False)
        self.answered.append(answers)

    def replay_refused(self, operation: Operation, authority_status: int, status: int) -> None:
        """See `ReplaySink.replay_refused`."""
        assert operation.replay
        self.refused.append((authority_status, status))

    def replay_effect(self, operation: Operation, mirror: Side, effect: Effect) -> None:
        """See `ReplaySink.replay_effect`."""
        assert (operation.entity, mirror in Side) == (effect.entity, True)
        self.effects.append(effect)


class World:
    """What outlives a node: ledger, stores, services, and the time of day."""

    def __init__(self, *, seed: int = 0, turns_max: int = 0) -> None:
        self.turns = Turns(seed, turns_max)
        self.clock = ManualClock()
        self.rows = MemoryLedger()
        self.entity = make_entity()
        self.databases = {side: MemoryDatabase(name=str(side)) for side in Side}
        self.stores = {
            side: MemoryStore(database, CUSTOMERS, MemoryTable(CUSTOMERS, key=("id",)))
            for side, database in self.databases.items()
        }
        for database in self.databases.values():
            database.disk.prepared = True
        self.faults = {side: StoreFaults() for side in Side}
        self.services = {
            side: FakeService(ServiceRows(store, COLUMNS[side]), self.turns)
            for side, store in self.stores.items()
        }
        self.operations: dict[str, Operation] = {}
        self.gates = GateOptions()
        self.rows.apply(lambda rows: rows.set_document("entities", "declared", [CUSTOMERS]))

    def values(self, side: Side) -> dict[Key, object]:
        """The values of all records of one side."""
        return self.services[side].rows.values()

    async def service_answers(self, side: Side) -> bool:
        """Whether a side's service accepts connections; it dies with its databases here."""
        return not self.faults[side].dead

    def key(self, key: Key) -> KeyState:
        """What the ledger knows of a customer."""
        return self.rows.look(lambda rows: rows.key(CUSTOMERS, key))

    def counts(self) -> Counts:
        """How much is open."""
        return self.rows.look(lambda rows: rows.counts())

    def intents(self) -> list[Intent]:
        """The open intents."""
        return list(self.rows.look(lambda rows: rows.intents(1000)))

    def epochs(self) -> tuple[int, int, int]:
        """The epochs of the ledger, legacy and new."""
        disks = [self.databases[side].disk for side in Side]
        legacy, new = [
            max((kept.epoch for kept in disk.epochs.values()), default=0) for disk in disks
        ]
        return self.rows.migration.epoch, legacy, new

    def make_request(self, act: Act, *keys: Key, **overrides: Any) -> Request[FakeAnswer]:  # noqa: ANN401 - whatever an operation has
        """A request that does `act` on the side that is asked; by default a PUT of the keys."""
        replayable = overrides.pop("replayable", True)
        operation = overrides.pop("operation", None) or make_operation(**overrides)

        async def call(side: Side, tag: CallTag) -> FakeAnswer:
            return await self.services[side].run(act, tag)

        return Request(operation, keys, call, replayable)


@dataclass(slots=True)
class Node:
    """One process of ours over a world; a crash ends it, the world goes on."""

    world: World
    life: Life
    ledger: NodeLedger
    seams: Seams
    failpoint: CrashingFailpoint
    tasks: TaskOwner
    hooks: Hooks
    events: list[Event]
    convergence: Convergence
    replays: NotedReplays
    observations: Observations
    canary: Canary
    untracked: UntrackedWrites
    epochs: Epochs
    writer: Writer[FakeAnswer]
    reader: Reader[FakeAnswer]
    flipper: Flipper
    barrier: Barrier
    stage_options: StageOptions
    stages: Stages = field(init=False)
    watch: StageWatch = field(init=False)

    async def write(self, act: Act, *keys: Key, **overrides: Any) -> FakeAnswer:  # noqa: ANN401 - whatever an operation has
        """Write as a caller does."""
        answer, _ = await self.writer.write(self.world.make_request(act, *keys, **overrides))
        return answer

    async def read(self, act: Act, *keys: Key) -> tuple[FakeAnswer, Side]:
        """Read as a caller does."""
        return await self.reader.read(self.world.make_request(act, *keys, method="GET"))

    async def finish(self, work: Awaitable[Result], seconds_max: float = 60.0) -> Result:
        """Wait for something while time passes: the clock moves whenever everybody sleeps."""
        return await finish(self.world.clock, work, seconds_max)

    async def quiet(self) -> None:
        """Wait until every task of the node has ended."""
        await self.finish(self._all_ended())

    async def _all_ended(self) -> None:
        while self.tasks.count():
            await self.tasks.drain(1.0)

    async def move(self, wanted: Stage) -> None:
        """Make a move that keeps the authority."""
        await self.ledger.transact(partial(move_stage, wanted=wanted, decision=DECISION))

    def events_of(self, kind: type[Event]) -> list[Event]:
        """The events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    async def stop(self) -> None:
        """The process is killed: tasks end where they are, nothing more reaches the world."""
        self.life.dead = True
        await self.tasks.cancel_all()


def make_node(
    world: World | None = None,
    *,
    stage_options: StageOptions | None = None,
    comparison: ComparisonOptions | None = None,
    dead_nodes: bool = False,
) -> Node:
    """A node over a world, wired as the assembly does it; `start_shadow` takes it to a stage."""
    world = world or World()
    asyncio.get_running_loop().set_exception_handler(_tell_all_but_deaths)
    life, events = Life(), list[Event]()
    ledger = NodeLedger(world.rows, life, world.turns)
    failpoint, tasks, hooks = (
        CrashingFailpoint(life, world.turns),
        TaskOwner(),
        Hooks(events.append),
    )
    seams = Seams(world.clock, SeededRandomness(1), tasks, failpoint)
    sides = make_sides(world, life)
    convergence = Convergence(ledger, sides, hooks, seams, "node-1")
    replays = NotedReplays()
    canary = Canary()
    observing = comparison or ComparisonOptions(sample_fraction=0.0)
    observations = Observations(ledger, hooks, world.clock, observing)
    comparer = ReadComparer[FakeAnswer](ledger, observations, seams, observing)
    writer = Writer[FakeAnswer](
        ledger, convergence, Replaying(replays, hooks), hooks, seams, "node-1"
    )
    untracked = UntrackedWrites(world.clock, ANSWERS_WITHIN_SECONDS, dead_nodes=dead_nodes)
    writer.untracked = untracked
    stage_options = stage_options or StageOptions(prepare_seconds_max=0.0)
    epochs = Epochs(sides, ledger.identity, stage_options.store_seconds_max)
    flipper = Flipper(ledger, convergence, epochs, hooks, seams, stage_options)
    flipper.is_alive = writer.is_alive
    barrier = Barrier(ledger, untracked, epochs, hooks, seams)
    node = Node(
        world=world, life=life, ledger=ledger, seams=seams, failpoint=failpoint, tasks=tasks,
        hooks=hooks, events=events, convergence=convergence, replays=replays,
        observations=observations, canary=canary, untracked=untracked, epochs=epochs,
        writer=writer, reader=Reader[FakeAnswer](ledger, canary, comparer, hooks),
        flipper=flipper, barrier=barrier, stage_options=stage_options,
    )  # fmt: skip
    _add_stages(node, sides)
    return node


def _add_stages(node: Node, sides: Sides) -> None:
    """The use cases of moves, and the watch over what moves by itself."""
    options, world = node.stage_options, node.world
    gatherer = EvidenceGatherer(
        ledger=node.ledger, sides=sides, operations=world.operations, seams=node.seams,
        convergence=node.convergence, service_answers=world.service_answers,
        options=world.gates, store_seconds_max=options.store_seconds_max,
    )  # fmt: skip
    node.stages = Stages(
        ledger=node.ledger, sides=sides, flipper=node.flipper, epochs=node.epochs,
        gatherer=gatherer, hooks=node.hooks, seams=node.seams, options=options,
    )  # fmt: skip
    node.watch = StageWatch(
        ledger=node.ledger, barrier=node.barrier, flipper=node.flipper, pace=gatherer.pace,
        hooks=node.hooks, seams=node.seams, options=options,
    )  # fmt: skip


def _tell_all_but_deaths(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Tasks of a node that was killed end with its death; that is no news."""
    if not isinstance(context.get("exception"), NodeDiedError):
        loop.default_exception_handler(context)


def make_sides(world: World, life: Life) -> Sides:
    """A node's way to both sides of a world."""
    stores = {
        side: NodeStore(world.stores[side], world.faults[side], life, world.turns) for side in Side
    }
    databases = {
        side: (NodeDatabase(world.databases[side], world.faults[side], life, world.turns),)
        for side in Side
    }
    entities = {CUSTOMERS: EntityStores(world.entity, stores[Side.LEGACY], stores[Side.NEW])}
    return Sides(entities, databases, dict.fromkeys(Side, ANSWERS_WITHIN_SECONDS))


async def finish(clock: ManualClock, work: Awaitable[Result], seconds_max: float = 60.0) -> Result:
    """Wait for something while time passes; whoever sleeps is woken when nobody else can go on."""
    task = asyncio.ensure_future(work)
    until = clock.monotonic() + seconds_max
    idle = 0
    while not task.done():
        await clock.settle(10)
        wake = clock.next_wake()
        if task.done():
            break
        if wake is not None and clock.monotonic() + wake <= until:
            clock.jump(wake)
            continue
        # Nobody sleeps on our clock: something waits on the loop's own, which is real.
        idle += 1
        if idle > 2000:
            task.cancel()
            raise AssertionError("nothing goes on any more")
        await asyncio.sleep(0.001)
    return await task
