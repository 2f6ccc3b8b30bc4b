"""How fast a fenced backfill copies, beside SQLAlchemy's executemany that keeps no promise."""

import asyncio
import shutil
import sqlite3
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Float, Integer, MetaData, Table, Text, create_engine, insert, select

from crossfade.backfill.worker import BackfillWorker
from crossfade.convergence.sides import EntityStores, Sides
from crossfade.ledger.rows import Rows
from crossfade.ledger.sqlite import open_ledger
from crossfade.ledger.transitions.sweeps import start_sweep
from crossfade.model.coverage import is_complete
from crossfade.model.entity import Entity
from crossfade.model.migration_state import MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.model.store_description import SqlTable
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams
from crossfade.seams.clock import SystemClock
from crossfade.seams.failpoint import unarmed
from crossfade.seams.randomness import SystemRandomness
from crossfade.seams.tasks import TaskOwner
from crossfade.store.base import StoreEpoch
from crossfade.store.sql import SqlDatabases, open_sql_store

RATIO_MIN = 0.6
_COUNTED = "SELECT count(*), sum(credit_cents) FROM customers"
BARE_ROWS_AT_ONCE = 500
"""As many as a chunk has: what a hand-written loop would take, too."""

_LEGACY_TABLE = (
    "CREATE TABLE Customer (CustomerId INTEGER PRIMARY KEY, FullName TEXT NOT NULL, "
    "Email TEXT NOT NULL, City TEXT, Note TEXT NOT NULL, Credit REAL NOT NULL)"
)
_NEW_TABLE = (
    "CREATE TABLE customers (id INTEGER PRIMARY KEY, display_name TEXT NOT NULL, "
    "email TEXT NOT NULL, city TEXT, note TEXT NOT NULL, credit_cents INTEGER NOT NULL)"
)

Record = dict[str, Any]


def to_new(row: Record) -> Record:
    """The mapping that both sides of the comparison run for every row."""
    return {
        "id": row["CustomerId"],
        "display_name": row["FullName"].strip(),
        "email": row["Email"].lower(),
        "city": row["City"],
        "note": row["Note"],
        "credit_cents": round(row["Credit"] * 100),
    }


def to_legacy(row: Record) -> Record:
    """The way back; not used here."""
    return {"CustomerId": row["id"], "FullName": row["display_name"]}


def run(*, quick: bool) -> dict[str, Any]:
    """Copy the same rows both ways in turns; medians of the rounds."""
    rows, rounds = (20_000, 3) if quick else (100_000, 5)
    ours: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        legacy = Path(folder) / "legacy.db"
        _make_legacy(legacy, rows)
        for number in range(rounds + 1):
            copied = _swept(legacy, Path(folder) / f"round-{number}", rows)
            loop = _copied_bare(legacy, Path(folder) / f"bare-{number}.db", rows)
            if number > 0:  # The first round warms up.
                ours.append(copied)
                bare.append(loop)
    # Each round's pair ran within the same minute, so that noise of the machine cancels out.
    ratio = statistics.median(mine / other for mine, other in zip(ours, bare, strict=True))
    return {
        "figures": {
            "rows": rows,
            "rows_per_second": round(statistics.median(ours)),
            "bare_rows_per_second": round(statistics.median(bare)),
            "ratio_to_bare": round(ratio, 3),
        },
        "bars": {"ratio_to_bare": {"limit": RATIO_MIN, "ok": ratio >= RATIO_MIN}},
    }


def _swept(legacy: Path, folder: Path, rows: int) -> float:
    """Rows per second of a backfill on its real stores and ledger."""
    folder.mkdir()
    new = folder / "new.db"
    _make_new(new)
    seconds = asyncio.run(_sweep(legacy, new, folder / "ledger.db"))
    _check(new, rows)
    shutil.rmtree(folder)
    return rows / seconds


async def _sweep(legacy: Path, new: Path, ledger_file: Path) -> float:
    seams = Seams(SystemClock(), SystemRandomness(), TaskOwner(), unarmed)
    databases = SqlDatabases("bench")
    entity = Entity(
        name="customer",
        legacy=SqlTable(str(legacy), "Customer", key="CustomerId"),
        new=SqlTable(str(new), "customers", key="id"),
        to_new=to_new,
        to_legacy=to_legacy,
    )
    sides = await _sides(entity, databases)
    ledger = open_ledger(ledger_file, clock=seams.clock, randomness=seams.randomness)
    identity = ledger.identity
    for database in sides.databases[Side.NEW]:
        await database.prepare()
        await database.raise_epoch(StoreEpoch(identity.ledger_id, identity.incarnation, 1))
    await ledger.transact(_begin)
    worker = BackfillWorker(ledger, sides, Hooks(), seams, "bench")
    start = time.perf_counter()
    while await worker.step():
        pass
    seconds = time.perf_counter() - start
    coverage = ledger.look(lambda rows: rows.entity("customer")).coverage
    if not is_complete(coverage):
        raise AssertionError("the backfill did not end")
    await seams.tasks.cancel_all()
    await databases.close()
    await ledger.close()
    return seconds


async def _sides(entity: Entity, databases: SqlDatabases) -> Sides:
    stores = {}
    by_side = {}
    for side in Side:
        table = entity.store(side)
        assert isinstance(table, SqlTable)
        database = databases.at(table.url)
        by_side[side] = (database,)
        stores[side] = await open_sql_store(table, entity=entity.name, database=database)
    entities = {entity.name: EntityStores(entity, stores[Side.LEGACY], stores[Side.NEW])}
    return Sides(entities, by_side, dict.fromkeys(Side, 1.0))


def _begin(rows: Rows) -> None:
    """The barrier has passed, and somebody has asked for the sweep."""
    rows.set_migration(MigrationState(stage=Stage.SHADOW, epoch=1, barrier_passed=True))
    partial(start_sweep, entity="customer", at=0.0)(rows)


def _copied_bare(legacy: Path, new: Path, rows: int) -> float:
    """Rows per second of the loop that one would write by hand: read, map, executemany."""
    _make_new(new)
    from_engine = create_engine(f"sqlite:///{legacy}")
    to_engine = create_engine(f"sqlite:///{new}")
    metadata = MetaData()
    customer = Table(
        "Customer",
        metadata,
        Column("CustomerId", Integer, primary_key=True),
        Column("FullName", Text),
        Column("Email", Text),
        Column("City", Text),
        Column("Note", Text),
        Column("Credit", Float),
    )
    customers = Table(
        "customers",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("display_name", Text),
        Column("email", Text),
        Column("city", Text),
        Column("note", Text),
        Column("credit_cents", Integer),
    )
    key = customer.c.CustomerId
    after = 0
    start = time.perf_counter()
    with from_engine.connect() as reading:
        while True:
            query = select(customer).where(key > after).order_by(key).limit(BARE_ROWS_AT_ONCE)
            batch = [to_new(dict(row)) for row in reading.execute(query).mappings()]
            if not batch:
                break
            after = batch[-1]["id"]
            with to_engine.begin() as writing:
                writing.execute(insert(customers), batch)
    seconds = time.perf_counter() - start
    from_engine.dispose()
    to_engine.dispose()
    _check(new, rows)
    new.unlink()
    return rows / seconds


def _make_legacy(path: Path, rows: int) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(_LEGACY_TABLE)
        connection.executemany(
            "INSERT INTO Customer VALUES (?, ?, ?, ?, ?, ?)",
            (
                (n, f"Person {n} ", f"Person{n}@Example.org", None if n % 5 else "Bern", "", n / 7)
                for n in range(1, rows + 1)
            ),
        )
    connection.close()


def _make_new(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(_NEW_TABLE)
    connection.close()


def _check(path: Path, rows: int) -> None:
    connection = sqlite3.connect(path)
    count, total = connection.execute(
        "SELECT count(*), sum(credit_cents) FROM customers"
    ).fetchone()
    connection.close()
    expected = sum(round(n / 7 * 100) for n in range(1, rows + 1))
    if (count, total) != (rows, expected):
        raise AssertionError(f"copied {count} rows of {rows}")
