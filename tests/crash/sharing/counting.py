"""A migration of counters without services, as several processes carry it out on one ledger."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from crossfade.assembly import Node, open_node
from crossfade.config import Config
from crossfade.execution.calls import CallTag, Request
from crossfade.ledger.postgres_options import PostgresLedgerOptions
from crossfade.migration import Migration
from crossfade.model.comparison import Observed
from crossfade.model.key import Key
from crossfade.model.operation import Operation
from crossfade.model.plan import OperationKind
from crossfade.model.side import Side
from crossfade.model.store_description import SqlTable
from crossfade.store.base import Record
from crossfade.store.sql import SqlDatabases

ENTITY = "counter"
KEYS = 6
ANSWERS_WITHIN_SECONDS = 2.0
ROUTE_SECONDS, DEAD_SECONDS = 0.5, 3.0

WRITE = Operation("count up", OperationKind.WRITE, ENTITY, "", "")
READ = Operation("look", OperationKind.READ, ENTITY, "", "")


@dataclass(frozen=True, slots=True)
class Counted:
    """What a side answers: the counter as it is."""

    value: int
    acknowledged: bool = True
    failed: bool = False
    refused: bool = False
    deferred: bool = False
    ambiguous: bool = False

    def observed(self) -> Observed | None:
        """See `Answer.observed`; nothing is compared here."""
        return None

    def created_key(self) -> Key | None:
        """See `Answer.created_key`."""
        return None


def _same(record: Record) -> Record:
    return dict(record)


def database(folder: Path, side: Side) -> Path:
    """The file of one side's database."""
    return folder / f"{side}.db"


def definition(folder: Path) -> Migration:
    """Counters on both sides, alike."""
    migration = Migration("counting", answers_within=ANSWERS_WITHIN_SECONDS)
    migration.entity(
        ENTITY,
        legacy=SqlTable(str(database(folder, Side.LEGACY)), "counters", key="id"),
        new=SqlTable(str(database(folder, Side.NEW)), "counters", key="id"),
        to_new=_same,
        to_legacy=_same,
    )
    return migration


def config(ledger: str) -> Config:
    """Short times, so that a death is noticed soon."""
    return Config(
        ledger=ledger,
        log_level="error",
        shared_ledger=PostgresLedgerOptions(
            route_seconds=ROUTE_SECONDS,
            dead_seconds=DEAD_SECONDS,
            beat_seconds=0.3,
            idle_seconds_max=1.0,
        ),
    )


async def open_counting(folder: Path, ledger: str, *, serving: bool = True) -> Node:
    """One more process."""
    return await open_node(definition(folder), config(ledger), serving=serving)


async def make_stores(folder: Path) -> None:
    """Both databases: legacy with its counters at zero, new empty, ours prepared in both."""
    for side in Side:
        with _connected(folder, side) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE counters (id INTEGER PRIMARY KEY, value INTEGER)")
            if side is Side.LEGACY:
                rows = [(number,) for number in range(KEYS)]
                connection.executemany("INSERT INTO counters VALUES (?, 0)", rows)
    databases = SqlDatabases("counting")
    for side in Side:
        await databases.at(str(database(folder, side))).prepare()
    await databases.close()


def write(folder: Path, number: int) -> Request[Counted]:
    """Count one up, as the service of whichever side has authority does."""
    return Request(WRITE, ((number,),), partial(_count_up, folder, number))


def read(folder: Path, number: int) -> Request[Counted]:
    """Look at one."""
    return Request(READ, ((number,),), partial(_look, folder, number))


async def _count_up(folder: Path, number: int, side: Side, tag: CallTag) -> Counted:  # noqa: ARG001 - every call has them
    await asyncio.sleep(0)
    with _connected(folder, side) as connection:
        sql = "UPDATE counters SET value = value + 1 WHERE id = ? RETURNING value"
        ((value,),) = connection.execute(sql, (number,)).fetchall()
    return Counted(value)


async def _look(folder: Path, number: int, side: Side, tag: CallTag) -> Counted:  # noqa: ARG001 - every call has them
    await asyncio.sleep(0)
    return Counted(values(folder, side).get(number, -1))


def values(folder: Path, side: Side) -> dict[int, int]:
    """The counters of one side, read by ourselves."""
    with _connected(folder, side) as connection:
        return dict(connection.execute("SELECT id, value FROM counters").fetchall())


@contextmanager
def _connected(folder: Path, side: Side) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(database(folder, side), timeout=20.0)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        with connection:
            yield connection
