"""What the workers do, done by hand in tests: reach a stage, copy history, settle, converge."""

from collections.abc import Mapping
from functools import partial

from crossfade.ledger.transitions.chunks import close_chunk, open_chunk
from crossfade.ledger.transitions.intents import close_intent, settle_unbound
from crossfade.model.intent import Intent
from crossfade.model.key import EVERY_KEY, Key
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.store.base import Fence
from tests.builders import ANSWERS_WITHIN_SECONDS, CUSTOMERS, DECISION, Node, World, make_node

ROUNDS_MAX = 30


async def start_shadow(
    world: World | None = None, values: Mapping[Key, object] | None = None
) -> Node:
    """A node in `shadow`: barrier passed, everything copied, both sides agree."""
    node = make_node(world)
    for key, value in (values or {}).items():
        node.world.services[Side.LEGACY].rows.set(key, value)
    await node.move(Stage.SHADOW)
    assert await node.finish(node.barrier.step())
    await cover(node)
    return node


async def start_live(
    world: World | None = None, values: Mapping[Key, object] | None = None
) -> Node:
    """A node in `live`: new has the authority, legacy follows."""
    node = await start_shadow(world, values)
    await node.finish(node.flipper.flip(Stage.LIVE, DECISION, 2.0))
    return node


async def cover(node: Node) -> None:
    """Copy everything in one chunk, the sweep the other way included."""
    world, ledger = node.world, node.ledger
    authority = ledger.migration.authority
    opening = partial(open_chunk, entity=CUSTOMERS, range_=EVERY_KEY, owner="node-1")
    chunk = await ledger.transact(opening)
    rows = await world.stores[authority].read_range(EVERY_KEY, 10_000)
    wanted = [(key, world.entity.map_record(row, authority.other)) for key, row in rows]
    mirror = world.stores[authority.other]
    await mirror.put_many(
        [(key, record) for key, record in wanted if record is not None],
        Fence(chunk.token, chunk.epoch),
    )
    known = {key for key, _ in rows}
    extra = [key for key in world.values(authority.other) if key not in known]
    assert await ledger.transact(partial(close_chunk, chunk=chunk, extra=extra, at=0.0))


async def settle(node: Node) -> None:
    """Do what the resolver does: late calls land, or have certainly ended; intents are closed."""
    for side in Side:
        node.world.services[side].land()
        await node.world.faults[side].land()
    await node.world.clock.advance(ANSWERS_WITHIN_SECONDS)
    for intent in node.world.intents():
        if not node.writer.is_alive(intent.id):
            await settle_one(node, intent)


async def settle_one(node: Node, intent: Intent) -> None:
    """Close an intent whose calls have certainly ended."""
    if intent.unbound:
        found = list(node.world.values(intent.authority))
        ending = partial(settle_unbound, intent_id=intent.id, found=found, at=0.0)
    else:
        ending = partial(close_intent, intent_id=intent.id, at=0.0)
    await node.ledger.transact(ending)


async def drain(node: Node) -> None:
    """Do what the reconciler does: raise epochs left behind, converge until nothing is dirty."""
    await node.epochs.raise_to(node.ledger.migration.epoch, Side)
    for _ in range(ROUNDS_MAX):
        dirty = node.ledger.look(lambda rows: rows.dirty_keys(None, 1000, ready=True))
        if not dirty:
            break
        for state in dirty:
            await node.finish(node.convergence.converge(state.entity, state.key))
    counts = node.world.counts()
    left = (counts.open_intents, counts.dirty, counts.quarantined, counts.leases, counts.held)
    assert left == (0, 0, 0, 0, 0), f"not drained: {counts}"


def assert_agreed(world: World) -> None:
    """Both services would answer alike for every key."""
    assert world.values(Side.LEGACY) == world.values(Side.NEW)
