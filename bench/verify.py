"""How fast a verification by digests is, beside reladiff: equal rows, differences, a mapping."""

import asyncio
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import reladiff  # type: ignore[import-untyped] # the peer has no types

from crossfade.backfill.worker import BackfillWorker
from crossfade.convergence.sides import EntityStores, Sides
from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import Rows
from crossfade.ledger.sqlite import open_ledger
from crossfade.ledger.transitions.sweeps import start_sweep
from crossfade.ledger.transitions.verdicts import Verdict
from crossfade.model.coverage import is_complete
from crossfade.model.entity import Entity, Mapping
from crossfade.model.key import EVERY_KEY
from crossfade.model.migration_state import MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.model.store_description import SqlTable
from crossfade.model.verification_way import AskedWay, Way
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams
from crossfade.seams.clock import SystemClock
from crossfade.seams.failpoint import unarmed
from crossfade.seams.randomness import SystemRandomness
from crossfade.seams.tasks import TaskOwner
from crossfade.store.base import StoreEpoch
from crossfade.store.digests import pairs_of
from crossfade.store.sql import SqlDatabases, open_sql_store
from crossfade.verification.verifier import Verifier

EQUAL_RATIO_MIN = 3.0
DIFFERENT_RATIO_MIN = 3.0
MAPPED_RATIO_MIN = 1.0

POSTGRES = os.environ.get("CROSSFADE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432")
ENTITY = "customer"
COLUMNS = ("name", "email", "city", "note", "credit", "active", "created_at")
THREADS = ((1, 2), (2, 4))
"""Of each connection, and of reladiff itself; the faster of these settings counts."""

_TABLE = (
    "CREATE TABLE {0} (id bigint PRIMARY KEY, name text NOT NULL, email text NOT NULL, city text, "
    "note text, credit numeric(12, 2) NOT NULL, active boolean NOT NULL, "
    "created_at timestamptz NOT NULL)"
)
_ROWS = (
    "INSERT INTO customers SELECT n, 'Person ' || n, 'person' || n || '@example.org', "
    "CASE WHEN n % 5 > 0 THEN 'Bern' END, CASE WHEN n % 3 = 0 THEN '' ELSE 'note of ' || n END, "
    "(n % 100000) / 7.0, n % 2 = 0, timestamptz '2020-01-01 00:00:00+00' + n * interval '61 s' "
    "FROM generate_series(1, {0}) n"
)
_DIFFERENCES = (
    "UPDATE customers SET credit = -1 - credit WHERE id = {0} / 5",
    "UPDATE customers SET city = NULL WHERE id = {0} / 2 + 1",
    "DELETE FROM customers WHERE id = {0} - {0} / 10",
    "UPDATE customers SET note = 'other' WHERE id = {0} - 1",
)
_MENDED = (
    "DELETE FROM customers WHERE id IN ({0} / 5, {0} / 2 + 1, {0} - 1)",
    f"{_ROWS} WHERE n IN ({{0}} / 5, {{0}} / 2 + 1, {{0}} - {{0}} / 10, {{0}} - 1)",
)

Record = dict[str, Any]


def through_python(row: Record) -> Record:
    """A mapping of which nobody knows what it does to values."""
    return {**row, "name": row["name"].strip(), "email": row["email"].lower()}


@dataclass(slots=True)
class Opened:
    """A migration of one table, ready to be verified."""

    ledger: Ledger
    sides: Sides
    seams: Seams
    databases: SqlDatabases

    async def verify(self, way: Way) -> tuple[float, Verdict]:
        """Seconds of one verification, and what it found."""
        verifier = Verifier(self.ledger, self.sides, Hooks(), self.seams)
        start = time.perf_counter()
        verdict = await verifier.verify(ENTITY, way=AskedWay.FAST)
        seconds = time.perf_counter() - start
        if verdict.way != way:
            raise AssertionError(f"verified by {verdict.way}, not by {way}")
        return seconds, verdict

    async def close(self) -> None:
        """Give everything back."""
        await self.seams.tasks.cancel_all()
        await self.databases.close()
        await self.ledger.close()


def run(*, quick: bool) -> dict[str, Any]:
    """Both in turns; medians of the rounds, and of the rounds' ratios."""
    logging.getLogger("hashdiff_tables").setLevel(logging.ERROR)
    rows, rounds = (200_000, 3) if quick else (1_000_000, 5)
    with _database() as legacy, _database() as new, tempfile.TemporaryDirectory() as folder:
        for url in (legacy, new):
            _run(url, _TABLE.format("customers"), _ROWS.format(rows), "VACUUM ANALYZE customers")
        _run(new, _TABLE.format("mapped"))
        measured = asyncio.run(_measured(legacy, new, Path(folder), rows, rounds))
    ratios = {
        name: statistics.median(theirs / ours for ours, theirs in pairs)
        for name, pairs in measured.items()
    }
    figures: dict[str, Any] = {"rows": rows}
    for name, pairs in measured.items():
        figures[f"{name}_seconds"] = round(statistics.median(ours for ours, _ in pairs), 3)
        theirs = statistics.median(theirs for _, theirs in pairs)
        figures[f"{name}_reladiff_seconds"] = round(theirs, 3)
        figures[f"{name}_ratio"] = round(ratios[name], 2)
    limits = {
        "equal": EQUAL_RATIO_MIN, "different": DIFFERENT_RATIO_MIN, "mapped": MAPPED_RATIO_MIN,
    }  # fmt: skip
    return {
        "figures": figures,
        "bars": {
            f"{name}_ratio": {"limit": limit, "ok": ratios[name] >= limit}
            for name, limit in limits.items()
        },
    }


async def _measured(
    legacy: str, new: str, folder: Path, rows: int, rounds: int
) -> dict[str, list[tuple[float, float]]]:
    """Seconds of each way and of reladiff, side by side; the first round warms up."""
    found: dict[str, list[tuple[float, float]]] = {"equal": [], "different": [], "mapped": []}
    mapped = await _copied(legacy, new, folder / "mapped.db", rows)
    _run(new, "VACUUM ANALYZE mapped", "VACUUM ANALYZE crossfade_fence")
    for number in range(rounds + 1):
        equal = await _equal_sides(legacy, new, folder / f"equal-{number}.db")
        seconds, verdict = await equal.verify(Way.CHECKSUMS)
        _check(verdict, rows, 0)
        theirs = _reladiff(legacy, new, 0)
        found["equal"].append((seconds, theirs))

        seconds, verdict = await mapped.verify(Way.DIGESTS)
        _check(verdict, rows, 0)
        found["mapped"].append((seconds, theirs))

        _run(new, *(one.format(rows) for one in _DIFFERENCES))
        seconds, verdict = await equal.verify(Way.CHECKSUMS)
        _check(verdict, rows, len(_DIFFERENCES))
        found["different"].append((seconds, _reladiff(legacy, new, len(_DIFFERENCES))))
        _run(new, *(one.format(rows) for one in _MENDED))
        await equal.close()
    await mapped.close()
    return {name: pairs[1:] for name, pairs in found.items()}


def _check(verdict: Verdict, rows: int, different: int) -> None:
    if (verdict.compared, verdict.different, verdict.lagging) != (rows, different, 0):
        raise AssertionError(f"{verdict} is not what was sown")


def _reladiff(legacy: str, new: str, different: int) -> float:
    """Seconds of the faster of its settings."""
    return min(_reladiff_once(legacy, new, different, *threads) for threads in THREADS)


def _reladiff_once(
    legacy: str, new: str, different: int, of_connection: int, of_pool: int
) -> float:
    start = time.perf_counter()
    sides = [
        reladiff.connect_to_table(
            url, "customers", "id", thread_count=of_connection, extra_columns=COLUMNS
        )
        for url in (legacy, new)
    ]
    with reladiff.diff_tables(
        *sides,
        extra_columns=COLUMNS,
        threaded=True,
        max_threadpool_size=of_pool,
        # Sorting rows that have NULL raises.
        skip_sort_results=True,
    ) as result:
        keys = {row[0] for _, row in result}
    seconds = time.perf_counter() - start
    for side in sides:
        side.database.close()
    if len(keys) != different:
        raise AssertionError(f"reladiff found {len(keys)} of {different} differences")
    return seconds


async def _equal_sides(legacy: str, new: str, ledger: Path) -> Opened:
    """Two equal tables that count as copied."""
    opened = await _opened(legacy, new, "customers", dict, ledger)
    await opened.ledger.transact(_covered)
    return opened


async def _copied(legacy: str, new: str, ledger: Path, rows: int) -> Opened:
    """A table that the product has copied through a mapping, digests kept."""
    opened = await _opened(legacy, new, "mapped", through_python, ledger)
    await opened.ledger.transact(partial(start_sweep, entity=ENTITY, at=0.0))
    worker = BackfillWorker(opened.ledger, opened.sides, Hooks(), opened.seams, "bench")
    while await worker.step():
        pass
    if not is_complete(opened.ledger.look(lambda one: one.entity(ENTITY)).coverage):
        raise AssertionError("the backfill did not end")
    kept = pairs_of(opened.sides.entities[ENTITY].new)
    sums = None if kept is None else await kept.sums([])
    if sums is None or sum(one.rows for one in sums.sums) != rows:
        raise AssertionError("the backfill kept no digests")
    return opened


async def _opened(
    legacy: str,
    new: str,
    table: str,
    mapping: Mapping,
    ledger_file: Path,
) -> Opened:
    seams = Seams(SystemClock(), SystemRandomness(), TaskOwner(), unarmed)
    databases = SqlDatabases("bench")
    entity = Entity(
        name=ENTITY,
        legacy=SqlTable(legacy, "customers", key="id"),
        new=SqlTable(new, table, key="id"),
        to_new=mapping,
        to_legacy=mapping,
    )
    stores = {}
    by_side = {}
    for side in Side:
        described = entity.store(side)
        assert isinstance(described, SqlTable)
        database = databases.at(described.url)
        by_side[side] = (database,)
        stores[side] = await open_sql_store(described, entity=ENTITY, database=database)
    ledger = open_ledger(ledger_file, clock=seams.clock, randomness=seams.randomness)
    identity = ledger.identity
    for database in by_side[Side.NEW]:
        await database.prepare()
        await database.adopt(StoreEpoch(identity.ledger_id, identity.incarnation, 1))
    await ledger.transact(_begun)
    both = EntityStores(entity, stores[Side.LEGACY], stores[Side.NEW])
    return Opened(
        ledger, Sides({ENTITY: both}, by_side, dict.fromkeys(Side, 1.0)), seams, databases
    )


def _begun(rows: Rows) -> None:
    rows.set_migration(MigrationState(stage=Stage.SHADOW, epoch=1, barrier_passed=True))


def _covered(rows: Rows) -> None:
    rows.set_entity(replace(rows.entity(ENTITY), coverage=(EVERY_KEY,), covered_at=1))


@contextmanager
def _database() -> Iterator[str]:
    """An empty database of its own, dropped afterwards."""
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
