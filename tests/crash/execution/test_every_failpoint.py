"""A node dies at every failpoint of writes, convergence and stages; the next one loses nothing."""

import asyncio

import pytest

from crossfade.errors import CrossfadeError
from crossfade.ledger.transitions.held import note_nothing_held, take_back
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.model.key import Key
from crossfade.model.key_state import DirtyReason
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.stages.stages import MoveRequest
from crossfade.store.base import PutResult, PutStatus
from tests.builders import ANSWERS_WITHIN_SECONDS, CUSTOMERS, DECISION, Node, World, make_node
from tests.crash.execution.failpoint_names import failpoint_names
from tests.crash.execution.register_history import History
from tests.fake_seams import NodeDiedError, StoreFault
from tests.fake_services import create_value, put_value
from tests.settling import assert_agreed, cover, drain, settle

KEY: Key = (1,)
OTHER: Key = (2,)
REQUEST = MoveRequest("tester")
NAMES = failpoint_names("convergence", "execution", "stages")
TIMES_MAX = 3
"""A name is reached more than once: the node dies at each of the first so many."""


class Walk:
    """Everything that a node does in its life, from `off` to `retired`; it may die under way."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.history = History()
        self._count = 0

    async def run(self) -> None:
        """The whole life."""
        await self._leave_off()
        await self._write_some()
        await self._flip_in_vain()
        await self._flip(Stage.LIVE)
        await self._write_some()
        await self._roll_back_by_force()
        await self._flip(Stage.LIVE)
        await self.node.move(Stage.COMPLETED)
        await self.node.stages.retire(REQUEST)

    async def _leave_off(self) -> None:
        await self._write(KEY)
        await self._write(OTHER)
        await self.node.move(Stage.SHADOW)
        await self.node.finish(self.node.barrier.step())
        await cover(self.node)

    async def _write_some(self) -> None:
        # A value of one key is in the way of the other: both are put together.
        mirror = self.node.world.faults[self.node.ledger.migration.authority.other]
        mirror.puts.append(PutResult(PutStatus.UNIQUE, "it must be unique", OTHER))
        await self._write(KEY, replay=True)
        await asyncio.gather(self._write(OTHER), self._write(KEY, replay=True))
        await self._create()
        await self.node.quiet()

    async def _write(self, key: Key, *, replay: bool = False) -> None:
        self._count += 1
        value = f"value {self._count}"
        write = self.history.begin_write(key, value)
        await self.node.write(put_value(key, value), key, replay=replay)
        self.node.life.check()
        write.ended = self.history.now()

    async def _create(self) -> None:
        self._count += 1
        value = f"value {self._count}"
        answer = await self.node.write(create_value(value), method="POST")
        self.node.life.check()
        assert answer.made is not None
        write = self.history.begin_write(answer.made, value)
        write.ended = self.history.now()

    async def _flip(self, wanted: Stage) -> None:
        await self.node.finish(self.node.flipper.flip(wanted, DECISION, 2.0))

    async def _flip_in_vain(self) -> None:
        self.node.world.faults[Side.NEW].epochs.append(StoreFault.APPLIED)
        with pytest.raises(CrossfadeError):
            await self._flip(Stage.LIVE)

    async def _roll_back_by_force(self) -> None:
        """New is dead; a key that only it may have is released by name."""
        faults = self.node.world.faults[Side.NEW]
        faults.dead = True
        self.node.world.rows.apply(
            lambda rows: mark_dirty(rows, CUSTOMERS, [OTHER], DirtyReason.REPAIR, 0.0)
        )
        await self.node.flipper.force(Stage.SHADOW, DECISION, Side.LEGACY)
        await self.node.stages.release_held(CUSTOMERS, OTHER, REQUEST)
        faults.dead = False
        await _take_back_new(self.node)
        await drain(self.node)


async def _take_back_new(node: Node) -> None:
    """New answers again, with the data that it had when it was lost."""
    kept = await node.world.databases[Side.NEW].epoch()
    await node.epochs.raise_to(node.ledger.migration.epoch, Side)
    store_epoch = 0 if kept is None else kept.epoch
    await node.ledger.transact(lambda rows: take_back(rows, store_epoch, DECISION))
    await node.ledger.transact(note_nothing_held)


async def _take_over(heir: Node) -> None:
    """What a new process and its operator do with what a dead one left behind."""
    for faults in heir.world.faults.values():
        faults.dead = False
        faults.epochs.clear()
    if heir.ledger.migration.retired:
        await heir.stages.retire(REQUEST)
        return
    assert await heir.watch.mend()
    assert heir.ledger.migration.flip is None
    await settle(heir)
    for state in heir.ledger.look(lambda rows: rows.held_keys(None, 10)):
        if state.releasing:
            await heir.stages.release_held(state.entity, state.key, REQUEST)
    await _take_back_new(heir)
    if heir.ledger.migration.stage is Stage.OFF:
        await heir.move(Stage.SHADOW)
    if not heir.ledger.migration.barrier_passed:
        await heir.world.clock.advance(ANSWERS_WITHIN_SECONDS)
        assert await heir.finish(heir.barrier.step())
    await cover(heir)
    await drain(heir)
    answer = await heir.finish(heir.write(put_value((77,), "service is back"), (77,)))
    await heir.quiet()
    assert answer.acknowledged


def _read_everything(walk: Walk, world: World) -> None:
    """The authority's records, as reads after everything else."""
    started = walk.history.now()
    values = world.values(world.rows.migration.authority)
    for key in walk.history.keys():  # noqa: SIM118 - no dict
        walk.history.read(key, values.get(key), started)


def test_there_are_as_many_failpoints_as_steps() -> None:
    """The names are read out of the code: each is there once."""
    assert len(NAMES) == len(set(NAMES)) >= 20


async def test_a_walk_without_a_crash_reaches_every_failpoint() -> None:
    """A new failpoint needs a step of the walk that reaches it."""
    node = make_node()

    await Walk(node).run()

    assert set(NAMES) - set(node.failpoint.reached) == set()
    assert node.ledger.migration.retired


@pytest.mark.parametrize("turns_max", [0, 2])
@pytest.mark.parametrize("times", range(1, TIMES_MAX + 1))
@pytest.mark.parametrize("name", NAMES)
async def test_a_node_that_dies_anywhere_loses_nothing(
    name: str, times: int, turns_max: int
) -> None:
    """The next node recovers; then both sides agree, and every acknowledged write is there."""
    world = World(seed=times, turns_max=turns_max)
    node = make_node(world)
    node.failpoint.name, node.failpoint.left = name, times
    walk = Walk(node)
    result = (await asyncio.gather(_run(walk), return_exceptions=True))[0]
    await node.stop()
    world.turns.most = 0

    if node.failpoint.left > 0:
        assert result is None, "it was not reached so often, and the walk went to its end"
        return
    heir = make_node(world, dead_nodes=True)
    await _take_over(heir)

    assert_agreed(world)
    _read_everything(walk, world)
    assert walk.history.problems() == []


async def _run(walk: Walk) -> None:
    """Only death may end the walk, or what a caller of a dead node is told."""
    try:
        await walk.run()
    except (NodeDiedError, CrossfadeError):
        if not walk.node.life.dead:
            raise
