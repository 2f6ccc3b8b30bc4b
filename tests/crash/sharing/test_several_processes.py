"""Real processes on one PostgreSQL ledger: killed, paused, and flipped under load."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from crossfade.assembly import Node
from crossfade.errors import MoveRefusedError
from crossfade.ledger.transitions.moves import Decision, move_stage
from crossfade.ledger.transitions.sweeps import start_sweep
from crossfade.model.coverage import is_complete
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from tests.crash.sharing.counting import ENTITY, KEYS, make_stores, open_counting, values
from tests.project_files import ROOT

pytestmark = pytest.mark.timeout(150)

DECISION = Decision("anna", "a test", 1.0)
SECONDS_MAX = 40.0


class Child:
    """One process that counts, and what it has said so far."""

    def __init__(self, folder: Path, ledger: str, seed: int) -> None:
        command = [sys.executable, "-m", "tests.crash.sharing.counting_child"]
        self.process = subprocess.Popen(
            [*command, str(folder), ledger, str(seed)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        self.lines: list[list[str]] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def send(self, number: signal.Signals) -> None:
        """Kill it, stop it, let it go on."""
        self.process.send_signal(number)

    def said(self, word: str) -> int:
        """How many lines begin with a word."""
        return sum(line[0] == word for line in self.lines)

    async def end(self) -> None:
        """Let it stop properly, and hear what it says last."""
        if self.process.poll() is None:
            assert self.process.stdin is not None
            self.process.stdin.write("stop\n")
            self.process.stdin.flush()
        await asyncio.to_thread(self._wait)

    def kill(self) -> None:
        """End it at once, however it stands; may be repeated."""
        self.process.kill()
        self.process.wait()
        self._listener.join(5.0)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def _wait(self) -> None:
        try:
            self.process.wait(SECONDS_MAX)
        finally:
            self.kill()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith("\n"):
                self.lines.append(line.split())


@dataclass
class World:
    """The processes, and one of our own that moves the stage."""

    folder: Path
    ledger: str
    node: Node
    seed: int
    children: list[Child] = field(default_factory=list)

    async def begin(self) -> Child:
        """One more child, when it is up."""
        child = Child(self.folder, self.ledger, self.seed + len(self.children))
        self.children.append(child)
        await until(lambda: child.said("up") or child.process.poll() is not None)
        assert child.said("up"), "the child did not come up"
        return child

    async def goes_on(self, *children: Child, lines: int = 20) -> None:
        """Wait until each child has done so much more."""
        before = {child: child.said("done") for child in children}
        await until(lambda: all(child.said("done") >= before[child] + lines for child in children))

    async def pause(self, child: Child, other: Child) -> None:
        """Stop a child somewhere; not in a transaction of SQLite, where it would stop all."""
        for _ in range(20):
            child.send(signal.SIGSTOP)
            before = other.said("done")
            with suppress(TimeoutError):
                await until(lambda: other.said("done") >= before + 10, 2.5)  # noqa: B023 - called at once
                return
            child.send(signal.SIGCONT)
            await self.goes_on(child, other)
        raise AssertionError("the child cannot be stopped without stopping the other")

    async def copied(self) -> None:
        """Leave `off`, pass the barrier, copy everything."""
        transact = self.node.ledger.transact
        await transact(partial(move_stage, wanted=Stage.SHADOW, decision=DECISION))
        await transact(partial(start_sweep, entity=ENTITY, at=1.0))
        look = self.node.ledger.look
        await until(lambda: is_complete(look(lambda rows: rows.entity(ENTITY)).coverage))

    async def flip(self, wanted: Stage) -> None:
        """Change the authority; refused under load, it is tried again."""
        flipper = self.node.stages._flipper  # noqa: SLF001 - what the use case calls, without gates
        for _ in range(10):
            try:
                await flipper.flip(wanted, DECISION, 5.0)
            except MoveRefusedError:
                continue
            return
        raise AssertionError("the authority could not be changed")

    async def settled(self) -> None:
        """Wait until nothing is open or dirty."""

        def quiet() -> bool:
            counts = self.node.ledger.look(lambda rows: rows.counts())
            return not counts.open_intents and not counts.dirty and not counts.quarantined

        await until(quiet)

    def check(self) -> None:
        """Nothing acknowledged is lost, nothing is counted twice, no read was stale."""
        lines = [line for child in self.children for line in child.lines]
        legacy, new = values(self.folder, Side.LEGACY), values(self.folder, Side.NEW)
        assert legacy == new, "the sides differ, and everything is clean"
        for number in range(KEYS):
            mine = [line for line in lines if line[0] != "up" and line[1:2] == [str(number)]]
            begun = sorted(int(line[2]) for line in mine if line[0] == "begin")
            refused = sum(line[0] == "refused" for line in mine)
            done = sorted(int(line[2]) for line in mine if line[0] == "done")
            assert len(done) <= legacy[number] <= len(begun) - refused
            for line in mine:
                if line[0] != "read":
                    continue
                began, ended, value = int(line[2]), int(line[3]), int(line[4])
                before = sum(at < began for at in done)
                assert before <= value, f"stale: {line}, {before} were done before"
                assert value <= sum(at < ended for at in begun), f"from nowhere: {line}"


@asynccontextmanager
async def world(folder: Path, ledger: str, seed: int) -> AsyncIterator[World]:
    """Two stores, a ledger, and a process of our own; all children end."""
    await make_stores(folder)
    node = await open_counting(folder, ledger, serving=False)
    await node.start()
    made = World(folder, ledger, node, seed)
    try:
        yield made
    finally:
        for child in made.children:
            child.kill()
        await node.stop()


async def until(done: Callable[[], object], seconds_max: float = SECONDS_MAX) -> None:
    """Look again and again, bounded."""
    async with asyncio.timeout(seconds_max):
        while not done():  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.02)


async def test_flips_and_a_death_under_load(tmp_path: Path, postgres_url: str, seed: int) -> None:
    """Two processes count and look while a third flips there and back, and one is killed."""
    async with world(tmp_path, postgres_url, seed) as made:
        first, second = await made.begin(), await made.begin()
        await made.goes_on(first, second)
        await made.copied()
        await made.goes_on(first, second)
        await made.flip(Stage.LIVE)
        await made.goes_on(first, second)
        first.send(signal.SIGKILL)
        await made.goes_on(second)
        third = await made.begin()
        await made.flip(Stage.SHADOW)
        await made.goes_on(second, third)
        for child in made.children:
            await child.end()
        await made.settled()

        made.check()
        reads = [line for child in made.children for line in child.lines if line[0] == "read"]
        assert {line[5] for line in reads} == {"legacy", "new"}


async def test_a_process_that_is_paused_across_a_flip(
    tmp_path: Path, postgres_url: str, seed: int
) -> None:
    """It wakes in another stage, long after it was taken for dead, and does no harm."""
    async with world(tmp_path, postgres_url, seed) as made:
        first, second = await made.begin(), await made.begin()
        await made.copied()
        await made.goes_on(first, second)
        await made.pause(first, second)
        await made.flip(Stage.LIVE)
        await made.goes_on(second)
        first.send(signal.SIGCONT)
        await made.goes_on(first, second)
        for child in made.children:
            await child.end()
        await made.settled()

        made.check()


async def test_the_worker_dies_and_another_process_ends_its_work(
    tmp_path: Path, postgres_url: str, seed: int
) -> None:
    """Whoever works is killed in the midst of copying and settling; the others take over."""
    async with world(tmp_path, postgres_url, seed) as made:
        await made.node.stop()
        first, second = await made.begin(), await made.begin()
        await made.goes_on(first, second)
        first.send(signal.SIGKILL)
        made.node = await open_counting(tmp_path, postgres_url, serving=False)
        await made.node.start()
        await made.copied()
        await made.goes_on(second)
        await second.end()
        await made.settled()

        made.check()
