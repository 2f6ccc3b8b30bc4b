"""A process with decorated no-op functions, in any stage, on a SQLite ledger."""

import asyncio
import contextlib
import sqlite3
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import crossfade
from crossfade.ledger.rows import Rows
from crossfade.ledger.sqlite import open_ledger
from crossfade.model.migration_state import MigrationState
from crossfade.model.stage import Stage
from crossfade.seams.clock import SystemClock
from crossfade.seams.randomness import SystemRandomness
from crossfade.store.from_url import databases_of

STAGES = (Stage.OFF, Stage.READ_ONLY, Stage.SHADOW, Stage.LIVE, Stage.COMPLETED)


class Process:
    """This process with crossfade running in it."""

    def __init__(self, folder: Path, stage: Stage, sample_fraction: float = 0.0) -> None:
        self._folder = folder
        self._ledger = f"sqlite:///{folder}/ledger.db"
        self._define()
        asyncio.run(self._prepare(stage))
        settings = {"comparison": {"sample_fraction": sample_fraction}, "log_level": "error"}
        self._running = crossfade.running(
            self._shop, ledger=self._ledger, folder=folder, settings=settings, control=False
        )

    def read(self) -> object:
        """One read."""
        return self._get(7)

    async def read_async(self) -> object:
        """One read that is awaited."""
        return await self._get_async(7)

    def write(self) -> object:
        """One write."""
        return self._put(7)

    def __enter__(self) -> Self:
        """Start."""
        self._running.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self._running.stop()

    def _define(self) -> None:
        tables = {}
        for side in ("legacy", "new"):
            file = self._folder / f"{side}.db"
            with contextlib.closing(sqlite3.connect(file)) as connection:
                connection.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY)")
            tables[side] = crossfade.SqlTable(f"sqlite:///{file}", "thing", key="id")
        self._shop = shop = crossfade.Migration("bench")
        things = shop.entity(
            "thing", legacy=tables["legacy"], new=tables["new"], to_new=dict, to_legacy=dict
        )

        def get(thing: int) -> int:
            return thing

        async def get_async(thing: int) -> int:
            return thing

        def put(thing: int) -> int:
            return thing

        self._get = shop.operation(reads=things, key="thing", legacy=get)(get)
        self._get_async = shop.operation(reads=things, key="thing", legacy=get_async)(get_async)
        self._put = shop.operation(writes=things, key="thing", legacy=put)(put)

    async def _prepare(self, stage: Stage) -> None:
        databases = databases_of("bench")
        for side in ("legacy", "new"):
            await databases.at(f"sqlite:///{self._folder}/{side}.db").prepare()
        await databases.close()
        if stage is Stage.OFF:
            return
        path = Path(self._ledger.removeprefix("sqlite:///"))
        ledger = open_ledger(path, clock=SystemClock(), randomness=SystemRandomness())
        await ledger.transact(partial(_put_in_stage, stage=stage))
        await ledger.close()


def _put_in_stage(rows: Rows, stage: Stage) -> None:
    """Where a walk through gates and flips would have brought it."""
    rows.set_migration(MigrationState(stage=stage, decision=1, barrier_passed=True))
