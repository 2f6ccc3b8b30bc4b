"""A company whose tables have every kind of constraint, on legacy and on an engine under test.

Legacy is SQLite with its own constraints, checked at the end of each transaction; new has the
same tables with the constraints of its engine, most of them checked row by row.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from crossfade.convergence.converge import ConvergeEnd, Convergence
from crossfade.convergence.sides import EntityStores, Sides
from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.rows import Counts
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.model.entity import Entity
from crossfade.model.key import EVERY_KEY, Key
from crossfade.model.key_state import DirtyReason, KeyState
from crossfade.model.migration_state import MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.model.store_description import SqlTable
from crossfade.observability.events import Event
from crossfade.observability.hooks import Hooks
from crossfade.reconciler.options import ReconcilerOptions
from crossfade.reconciler.worker import Reconciler, ThisProcess
from crossfade.seams.bundle import Seams
from crossfade.seams.failpoint import unarmed
from crossfade.seams.randomness import SeededRandomness
from crossfade.seams.tasks import TaskOwner
from crossfade.store.base import Record, Store, StoreEpoch
from crossfade.store.sql import SqlDatabases, open_sql_store
from crossfade.testing.manual_clock import ManualClock
from tests.servers import run_mariadb, run_postgres

Result = TypeVar("Result")

TABLES = {
    "team": """CREATE TABLE team (
        id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL UNIQUE, leader INTEGER NULL)""",
    "person": """CREATE TABLE person (
        id INTEGER PRIMARY KEY, email VARCHAR(20) NOT NULL UNIQUE, nick VARCHAR(20) NULL UNIQUE,
        seat INTEGER NOT NULL UNIQUE, boss INTEGER NULL {person_boss},
        team INTEGER NULL {person_team})""",
    "note": """CREATE TABLE note (
        id INTEGER PRIMARY KEY, person INTEGER NOT NULL {note_person}, text VARCHAR(20))""",
    "job": """CREATE TABLE job (id INTEGER PRIMARY KEY, text VARCHAR(20))""",
    "step": """CREATE TABLE step (
        job INTEGER NOT NULL {step_job}, number INTEGER NOT NULL, serial VARCHAR(20) NOT NULL
        UNIQUE, person INTEGER NULL {step_person}, PRIMARY KEY (job, number))""",
}
POINTERS = {
    "person_boss": ("person", "boss", "person", ""),
    "person_team": ("person", "team", "team", ""),
    "team_leader": ("team", "leader", "person", "ON DELETE SET NULL"),
    "note_person": ("note", "person", "person", "ON DELETE CASCADE"),
    "step_job": ("step", "job", "job", "ON DELETE CASCADE"),
    "step_person": ("step", "person", "person", "ON DELETE SET NULL"),
}
ENTITIES = ("note", "person", "team", "job")
"""Children before parents, so that no order helps by accident."""


def sqlite_schema(*, deferred: bool) -> list[str]:
    """The tables for SQLite."""
    when = "DEFERRABLE INITIALLY DEFERRED" if deferred else ""
    words = {
        name: f"REFERENCES {there} (id) {action} {when}"
        for name, (_, _, there, action) in POINTERS.items()
    }
    leader = f"leader INTEGER NULL {words['team_leader']}"
    return [sql.format(**words).replace("leader INTEGER NULL", leader) for sql in TABLES.values()]


def server_schema() -> list[str]:
    """The tables for engines that add constraints afterwards, checked row by row."""
    plain = [sql.format(**dict.fromkeys(POINTERS, "")) for sql in TABLES.values()]
    return plain + [
        f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({column}) "
        f"REFERENCES {there} (id) {action}"
        for name, (table, column, there, action) in POINTERS.items()
    ]


def make_tables(url: str) -> None:
    """Make the tables of new on an engine."""
    if url.startswith("postgresql"):
        run_postgres(url, *server_schema())
    elif url.startswith("mariadb"):
        run_mariadb(url, *server_schema())
    else:
        with closing(sqlite3.connect(url)) as connection:
            for sql in sqlite_schema(deferred=False):
                connection.execute(sql)


def run_on(url: str, *statements: str) -> None:
    """Run statements on an engine as the service itself would."""
    if url.startswith("postgresql"):
        run_postgres(url, *statements)
    elif url.startswith("mariadb"):
        run_mariadb(url, *statements)
    else:
        with closing(sqlite3.connect(url)) as connection:
            for sql in statements:
                connection.execute(sql)
            connection.commit()


@dataclass(slots=True)
class Company:
    """Two databases, a ledger, and what makes their keys agree."""

    ledger: MemoryLedger
    sides: Sides
    databases: SqlDatabases
    legacy: Path
    new_url: str
    seed: int
    clock: ManualClock = field(default_factory=ManualClock)
    events: list[Event] = field(default_factory=list)
    known: dict[str, dict[Key, Record]] = field(default_factory=dict)
    convergence: Convergence = field(init=False)
    reconciler: Reconciler = field(init=False)

    def __post_init__(self) -> None:
        """The first process."""
        self.restart()

    def restart(self) -> None:
        """Another process, which remembers nothing."""
        hooks = Hooks(self.events.append)
        seams = Seams(self.clock, SeededRandomness(self.seed), TaskOwner(), unarmed)
        parts = (self.ledger, self.sides)
        self.convergence = Convergence(*parts, hooks, seams, "node-1")
        process = ThisProcess("node-1", lambda _: False, ReconcilerOptions())
        self.reconciler = Reconciler(*parts, self.convergence, hooks, seams, process)

    async def reopen(self) -> None:
        """Read the catalogues anew, as a process that starts does."""
        await self.databases.close()
        self.databases = SqlDatabases("company")
        self.sides = await _open_sides(self.databases, self.legacy, self.new_url)
        self.restart()

    def write(self, *statements: str) -> None:
        """Write on legacy in one transaction; every key that changed by it is dirty after it.

        Raises:
            sqlite3.IntegrityError: legacy refuses it; nothing was changed.

        """
        with closing(sqlite3.connect(self.legacy, isolation_level=None)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("BEGIN")
            for sql in statements:
                connection.execute(sql)
            connection.execute("COMMIT")

    def mark(self, entity: str, *keys: int) -> None:
        """Make keys dirty, as a write does."""
        names = [(key,) for key in keys]
        self.ledger.apply(lambda rows: mark_dirty(rows, entity, names, DirtyReason.WRITE, 0.0))

    async def note_changes(self) -> None:
        """Make every key dirty whose record on legacy differs from when this was last called."""
        for entity in ENTITIES:
            now = await self.rows(entity, Side.LEGACY)
            before = self.known.get(entity, {})
            changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
            self.mark(entity, *[int(key[0]) for key in changed])
            self.known[entity] = now

    def store(self, entity: str, side: Side) -> Store:
        """One store."""
        return self.sides.entities[entity].side(side)

    async def rows(self, entity: str, side: Side) -> dict[Key, Record]:
        """Every record of an entity."""
        return dict(await self.store(entity, side).read_range(EVERY_KEY, 10_000))

    async def converge(self, entity: str, key: int) -> ConvergeEnd:
        """One attempt on one key."""
        return await self.finish(self.convergence.converge(entity, (key,)))

    async def settle(self) -> None:
        """Let the reconciler work until nothing is dirty that could converge."""
        for _ in range(100):
            await self.finish(self.reconciler.step())
            if self.counts().dirty == 0:
                return
            await self.clock.advance(1.0)
        left = self.ledger.look(lambda rows: rows.dirty_keys(None, 100))
        raise AssertionError(f"keys stay dirty: {left}; {self.events[-5:]}")

    async def finish(self, work: Awaitable[Result]) -> Result:
        """Wait for something while time passes; the engines take real time, a bounded one."""
        async with asyncio.timeout(30):
            task = asyncio.ensure_future(work)
            while not task.done():
                wake = self.clock.next_wake()
                if wake is not None:
                    self.clock.jump(wake)
                await asyncio.sleep(0.0005)
            return await task

    def counts(self) -> Counts:
        """How much is open."""
        return self.ledger.look(lambda rows: rows.counts())

    def state(self, entity: str, key: int) -> KeyState:
        """What the ledger knows of a key."""
        return self.ledger.look(lambda rows: rows.key(entity, (key,)))

    async def assert_agreed(self) -> None:
        """Both sides are equal, and the ledger says so."""
        quarantined = self.ledger.look(lambda rows: rows.quarantined_keys(None, 100))
        assert [(one.entity, one.key, one.quarantine) for one in quarantined] == []
        assert (self.counts().dirty, self.counts().leases) == (0, 0)
        for entity in ENTITIES:
            assert await self.rows(entity, Side.NEW) == await self.rows(entity, Side.LEGACY)


async def open_company(folder: Path, new_url: str, seed: int = 0) -> Company:
    """An empty company whose barrier has passed; `new_url` has its tables already."""
    legacy = folder / "legacy.db"
    with closing(sqlite3.connect(legacy)) as connection:
        for sql in sqlite_schema(deferred=True):
            connection.execute(sql)
    databases = SqlDatabases("company")
    sides = await _open_sides(databases, legacy, new_url)
    ledger = MemoryLedger()
    identity = ledger.identity
    for url in (str(legacy), new_url):
        await databases.at(url).prepare()
        epoch = StoreEpoch(identity.ledger_id, identity.incarnation, 1)
        await databases.at(url).raise_epoch(epoch)
    state = MigrationState(stage=Stage.SHADOW, epoch=1, barrier_passed=True)
    ledger.apply(lambda rows: rows.set_migration(state))
    ledger.apply(lambda rows: rows.set_document("entities", "declared", list(ENTITIES)))
    return Company(ledger, sides, databases, legacy, new_url, seed)


async def _open_sides(databases: SqlDatabases, legacy: Path, new_url: str) -> Sides:
    urls = {Side.LEGACY: str(legacy), Side.NEW: new_url}
    entities = {name: await _open_entity(name, urls, databases) for name in ENTITIES}
    fenced = {side: (databases.at(url),) for side, url in urls.items()}
    return Sides(entities, dict(fenced), dict.fromkeys(Side, 10.0))


def _table(name: str, url: str) -> SqlTable:
    if name != "job":
        return SqlTable(url, name, key="id")
    steps = SqlTable(url, "step", key=("job", "number"), parent="job")
    return SqlTable(url, "job", key="id", children={"steps": steps})


async def _open_entity(name: str, urls: dict[Side, str], databases: SqlDatabases) -> EntityStores:
    tables = {side: _table(name, url) for side, url in urls.items()}
    legacy, new = [
        await open_sql_store(tables[side], entity=name, database=databases.at(urls[side]))
        for side in (Side.LEGACY, Side.NEW)
    ]
    entity = Entity(name, tables[Side.LEGACY], tables[Side.NEW], _copied, _copied)
    return EntityStores(entity, legacy, new)


def _copied(record: Record) -> Record:
    return dict(record)
