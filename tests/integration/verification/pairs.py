"""Two real databases with the same things under other names, copied, and what verifies them."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from crossfade.convergence.sides import EntityStores, Sides
from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.verdicts import Verdict
from crossfade.model.column_mapping import columns
from crossfade.model.entity import Entity, Mapping
from crossfade.model.key import EVERY_KEY
from crossfade.model.migration_state import MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.model.store_description import SqlTable
from crossfade.model.verification_way import AskedWay
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams
from crossfade.seams.failpoint import unarmed
from crossfade.seams.randomness import SeededRandomness
from crossfade.seams.tasks import TaskOwner
from crossfade.store.base import Fence, Record, Store, StoreEpoch
from crossfade.store.sql import SqlDatabase, SqlDatabases, open_sql_store
from crossfade.testing.manual_clock import ManualClock
from crossfade.verification.options import VerificationOptions
from crossfade.verification.verifier import Verifier
from tests.servers import mariadb_connection

THINGS = "things"
NAMES = {
    "id": "thing_id",
    "owner": "owner_id",
    "note": "remark",
    "placed": "placed_at",
    "weight": "mass",
    "total": "sum",
    "code": "number",
    "flag": "is_open",
    "day": "born",
    "raw": "bytes",
    "tags": "labels",
}
"""Each column on legacy, and on new."""

_TYPES = {
    "sqlite": ("INTEGER", "INTEGER", "TEXT", "TEXT", "REAL", "DECIMAL(12, 2)", "TEXT", "INTEGER",
               "TEXT", "BLOB", "TEXT"),
    "postgres": ("bigint", "bigint", "text", "timestamptz", "double precision", "numeric(12, 2)",
                 "varchar(40)", "boolean", "date", "bytea", "text"),
    "mariadb": ("bigint", "bigint", "varchar(200) COLLATE utf8mb4_bin", "timestamp(6) NULL",
                "double", "decimal(12, 2)", "varchar(40)", "tinyint(1)",
                "date", "varbinary(40)", "text"),
}  # fmt: skip
"""Types of these columns by engine."""

ENGINES = ("sqlite", "postgres", "mariadb")
PLACED = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)


def make_thing(number: int, *, as_text: bool) -> Record:
    """A thing as legacy has it; times are text where one of the engines has no type for them."""
    placed = PLACED + timedelta(minutes=number, microseconds=number)
    day = date(2026, 1, 1) + timedelta(days=number)
    return {
        "id": number,
        "owner": (100 + number % 7) * (-1 if number % 2 else 1),
        "note": None if number % 3 == 0 else "" if number % 5 == 0 else f"Ku\u0308che {number} |",
        "placed": placed.isoformat() if as_text else placed,
        "weight": number / 7,
        "total": Decimal(number) / 4,
        "code": f"{number}.0",
        "flag": number % 4 == 0,
        "day": day.isoformat() if as_text else day,
        "raw": b"" if number % 5 == 0 else bytes([number % 256, 0, 255]),
        "tags": f'["a{number}", "b"]',
    }


def through_python(names: Sequence[str]) -> tuple[Mapping, Mapping]:
    """The same renaming as functions, of which nobody knows that no value changes."""
    there = {name: NAMES[name] for name in names}
    back = {new: name for name, new in there.items()}
    return (
        lambda record: {new: record[name] for name, new in there.items()},
        lambda record: {name: record[new] for new, name in back.items()},
    )


@dataclass(slots=True)
class Pair:
    """One entity on two engines."""

    legacy: Store
    new: Store
    entity: Entity
    databases: dict[Side, SqlDatabase]
    run: dict[Side, Callable[[str], None]]
    """Runs a statement as somebody who bypasses us."""
    names: tuple[str, ...]
    opened: SqlDatabases

    async def fill(self, things: Sequence[Record]) -> None:
        """Put things on both sides, as a copy would have."""
        fence = Fence(1, 1)
        for start in range(0, len(things), 100):
            part = [
                ((int(one["id"]),), {name: one[name] for name in self.names})
                for one in things[start : start + 100]
            ]
            await self.legacy.put_many(part, fence)
            read = [(key, await self.legacy.read(key)) for key, _ in part]
            mapped = [(key, self.entity.to_new(record)) for key, record in read if record]
            result = await self.new.put_many(mapped, fence)
            assert result.result.reason == ""

    async def verify(
        self,
        way: AskedWay,
        *,
        mark: Callable[[Rows], None] | None = None,
        fraction: float = 1.0,
    ) -> Verdict:
        """A verification in a ledger of its own, so that one leaves no trace for the next."""
        ledger, clock = MemoryLedger(), ManualClock()
        seams = Seams(clock, SeededRandomness(1), TaskOwner(), unarmed)
        ledger.apply(_begun)
        if mark is not None:
            ledger.apply(mark)
        stores = EntityStores(self.entity, self.legacy, self.new)
        sides = Sides(
            {THINGS: stores},
            {side: (database,) for side, database in self.databases.items()},
            dict.fromkeys(Side, 1.0),
        )
        options = VerificationOptions(
            page_rows=20, sum_rows=60, part_rows=15, read_keys_max=5, distrust_rows=3
        )
        return await Verifier(ledger, sides, Hooks(), seams, options).verify(THINGS, fraction, way)


def _begun(rows: Rows) -> None:
    rows.set_migration(MigrationState(stage=Stage.SHADOW, epoch=1, barrier_passed=True))
    state = rows.entity(THINGS)
    rows.set_entity(replace(state, coverage=(EVERY_KEY,), covered_at=1))


class Engines:
    """Makes pairs on the engines that a test asks for."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self._request = request
        self._folder = folder

    async def pair(
        self, legacy: str, new: str, *, declared: bool, without: Sequence[str] = ()
    ) -> Pair:
        """A pair of empty tables on two engines.

        Args:
            legacy: legacy's engine.
            new: new's.
            declared: whether the mapping is `columns`, not a function.
            without: columns that the tables do not have.

        """
        names = tuple(name for name in NAMES if name not in without)
        urls = {Side.LEGACY: self._url(legacy, "legacy"), Side.NEW: self._url(new, "new")}
        tables = {Side.LEGACY: "Things", Side.NEW: "new_things"}
        opened = SqlDatabases("shop")
        stores: dict[Side, Store] = {}
        databases: dict[Side, SqlDatabase] = {}
        run: dict[Side, Callable[[str], None]] = {}
        for side, engine in ((Side.LEGACY, legacy), (Side.NEW, new)):
            url = urls[side]
            run[side] = _runner(engine, url)
            run[side](_table(engine, tables[side], side, names))
            databases[side] = opened.at(url)
            await databases[side].prepare()
            await databases[side].raise_epoch(StoreEpoch("ledger-1", 1, 1))
            table = SqlTable(url, tables[side], key=_name("id", side))
            stores[side] = await open_sql_store(table, entity=THINGS, database=databases[side])
        renamed = columns({name: NAMES[name] for name in names})
        there, back = (renamed, renamed.inverse()) if declared else through_python(names)
        entity = Entity(
            THINGS,
            SqlTable(urls[Side.LEGACY], tables[Side.LEGACY], key="id"),
            SqlTable(urls[Side.NEW], tables[Side.NEW], key=NAMES["id"]),
            there,
            back,
        )
        return Pair(
            stores[Side.LEGACY], stores[Side.NEW], entity, databases, run, names, opened
        )  # fmt: skip

    def _url(self, engine: str, side: str) -> str:
        if engine == "sqlite":
            path = self._folder / f"{side}.db"
            path.touch()
            return str(path)
        first = {"postgres": "postgres_url", "mariadb": "mariadb_url"}[engine]
        wanted = f"second_{first}" if side == "new" else first
        url: str = self._request.getfixturevalue(wanted)
        return url


def _name(name: str, side: Side) -> str:
    return name if side is Side.LEGACY else NAMES[name]


def _table(engine: str, table: str, side: Side, names: Sequence[str]) -> str:
    mark = "`" if engine == "mariadb" else '"'
    parts = [
        f"{mark}{_name(name, side)}{mark} {kind}{' PRIMARY KEY' if name == 'id' else ''}"
        for name, kind in zip(NAMES, _TYPES[engine], strict=True)
        if name in names
    ]
    return f"CREATE TABLE {mark}{table}{mark} ({', '.join(parts)})"


def _runner(engine: str, url: str) -> Callable[[str], None]:
    def in_sqlite(statement: str) -> None:
        connection = sqlite3.connect(url)
        try:
            connection.execute(statement)
            connection.commit()
        finally:
            connection.close()

    def in_postgres(statement: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement.encode())

    def in_mariadb(statement: str) -> None:
        connection = mariadb_connection(url)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET time_zone = '+00:00', sql_mode = 'ANSI_QUOTES'")
                cursor.execute(statement)
        finally:
            connection.close()

    return {"sqlite": in_sqlite, "postgres": in_postgres, "mariadb": in_mariadb}[engine]
