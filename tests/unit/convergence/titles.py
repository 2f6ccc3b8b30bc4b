"""Customers whose titles must be unique on the mirror, and what the mirror is made to answer."""

from crossfade.convergence.converge import ConvergeEnd
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.model.key import Key, RecordName
from crossfade.model.key_state import DirtyReason
from crossfade.model.side import Side
from crossfade.store.base import PutResult, PutStatus
from crossfade.store.memory import MemoryTable
from crossfade.store.memory_store import MemoryStore
from tests.builders import CUSTOMERS, Node, World
from tests.fake_seams import StoreFault
from tests.settling import start_shadow

KEY: Key = (1,)
OTHER: Key = (2,)
THIRD: Key = (3,)
NAME = RecordName(CUSTOMERS, KEY)
TAKEN = PutResult(PutStatus.UNIQUE, "it must be unique: title", OTHER)
MISSING = PutResult(PutStatus.FOREIGN_KEY, "no parent", missing=(RecordName(CUSTOMERS, OTHER),))
IN_THE_WAY = PutResult(
    PutStatus.FOREIGN_KEY, "rows point to it", in_the_way=(RecordName(CUSTOMERS, OTHER),)
)


async def start(world: World | None = None, **values: object) -> Node:
    """Two customers who agree, on a mirror where titles are unique; the first is dirty then."""
    world = world or World()
    table = MemoryTable(CUSTOMERS, key=("id",), unique=(("title",),))
    world.stores[Side.NEW] = MemoryStore(world.databases[Side.NEW], CUSTOMERS, table)
    node = await start_shadow(world, {KEY: "a", OTHER: "b", THIRD: "c"})
    for name, value in values.items():
        world.services[Side.LEGACY].rows.set((int(name[1:]),), value)
    mark(node, KEY)
    return node


def mark(node: Node, *keys: Key) -> None:
    """Make keys dirty."""
    node.world.rows.apply(lambda rows: mark_dirty(rows, CUSTOMERS, keys, DirtyReason.REPAIR, 0.0))


def answer(node: Node, *results: PutResult | StoreFault) -> None:
    """What the mirror says to the next puts, whatever they are."""
    node.world.faults[Side.NEW].puts.extend(results)


async def converge(node: Node, key: Key = KEY) -> ConvergeEnd:
    """One attempt."""
    return await node.convergence.converge(CUSTOMERS, key)


def leases(node: Node) -> int:
    """How many keys are leased."""
    return node.world.counts().leases
