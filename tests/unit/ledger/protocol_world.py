"""One key, two fenced stores and everybody who touches them, as states that can be searched.

The names and the promises are those of the reference model of the protocol. Who takes which step
is in `protocol_actors.py` and `protocol_coordinator.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from crossfade.ledger.memory_rows import MemoryRows, MemoryTables, MemoryView
from crossfade.ledger.rows import LedgerIdentity
from crossfade.ledger.transitions import keys, moves
from crossfade.model.chunk import Chunk
from crossfade.model.coverage import NOTHING, covers
from crossfade.model.entity_state import EntityState
from crossfade.model.intent import Intent
from crossfade.model.key import EVERY_KEY
from crossfade.model.migration_state import MigrationState
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
    """The run begins in `off`; at some time in `off` a write without intent, a delete, starts."""
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
    joins: bool = False
    """Convergers lease the key with others that it is in the way of, dirty or not."""


class Actor(NamedTuple):
    """Where one of them stands, and what it remembers."""

    at: str
    memory: Any = None
    number: int = 0
    """The sequence number of what it remembers."""
    mark: object = None
    """What else of it matters for its next steps."""
    value: Value = None
    left: int = 0
    authority: int = 0
    """The chunk worker's: the store that it reads, as it was when the chunk was opened."""

    def remembering(self, memory: Any) -> "Actor":  # noqa: ANN401 - intent, grant, chunk, flip
        """The actor with an intent, a grant, a chunk or a flip in its hands."""
        number, mark = _number_and_mark(memory)
        return self._replace(memory=memory, number=number, mark=mark)

    def idle(self) -> "Actor":
        """The actor with nothing in its hands; only what it may still do is kept."""
        return Actor("idle", left=self.left)


IDLE = Actor("idle")


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
    worker: Actor = IDLE
    coordinator: Actor = IDLE
    off_write: str = "ended"
    late: frozenset[tuple[int, int, Value]] = frozenset()
    """Calls under way whose caller has gone: (writer, store, value)."""
    token: int = 0
    """Highest token that any copier was given."""
    broken: str = ""
    """A promise that the last step broke."""

    def copy(self) -> "World":
        """An equal world that lives its own life."""
        return World(
            self.scenario,
            self.tables.copy(),
            self.values,
            self.fences,
            self.epochs,
            self.writers,
            self.convergers,
            self.worker,
            self.coordinator,
            self.off_write,
            self.late,
            self.token,
            self.broken,
        )

    def run(self, transition: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - as the transition
        """Run a real transition on the rows."""
        return transition(MemoryRows(self.tables))

    def put(self, store: int, value: Value, token: int, epoch: int) -> str:
        """A fenced put of a copier: `ok`, `fenced`, or `epoch` where the epoch differs."""
        if self.scenario.checks_epochs and epoch != self.epochs[store]:
            return "epoch"
        if token < self.fences[store]:
            return "fenced"
        if store == index_of(self.tables.migration.authority) and self.values[store] != value:
            self.broken = "CLOBBER: a copier overwrote the authority"
        keeps = value is not None or self.scenario.keeps_fence_on_delete
        self.fences = with_item(self.fences, store, token if keeps else 0)
        self.values = with_item(self.values, store, value)
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
        off_write="idle" if scenario.off_write else "ended",
    )


def problem(before: World, after: World) -> str:
    """The promise that the step broke, or nothing."""
    if after.broken:
        return after.broken
    differ = after.values[0] != after.values[1]
    flipped = before.tables.migration.authority is not after.tables.migration.authority
    if flipped and differ:
        return "LOST WRITE at the flip"
    rows = MemoryView(after.tables)
    key = rows.key(ENTITY, KEY)
    if key.open_intents and not key.dirty:
        return "CLEAN WHILE WRITTEN: a list of dirty keys leaves out a key that has an intent"
    agrees = covers(rows.entity(ENTITY).coverage, KEY) and key.quiet
    if differ and agrees and rows.migration().stage is not Stage.OFF:
        return "SILENT DIVERGENCE: the stores differ, the ledger says that they agree"
    return ""


def canonical(world: World) -> object:
    """The world with sequence numbers as ranks, since only their order matters."""
    tables = world.tables
    key = tables.keys.get((ENTITY, KEY))
    entity = tables.entities[ENTITY]
    actors = (*world.writers, *world.convergers, world.worker, world.coordinator)
    numbers = {0, *world.fences, world.token, entity.covered_at, *tables.intents}
    numbers.update([actor.number for actor in actors])
    numbers.update([token for _, token in tables.chunks])
    if key is not None:
        numbers |= {key.seq, key.clean_seq, 0 if key.lease is None else key.lease.token}
    rank = {number: at for at, number in enumerate(sorted(numbers))}
    key_part: object = None
    if key is not None:
        lease = None if key.lease is None else (key.lease.owner, rank[key.lease.token])
        key_part = (rank[key.seq], rank[key.clean_seq], key.open_intents, lease)
    chunks = [(rank[one.token], one.open, one.generation) for one in tables.chunks.values()]
    state = tables.migration
    return (
        key_part, tuple(chunks), entity.coverage, entity.generation, state.stage.value,
        state.epoch, state.barrier_passed, state.decision, state.flip and state.flip.phase.value,
        len(tables.intents), world.values, tuple([rank[fence] for fence in world.fences]),
        world.epochs, world.off_write, world.late, rank[world.token],
        tuple([(one.at, rank[one.number], *one[3:]) for one in actors]),
    )  # fmt: skip


def _number_and_mark(memory: Any) -> tuple[int, object]:  # noqa: ANN401 - see `remembering`
    match memory:
        case keys.LeaseGrant(lease=lease, epoch=epoch, authority=authority):
            return lease.token, (epoch, authority)
        case Chunk(token=token, epoch=epoch, generation=generation):
            return token, (epoch, generation)
        case Intent(id=number, authority=authority):
            return number, authority
    return memory.id, memory.epoch


def attribute(module: Any, name: str) -> Any:  # noqa: ANN401 - a transition
    """The transition as it is now, so that a mutant takes its place."""
    return getattr(module, name)


def index_of(side: Side) -> int:
    """0 for legacy, 1 for new."""
    return 0 if side is Side.LEGACY else 1


def with_item(values: tuple[Any, ...], at: int, value: Any) -> Any:  # noqa: ANN401 - of any kind
    """The tuple with one of its values changed."""
    return (*values[:at], value, *values[at + 1 :])
