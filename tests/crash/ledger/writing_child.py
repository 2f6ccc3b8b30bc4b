"""A process that writes to a ledger until it is killed, and says what is durable."""

import asyncio
import os
import random
import sys
from functools import partial
from pathlib import Path

from crossfade.ledger.sqlite import SqliteLedger, open_ledger
from crossfade.ledger.transitions.intents import WriteRequest, close_intent, open_intent
from crossfade.ledger.transitions.keys import release_lease, take_lease
from crossfade.ledger.transitions.moves import Decision, move_stage
from crossfade.model.stage import Stage
from crossfade.seams.clock import SystemClock
from crossfade.seams.randomness import SystemRandomness

CALLERS = 16
ENTITY = "order"


def say(*words: object) -> None:
    """One whole line in one write, so that a kill leaves no half line that could mislead."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def caller(ledger: SqliteLedger, chance: random.Random) -> None:
    """Open intents, close most of them, converge some keys; say each step when it is durable."""
    while True:
        key = (chance.randrange(200),)
        request = WriteRequest(ENTITY, (key,), "PUT", "child")
        opened = await ledger.transact(partial(open_intent, request=request, at=1.0))
        number = opened.intent.id
        say("opened", number, key[0])
        if chance.random() < 0.1:
            continue
        say("closing", number)
        await ledger.transact(partial(close_intent, intent_id=number, at=2.0))
        say("closed", number, key[0])
        grant = await ledger.transact(
            partial(take_lease, entity=ENTITY, key=key, owner="child", at=3.0)
        )
        if grant is not None:
            say("number", grant.lease.token)
            await ledger.transact(partial(release_lease, grant=grant))
        say("number", await ledger.transact(lambda rows: rows.next_sequence()))


async def main(path: Path, seed: int) -> None:
    """Write until killed."""
    ledger = open_ledger(path, clock=SystemClock(), randomness=SystemRandomness())
    if ledger.migration.stage is Stage.OFF:
        decision = Decision("child", "a test", 0.0)
        await ledger.transact(partial(move_stage, wanted=Stage.SHADOW, decision=decision))
    async with asyncio.TaskGroup() as group:
        for number in range(CALLERS):
            group.create_task(caller(ledger, random.Random(seed * 1000 + number)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
