"""Processes that copy pages: killed, hanging, raising or printing, none of them stops a sweep."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import psycopg
import pytest

from crossfade.backfill.options import BackfillOptions
from tests.integration.bulk.sweeping import Sweeping, sweeping, write_definition
from tests.servers import run_postgres

ROWS = 600
OPTIONS = BackfillOptions(processes=2, chunk_rows=100, process_chunk_rows=100, idle_seconds=0.05)
HASTY = BackfillOptions(
    processes=2, chunk_rows=100, process_chunk_rows=100, idle_seconds=0.05, page_seconds_max=4.0
)


def _tables(legacy: str, new: str, rows: int = ROWS) -> None:
    run_postgres(
        legacy,
        "CREATE TABLE thing_old (id bigint PRIMARY KEY, note text)",
        f"INSERT INTO thing_old SELECT n, 'note ' || n FROM generate_series(1, {rows}) n",  # noqa: S608 - made up here
    )
    run_postgres(new, "CREATE TABLE thing (id bigint PRIMARY KEY, note text NOT NULL)")


def _copied(new: str) -> dict[int, str]:
    with psycopg.connect(new) as connection:
        return dict(connection.execute("SELECT id, note FROM thing").fetchall())


def _expected(*but: int) -> dict[int, str]:
    return {number: f"note {number}" for number in range(1, ROWS + 1) if number not in but}


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def _ended(pids: list[int]) -> None:
    until = time.monotonic() + 10
    while any(map(_is_alive, pids)):
        assert time.monotonic() < until
        await asyncio.sleep(0.02)


async def test_two_processes_copy_everything_and_tell_what_they_could_not(
    postgres_url: str, second_postgres_url: str, tmp_path: Path
) -> None:
    """What the mapping or the mirror refuses is set aside; so are keys of the mirror alone."""
    _tables(postgres_url, second_postgres_url)
    run_postgres(second_postgres_url, "INSERT INTO thing VALUES (7, 'old'), (9999, 'extra')")
    body = (
        "    if row['id'] == 50: raise ValueError(row['note'])\n"
        "    if row['id'] == 333: return {'id': 333, 'note': None}\n"
        "    print('a mapping may print')\n"
        "    return {'id': row['id'], 'note': row['note']}"
    )
    file = write_definition(tmp_path, postgres_url, second_postgres_url, body=body)
    async with sweeping(tmp_path, file, OPTIONS) as sweep:
        await sweep.run()

        assert sweep.failures == []
        assert _copied(second_postgres_url) == {**_expected(50, 333), 9999: "extra"}
        reasons = sweep.quarantined()
        assert set(reasons) == {50, 333}
        assert "ValueError" in reasons[50]
        assert "NULL" in reasons[333]
        assert sweep.ledger.look(lambda rows: rows.key("thing", (9999,))).dirty
        pids = sweep.pids
        assert len(pids) == 2
    await _ended(pids)


async def test_a_process_that_is_killed_in_mid_chunk_is_replaced(
    postgres_url: str, second_postgres_url: str, tmp_path: Path
) -> None:
    """Its chunks are run again under higher tokens, and nothing is lost."""
    _tables(postgres_url, second_postgres_url)
    top = f"import os, pathlib, time\nmark = pathlib.Path({str(tmp_path / 'killed')!r})"
    body = (
        "    if row['id'] == 350 and not mark.exists():\n"
        "        mark.touch()\n"
        "        os.kill(os.getpid(), 9)\n"
        "    return {'id': row['id'], 'note': row['note']}"
    )
    file = write_definition(tmp_path, postgres_url, second_postgres_url, body=body, top=top)
    async with sweeping(tmp_path, file, OPTIONS) as sweep:
        await sweep.run()

        assert any("ProcessLostError" in failure for failure in sweep.failures)
        assert _copied(second_postgres_url) == _expected()
        assert sweep.quarantined() == {}


async def test_a_row_that_no_process_survives_is_set_aside(
    postgres_url: str, second_postgres_url: str, tmp_path: Path
) -> None:
    """Pages shrink around it until it is alone; the sweep goes on without it."""
    _tables(postgres_url, second_postgres_url)
    body = (
        "    if row['id'] == 123: os._exit(1)\n    return {'id': row['id'], 'note': row['note']}"
    )
    file = write_definition(
        tmp_path, postgres_url, second_postgres_url, body=body, top="import os"
    )
    async with sweeping(tmp_path, file, OPTIONS) as sweep:
        await sweep.run()

        assert set(sweep.quarantined()) == {123}
        assert _copied(second_postgres_url) == _expected(123)


async def test_a_process_that_hangs_is_ended(
    postgres_url: str, second_postgres_url: str, tmp_path: Path
) -> None:
    """After its time its chunk is run again by another one."""
    _tables(postgres_url, second_postgres_url)
    top = f"import pathlib, time\nmark = pathlib.Path({str(tmp_path / 'hung')!r})"
    body = (
        "    if row['id'] == 250 and not mark.exists():\n"
        "        mark.touch()\n"
        "        time.sleep(1000)\n"
        "    return {'id': row['id'], 'note': row['note']}"
    )
    file = write_definition(tmp_path, postgres_url, second_postgres_url, body=body, top=top)
    async with sweeping(tmp_path, file, HASTY) as sweep:
        await sweep.run()

        assert any("took longer" in failure for failure in sweep.failures)
        assert _copied(second_postgres_url) == _expected()


async def test_closing_ends_processes_in_the_midst_of_their_work(
    postgres_url: str, second_postgres_url: str, tmp_path: Path
) -> None:
    """Even those whose mapping never returns: no process outlives the node."""
    _tables(postgres_url, second_postgres_url)
    body = "    time.sleep(1000)"
    file = write_definition(
        tmp_path, postgres_url, second_postgres_url, body=body, top="import time"
    )
    async with sweeping(tmp_path, file, OPTIONS) as sweep:
        asked = asyncio.ensure_future(sweep.run())
        until = time.monotonic() + 20
        while len(sweep.pids) < 2:
            assert time.monotonic() < until
            await asyncio.sleep(0.02)
        pids = sweep.pids
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
    await _ended(pids)


async def test_processes_end_with_a_node_that_was_killed(
    postgres_url: str, second_postgres_url: str, tmp_path: Path
) -> None:
    """Nobody is left to end them: they notice by themselves, whatever their mapping does."""
    _tables(postgres_url, second_postgres_url)
    body = "    time.sleep(1000)"
    file = write_definition(
        tmp_path, postgres_url, second_postgres_url, body=body, top="import time"
    )
    code = (
        "import asyncio, sys, pathlib\n"
        "from tests.integration.bulk.sweeping import sweeping\n"
        "from tests.integration.bulk.test_processes import OPTIONS, told\n"
        "asyncio.run(told(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))\n"
    )
    node = await asyncio.create_subprocess_exec(
        *("python", "-c", code, str(tmp_path), str(file)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    assert node.stdout is not None
    async with asyncio.timeout(30):
        pids = [int(word) for word in (await node.stdout.readline()).split()]
    node.send_signal(signal.SIGKILL)
    await node.wait()

    assert len(pids) == 2
    await _ended(pids)


async def told(folder: Path, file: Path) -> None:
    """Run a sweep that never ends, and tell its processes; run in a process of its own."""
    async with sweeping(folder, file, OPTIONS) as sweep:
        asked = asyncio.ensure_future(sweep.run())
        while len(sweep.pids) < 2:  # noqa: ASYNC110 - nobody tells when they have begun
            await asyncio.sleep(0.02)
        # Their first page has begun by then.
        await asyncio.sleep(1.0)
        sys.stdout.write(f"{sweep.pids[0]} {sweep.pids[1]}\n")
        sys.stdout.flush()
        await asked


async def test_a_definition_that_cannot_be_loaded_there_is_told(
    postgres_url: str, second_postgres_url: str, tmp_path: Path
) -> None:
    """The step fails with the reason, and nothing was put."""
    _tables(postgres_url, second_postgres_url)
    file = write_definition(tmp_path, postgres_url, second_postgres_url)
    async with sweeping(tmp_path, file, OPTIONS) as sweep:
        file.write_text("raise ValueError('broken')")
        with pytest.raises(AssertionError, match="broken"):
            await _briefly(sweep)
        assert _copied(second_postgres_url) == {}


async def _briefly(sweep: Sweeping) -> None:
    """Run until something failed."""
    asked = asyncio.ensure_future(sweep.run())
    until = time.monotonic() + 20
    while not sweep.failures and not asked.done():
        assert time.monotonic() < until
        await asyncio.sleep(0.02)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    raise AssertionError(sweep.failures)


async def test_another_epoch_stops_the_processes_puts(
    postgres_url: str, second_postgres_url: str, tmp_path: Path
) -> None:
    """A flip elsewhere: nothing is put, nothing is covered, and that is no failure."""
    _tables(postgres_url, second_postgres_url)
    file = write_definition(tmp_path, postgres_url, second_postgres_url)
    async with sweeping(tmp_path, file, OPTIONS) as sweep:
        run_postgres(second_postgres_url, "UPDATE crossfade_epoch SET epoch = 2")
        asked = asyncio.ensure_future(sweep.run())
        await asyncio.sleep(3.0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)

        assert _copied(second_postgres_url) == {}
        assert not sweep.covered()
        assert sweep.failures == []
