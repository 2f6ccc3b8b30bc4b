"""How fast a fenced bulk backfill copies, beside COPY between databases and executemany."""

import asyncio
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pymysql
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    MetaData,
    Table,
    Text,
    create_engine,
    insert,
    select,
)

from bench.bulk_definition import to_new
from crossfade.backfill.options import BackfillOptions
from crossfade.backfill.processes import BackfillProcesses
from crossfade.backfill.worker import BackfillWorker
from crossfade.ledger.rows import Rows
from crossfade.ledger.sqlite import open_ledger
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

COPY_RATIO_MIN = 0.35
EXECUTEMANY_RATIO_MIN = 3.0
MEMORY_MEGABYTES_MAX = 300.0
PROCESSES = 2
BARE_ROWS_AT_ONCE = 1_000

POSTGRES = os.environ.get("CROSSFADE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432")
MARIADB = os.environ.get("CROSSFADE_TEST_MARIADB", "mariadb://root@127.0.0.1:3306")

_LEGACY_TABLE = (
    'CREATE TABLE "Customer" ("CustomerId" bigint PRIMARY KEY, "FullName" text NOT NULL, '
    '"Email" text NOT NULL, "City" text, "Note" text NOT NULL, "CreditCents" bigint NOT NULL, '
    '"BonusCents" bigint NOT NULL, "Active" boolean NOT NULL, "CreatedAt" timestamptz NOT NULL)'
)
_LEGACY_ROWS = (
    "INSERT INTO \"Customer\" SELECT n, ' Person ' || n, 'Person' || n || '@Example.org', "
    "CASE WHEN n % 5 = 0 THEN 'Bern' END, 'note of ' || n, n * 7, n % 10, n % 3 = 0, "
    "timestamptz '2024-01-01 00:00:00+00' + n * interval '1 second' FROM generate_series(1, {0}) n"
)
_NEW_TABLE = (
    "CREATE TABLE {0} (id bigint PRIMARY KEY, display_name text NOT NULL, email text NOT NULL, "
    "city text, note text NOT NULL, credit_cents bigint NOT NULL, active boolean NOT NULL, "
    "created_at {1} NOT NULL)"
)
_COPIED = (
    'SELECT "CustomerId", "FullName", "Email", "City", "Note", "CreditCents", "Active", '
    '"CreatedAt" FROM "Customer"'
)
_LEGACY_COLUMNS = (
    *("CustomerId", "FullName", "Email", "City", "Note", "CreditCents", "BonusCents", "Active"),
    "CreatedAt",
)
_NEW_COLUMNS = (
    *("id", "display_name", "email", "city", "note", "credit_cents", "active", "created_at"),
)
_NUMBERS = ("CustomerId", "id", "CreditCents", "BonusCents", "credit_cents")
_DEFINITION = Path(__file__).with_name("bulk_definition.py")


def run(*, quick: bool) -> dict[str, Any]:
    """Copy the same rows every way in turns; medians of the rounds."""
    rows, rounds = (200_000, 2) if quick else (1_000_000, 3)
    found: dict[str, list[float]] = {"swept": [], "undigested": [], "piped": [], "bare": []}
    memory = 0.0
    with _database() as legacy, _database() as new, tempfile.TemporaryDirectory() as folder:
        _run(legacy, _LEGACY_TABLE, _LEGACY_ROWS.format(rows), 'VACUUM ANALYZE "Customer"')
        for number in range(rounds):
            found["piped"].append(rows / _piped(legacy, new))
            for name, digests in (("swept", True), ("undigested", False)):
                place = Path(folder) / f"{name}-{number}"
                seconds, megabytes = _swept(legacy, new, place, digests=digests)
                found[name].append(rows / seconds)
                memory = max(memory, megabytes)
                _check(new, rows)
            found["bare"].append(rows // 4 / _bare(legacy, new, rows // 4))
        maria = _into_mariadb(legacy, Path(folder), rows)
    to_copy = _ratio(found["swept"], found["piped"])
    to_bare = _ratio(found["swept"], found["bare"])
    figures = {
        "rows": rows,
        "processes": PROCESSES,
        **{f"{name}_rows_per_second": round(statistics.median(found[name])) for name in found},
        "mariadb_rows_per_second": maria,
        "ratio_to_copy": round(to_copy, 3),
        "ratio_to_copy_undigested": round(_ratio(found["undigested"], found["piped"]), 3),
        "ratio_to_executemany": round(to_bare, 3),
        "peak_megabytes_a_process": round(memory, 1),
    }
    limits = {
        "ratio_to_copy": (COPY_RATIO_MIN, to_copy >= COPY_RATIO_MIN),
        "ratio_to_executemany": (EXECUTEMANY_RATIO_MIN, to_bare >= EXECUTEMANY_RATIO_MIN),
        "peak_megabytes_a_process": (MEMORY_MEGABYTES_MAX, memory <= MEMORY_MEGABYTES_MAX),
    }
    bars = {name: {"limit": limit, "ok": ok} for name, (limit, ok) in limits.items()}
    return {"figures": figures, "bars": bars}


def _ratio(ours: list[float], others: list[float]) -> float:
    """Each round's pair ran within the same minute, so that noise of the machine cancels out."""
    return statistics.median(mine / other for mine, other in zip(ours, others, strict=True))


def _piped(legacy: str, new: str) -> float:
    """Seconds of COPY from one database piped into the other, into a table with a primary key."""
    _run(
        new, "DROP TABLE IF EXISTS piped", _NEW_TABLE.format("piped", "timestamptz"), "CHECKPOINT"
    )
    start = time.perf_counter()
    psql = shutil.which("psql")
    if psql is None:
        _piped_by_driver(legacy, new)
    else:
        read = [psql, "-q", legacy, "-c", f"COPY ({_COPIED}) TO STDOUT"]
        with subprocess.Popen(read, stdout=subprocess.PIPE) as reading:
            write = [psql, "-q", new, "-c", "COPY piped FROM STDIN"]
            subprocess.run(write, stdin=reading.stdout, check=True)
    seconds = time.perf_counter() - start
    _run(new, "DROP TABLE piped")
    return seconds


def _piped_by_driver(legacy: str, new: str) -> None:
    with (
        psycopg.connect(legacy) as reading,
        psycopg.connect(new) as writing,
        reading.cursor().copy(f"COPY ({_COPIED}) TO STDOUT") as rows,
        writing.cursor().copy("COPY piped FROM STDIN") as piped,
    ):
        for block in rows:
            piped.write(block)


def _swept(legacy: str, new: str, folder: Path, *, digests: bool) -> tuple[float, float]:
    """Seconds of a backfill on its real stores and ledger; megabytes of the largest process."""
    folder.mkdir()
    if new.startswith("postgres"):
        _run(
            new,
            "DROP TABLE IF EXISTS customers, crossfade_fence, crossfade_epoch",
            _NEW_TABLE.format("customers", "timestamptz"),
            "CHECKPOINT",
        )
    with mock.patch.dict(os.environ, BENCH_BULK_LEGACY=legacy, BENCH_BULK_NEW=new):
        return asyncio.run(_sweep(folder, digests=digests))


async def _sweep(folder: Path, *, digests: bool) -> tuple[float, float]:
    seams = Seams(SystemClock(), SystemRandomness(), TaskOwner(), unarmed)
    ledger = open_ledger(folder / "ledger.db", clock=seams.clock, randomness=seams.randomness)
    identity = (ledger.identity.ledger_id, ledger.identity.incarnation)
    opened = await open_in_process(_DEFINITION, identity)
    for database in opened.sides.databases[Side.NEW]:
        await database.prepare()
        await database.raise_epoch(StoreEpoch(*identity, 1))
    await ledger.transact(_begin)
    options = BackfillOptions(processes=PROCESSES, keep_digests=digests)
    worker = BackfillWorker(ledger, opened.sides, Hooks(), seams, "bench", options)
    opening = partial(open_in_process, _DEFINITION, identity)
    worker.use(BackfillProcesses(opening, options, seams.tasks))
    start = time.perf_counter()
    while not is_complete(ledger.look(lambda rows: rows.entity("customer")).coverage):
        if not await worker.step():
            # Reads were so slow that it makes room for others.
            await asyncio.sleep(0.05)
    seconds = time.perf_counter() - start
    await worker.close()
    await seams.tasks.cancel_all()
    await opened.close()
    await ledger.close()
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return seconds, max(own, largest) / 1024


def _begin(rows: Rows) -> None:
    """The barrier has passed, and somebody has asked for the sweep."""
    rows.set_migration(MigrationState(stage=Stage.SHADOW, epoch=1, barrier_passed=True))
    partial(start_sweep, entity="customer", at=0.0)(rows)


def _bare(legacy: str, new: str, rows: int) -> float:
    """Seconds of the loop that one would write by hand: read, map, SQLAlchemy's executemany."""
    _run(new, "DROP TABLE IF EXISTS bare", _NEW_TABLE.format("bare", "timestamptz"), "CHECKPOINT")
    from_engine = create_engine(legacy.replace("postgresql://", "postgresql+psycopg://"))
    to_engine = create_engine(new.replace("postgresql://", "postgresql+psycopg://"))
    customer, bare = _table("Customer", _LEGACY_COLUMNS), _table("bare", _NEW_COLUMNS)
    key = customer.c.CustomerId
    after = 0
    start = time.perf_counter()
    with from_engine.connect() as reading:
        while after < rows:
            query = select(customer).where(key > after).order_by(key).limit(BARE_ROWS_AT_ONCE)
            batch = [to_new(dict(row)) for row in reading.execute(query).mappings()]
            after = batch[-1]["id"]
            with to_engine.begin() as writing:
                writing.execute(insert(bare), batch)
    seconds = time.perf_counter() - start
    from_engine.dispose()
    to_engine.dispose()
    _run(new, "DROP TABLE bare")
    return seconds


def _table(name: str, columns: tuple[str, ...]) -> Table:
    kinds: dict[str, Any] = {
        **dict.fromkeys(_NUMBERS, BigInteger),
        **dict.fromkeys(("Active", "active"), Boolean),
        **dict.fromkeys(("CreatedAt", "created_at"), DateTime(timezone=True)),
    }
    made = (
        Column(one, kinds.get(one, Text), primary_key=place == 0)
        for place, one in enumerate(columns)
    )
    return Table(name, MetaData(), *made)


def _into_mariadb(legacy: str, folder: Path, rows: int) -> int | None:
    """Rows per second of a backfill into MariaDB; None where there is no server."""
    place = urlsplit(MARIADB)
    try:
        server = pymysql.connect(
            host=place.hostname, port=place.port or 3306, user=place.username or "root",
            password=place.password or "", autocommit=True,
        )  # fmt: skip
    except pymysql.Error:
        return None
    name = f"crossfade_bench_{uuid4().hex[:12]}"
    with server, server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            cursor.execute(f"USE {name}")
            cursor.execute(_NEW_TABLE.format("customers", "timestamp(6)"))
            url = f"{MARIADB}/{name}"
            seconds, _ = _swept(legacy, url, folder / "mariadb", digests=True)
            cursor.execute("SELECT count(*) FROM customers")
            row = cursor.fetchone()
            if row is None or row[0] != rows:
                raise AssertionError("the backfill into MariaDB lost rows")
        finally:
            cursor.execute(f"DROP DATABASE {name}")
    return round(rows / seconds)


@contextmanager
def _database() -> Iterator[str]:
    name = f"crossfade_bench_{uuid4().hex[:12]}"
    _run(f"{POSTGRES}/postgres", f"CREATE DATABASE {name} TEMPLATE template0")
    try:
        yield f"{POSTGRES}/{name}"
    finally:
        _run(f"{POSTGRES}/postgres", f"DROP DATABASE {name} WITH (FORCE)")


def _run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _check(new: str, rows: int) -> None:
    with psycopg.connect(new) as connection:
        sums = "SELECT count(*), sum(credit_cents) FROM customers"
        counted = connection.execute(sums).fetchone()
        fenced = connection.execute("SELECT count(*) FROM crossfade_fence").fetchone()
    expected = rows, sum(n * 7 + n % 10 for n in range(1, rows + 1))
    if counted != expected or fenced != (rows,):
        raise AssertionError(f"copied {counted}, fenced {fenced}, expected {expected}")
