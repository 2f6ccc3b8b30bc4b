"""A sweep over real databases, by the node itself or by processes beside it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from crossfade.backfill.options import BackfillOptions
from crossfade.backfill.processes import BackfillProcesses
from crossfade.backfill.worker import BackfillWorker
from crossfade.errors import CrossfadeError
from crossfade.ledger.rows import Rows
from crossfade.ledger.sqlite import SqliteLedger, open_ledger
from crossfade.ledger.transitions.sweeps import start_sweep
from crossfade.model.coverage import is_complete
from crossfade.model.migration_state import MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.hooks import Hooks
from crossfade.opening import open_in_process
from crossfade.seams.bundle import Seams
from crossfade.seams.clock import SystemClock
from crossfade.seams.failpoint import unarmed
from crossfade.seams.randomness import SystemRandomness
from crossfade.seams.tasks import TaskOwner
from crossfade.store.base import StoreEpoch

SECONDS_MAX = 40.0

DEFINITION = """
from crossfade import Migration, SqlTable
{top}

def to_new(row):
{body}

def to_legacy(row):
    return {{"id": row["id"], "note": row["note"]}}

shop = Migration("shop", answers_within="1s")
for name in {entities!r}:
    shop.entity(
        name,
        legacy=SqlTable({legacy!r}, name + "_old", key="id"),
        new=SqlTable({new!r}, name, key="id"),
        to_new=to_new,
        to_legacy=to_legacy,
        {more}
    )
"""

COPY = '    return {"id": row["id"], "note": row["note"]}'


def write_definition(  # noqa: PLR0913 - parts of one file
    folder: Path,
    legacy: str,
    new: str,
    *,
    body: str = COPY,
    top: str = "",
    more: str = "",
    entities: tuple[str, ...] = ("thing",),
) -> Path:
    """A definition file over tables `NAME_old` and `NAME`, each with `id` and `note`."""
    file = folder / "migration.py"
    file.write_text(
        DEFINITION.format(legacy=legacy, new=new, body=body, top=top, more=more, entities=entities)
    )
    return file


@dataclass
class Sweeping:
    """A node's backfill over a definition."""

    worker: BackfillWorker
    ledger: SqliteLedger
    processes: BackfillProcesses | None
    failures: list[str] = field(default_factory=list)

    async def run(self, *entities: str) -> None:
        """Ask for the sweeps and copy until all are done, whatever fails on the way."""
        names = entities or ("thing",)
        await self.start(*names)
        until = time.monotonic() + SECONDS_MAX
        while not all(map(self.covered, names)):
            assert time.monotonic() < until, self.failures
            try:
                if not await self.worker.step():
                    await asyncio.sleep(0.02)
            except (CrossfadeError, TimeoutError) as error:
                self.failures.append(f"{type(error).__name__}: {error}")

    async def start(self, *entities: str) -> None:
        """Ask for the sweeps."""
        for name in entities:
            await self.ledger.transact(partial(start_sweep, entity=name, at=1.0))

    def covered(self, entity: str = "thing") -> bool:
        """Whether every key was copied, or is dirty."""
        coverage = self.ledger.look(lambda rows: rows.entity(entity)).coverage
        return is_complete(coverage) and not self.ledger.look(
            lambda rows: rows.open_chunks(entity)
        )

    def quarantined(self, entity: str = "thing") -> dict[Any, str]:
        """Keys that could not be copied, with their reasons."""
        found = self.ledger.look(lambda rows: rows.quarantined_keys(entity, 1000))
        return {one.key[0]: one.quarantine or "" for one in found}

    @property
    def pids(self) -> list[int]:
        """Of the processes that live."""
        assert self.processes is not None
        return [
            one._child.pid  # noqa: SLF001 - the test kills them
            for one in self.processes._processes  # noqa: SLF001 - the same
            if one._child is not None and not one.gone  # noqa: SLF001 - the same
        ]


@asynccontextmanager
async def sweeping(folder: Path, file: Path, options: BackfillOptions) -> AsyncIterator[Sweeping]:
    """A node's backfill, its stores prepared, in shadow behind the barrier."""
    seams = Seams(SystemClock(), SystemRandomness(), TaskOwner(), unarmed)
    ledger = open_ledger(folder / "ledger.db", clock=seams.clock, randomness=seams.randomness)
    identity = (ledger.identity.ledger_id, ledger.identity.incarnation)
    opened = await open_in_process(file, identity)
    for database in opened.sides.databases[Side.NEW]:
        await database.prepare()
        await database.raise_epoch(StoreEpoch(*identity, 1))
    await ledger.transact(_begin)
    worker = BackfillWorker(ledger, opened.sides, Hooks(), seams, "node", options)
    processes = None
    if options.processes:
        opening = partial(open_in_process, file, identity)
        processes = BackfillProcesses(opening, options, seams.tasks)
        worker.use(processes)
    try:
        yield Sweeping(worker, ledger, processes)
    finally:
        with suppress(TimeoutError):
            await worker.close()
        await seams.tasks.cancel_all()
        await opened.close()
        await ledger.close()


def _begin(rows: Rows) -> None:
    rows.set_migration(MigrationState(stage=Stage.SHADOW, epoch=1, barrier_passed=True))
