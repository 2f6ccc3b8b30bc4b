"""What goes wrong on real servers in mid-sweep: never a stopped sweep, never half a chunk."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from crossfade.backfill.options import BackfillOptions
from tests.integration.bulk.sweeping import Sweeping, sweeping, write_definition
from tests.servers import POSTGRES, mariadb_connection, run_mariadb, run_postgres

ROWS = 400
OPTIONS = BackfillOptions(chunk_rows=100, idle_seconds=0.05, read_ahead=True)


def _legacy(url: str, *statements: str, rows: int = ROWS, table: str = "thing_old") -> None:
    run_postgres(
        url,
        f"CREATE TABLE {table} (id bigint PRIMARY KEY, note text)",
        f"INSERT INTO {table} SELECT n, 'note ' || n FROM generate_series(1, {rows}) n",  # noqa: S608 - the same
        *statements,
    )


def _copied(new: str, table: str = "thing") -> dict[int, str]:
    with psycopg.connect(new) as connection:
        found = connection.execute(f"SELECT id, note FROM {table}")  # noqa: S608 - our own name
        return dict(found.fetchall())


def _expected(*but: int) -> dict[int, str]:
    return {number: f"note {number}" for number in range(1, ROWS + 1) if number not in but}


def _shown(sweep: Sweeping, entity: str) -> str:
    """What the entity's sweep waits for, as people see it."""
    return {one.entity: one.waits_for for one in sweep.worker.progress()}[entity] or ""


async def _until(condition: Callable[[], Any]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        await asyncio.sleep(0.02)


@asynccontextmanager
async def _waiting(
    new: str, tmp_path: Path, legacy: str
) -> AsyncIterator[tuple[Sweeping, Any, int, "asyncio.Task[None]"]]:
    """A sweep in whose way somebody's transaction has locked row 250; the waiting backend too."""
    _legacy(legacy)
    run_postgres(
        new,
        "CREATE TABLE thing (id bigint PRIMARY KEY, note text)",
        "INSERT INTO thing VALUES (250, 'theirs')",
    )
    file = write_definition(tmp_path, legacy, new)
    async with sweeping(tmp_path, file, OPTIONS) as sweep:
        with psycopg.connect(new) as other, psycopg.connect(new, autocommit=True) as watch:
            other.execute("SET deadlock_timeout = '20s'")
            other.execute("SELECT FROM thing WHERE id = 250 FOR UPDATE")
            asked = asyncio.ensure_future(sweep.run())

            def blocked() -> list[Any]:
                return watch.execute(
                    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                    "AND wait_event_type = 'Lock'"
                ).fetchall()

            await _until(blocked)
            yield sweep, other, blocked()[0][0], asked
            other.rollback()
            await asked


async def test_a_deadlock_repeats_the_chunk(
    postgres_url: str, second_postgres_url: str, tmp_path: Path
) -> None:
    """The server ends our transaction; nothing of it is left, and the chunk is run again."""
    async with _waiting(second_postgres_url, tmp_path, postgres_url) as (sweep, other, _, _asked):
        # They want a fence that we hold, we want a row that they hold.
        await asyncio.to_thread(
            other.execute,
            "INSERT INTO crossfade_fence (migration, entity, key, token) "
            "VALUES ('shop', 'thing', '[220]', 0)",
        )
        await _until(lambda: sweep.failures)
        assert "deadlock" in sweep.failures[0]

    assert _copied(second_postgres_url) == _expected()


async def test_a_lock_that_stays_repeats_the_chunk(
    postgres_url: str, second_postgres_url: str, tmp_path: Path
) -> None:
    """After its time the wait ends as unreachable, and the next run of the chunk gets through."""
    async with _waiting(second_postgres_url, tmp_path, postgres_url) as (sweep, _, _pid, _asked):
        await _until(lambda: sweep.failures)
        assert "locked" in sweep.failures[0]
        assert set(_copied(second_postgres_url)) == {*range(1, 201), 250}

    assert _copied(second_postgres_url) == _expected()


async def test_a_connection_lost_in_mid_chunk_repeats_it(
    postgres_url: str, second_postgres_url: str, tmp_path: Path
) -> None:
    """Under a higher token; what the lost transaction had put is not there."""
    async with _waiting(second_postgres_url, tmp_path, postgres_url) as (
        sweep,
        other,
        pid,
        _asked,
    ):
        other.execute("SELECT pg_terminate_backend(%s)", (pid,))
        await _until(lambda: sweep.failures)

    assert _copied(second_postgres_url) == _expected()
    with psycopg.connect(second_postgres_url) as connection:
        fences = connection.execute("SELECT count(*) FROM crossfade_fence").fetchone()
    assert fences == (ROWS,)


@pytest.mark.parametrize("code", ["53100", "53200"])
async def test_a_full_disk_repeats_the_chunk(
    postgres_url: str, second_postgres_url: str, tmp_path: Path, code: str
) -> None:
    """The server's error, raised where a row is written; once there is room the sweep goes on."""
    _legacy(postgres_url)
    run_postgres(
        second_postgres_url,
        "CREATE TABLE thing (id bigint PRIMARY KEY, note text)",
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$BEGIN RAISE 'could not extend file' USING ERRCODE = '{code}'; END$$",
        "CREATE TRIGGER fail BEFORE INSERT ON thing FOR EACH ROW WHEN (NEW.id = 250) "
        "EXECUTE FUNCTION fail()",
    )
    file = write_definition(tmp_path, postgres_url, second_postgres_url)
    async with sweeping(tmp_path, file, OPTIONS) as sweep:
        asked = asyncio.ensure_future(sweep.run())
        await _until(lambda: sweep.failures)
        assert len(_copied(second_postgres_url)) % 100 == 0
        run_postgres(second_postgres_url, "DROP TRIGGER fail ON thing")
        await asked

        assert _copied(second_postgres_url) == _expected()
        assert sweep.quarantined() == {}


async def test_a_missing_right_on_one_table_stops_no_other(
    postgres_url: str, second_postgres_url: str, tmp_path: Path
) -> None:
    """The entity fails with the statement that grants the right; the other one is copied."""
    _legacy(postgres_url)
    _legacy(postgres_url, table="other_old")
    role = f"crossfade_{tmp_path.name[:20]}".replace("-", "_").lower()
    run_postgres(
        second_postgres_url,
        "CREATE TABLE thing (id bigint PRIMARY KEY, note text)",
        "CREATE TABLE other (id bigint PRIMARY KEY, note text)",
        f"DROP ROLE IF EXISTS {role}",
        f"CREATE ROLE {role} LOGIN",
        f"GRANT ALL ON other TO {role}",
        f"GRANT SELECT ON thing TO {role}",
        f"GRANT CREATE, USAGE ON SCHEMA public TO {role}",
    )
    url = second_postgres_url.replace("postgres@", f"{role}@")
    file = write_definition(tmp_path, postgres_url, url, entities=("thing", "other"))
    try:
        async with sweeping(tmp_path, file, OPTIONS) as sweep:
            await sweep.start("thing", "other")
            worker = asyncio.ensure_future(sweep.worker.run())
            try:
                await _until(lambda: sweep.covered("other"))
                assert not sweep.covered("thing")
                await _until(lambda: "GRANT" in _shown(sweep, "thing"))
                run_postgres(second_postgres_url, f"GRANT ALL ON thing TO {role}")
                await _until(lambda: sweep.covered("thing"))
            finally:
                worker.cancel()
                await asyncio.gather(worker, return_exceptions=True)
        assert _copied(second_postgres_url) == _expected()
        assert _copied(second_postgres_url, "other") == _expected()
    finally:
        run_postgres(second_postgres_url, f"DROP OWNED BY {role} CASCADE", f"DROP ROLE {role}")


async def test_text_that_the_encoding_cannot_hold_is_set_aside(
    postgres_url: str, tmp_path: Path
) -> None:
    """A database in LATIN1 takes every row but those with other characters."""
    name = f"crossfade_test_latin_{time.monotonic_ns()}"
    run_postgres(
        f"{POSTGRES}/postgres",
        f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
    )
    try:
        new = f"{POSTGRES}/{name}"
        _legacy(
            postgres_url,
            "UPDATE thing_old SET note = 'Zürich' WHERE id = 5",
            "UPDATE thing_old SET note = '€ 😀' WHERE id IN (6, 350)",
        )
        run_postgres(new, "CREATE TABLE thing (id bigint PRIMARY KEY, note text)")
        file = write_definition(tmp_path, postgres_url, new)
        async with sweeping(tmp_path, file, OPTIONS) as sweep:
            await sweep.run()

            reasons = sweep.quarantined()
            assert set(reasons) == {6, 350}
            assert "encoding" in reasons[6]
            assert _copied(new) == {**_expected(6, 350), 5: "Zürich"}
    finally:
        run_postgres(f"{POSTGRES}/postgres", f"DROP DATABASE {name} WITH (FORCE)")


async def test_rows_that_maria_cannot_hold_are_set_aside(
    postgres_url: str, mariadb_url: str, tmp_path: Path
) -> None:
    """A row over the packet limit, text too long for its column, a number out of range."""
    with mariadb_connection(mariadb_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@max_allowed_packet")
        row = cursor.fetchone()
    assert row is not None
    _legacy(
        postgres_url,
        f"UPDATE thing_old SET note = repeat('x', {int(row[0]) + 1000}) WHERE id = 77",  # noqa: S608 - made up here
        "UPDATE thing_old SET note = '😀' WHERE id = 78",
        "UPDATE thing_old SET note = 'bad' WHERE id = 79",
    )
    run_mariadb(
        mariadb_url, "CREATE TABLE thing (id bigint PRIMARY KEY, note longtext, n tinyint)"
    )
    body = (
        "    return {'id': row['id'], 'note': row['note'], "
        "'n': 300 if row['note'] == 'bad' else 1}"
    )
    file = write_definition(tmp_path, postgres_url, mariadb_url, body=body)
    async with sweeping(tmp_path, file, OPTIONS) as sweep:
        await sweep.run()

        assert set(sweep.quarantined()) == {77, 79}
        with mariadb_connection(mariadb_url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id, note FROM thing")
            found = dict(cursor.fetchall())
    assert found == {**_expected(77, 79), 78: "😀"}


async def test_large_rows_are_read_a_few_at_a_time(
    postgres_url: str, second_postgres_url: str, tmp_path: Path
) -> None:
    """A chunk of large rows has several pages, and all of it arrives."""
    _legacy(postgres_url, "UPDATE thing_old SET note = repeat('x', 100000)")
    run_postgres(second_postgres_url, "CREATE TABLE thing (id bigint PRIMARY KEY, note text)")
    file = write_definition(tmp_path, postgres_url, second_postgres_url)
    small = BackfillOptions(chunk_rows=200, page_bytes_max=1_000_000)
    asked: list[int] = []
    async with sweeping(tmp_path, file, small) as sweep:
        stores = sweep.worker._sides.entities["thing"].legacy  # noqa: SLF001 - to see its pages
        reading = stores._reading  # type: ignore[attr-defined]  # noqa: SLF001 - the same
        first = reading._first  # noqa: SLF001 - the same

        def seen(cursor: Any, answer: Any, range_: Any, rows_max: int) -> Any:  # noqa: ANN401 - any kind of value
            asked.append(rows_max)
            return first(cursor, answer, range_, rows_max)

        reading._first = seen  # noqa: SLF001 - the same
        digests = getattr(stores, "_digests", None)
        if digests is not None:
            rows = digests._rows  # noqa: SLF001 - the same

            def told(cursor: Any, digest: Any, answer: Any, range_: Any, most: int) -> Any:  # noqa: ANN401 - any kind of value
                asked.append(most)
                return rows(cursor, digest, answer, range_, most)

            digests._rows = told  # noqa: SLF001 - the same
        await sweep.run()

        with psycopg.connect(second_postgres_url) as connection:
            lengths = connection.execute(
                "SELECT count(*), min(length(note)) FROM thing"
            ).fetchone()
    assert lengths == (ROWS, 100_000)
    assert min(asked) <= 10
