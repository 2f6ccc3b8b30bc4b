"""One key, two fenced stores and everybody who touches them, as states that can be searched.

Every step is one atomic action: one real transition over copied rows, or one read or write of a
store. The names and the promises are those of the reference model of the protocol.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from crossfade.errors import ChangedMeanwhileError, GateError, WritesHeldError
from crossfade.ledger.memory_rows import MemoryRows, MemoryTables, MemoryView
from crossfade.ledger.rows import LedgerIdentity
from crossfade.ledger.transitions import chunks, flips, intents, keys, moves
from crossfade.model.chunk import Chunk
from crossfade.model.coverage import NOTHING, covers
from crossfade.model.entity_state import EntityState
from crossfade.model.key import EVERY_KEY
from crossfade.model.migration_state import Flip, FlipPhase, MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import Stage

ENTITY = "order"
KEY = (1,)
DECISION = moves.Decision("searcher", "a search", 0.0)
WRONG = 99
"""What a replay stores when the mirror's service has a bug."""

Value = int | None
Step = tuple[str, "World"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Who takes part, and which protections of the stores and workers hold."""

    writers: tuple[Value, ...] = (1,)
    """What each writer writes; None deletes."""
    leases: tuple[int, ...] = (2,)
    """How many leases each converger may take."""
    values: tuple[Value, Value] = (0, 0)
    covered: bool = True
    chunk_runs: int = 0
    off_write: bool = False
    """The run begins in `off` with a write without intent, a delete, in flight."""
    reenters_off: bool = False
    flips: bool = False
    replays: bool = False
    """The operation is replayed on the mirror, unfenced, and may store a wrong value."""
    crashes: bool = False
    """A writer's node may die, also with its call under way."""
    resolves_early: bool = False
    keeps_fence_on_delete: bool = True
    checks_epochs: bool = True
    waits_for_off_writes: bool = True
    puts_when_equal: bool = True
    covers_when_refused: bool = False


@dataclass(frozen=True, slots=True)
class Actor:
    """Where one of them stands, and what it remembers."""

    at: str
    memory: Any = None
    value: Value = None
    left: int = 0


@dataclass(slots=True)
class World:
    """Everything; steps work on copies."""

    scenario: Scenario
    tables: MemoryTables
    values: tuple[Value, Value]
    fences: tuple[int, int] = (0, 0)
    epochs: tuple[int, int] = (0, 0)
    writers: tuple[Actor, ...] = ()
    convergers: tuple[Actor, ...] = ()
    worker: Actor = Actor("idle")
    coordinator: Actor = Actor("idle")
    off_write: str = "ended"
    late: frozenset[tuple[int, int, Value]] = frozenset()
    """Calls under way whose caller has gone: (writer, store, value)."""
    token: int = 0
    """Highest token that any copier was given."""
    broken: str = ""
    """A promise that the last step broke."""

    def copy(self) -> "World":
        """An equal world that lives its own life."""
        return replace(self, tables=self.tables.copy())

    def run(self, transition: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - as the transition
        """Run a real transition on the rows."""
        return transition(MemoryRows(self.tables))

    def put(self, store: int, value: Value, token: int, epoch: int) -> str:
        """A fenced put of a copier: `ok`, `fenced`, or `epoch` where the epoch differs."""
        if self.scenario.checks_epochs and epoch != self.epochs[store]:
            return "epoch"
        if token < self.fences[store]:
            return "fenced"
        if store == _index(self.tables.migration.authority) and self.values[store] != value:
            self.broken = "CLOBBER: a copier overwrote the authority"
        keeps = value is not None or self.scenario.keeps_fence_on_delete
        self.fences = _with(self.fences, store, token if keeps else 0)
        self.values = _with(self.values, store, value)
        return "ok"

    def grant(self, token: int) -> None:
        """A copier was given a token: no two copies may carry the same."""
        if token <= self.token:
            self.broken = "TOKEN given twice"
        self.token = max(self.token, token)


def start(scenario: Scenario) -> World:
    """The world before the first step."""
    stage = Stage.OFF if scenario.off_write else Stage.SHADOW
    tables = MemoryTables(LedgerIdentity("0" * 32, 1))
    tables.migration = MigrationState(stage=stage, barrier_passed=not scenario.off_write)
    coverage = (EVERY_KEY,) if scenario.covered else NOTHING
    tables.entities[ENTITY] = EntityState(ENTITY, coverage=coverage)
    MemoryRows(tables).set_document("entities", "declared", [ENTITY])
    return World(
        scenario=scenario,
        tables=tables,
        values=scenario.values,
        writers=tuple(Actor("idle", value=value) for value in scenario.writers),
        convergers=tuple(Actor("idle", left=leases) for leases in scenario.leases),
        worker=Actor("idle", left=scenario.chunk_runs),
        off_write="flying" if scenario.off_write else "ended",
    )


def steps(world: World) -> Iterator[Step]:
    """Every step that anybody can take next."""
    for number in range(len(world.writers)):
        yield from _writer(world, number)
    for number in range(len(world.convergers)):
        yield from _converger(world, number)
    if world.scenario.chunk_runs:
        yield from _chunk_worker(world)
    if world.scenario.flips or world.scenario.off_write:
        yield from _coordinator(world)
    if world.off_write == "flying":
        after = world.copy()
        after.off_write, after.values = "ended", _with(world.values, 0, None)
        yield "write of off lands", after
    for call in world.late:
        for label, lands in (("lands", True), ("is dropped", False)):
            after = world.copy()
            after.late = world.late - {call}
            if lands:
                after.values = _with(world.values, call[1], call[2])
            yield f"late call of w{call[0]} {label}", after


def problem(before: World, after: World) -> str:
    """The promise that the step broke, or nothing."""
    if after.broken:
        return after.broken
    differ = after.values[0] != after.values[1]
    flipped = before.tables.migration.authority is not after.tables.migration.authority
    if flipped and differ:
        return "LOST WRITE at the flip"
    rows = MemoryView(after.tables)
    agrees = covers(rows.entity(ENTITY).coverage, KEY) and rows.key(ENTITY, KEY).quiet
    if differ and agrees and rows.migration().stage is not Stage.OFF:
        return "SILENT DIVERGENCE: the stores differ, the ledger says that they agree"
    return ""


def _writer(world: World, number: int) -> Iterator[Step]:
    """Open, call the authority, maybe replay, close; a dead one is resolved."""
    actor = world.writers[number]

    def to(at: str, label: str, *, memory: Any = actor.memory) -> Step:  # noqa: ANN401
        after.writers = _with(after.writers, number, replace(actor, at=at, memory=memory))
        return f"w{number} {label}", after

    after = world.copy()
    if actor.at == "idle":
        request = intents.WriteRequest(ENTITY, (KEY,), "PUT", "node")
        try:
            opened = after.run(
                partial(_attribute(intents, "open_intent"), request=request, at=0.0)
            )
        except WritesHeldError:
            return
        yield to("open", "opens", memory=opened.intent)
    elif actor.at == "open":
        yield from _authority_call(world, number, actor)
    elif actor.at == "answered" and world.scenario.replays:
        mirror = _index(actor.memory.authority.other)
        for value in (actor.value, WRONG):
            after = world.copy()
            after.values = _with(world.values, mirror, value)
            yield to("replayed", f"replay stores {value}")
    elif actor.at in ("answered", "replayed"):
        after.run(partial(_attribute(intents, "close_intent"), intent_id=actor.memory.id, at=0.0))
        yield to("closed", "closes")
    elif actor.at == "dead" and _may_resolve(world, number):
        after.run(partial(_attribute(intents, "close_intent"), intent_id=actor.memory.id, at=0.0))
        yield to("closed", "is resolved")


def _authority_call(world: World, number: int, actor: Actor) -> Iterator[Step]:
    authority = _index(actor.memory.authority)
    answered, dead = replace(actor, at="answered"), replace(actor, at="dead")
    after = world.copy()
    after.values = _with(world.values, authority, actor.value)
    after.writers = _with(world.writers, number, answered)
    yield f"w{number} authority := {actor.value}", after
    if world.scenario.crashes:
        for call in ((), ((number, authority, actor.value),)):
            after = world.copy()
            after.writers = _with(world.writers, number, dead)
            after.late = world.late | set(call)
            yield f"w{number} DIES, call {'under way' if call else 'not sent'}", after


def _may_resolve(world: World, number: int) -> bool:
    under_way = any(call[0] == number for call in world.late)
    return world.scenario.resolves_early or not under_way


def _converger(world: World, number: int) -> Iterator[Step]:
    """Lease, read the authority, put on the mirror, release; may pause anywhere for ever."""
    actor = world.convergers[number]

    def to(**changes: Any) -> World:  # noqa: ANN401 - fields of an actor
        after.convergers = _with(after.convergers, number, replace(actor, **changes))
        return after

    after = world.copy()
    if actor.at == "idle" and actor.left:
        lease = partial(
            _attribute(keys, "take_lease"), entity=ENTITY, key=KEY, owner=f"r{number}", at=0.0
        )
        grant = after.run(lease)
        if grant is not None:
            after.grant(grant.lease.token)
            yield f"r{number} leases", to(at="leased", memory=grant, left=actor.left - 1)
    elif actor.at == "leased":
        value = world.values[_index(actor.memory.authority)]
        yield f"r{number} reads {value}", to(at="read", value=value)
    elif actor.at == "read":
        mirror = _index(actor.memory.authority.other)
        if not world.scenario.puts_when_equal and world.values[mirror] == actor.value:
            yield f"r{number} skips its put", to(at="put")
            return
        token, epoch = actor.memory.lease.token, actor.memory.epoch
        result = after.put(mirror, actor.value, token, epoch)
        ok = result == "ok"
        yield f"r{number} puts {actor.value}: {result}", to(at="put" if ok else "idle")
    elif actor.at == "put":
        cleared = after.run(partial(_attribute(keys, "release_lease"), grant=actor.memory))
        yield (
            f"r{number} releases{' CLEAN' if cleared else ''}",
            to(at="idle", memory=None, value=None),
        )


def _chunk_worker(world: World) -> Iterator[Step]:
    """Open a chunk, read legacy, put on new, look for extra keys, close; refused ones run again."""
    actor = world.worker
    after = world.copy()

    def to(**changes: Any) -> World:  # noqa: ANN401 - fields of an actor
        after.worker = replace(actor, **changes)
        return after

    if actor.at == "idle" and actor.left:
        opening = partial(
            _attribute(chunks, "open_chunk"), entity=ENTITY, range_=EVERY_KEY, owner="b"
        )
        try:
            chunk = after.run(opening)
        except GateError:
            return
        after.grant(chunk.token)
        yield "chunk opens", to(at="open", memory=chunk, left=actor.left - 1)
    elif actor.at == "open":
        value = world.values[0]
        yield f"chunk reads {value}", to(at="read", value=value)
    elif actor.at == "read":
        result = "ok"
        if actor.value is not None:
            result = after.put(1, actor.value, actor.memory.token, actor.memory.epoch)
        refused = result == "epoch" and not world.scenario.covers_when_refused
        yield f"chunk puts {actor.value}: {result}", to(at="refused" if refused else "put")
    elif actor.at == "put":
        extra = actor.value is None and world.values[1] is not None
        yield f"chunk compares keys, extra: {extra}", to(at="extra" if extra else "compared")
    elif actor.at == "refused":
        after.run(partial(chunks.abandon_chunk, chunk=actor.memory))
        yield "chunk is abandoned", to(at="idle", memory=None, value=None)
    elif actor.at in ("extra", "compared"):
        extra_keys = [KEY] if actor.at == "extra" else []
        closing = partial(
            _attribute(chunks, "close_chunk"), chunk=actor.memory, extra=extra_keys, at=0.0
        )
        covered = after.run(closing)
        yield f"chunk closes, covers: {covered}", to(at="idle", memory=None, value=None)


def _coordinator(world: World) -> Iterator[Step]:
    """Moves out of and into `off`, the barrier, and one flip with its undoing."""
    actor = world.coordinator
    if actor.at == "idle":
        yield from _coordinator_begins(world)
    elif actor.at != "finished":
        yield from _coordinator_goes_on(world, actor)


def _coordinator_begins(world: World) -> Iterator[Step]:
    state = world.tables.migration
    choices: list[tuple[str, Callable[[Any], Any]]] = []
    if state.stage is Stage.OFF:
        choices.append(("leaves off", partial(moves.move_stage, wanted=Stage.SHADOW)))
    elif not state.barrier_passed:
        if world.off_write == "ended" or not world.scenario.waits_for_off_writes:
            choices.append(("begins the barrier", flips.begin_barrier))
    elif world.scenario.flips:
        choices.append(("begins the flip", partial(flips.begin_flip, wanted=Stage.LIVE)))
    if world.scenario.reenters_off and state.decision == 1:
        choices.append(("enters off", partial(moves.move_stage, wanted=Stage.OFF)))
    for label, transition in choices:
        after = world.copy()
        result = after.run(partial(transition, decision=DECISION))
        if isinstance(result, Flip):
            at = "holding" if result.phase is FlipPhase.HOLDING else "fencing mirror"
            after.coordinator = Actor(at, result)
        if label == "enters off":
            after.off_write = "flying"
        yield label, after


def _coordinator_goes_on(world: World, actor: Actor) -> Iterator[Step]:
    flip: Flip = actor.memory
    authority = _index(world.tables.migration.authority)
    after = world.copy()
    if actor.at == "holding":
        if not after.run(partial(_attribute(flips, "drained"), flip=flip)):
            fencing = replace(flip, phase=FlipPhase.FENCING)
            after.coordinator = Actor("fencing authority", fencing)
            yield "flip goes on: nothing is open", after
    elif actor.at.startswith(("fencing", "undoing")):
        by = 1 if actor.at.startswith("fencing") else 2
        store = authority if actor.at.endswith("authority") else 1 - authority
        after.epochs = _with(world.epochs, store, max(world.epochs[store], flip.epoch + by))
        after.coordinator = Actor(_NEXT[actor.at], flip)
        yield f"{actor.at}: epoch {flip.epoch + by}", after
    elif actor.at in ("committing", "committing undo"):
        commit = flips.commit_flip if actor.at == "committing" else flips.commit_undo
        try:
            after.run(partial(commit, flip=flip, decision=DECISION))
        except ChangedMeanwhileError:
            return
        keeps_on = world.scenario.flips and flip.kind.value == "barrier"
        after.coordinator = Actor("idle" if keeps_on else "finished")
        if flip.kind.value == "barrier" and world.scenario.reenters_off:
            after.coordinator = Actor("idle")
        yield f"{actor.at} is done", after
    if world.scenario.flips and actor.at in _MAY_UNDO and flip.kind.value == "flip":
        yield _undoing(world, flip)


def _undoing(world: World, flip: Flip) -> Step:
    after = world.copy()
    undoing = after.run(partial(flips.undo_flip, flip=flip, decision=DECISION))
    after.coordinator = (
        Actor("finished") if undoing is None else Actor("undoing authority", undoing)
    )
    return "flip is undone", after


_NEXT = {
    "fencing authority": "fencing mirror",
    "fencing mirror": "committing",
    "undoing authority": "undoing mirror",
    "undoing mirror": "committing undo",
}
_MAY_UNDO = {"holding", "fencing authority", "fencing mirror", "committing"}


def canonical(world: World) -> object:
    """The world with sequence numbers as ranks, since only their order matters."""
    tables = world.tables
    key = tables.keys.get((ENTITY, KEY))
    entity = tables.entities[ENTITY]
    numbers = {0, *world.fences, world.token, entity.covered_at, *tables.intents}
    numbers |= {token for _, token in tables.chunks}
    if key is not None:
        numbers |= {key.seq, key.clean_seq, 0 if key.lease is None else key.lease.token}
    for actor in (*world.writers, *world.convergers, world.worker, world.coordinator):
        numbers.add(_number_of(actor.memory))
    rank = {number: at for at, number in enumerate(sorted(numbers))}
    actors = tuple(
        (
            actor.at,
            rank[_number_of(actor.memory)],
            _epoch_of(actor.memory),
            actor.value,
            actor.left,
        )
        for actor in (*world.writers, *world.convergers, world.worker, world.coordinator)
    )
    return (
        None if key is None else (
            rank[key.seq], rank[key.clean_seq], key.open_intents,
            None if key.lease is None else (key.lease.owner, rank[key.lease.token]),
        ),
        tuple(sorted((rank[token], chunk.open, chunk.generation) for (_, token), chunk in
                     tables.chunks.items())),
        entity.coverage, entity.generation, tables.migration.stage, tables.migration.epoch,
        tables.migration.barrier_passed, tables.migration.decision,
        None if tables.migration.flip is None else tables.migration.flip.phase,
        len(tables.intents), world.values, tuple(rank[fence] for fence in world.fences),
        world.epochs, world.off_write, world.late, rank[world.token], actors,
    )  # fmt: skip


def _number_of(memory: Any) -> int:  # noqa: ANN401 - whatever an actor remembers
    match memory:
        case keys.LeaseGrant(lease=lease):
            return lease.token
        case Chunk(token=token):
            return token
        case None:
            return 0
    return int(memory.id)


def _epoch_of(memory: Any) -> object:  # noqa: ANN401 - whatever an actor remembers
    authority = getattr(memory, "authority", None)
    return (getattr(memory, "epoch", 0), getattr(memory, "generation", 0), authority)


def _attribute(module: Any, name: str) -> Any:  # noqa: ANN401 - a transition
    """The transition as it is now, so that a mutant takes its place."""
    return getattr(module, name)


def _index(side: Side) -> int:
    return 0 if side is Side.LEGACY else 1


def _with(values: tuple[Any, ...], at: int, value: Any) -> Any:  # noqa: ANN401 - of any kind
    return values[:at] + (value,) + values[at + 1 :]
