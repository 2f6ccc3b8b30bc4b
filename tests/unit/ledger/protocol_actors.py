"""What a writer, a converger, a chunk worker and late calls may do next.

Every step is one atomic action: one real transition over copied rows, or one read or write of a
store. Whoever does not take its next step is paused, or dead.
"""

from collections.abc import Iterator
from functools import partial

from crossfade.errors import GateError, WritesHeldError
from crossfade.ledger.transitions import chunks, intents, keys
from crossfade.model.key import EVERY_KEY, RecordName
from crossfade.model.stage import Stage
from tests.unit.ledger.protocol_coordinator import coordinator
from tests.unit.ledger.protocol_world import (
    ENTITY,
    KEY,
    WRONG,
    Actor,
    Step,
    World,
    attribute,
    index_of,
    with_item,
)


def steps(world: World) -> Iterator[Step]:
    """Every step that anybody can take next."""
    for number in range(len(world.writers)):
        yield from _writer(world, number)
    for number in range(len(world.convergers)):
        yield from _converger(world, number)
    if world.worker.left or world.worker.at != "idle":
        yield from _chunk_worker(world)
    yield from coordinator(world)
    if world.off_write != "ended":
        yield from _write_of_off(world)
    yield from _late_calls(world)


def _write_of_off(world: World) -> Iterator[Step]:
    """A write without intent: it starts in `off`, and lands whenever it does."""
    after = world.copy()
    if world.off_write == "idle" and world.tables.migration.stage is Stage.OFF:
        after.off_write = "flying"
        yield "write of off starts", after
    elif world.off_write == "flying":
        after.off_write, after.values = "ended", with_item(world.values, 0, None)
        yield "write of off lands", after


def _late_calls(world: World) -> Iterator[Step]:
    for call in world.late:
        for label, lands in (("lands", True), ("is dropped", False)):
            after = world.copy()
            after.late = world.late - {call}
            if lands:
                after.values = with_item(world.values, call[1], call[2])
            yield f"late call of w{call[0]} {label}", after


def _writer(world: World, number: int) -> Iterator[Step]:
    """Open, call the authority, maybe replay, close; a dead one is resolved."""
    actor = world.writers[number]
    if actor.at == "idle":
        yield from _opening(world, number)
    elif actor.at == "open":
        yield from _authority_call(world, number)
    elif actor.at == "answered" and world.scenario.replays:
        mirror = index_of(actor.memory.authority.other)
        for value in (actor.value, WRONG):
            after = world.copy()
            after.values = with_item(world.values, mirror, value)
            after.writers = with_item(world.writers, number, actor._replace(at="replayed"))
            yield f"w{number} replay stores {value}", after
    elif actor.at in ("answered", "replayed") or _may_resolve(world, number):
        after = world.copy()
        after.run(partial(attribute(intents, "close_intent"), intent_id=actor.memory.id, at=0.0))
        after.writers = with_item(world.writers, number, Actor("closed"))
        yield f"w{number} {'is resolved' if actor.at == 'dead' else 'closes'}", after


def _opening(world: World, number: int) -> Iterator[Step]:
    after = world.copy()
    request = intents.WriteRequest(ENTITY, (KEY,), "PUT", "node")
    try:
        opened = after.run(partial(attribute(intents, "open_intent"), request=request, at=0.0))
    except WritesHeldError:
        return
    actor = world.writers[number]._replace(at="open").remembering(opened.intent)
    after.writers = with_item(world.writers, number, actor)
    yield f"w{number} opens", after


def _authority_call(world: World, number: int) -> Iterator[Step]:
    actor = world.writers[number]
    authority = index_of(actor.memory.authority)
    after = world.copy()
    after.values = with_item(world.values, authority, actor.value)
    after.writers = with_item(world.writers, number, actor._replace(at="answered"))
    yield f"w{number} authority := {actor.value}", after
    calls = ((), ((number, authority, actor.value),)) if world.scenario.crashes else ()
    for call in calls:
        after = world.copy()
        after.writers = with_item(world.writers, number, actor._replace(at="dead"))
        after.late = world.late | set(call)
        yield f"w{number} DIES, call {'under way' if call else 'not sent'}", after


def _may_resolve(world: World, number: int) -> bool:
    under_way = any(call[0] == number for call in world.late)
    return world.writers[number].at == "dead" and (world.scenario.resolves_early or not under_way)


def _converger(world: World, number: int) -> Iterator[Step]:
    """Lease, read the authority, put on the mirror, release; may pause anywhere for ever."""
    actor = world.convergers[number]
    if actor.at == "idle" and not actor.left:
        return
    after = world.copy()
    if actor.at == "idle":
        grant = _lease(after, f"r{number}")
        if grant is None:
            return
        after.grant(grant.lease.token)
        label = "leases"
        actor = actor._replace(at="leased", left=actor.left - 1).remembering(grant)
    elif actor.at == "leased":
        value = world.values[index_of(actor.memory.authority)]
        label, actor = f"reads {value}", actor._replace(at="read", value=value)
    elif actor.at == "read":
        result = _converger_put(after, actor)
        label = f"puts {actor.value}: {result}"
        actor = actor._replace(at="put", value=None) if result == "ok" else actor.idle()
    else:
        cleared = after.run(partial(attribute(keys, "release_lease"), grant=actor.memory))
        label, actor = f"releases{' CLEAN' if cleared else ''}", actor.idle()
    after.convergers = with_item(world.convergers, number, actor)
    yield f"r{number} {label}", after


def _lease(world: World, owner: str) -> keys.LeaseGrant | None:
    if not world.scenario.joins:
        alone = partial(attribute(keys, "take_lease"), entity=ENTITY, key=KEY)
        grant: keys.LeaseGrant | None = world.run(partial(alone, owner=owner, at=0.0))
        return grant
    joined = partial(attribute(keys, "take_leases"), names=[RecordName(ENTITY, KEY)])
    grants = world.run(partial(joined, owner=owner, at=0.0))
    return None if grants is None else grants[0]


def _converger_put(world: World, actor: Actor) -> str:
    mirror = index_of(actor.memory.authority.other)
    if not world.scenario.puts_when_equal and world.values[mirror] == actor.value:
        return "ok"
    return world.put(mirror, actor.value, actor.memory.lease.token, actor.memory.epoch)


def _chunk_worker(world: World) -> Iterator[Step]:
    """Open a chunk, read, put, look for extra keys, close; refused ones run again."""
    actor = world.worker
    after = world.copy()
    if actor.at == "idle":
        opened = _chunk_opening(after)
        if opened is None:
            return
        label, actor = "opens", opened
    elif actor.at == "open":
        value = world.values[actor.authority]
        label, actor = f"reads {value}", actor._replace(at="read", value=value)
    elif actor.at == "read":
        result = "ok"
        if actor.value is not None:
            mirror, chunk = 1 - actor.authority, actor.memory
            result = after.put(mirror, actor.value, chunk.token, chunk.epoch)
        label = f"puts {actor.value}: {result}"
        actor = actor._replace(at="refused" if result == "epoch" else "put")
    elif actor.at == "put":
        extra = actor.value is None and world.values[1 - actor.authority] is not None
        label = f"compares keys, extra: {extra}"
        actor = actor._replace(at="extra" if extra else "compared")
    else:
        label, actor = _chunk_end(after, actor), actor.idle()
    after.worker = actor
    yield f"chunk {label}", after


def _chunk_opening(world: World) -> Actor | None:
    opening = partial(attribute(chunks, "open_chunk"), entity=ENTITY, range_=EVERY_KEY, owner="b")
    authority = index_of(world.tables.migration.authority)
    try:
        chunk = world.run(opening)
    except GateError:
        return None
    world.grant(chunk.token)
    actor = Actor("open", left=world.worker.left - 1, authority=authority)
    return actor.remembering(chunk)


def _chunk_end(world: World, actor: Actor) -> str:
    if actor.at == "refused":
        world.run(partial(attribute(chunks, "abandon_chunk"), chunk=actor.memory))
        return "is abandoned"
    extra = [KEY] if actor.at == "extra" else []
    closing = partial(attribute(chunks, "close_chunk"), chunk=actor.memory, extra=extra, at=0.0)
    return f"closes, covers: {world.run(closing)}"
