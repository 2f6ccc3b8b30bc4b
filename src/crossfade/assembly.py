"""Wire a node: the only place that picks concrete classes."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from crossfade.backfill.equipment import equip
from crossfade.backfill.worker import BackfillWorker
from crossfade.config import Config
from crossfade.convergence.converge import Convergence
from crossfade.convergence.sides import Sides
from crossfade.errors import LedgerUnavailableError
from crossfade.execution.canary import Canary
from crossfade.execution.comparing import ReadComparer
from crossfade.execution.failures import Failures
from crossfade.execution.observations import Observations
from crossfade.execution.reader import Reader
from crossfade.execution.replaying import Replaying
from crossfade.execution.untracked import UntrackedWrites
from crossfade.execution.writer import Writer
from crossfade.gateway.accepting import accepts_connections
from crossfade.gateway.app import GatewayParts, MigrationApp
from crossfade.gateway.forwarding import Forwarder
from crossfade.gateway.http_upstream import HttpUpstream
from crossfade.gateway.routes import Routes
from crossfade.gateway.service_answer import ServiceAnswer
from crossfade.gateway.service_calls import Service
from crossfade.gateway.upstream import Upstream
from crossfade.ledger.base import OpenedLedger
from crossfade.ledger.from_url import ledger_from_url
from crossfade.ledger.nodes import left_to_others
from crossfade.migration import Migration
from crossfade.model.service import HttpService
from crossfade.model.side import Side
from crossfade.observability.events import WorkerFailed
from crossfade.observability.hooks import Hooks
from crossfade.observability.logging import EventLog
from crossfade.observability.recent import RecentFailures
from crossfade.opening import databases_of_node, open_in_process, open_sides
from crossfade.reconciler.worker import Reconciler, ThisProcess
from crossfade.references import resolve_reference
from crossfade.seams.bundle import Seams
from crossfade.seams.clock import SystemClock
from crossfade.seams.failpoint import ENVIRONMENT_VARIABLE, failpoint_from_text
from crossfade.seams.randomness import SystemRandomness
from crossfade.seams.tasks import TaskOwner
from crossfade.stages.barrier import Barrier
from crossfade.stages.epochs import Epochs
from crossfade.stages.evidence import EvidenceGatherer
from crossfade.stages.flip import Flipper
from crossfade.stages.shared_pace import SharedPace
from crossfade.stages.shared_work import SharedWork
from crossfade.stages.stages import Stages
from crossfade.stages.start import NodeStart
from crossfade.stages.watch import StageWatch
from crossfade.store.from_url import Databases
from crossfade.verification.verifier import Verifier

_Works = dict[str, Callable[[], Awaitable[None]]]
"""Name of a worker -> its loop."""

_WORKERS_STOP_SECONDS_MAX = 10.0
"""How long writes that were answered may still converge when the node stops."""


@dataclass(slots=True, kw_only=True)
class Node:
    """One running crossfade: everything that a process needs, wired."""

    definition: Migration
    config: Config
    name: str
    ledger: OpenedLedger
    sides: Sides
    hooks: Hooks
    seams: Seams
    convergence: Convergence
    writer: Writer[ServiceAnswer]
    reader: Reader[ServiceAnswer]
    canary: Canary
    comparer: ReadComparer[ServiceAnswer]
    observations: Observations
    reconciler: Reconciler
    backfill: BackfillWorker
    verifier: Verifier
    stages: Stages
    barrier: Barrier
    watch: StageWatch
    app: MigrationApp | None
    """None where the migration has no services: its operations are functions."""
    failures: Failures
    gatherer: EvidenceGatherer
    shared_pace: SharedPace
    recent: RecentFailures
    upstreams: tuple[Upstream, ...]
    databases: Databases
    workers: list["asyncio.Task[None]"] = field(default_factory=list)

    async def start(self) -> None:
        """Mend what a dead node left, then let the workers go."""
        await self.watch.mend()
        self.observations.load()
        self.learn_shares()
        works: _Works = {"observations": self.observations.run}
        if not self.ledger.migration.retired:
            workers: _Works = {
                "stage watch": self.watch.run,
                "reconciler": self.reconciler.run,
                "backfill": self.backfill.run,
            }
            works |= workers if self.ledger.nodes.name is None else self._shared(workers)
        for name, run in works.items():
            self.workers.append(self.seams.tasks.spawn(_work(run), name=name))

    def learn_shares(self) -> None:
        """Take over the canary's shares, which another process may have set."""
        for entity, percent in self.ledger.look(lambda rows: rows.documents("canary")):
            self.canary.set_share(entity, percent)

    def _shared(self, workers: _Works) -> _Works:
        """The workers of a ledger that several processes share: one of them runs them."""
        own, learn = self.reconciler.resolver.step, self.learn_shares
        shared = SharedWork(self.ledger.nodes, workers, own, learn, self.hooks, self.seams)
        return {"shared work": shared.run, "shared pace": self.shared_pace.run}

    async def stop(self) -> None:
        """Let answered writes converge for a moment, end the workers, give everything back."""
        for worker in self.workers:
            worker.cancel()
        await asyncio.gather(*self.workers, return_exceptions=True)
        await self.backfill.close()
        await self.seams.tasks.drain(_WORKERS_STOP_SECONDS_MAX)
        await self.seams.tasks.cancel_all()
        with suppress(LedgerUnavailableError):
            await self.observations.flush()
        for upstream in self.upstreams:
            await upstream.aclose()
        await self.databases.close()
        await self.ledger.close()


async def open_node(migration: Migration, config: Config, *, serving: bool) -> Node:
    """Open ledger and stores and wire a node; starts no worker yet (`Node.start`).

    Args:
        migration: the definition.
        config: settings.
        serving: whether this node will carry out requests; one that only works for a command
            sends no write without intent.

    Raises:
        LockedError: another node owns the ledger.
        ForeignLedgerError: a store is fenced by another ledger.
        ConfigurationError: a table, a column or the fence tables are missing.
        StoreUnreachableError: a database does not answer.

    """
    seams = _seams()
    recent = RecentFailures(seams.clock)
    hooks = Hooks(EventLog(config.log_level if serving else "warning"), recent)
    name = seams.randomness.identifier()
    ledger = ledger_from_url(
        config.ledger, seams.clock, seams.randomness, node=name, hooks=hooks,
        options=config.shared_ledger,
    )  # fmt: skip
    databases = databases_of_node(migration.name, ledger, seams.clock)
    try:
        # A side that has been there before may be dead now: then the other is all there is.
        known = ledger.migration.decision > 0
        away = partial(_tell_away, hooks) if known else None
        sides = await open_sides(migration, databases, away)
        start = NodeStart(ledger, sides, hooks, config.stages.store_seconds_max, clock=seams.clock)
        if not ledger.migration.retired:
            await start.check_stores()
        await start.declare_entities()
        dead_nodes = await start.note_untracked() if serving else ledger.migration.untracked_served
        opened = _Opened(name, ledger, sides, databases, hooks, seams, recent, serving)
        return _wire(migration, config, opened, dead_nodes=dead_nodes)
    except BaseException:
        await databases.close()
        # A ledger that was made for nothing would only be in the way of the right one.
        await ledger.discard_unused()
        raise


def _seams() -> Seams:
    return Seams(
        clock=SystemClock(),
        randomness=SystemRandomness(),
        tasks=TaskOwner(),
        failpoint=failpoint_from_text(os.environ.get(ENVIRONMENT_VARIABLE, "")),
    )


@dataclass(frozen=True, slots=True)
class _Opened:
    name: str
    ledger: OpenedLedger
    sides: Sides
    databases: Databases
    hooks: Hooks
    seams: Seams
    recent: RecentFailures
    serving: bool


@dataclass(frozen=True, slots=True)
class _Requests:
    """What carries out reads and writes."""

    convergence: Convergence
    observations: Observations
    comparer: ReadComparer[ServiceAnswer]
    canary: Canary
    reader: Reader[ServiceAnswer]
    writer: Writer[ServiceAnswer]
    untracked: UntrackedWrites


@dataclass(frozen=True, slots=True)
class _Moves:
    """What moves the stage."""

    stages: Stages
    barrier: Barrier
    watch: StageWatch
    gatherer: EvidenceGatherer
    shared_pace: SharedPace


def _wire(migration: Migration, config: Config, opened: _Opened, *, dead_nodes: bool) -> Node:
    """Put the parts together; opens and sends nothing."""
    ledger, sides, hooks, seams = opened.ledger, opened.sides, opened.hooks, opened.seams
    name = opened.name
    untracked = UntrackedWrites(
        seams.clock, migration.answers_within_seconds(Side.LEGACY), dead_nodes=dead_nodes
    )
    requests = _wire_requests(config, opened, name, untracked)
    moves = _wire_moves(migration, config, opened, requests)
    services = _services(migration, config, seams)
    process = ThisProcess(name, requests.writer.is_alive, config.reconciler)
    reconciler = Reconciler(ledger, sides, requests.convergence, hooks, seams, process)
    reconciler.share(partial(left_to_others, ledger.nodes, name))
    ledger.nodes.tell(
        untracked=untracked.under_way, forsaken=requests.writer.forsake, serving=opened.serving
    )
    return Node(
        definition=migration, config=config, name=name, ledger=ledger, sides=sides, hooks=hooks,
        seams=seams, convergence=requests.convergence, writer=requests.writer,
        reader=requests.reader, canary=requests.canary, comparer=requests.comparer,
        observations=requests.observations, failures=requests.observations.failures,
        reconciler=reconciler,
        backfill=_backfill(migration, config, opened),
        verifier=Verifier(ledger, sides, hooks, seams, config.verification),
        stages=moves.stages, barrier=moves.barrier, watch=moves.watch, gatherer=moves.gatherer,
        shared_pace=moves.shared_pace,
        app=_app(migration, config, opened, requests, services), recent=opened.recent,
        databases=opened.databases,
        upstreams=tuple(one.upstream for one in services.values()),
    )  # fmt: skip


def _backfill(migration: Migration, config: Config, opened: _Opened) -> BackfillWorker:
    """The backfill, with what the settings ask for beside it."""
    ledger, seams = opened.ledger, opened.seams
    worker = BackfillWorker(
        ledger, opened.sides, opened.hooks, seams, opened.name, config.backfill
    )
    identity = (ledger.identity.ledger_id, ledger.identity.incarnation)
    file = migration.file
    opening = None if file is None else partial(open_in_process, file, identity)
    url_of = partial(migration.database_url, environment=os.environ)
    equip(worker, seams, migration.folder, url_of, opening)
    return worker


def _wire_requests(
    config: Config, opened: _Opened, name: str, untracked: UntrackedWrites
) -> _Requests:
    """Reader, writer, and what they share."""
    ledger, hooks, seams = opened.ledger, opened.hooks, opened.seams
    convergence = Convergence(ledger, opened.sides, hooks, seams, name)
    convergence.options = config.convergence
    observations = Observations(ledger, hooks, seams.clock, config.comparison)
    comparer: ReadComparer[ServiceAnswer] = ReadComparer(
        ledger, observations, seams, config.comparison
    )
    canary = Canary()
    reader = Reader(ledger, canary, comparer, hooks)
    writer: Writer[ServiceAnswer] = Writer(
        ledger, convergence, Replaying(observations, hooks), hooks, seams, name
    )
    writer.options = reader.options = config.execution
    writer.untracked = untracked
    return _Requests(convergence, observations, comparer, canary, reader, writer, untracked)


def _wire_moves(
    migration: Migration, config: Config, opened: _Opened, requests: _Requests
) -> _Moves:
    """Gates, flips, the barrier, and the watch over them."""
    ledger, sides, hooks, seams = opened.ledger, opened.sides, opened.hooks, opened.seams
    epochs = Epochs(sides, ledger.identity, config.stages.store_seconds_max)
    flipper = Flipper(ledger, requests.convergence, epochs, hooks, seams, config.stages)
    flipper.is_alive = requests.writer.is_alive
    flipper.nodes = ledger.nodes
    barrier = Barrier(ledger, requests.untracked, epochs, hooks, seams)
    gatherer = EvidenceGatherer(
        ledger=ledger, sides=sides, operations=migration.operations,
        convergence=requests.convergence,
        service_answers=partial(_service_answers, migration), seams=seams,
        options=config.gates, store_seconds_max=config.stages.store_seconds_max,
    )  # fmt: skip
    gatherer.failed_answers = requests.observations.failures.count
    gatherer.serving = opened.serving or any(one.serving for one in ledger.nodes.others())
    stages = Stages(
        ledger=ledger, sides=sides, flipper=flipper, epochs=epochs, gatherer=gatherer,
        hooks=hooks, seams=seams, options=config.stages,
    )  # fmt: skip
    watch = StageWatch(
        ledger=ledger, barrier=barrier, flipper=flipper, pace=gatherer.pace, hooks=hooks,
        seams=seams, options=config.stages,
    )  # fmt: skip
    watch.share(ledger.nodes)
    shared_pace = SharedPace(ledger, ledger.nodes, gatherer.pace, seams.clock)
    gatherer.pace_of_others = shared_pace.of_others
    return _Moves(stages, barrier, watch, gatherer, shared_pace)


def _app(
    migration: Migration,
    config: Config,
    opened: _Opened,
    requests: _Requests,
    services: dict[Side, Service],
) -> MigrationApp | None:
    """The gateway's app over everything that carries out requests, where there are services."""
    if not services:
        return None
    operations = [one for one in migration.operations.values() if one.is_route]
    return MigrationApp(
        GatewayParts(
            routes=Routes([(one.method, one.template, one) for one in operations]),
            services=services,
            reader=requests.reader,
            writer=requests.writer,
            migration=lambda: opened.ledger.migration,
            key_types={name: one.key_types for name, one in opened.sides.entities.items()},
            options=config.gateway,
            failures=requests.observations.failures,
        )
    )


def _services(migration: Migration, config: Config, seams: Seams) -> dict[Side, Service]:
    """Both services as the gateway reaches them."""
    services = {}
    for side, described in _described(migration).items():
        url = resolve_reference(described.url, os.environ)
        upstream = HttpUpstream(url, config.gateway, seams.tasks)
        forwarder = Forwarder(upstream, migration.name, config.gateway)
        services[side] = Service(upstream, forwarder, described.answers_within_seconds)
    return services


async def _service_answers(migration: Migration, side: Side) -> bool:
    """Whether the side's service is there; functions always are."""
    described = _described(migration).get(side)
    return described is None or await accepts_connections(described)


def _described(migration: Migration) -> dict[Side, HttpService]:
    described = {Side.LEGACY: migration.legacy, Side.NEW: migration.new}
    return {side: one for side, one in described.items() if one is not None}


def _tell_away(hooks: Hooks, reason: str) -> None:
    hooks.emit(WorkerFailed("start", reason))


async def _work(run: Callable[[], Awaitable[None]]) -> None:
    await run()
