"""A process that counts and looks until it is told to stop, or killed; says what it was told."""

import asyncio
import os
import random
import sys
import time
from pathlib import Path

from crossfade.assembly import Node
from crossfade.errors import CrossfadeError, LedgerError, UpstreamFailedError, WritesHeldError
from tests.crash.sharing.counting import KEYS, open_counting, read, write

NOTHING_HAPPENED = (WritesHeldError, LedgerError, UpstreamFailedError)
"""Errors that say that nothing was written."""


def say(*words: object) -> None:
    """One whole line in one write, so that a kill leaves no half line that could mislead."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def now() -> int:
    """Nanoseconds on the machine's one monotonic clock, which all processes share."""
    return time.monotonic_ns()


async def count(node: Node, folder: Path, chance: random.Random) -> None:
    """Count up; a line before each, and one after that says what its caller was told."""
    while True:
        number = chance.randrange(KEYS)
        say("begin", number, now())
        try:
            await node.writer.write(write(folder, number))  # type: ignore[arg-type] # another kind of answer
        except NOTHING_HAPPENED:
            say("refused", number, now())
            await asyncio.sleep(0.02)
        except CrossfadeError:
            say("unknown", number, now())
        else:
            say("done", number, now())
        await asyncio.sleep(chance.random() * 0.02)


async def look(node: Node, folder: Path, chance: random.Random) -> None:
    """Look; a line says since when, until when, and what was seen."""
    while True:
        number, began = chance.randrange(KEYS), now()
        try:
            answer, side = await node.reader.read(read(folder, number))  # type: ignore[arg-type] # another kind of answer
        except CrossfadeError:
            await asyncio.sleep(0.05)
            continue
        say("read", number, began, now(), answer.value, side)  # type: ignore[attr-defined] # it has it, its type does not
        await asyncio.sleep(chance.random() * 0.01)


async def main(folder: Path, ledger: str, seed: int) -> None:
    """Work until a line comes in, then stop properly."""
    node = await open_counting(folder, ledger)
    await node.start()
    loop = asyncio.get_running_loop()
    chance = random.Random(seed)
    tasks = [
        loop.create_task(work(node, folder, random.Random(chance.random())))
        for work in (count, count, look, look)
    ]
    say("up", node.name)
    await loop.run_in_executor(None, sys.stdin.readline)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await node.stop()
    say("stopped")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
