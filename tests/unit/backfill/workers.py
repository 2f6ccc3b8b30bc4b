"""A node with its workers over a world whose barrier has passed: what worker tests begin with."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

from crossfade.backfill.options import BackfillOptions
from crossfade.backfill.worker import BackfillWorker
from crossfade.convergence.sides import EntityStores, Sides
from crossfade.ledger.transitions.sweeps import Sweep, look_sweep, start_sweep
from crossfade.model.coverage import Coverage, is_complete
from crossfade.model.key import Key
from crossfade.model.migration_state import MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.reconciler.options import ReconcilerOptions
from crossfade.reconciler.worker import Reconciler, ThisProcess
from crossfade.store.base import StoreEpoch
from crossfade.store.memory import MemoryTable
from crossfade.store.memory_store import MemoryStore
from crossfade.verification.verifier import Verifier
from tests.builders import ANSWERS_WITHIN_SECONDS, CUSTOMERS, Node, World, make_node
from tests.fake_seams import NodeDatabase, NodeStore
from tests.repairing import Repair

CHUNK_ROWS = 4
"""Small enough that a handful of rows makes several chunks."""


@dataclass(slots=True)
class Workers:
    """One process: a node and its three workers."""

    node: Node
    sides: Sides
    backfill: BackfillWorker
    reconciler: Reconciler
    verifier: Verifier
    repair: Repair

    @property
    def world(self) -> World:
        """What outlives the process."""
        return self.node.world

    async def sweep(self) -> None:
        """Ask for the sweep and copy until nothing is left to copy."""
        await self.start_sweep()
        while await self.backfill.step():
            pass

    async def start_sweep(self, rows_per_second_max: float | None = None) -> None:
        """Ask for the customers to be copied."""
        start = partial(start_sweep, rows_per_second_max=rows_per_second_max)
        await self.node.ledger.transact(partial(start, entity=CUSTOMERS, at=1.0))

    async def converge(self) -> None:
        """Let the reconciler work until nothing is dirty any more that can converge."""
        for _ in range(100):
            await self.reconciler.step()
            if self.world.counts().dirty == 0:
                return
            await self.world.clock.advance(1.0)
        raise AssertionError("keys stay dirty")


def make_workers(
    world: World,
    *,
    backfill: BackfillOptions | None = None,
    reconciler: ReconcilerOptions | None = None,
) -> Workers:
    """A new process over the world; nothing runs by itself."""
    node = make_node(world)
    sides = _sides(world, node)
    backfill = backfill or BackfillOptions(chunk_rows=CHUNK_ROWS)
    reconciler = reconciler or ReconcilerOptions(forget_rows_min=1)
    process = ThisProcess("node-1", node.writer.is_alive, reconciler)
    parts = (node.ledger, sides)
    return Workers(
        node=node,
        sides=sides,
        backfill=BackfillWorker(*parts, node.hooks, node.seams, "node-1", backfill),
        reconciler=Reconciler(*parts, node.convergence, node.hooks, node.seams, process),
        verifier=Verifier(*parts, node.hooks, node.seams),
        repair=Repair(node.ledger),
    )


async def make_world(keys: Iterable[int] = (), *, seed: int = 0, turns_max: int = 0) -> World:
    """A world in shadow whose barrier has passed; legacy has these customers, new has none."""
    world = World(seed=seed, turns_max=turns_max)
    await enter(world, Stage.SHADOW)
    for key in keys:
        write_row(world, (key,), f"name {key}")
    return world


async def enter(world: World, stage: Stage, epoch: int = 1) -> None:
    """Put the world in a stage, with its barrier passed and all epochs equal."""
    state = MigrationState(stage=stage, epoch=epoch, barrier_passed=True)
    world.rows.apply(lambda rows: rows.set_migration(state))
    identity = world.rows.identity
    for database in world.databases.values():
        await database.raise_epoch(StoreEpoch(identity.ledger_id, identity.incarnation, epoch))


def write_row(world: World, key: Key, value: object, side: Side = Side.LEGACY) -> None:
    """Write a row behind everybody's back."""
    world.services[side].rows.set(key, value)


def refuse(world: World, *keys: int, side: Side = Side.NEW) -> None:
    """The side's schema refuses these customers from now on."""
    world.stores[side].refuse = lambda key, _: "a constraint" if key[0] in keys else None


def lose_order(world: World) -> None:
    """Both sides order keys in another way than Python does, from now on."""
    for side in Side:
        table = MemoryTable(CUSTOMERS, key=("id",))
        store = MemoryStore(world.databases[side], CUSTOMERS, table, ordered=False)
        world.stores[side] = store


def sweep_of(world: World) -> Sweep:
    """The customers' sweep, as the ledger has it."""
    sweep = world.rows.look(partial(look_sweep, entity=CUSTOMERS))
    assert sweep is not None
    return sweep


def coverage_of(world: World) -> Coverage:
    """The customers' coverage."""
    return world.rows.look(lambda rows: rows.entity(CUSTOMERS)).coverage


def is_covered(world: World) -> bool:
    """Whether every customer was copied."""
    return is_complete(coverage_of(world))


def void_generation(world: World) -> None:
    """What a new mapping version does: a new generation, no coverage."""
    entity = world.rows.look(lambda rows: rows.entity(CUSTOMERS))
    voided = replace(entity, generation=entity.generation + 1, coverage=(), covered_at=0)
    world.rows.apply(lambda rows: rows.set_entity(voided))


def _sides(world: World, node: Node) -> Sides:
    stores = {
        side: NodeStore(world.stores[side], world.faults[side], node.life, world.turns)
        for side in Side
    }
    databases = {
        side: (NodeDatabase(world.databases[side], world.faults[side], node.life, world.turns),)
        for side in Side
    }
    entities = {CUSTOMERS: EntityStores(world.entity, stores[Side.LEGACY], stores[Side.NEW])}
    return Sides(entities, databases, dict.fromkeys(Side, ANSWERS_WITHIN_SECONDS))
