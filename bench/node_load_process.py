"""A real node: `-m bench.node_load_process FOLDER STAGE SAMPLE_FRACTION LEGACY_PORT NEW_PORT`.

Everything that `crossfade up` wires but its control API. Prints the gateway's port as its first
line, then one line of JSON (`state_of`) for each line that it reads.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from bench.event_loop import fastest_loop
from bench.node_load_services import LEGACY_FILE, NEW_FILE
from crossfade.assembly import Node, open_node
from crossfade.config import Config
from crossfade.execution.comparison_options import ComparisonOptions
from crossfade.gateway.server import GatewayServer
from crossfade.ledger.transitions.observations import observed_operations
from crossfade.migration import Migration
from crossfade.model.service import HttpService
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.model.store_description import SqlTable
from crossfade.stages.stages import MoveRequest
from crossfade.store.sql import SqlDatabases

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def definition(folder: Path, legacy_port: int, new_port: int) -> Migration:
    """One entity, copied and never replayed."""
    migration = Migration(
        "bench",
        legacy=HttpService(f"http://127.0.0.1:{legacy_port}"),
        new=HttpService(f"http://127.0.0.1:{new_port}"),
    )
    items = migration.entity(
        "item",
        legacy=SqlTable(str(folder / LEGACY_FILE), "Item", key="ItemId"),
        new=SqlTable(str(folder / NEW_FILE), "items", key="id"),
        to_new=lambda row: {
            "id": row["ItemId"],
            "name": row["Title"],
            "cents": round(row["Price"] * 100),
        },
        to_legacy=lambda row: {
            "ItemId": row["id"],
            "Title": row["name"],
            "Price": row["cents"] / 100,
        },
    )
    migration.resource("/items", "/items/{id}", items)
    return migration


async def prepare(migration: Migration) -> None:
    """Make the tables that guard the rows, as `crossfade doctor --apply` does."""
    databases = SqlDatabases(migration.name)
    for entity in migration.entities.values():
        for side in Side:
            table = entity.store(side)
            assert isinstance(table, SqlTable)
            await databases.at(table.url).prepare()
    await databases.close()


async def state_of(node: Node) -> dict[str, Any]:
    """What the node has in hand, and what it has counted so far."""
    await node.observations.flush()
    counts = node.ledger.look(lambda rows: rows.counts())
    reads = node.ledger.look(observed_operations)
    return {
        "dirty": counts.dirty,
        "open_intents": counts.open_intents,
        "tasks": node.seams.tasks.count(),
        "cleaned": node.convergence.cleaned,
        "compared": sum(one.total.compared for one in reads),
        "mismatched": sum(one.total.mismatched for one in reads),
        "skipped": sum(one.total.skipped for one in reads),
        "memory_bytes": _memory_bytes(),
    }


def _memory_bytes() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * PAGE_BYTES


async def serve(folder: Path, stage: Stage, fraction: float, ports: tuple[int, int]) -> None:
    """Run the node until nothing more is to be read."""
    config = Config(
        ledger=f"sqlite:///{folder / 'ledger.db'}",
        log_level="warning",
        comparison=ComparisonOptions(sample_fraction=fraction),
    )
    migration = definition(folder, *ports)
    await prepare(migration)
    node = await open_node(migration, config, serving=True)
    assert node.app is not None
    await node.start()
    try:
        if stage is Stage.SHADOW:
            await node.stages.promote(stage, MoveRequest("bench", "measure dual writes"))
            while node.barrier.waits_for() is not None:
                await node.seams.clock.sleep(0.01)
        async with GatewayServer(node.app, config.gateway) as server:
            print(server.port, flush=True)
            async for _ in await _input():
                print(json.dumps(await state_of(node)), flush=True)
    finally:
        await node.stop()


async def _input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    return reader


def main() -> None:
    """Read the arguments and serve."""
    folder, stage, fraction, *ports = sys.argv[1:]
    legacy_port, new_port = map(int, ports)
    work = serve(Path(folder), Stage(stage), float(fraction), (legacy_port, new_port))
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        runner.run(work)


if __name__ == "__main__":
    main()
