"""Walk a migration through its stages, forth and back, on real stores, with callers writing."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from crossfade.assembly import Node, open_node
from crossfade.config import load_config
from crossfade.ledger.transitions.sweeps import SweepState, look_sweep, start_sweep
from crossfade.migration import Migration
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.stages.stages import MoveRequest
from tests.integration.stores.invoices import (
    Callers,
    Invoice,
    LegacyService,
    Put,
    made,
    to_legacy,
    to_new,
)

WAIVED = ("sample", "verification", "age", "backlog", "drain")
SETTINGS = {
    "log_level": "error",
    "stages": {"pause_seconds_max": 10.0},
    "gates": {"soak_seconds_min": 0.001, "compared_min": 1},
    "backfill": {"chunk_rows": 50},
}
HISTORY = 300
"""Invoices that were there before, with keys that nobody writes."""

Judge = Callable[[], Mapping[int, Invoice]]


def shop(legacy: LegacyService, new: object, *, answers_within: str = "0.5s") -> Migration:
    """A migration of invoices from two tables to whatever new keeps."""
    migration = Migration("shop", answers_within=answers_within)
    migration.entity(
        "invoice",
        legacy=legacy.table(),
        new=new,
        to_new=to_new,
        to_legacy=to_legacy,
        lossy=("legacy.Printed",),
    )
    return migration


@asynccontextmanager
async def started(migration: Migration, folder: Path) -> AsyncIterator[Node]:
    """A node that runs, stopped afterwards."""
    config = load_config(folder, SETTINGS)
    node = await open_node(migration, config, serving=True)
    await node.start()
    try:
        yield node
    finally:
        await node.stop()


async def prepare(migration: Migration, folder: Path) -> None:
    """What `doctor --apply` does: make our own tables and marks."""
    from crossfade.control.doctor.examine import examine  # noqa: PLC0415 - as a user's own program does

    told = await examine(migration, load_config(folder, SETTINGS), apply=True, progress=print)
    assert told["problems"] == 0, told["findings"]


async def walk_there_and_back(
    migration: Migration, folder: Path, services: Mapping[Side, Put], judges: Mapping[Side, Judge]
) -> int:
    """Shadow, backfill, verify, live, back to shadow, live again; returns how much was written."""
    randomness = random.Random(7)
    history = {number: made(randomness) for number in range(1000, 1000 + HISTORY)}
    for number, invoice in history.items():
        await services[Side.LEGACY](number, invoice)
    await prepare(migration, folder)
    async with started(migration, folder) as node:
        callers = Callers(services, node.writer.write, random.Random(8))
        await move(node, Stage.SHADOW)
        tasks = [asyncio.ensure_future(callers.run()) for _ in range(3)]
        try:
            await copied(node)
            await agreed_by_verification(node)
            for wanted in (Stage.LIVE, Stage.SHADOW, Stage.LIVE):
                await more_writes(callers, 60)
                await move(node, wanted)
            await more_writes(callers, 60)
        finally:
            callers.stop()
            await asyncio.gather(*tasks)
        await quiet(node)
        await agreed_by_verification(node)
        kept = {number: invoice for number, invoice in callers.told.items() if invoice is not None}
        for side in Side:
            assert judges[side]() == history | kept, side
    return callers.writes


async def move(node: Node, wanted: Stage) -> None:
    """Promote or roll back; refused moves are tried again for some seconds, as people do."""
    waive = WAIVED if wanted is Stage.LIVE else ()
    request = MoveRequest("tester", waive=waive)
    forward = list(Stage).index(wanted) > list(Stage).index(node.ledger.migration.stage)
    if forward:
        async with asyncio.timeout(20):
            while not (await node.stages.plan(wanted, waive=waive)).allowed:  # noqa: ASYNC110 - another process does it
                await asyncio.sleep(0.1)
        await node.stages.promote(wanted, request)
    else:
        await node.stages.rollback(wanted, replace(request, waive=()))


async def copied(node: Node) -> None:
    """Ask for everything to be copied, and wait until it was."""
    await node.ledger.transact(partial(start_sweep, entity="invoice", at=0.0))
    node.backfill.wake()

    def done() -> bool:
        sweep = node.ledger.look(partial(look_sweep, entity="invoice"))
        return sweep is not None and sweep.state is SweepState.DONE

    await eventually(done, "the sweep ends")


async def agreed_by_verification(node: Node) -> None:
    """A verification of every key finds neither an alarm nor a difference that stays."""
    verdict = await node.verifier.verify("invoice")
    assert verdict.different == 0, verdict


async def more_writes(callers: Callers, count: int) -> None:
    """Wait until so many more writes were acknowledged."""
    goal = callers.writes + count
    await eventually(lambda: callers.writes >= goal, "callers write")


async def quiet(node: Node) -> None:
    """Wait until nothing is open."""

    def settled() -> bool:
        counts = node.ledger.look(lambda rows: rows.counts())
        return (counts.dirty, counts.open_intents, counts.leases) == (0, 0, 0)

    await eventually(settled, "everything converges")


async def eventually(holds: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Poll, bounded."""
    try:
        async with asyncio.timeout(seconds):
            while not holds():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {what}") from None
