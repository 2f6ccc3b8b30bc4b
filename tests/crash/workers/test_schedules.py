"""Writers, converger, chunks and verifier in any order, with crashes: both sides end alike."""

import asyncio
import contextlib
import random
from dataclasses import dataclass, field

import pytest

from crossfade.errors import CrossfadeError
from crossfade.model.key import Key
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import AlarmRaised
from tests.builders import CUSTOMERS, World
from tests.fake_seams import StoreFault
from tests.fake_services import Act, Does, create_value, put_value, remove_key
from tests.unit.backfill.workers import (
    Workers,
    enter,
    is_covered,
    lose_order,
    make_workers,
    make_world,
    void_generation,
)

SCHEDULES = 200
KEYS = 14
FAILPOINTS = (
    "chunk.opened", "chunk.read", "chunk.put", "chunk.closed", "converge.leased", "converge.read",
    "converge.put", "writer.intent_open", "writer.authority_answered", "writer.bound",
    "writer.closed", "resolver.closed", "resolver.searched", "verification.compared",
)  # fmt: skip
TROUBLE = (Does.FAIL, Does.FAIL_ACTED, Does.CUT, Does.LOST, Does.LATE, Does.BAD_GATEWAY_ACTED)
PUT_FAULTS = (StoreFault.UNREACHABLE, StoreFault.LOST, StoreFault.APPLIED, StoreFault.LATE)


@dataclass(slots=True)
class Schedule:
    """One seeded run: which faults, which crashes, what is written when."""

    world: World
    dice: random.Random
    authority: Side
    values: int = 0
    alarms: int = 0
    writers: list["asyncio.Future[None]"] = field(default_factory=list)

    async def run(self) -> None:
        """Several lives of a node one after the other, then one without trouble."""
        for _ in range(self.dice.randint(1, 3)):
            await self._live()
        self._heal()
        workers = make_workers(self.world)
        await self._end(workers)
        verdict = await workers.node.finish(workers.verifier.verify(CUSTOMERS))
        self.alarms += verdict.different + verdict.lagging
        await workers.node.stop()

    async def _live(self) -> None:
        """One process from its start to its end by a failpoint, a kill or a cancellation."""
        self.world.faults[self.authority.other].choose = self._store_fault
        self.world.services[self.authority].choose = self._service_trouble
        workers = make_workers(self.world)
        if self.dice.random() < 0.6:
            workers.node.failpoint.name = self.dice.choice(FAILPOINTS)
            workers.node.failpoint.left = self.dice.randint(1, 4)
        await self._work(workers, rounds=self.dice.randint(5, 40), writes=self.dice.randint(2, 12))
        self.alarms += len(workers.node.events_of(AlarmRaised))
        await workers.node.stop()
        await asyncio.gather(*self.writers, return_exceptions=True)
        self.writers.clear()

    async def _end(self, workers: Workers) -> None:
        """A node without trouble works until nothing is open; what was in doubt takes longest."""
        await workers.start_sweep()
        tasks = [
            asyncio.ensure_future(work())
            for work in (workers.backfill.run, workers.reconciler.run)
        ]
        await self._land()
        for _ in range(60):
            if self._settled():
                break
            await self.world.clock.advance(1.0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, workers: Workers, rounds: int, writes: int) -> None:
        with contextlib.suppress(BaseException):
            await workers.start_sweep()
        tasks = [
            asyncio.ensure_future(work())
            for work in (
                workers.backfill.run,
                workers.reconciler.run,
                lambda: self._verify(workers),
            )
        ]
        for number in range(rounds):
            for _ in range(writes if number % 5 == 0 else 0):
                self.writers.append(asyncio.ensure_future(self._write(workers)))
            await self.world.clock.advance(self.dice.choice((0.0, 0.02, 0.1, 0.5)))
            if self.dice.random() < 0.3:
                await self._land()
            if self.dice.random() < 0.05:
                void_generation(self.world)
            if workers.node.life.dead:
                break
        await self._land()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(self, workers: Workers) -> None:
        act, keys, method = self._some_write()
        with contextlib.suppress(CrossfadeError):
            await workers.node.write(act, *keys, method=method)

    def _some_write(self) -> tuple[Act, tuple[Key, ...], str]:
        self.values += 1
        key = (self.dice.randint(1, KEYS + 4),)
        kind = self.dice.random()
        if kind < 0.6:
            return put_value(key, f"value {self.values}"), (key,), "PUT"
        if kind < 0.8:
            return remove_key(key), (key,), "DELETE"
        says = self.dice.random() < 0.6
        return create_value(f"made {self.values}", says=says), (), "POST"

    async def _verify(self, workers: Workers) -> None:
        while True:
            with contextlib.suppress(CrossfadeError):
                await workers.verifier.verify(CUSTOMERS)
            await self.world.clock.sleep(0.3)

    async def _land(self) -> None:
        """What was sent and not answered takes place now, well within `answers_within`."""
        for side in Side:
            self.world.services[side].land()
            await self.world.faults[side].land()

    def _store_fault(self, kind: str) -> StoreFault | None:
        if kind == "read":
            return StoreFault.UNREACHABLE if self.dice.random() < 0.01 else None
        return self.dice.choice(PUT_FAULTS) if self.dice.random() < 0.08 else None

    def _service_trouble(self, _: object) -> Does:
        return self.dice.choice(TROUBLE) if self.dice.random() < 0.2 else Does.ACT

    def _heal(self) -> None:
        for side in Side:
            self.world.faults[side].choose = None
            self.world.services[side].choose = None

    def _settled(self) -> bool:
        counts = self.world.counts()
        still = counts.dirty + counts.open_intents + counts.open_chunks
        return is_covered(self.world) and still == 0


@pytest.mark.parametrize("part", range(5))
async def test_whatever_the_order_both_sides_agree_in_the_end(part: int, seed: int) -> None:
    """No row skipped, none copied over a newer one, and no alarm where nobody wrote unseen."""
    for number in range(SCHEDULES // 5):
        dice = random.Random(f"{seed}/{part}/{number}")
        keys = sorted(dice.sample(range(1, KEYS + 1), dice.randint(0, KEYS)))
        world = await make_world(keys, seed=number, turns_max=dice.choice((0, 1, 3)))
        authority = Side.LEGACY
        if dice.random() < 0.15:
            lose_order(world)
        if dice.random() < 0.3:
            authority = Side.NEW
            await enter(world, Stage.LIVE, epoch=2)
        schedule = Schedule(world, dice, authority)
        await schedule.run()

        name = f"schedule {number} of part {part}"
        counts = world.counts()
        assert world.values(Side.LEGACY) == world.values(Side.NEW), name
        assert (is_covered(world), counts.dirty, counts.open_chunks) == (True, 0, 0), name
        assert (counts.open_intents, counts.quarantined, schedule.alarms) == (0, 0, 0), name
