"""One random schedule: writers, readers, convergers, flips, faults, crashes over shared keys."""

import asyncio
import random
from collections.abc import Coroutine
from functools import partial
from math import inf
from typing import Any

from crossfade.errors import (
    CrossfadeError,
    KeyHeldError,
    LedgerUnavailableError,
    UpstreamFailedError,
    WritesHeldError,
)
from crossfade.execution.calls import CallTag
from crossfade.ledger.transitions.chunks import abandon_chunk, close_chunk, open_chunk
from crossfade.model.key import EVERY_KEY, Key
from crossfade.model.operation import MirrorWhen
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.store.base import Fence, PutStatus
from tests.builders import ANSWERS_WITHIN_SECONDS, CUSTOMERS, DECISION, Node, World, make_node
from tests.crash.execution.register_history import History, Write
from tests.fake_seams import LedgerFault, NodeDiedError, StoreFault
from tests.fake_services import Does, create_value, put_value, read_value
from tests.settling import cover, drain, settle, settle_one, start_shadow

NOTHING_WRITTEN = (WritesHeldError, KeyHeldError, LedgerUnavailableError, UpstreamFailedError)
"""What a caller is told only if nothing was written."""

SERVICE_TROUBLE = [does for does in Does if does not in (Does.ACT, Does.HANG, Does.CRASH)]
STORE_TROUBLE = [
    StoreFault.UNREACHABLE, StoreFault.LOST, StoreFault.APPLIED, StoreFault.LATE,
]  # fmt: skip


class Schedule:
    """Everything random comes from one seed, so a schedule can be repeated by its number."""

    def __init__(self, seed: int, crash_names: list[str]) -> None:
        self.random = random.Random(seed)
        self.history = History()
        self.world = World(seed=seed)
        self.keys: list[Key] = [(number,) for number in range(1, self.random.randint(2, 4))]
        self._crash_names = crash_names
        self._trouble = self.random.choice([0.0, 0.05, 0.15])
        self._values = 0
        self.moves: list[Stage] = []

    async def run(self) -> None:
        """Two lives of a node, then everything is settled and read by everybody."""
        node = await self._start()
        for life in range(2):
            if self.random.random() < 0.5:
                node.failpoint.name = self.random.choice(self._crash_names)
                node.failpoint.left = self.random.randint(1, 4)
            await self._live(node)
            if not node.life.dead and life == 0:
                continue
            await node.stop()
            node = make_node(self.world, dead_nodes=True)
            self._prepare(node)
            await self._tried(node.flipper.recover(DECISION))
        await self._end(node)

    async def _start(self) -> Node:
        for key in self.keys:
            self.history.was_there(key, f"first {key}")
        node = await start_shadow(self.world, {key: f"first {key}" for key in self.keys})
        self.world.turns.most = self.random.randint(1, 3)
        for side in Side:
            self.world.services[side].choose = self._service_does
            self.world.faults[side].choose = self._store_does
        self._prepare(node)
        return node

    def _prepare(self, node: Node) -> None:
        node.canary.set_share(CUSTOMERS, self.random.choice([0.0, 50.0, 100.0, 100.0]))
        faults = [LedgerFault.NOT_MADE if self._strikes(0.2) else None for _ in range(200)]
        node.ledger.faults.extend(faults)

    def _strikes(self, share: float = 1.0) -> bool:
        return self.random.random() < self._trouble * share

    def _service_does(self, _: CallTag) -> Does:
        return self.random.choice(SERVICE_TROUBLE) if self._strikes() else Does.ACT

    def _store_does(self, kind: str) -> StoreFault | None:
        if not self._strikes(0.3 if kind == "epoch" else 1.0):
            return None
        return StoreFault.UNREACHABLE if kind == "read" else self.random.choice(STORE_TROUBLE)

    async def _live(self, node: Node) -> None:
        actors: list[Coroutine[Any, Any, None]] = [
            *(self._write_some(node) for _ in range(self.random.randint(1, 3))),
            *(self._read_some(node) for _ in range(self.random.randint(1, 2))),
            self._converge_some(node),
            self._resolve_some(node),
            self._move_some(node),
        ]
        tasks = [asyncio.ensure_future(self._act(node, actor)) for actor in actors]
        everybody = asyncio.ensure_future(asyncio.wait(tasks))
        while not everybody.done():
            for _ in range(self.random.randint(5, 40)):
                await asyncio.sleep(0)
            wake = self.world.clock.next_wake()
            if wake is not None:
                self.world.clock.jump(wake)
            if node.life.dead:
                await node.tasks.cancel_all()
                for task in tasks:
                    task.cancel()
        for task in tasks:
            if not task.cancelled():
                task.result()

    async def _act(self, node: Node, actor: Coroutine[Any, Any, None]) -> None:
        try:
            await actor
        except NodeDiedError:
            if not node.life.dead:
                raise

    async def _turns(self, most: int = 12) -> None:
        for _ in range(self.random.randint(0, most)):
            await asyncio.sleep(0)

    async def _write_some(self, node: Node) -> None:
        for _ in range(self.random.randint(2, 4)):
            await self._turns()
            if self.random.random() < 0.1:
                await self._create(node)
            else:
                await self._put(node)

    def _next_value(self) -> str:
        self._values += 1
        return f"value {self._values}"

    async def _put(self, node: Node) -> None:
        key, value = self.random.choice(self.keys), self._next_value()
        write = self.history.begin_write(key, value)
        options = {
            "replay": self.random.random() < 0.5,
            "mirror_when": self.random.choice(list(MirrorWhen)),
        }
        caller = asyncio.ensure_future(node.write(put_value(key, value), key, **options))
        if self.random.random() < 0.1:
            await self._turns(30)
            caller.cancel()
        await self._note(node, caller, write)

    async def _create(self, node: Node) -> None:
        write = Write(self._next_value(), self.history.now())
        act = create_value(write.value, says=self.random.random() < 0.8)
        caller = asyncio.ensure_future(node.write(act, method="POST"))
        made = await self._note(node, caller, write)
        if made is not None:
            self.history.add_write(made, write)

    async def _note(self, node: Node, caller: "asyncio.Future[Any]", write: Write) -> Key | None:
        """Keep what the caller was told, if it lived to hear it."""
        result = (await asyncio.gather(caller, return_exceptions=True))[0]
        if node.life.dead:
            return None
        if isinstance(result, NOTHING_WRITTEN):
            write.refused = True
            return None
        if isinstance(result, BaseException):
            known = isinstance(result, CrossfadeError | asyncio.CancelledError)
            assert known, f"a caller was told {result!r}"
            return None
        if result.acknowledged:
            write.ended = self.history.now()
        write.refused = result.status == 409
        made: Key | None = result.made
        return made if write.ended < inf else None

    async def _read_some(self, node: Node) -> None:
        for _ in range(self.random.randint(3, 8)):
            await self._turns()
            key, started = self.random.choice(self.keys), self.history.now()
            try:
                answer, _ = await node.read(read_value(key), key)
            except CrossfadeError:
                continue
            node.life.check()
            if answer.status in (200, 404):
                self.history.read(key, answer.value, started)

    async def _converge_some(self, node: Node) -> None:
        for _ in range(self.random.randint(2, 8)):
            await self._turns(20)
            for state in node.ledger.look(lambda rows: rows.dirty_keys(None, 10)):
                try:
                    await node.convergence.converge(state.entity, state.key)
                except CrossfadeError:
                    continue

    async def _resolve_some(self, node: Node) -> None:
        for _ in range(3):
            await self._turns(40)
            left = [one for one in self.world.intents() if not node.writer.is_alive(one.id)]
            await node.seams.clock.sleep(ANSWERS_WITHIN_SECONDS)
            node.life.check()
            for side in Side:
                self.world.services[side].land()
                await self.world.faults[side].land()
            for intent in left:
                # A task that was just being told of its intent when we looked is alive now.
                if not node.writer.is_alive(intent.id):
                    await self._tried(settle_one(node, intent))

    async def _tried(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except CrossfadeError:
            return

    async def _move_some(self, node: Node) -> None:
        """Forward and back; or out of the migration and into it again."""
        for _ in range(self.random.randint(1, 3)):
            await self._turns(60)
            stage = node.ledger.migration.stage
            if node.ledger.migration.flip is not None:
                await self._tried(node.flipper.recover(DECISION))
            if stage is Stage.SHADOW and self.random.random() < 0.2:
                await self._tried(self._out_and_in(node))
                continue
            wanted = Stage.LIVE if stage is Stage.SHADOW else Stage.SHADOW
            flip = asyncio.ensure_future(node.flipper.flip(wanted, DECISION, 2.0))
            if self.random.random() < 0.15:
                await self._turns(60)
                flip.cancel()
            result = (await asyncio.gather(flip, return_exceptions=True))[0]
            node.life.check()
            if not isinstance(result, BaseException):
                self.moves.append(wanted)

    async def _out_and_in(self, node: Node) -> None:
        await node.move(Stage.OFF)
        await self._turns(40)
        await node.move(Stage.SHADOW)
        for _ in range(200):
            if node.barrier.waits_for() is None:
                break
            await self._tried(node.barrier.step())
            if node.ledger.migration.flip is not None:
                await self._tried(node.flipper.recover(DECISION))
            await node.seams.clock.sleep(0.2)
            for side in Side:
                self.world.services[side].land()
        await self._copy(node)
        self.moves.append(Stage.OFF)

    async def _copy(self, node: Node) -> None:
        """One chunk over everything, with pauses between its steps; refused, it covers nothing."""
        opening = partial(open_chunk, entity=CUSTOMERS, range_=EVERY_KEY, owner="node-1")
        chunk = await node.ledger.transact(opening)
        rows = await self.world.stores[Side.LEGACY].read_range(EVERY_KEY, 1000)
        await self._turns(40)
        records = [(key, self.world.entity.to_new(row)) for key, row in rows]
        new = self.world.stores[Side.NEW]
        result = await new.put_many(records, Fence(chunk.token, chunk.epoch))
        await self._turns(40)
        if result.result.status is not PutStatus.OK:
            await node.ledger.transact(partial(abandon_chunk, chunk=chunk))
            return
        known = {key for key, _ in rows}
        extra = [key for key in await new.keys_in_range(EVERY_KEY, 1000) if key not in known]
        await node.ledger.transact(partial(close_chunk, chunk=chunk, extra=extra, at=0.0))

    async def _end(self, node: Node) -> None:
        """No more trouble: settle, converge, and read every key from both sides."""
        self.world.turns.most = 0
        node.ledger.faults.clear()
        for side in Side:
            self.world.services[side].choose = None
            self.world.faults[side].choose = None
        await node.quiet()
        await node.flipper.recover(DECISION)
        await settle(node)
        if not node.ledger.migration.barrier_passed and node.ledger.migration.stage is Stage.OFF:
            await node.move(Stage.SHADOW)
        if not node.ledger.migration.barrier_passed:
            await self.world.clock.advance(ANSWERS_WITHIN_SECONDS)
            await node.finish(node.barrier.step())
        await cover(node)
        await drain(node)
        for side in Side:
            values = self.world.values(side)
            for key in self.history.keys():  # noqa: SIM118 - no dict
                self.history.read(key, values.get(key), self.history.now())
