"""Every way in which a database fails: bounded, told apart, and never with a row's values."""

import asyncio
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from crossfade.errors import (
    ConfigurationError,
    StoreError,
    StoreOutcomeUnknownError,
    StoreUnreachableError,
)
from crossfade.model.key import Key
from crossfade.model.store_description import SqlTable
from crossfade.store.base import PutStatus, StoreEpoch
from crossfade.store.sql import (
    SqlDatabase,
    SqlDatabases,
    SqlOptions,
    SqlStore,
    open_sql_store,
)
from crossfade.store.sqlite_dialect import SqliteDialect
from tests.unit.store.sqlite_files import FENCE, opened_database, opened_store, run

IMPATIENT = SqlOptions(busy_seconds_max=0.05)


@pytest.fixture
def thing(tmp_path: Path) -> SqlTable:
    """A table in a file."""
    path = tmp_path / "service.db"
    run(path, "CREATE TABLE Thing (Id INTEGER PRIMARY KEY, Name TEXT)")
    return SqlTable(str(path), "Thing", key="Id")


async def test_a_locked_database_is_unreachable_and_unchanged(thing: SqlTable) -> None:
    """After the busy time-out, not before, and the next put succeeds."""
    async with opened_store(thing, IMPATIENT) as store:
        blocker = sqlite3.connect(thing.url, isolation_level=None)
        blocker.execute("BEGIN EXCLUSIVE")
        try:
            with pytest.raises(StoreUnreachableError, match="is locked by somebody else"):
                await store.put((1,), {"Name": "a"}, FENCE)
            with pytest.raises(StoreUnreachableError, match="is locked by somebody else"):
                await store.read((1,))
        finally:
            blocker.close()

        assert (await store.put((1,), {"Name": "a"}, FENCE)).status is PutStatus.OK


async def test_a_reader_that_blocks_the_commit_leaves_nothing_behind(thing: SqlTable) -> None:
    """The commit found a lock, so it certainly did not happen."""
    async with opened_store(thing, IMPATIENT) as store:
        reader = sqlite3.connect(thing.url, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM Thing").fetchall()
        try:
            with pytest.raises(StoreUnreachableError):
                await store.put((1,), {"Name": "a"}, FENCE)
        finally:
            reader.close()

        assert await store.read((1,)) is None


async def test_the_event_loop_goes_on_while_the_database_waits(thing: SqlTable) -> None:
    """A lock held by somebody else stops no other request."""
    async with opened_store(thing, SqlOptions(busy_seconds_max=5)) as store:
        blocker = sqlite3.connect(thing.url, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        put = asyncio.ensure_future(store.put((1,), {"Name": "a"}, FENCE))
        turns = 0
        for _ in range(50):
            await asyncio.sleep(0)
            turns += not put.done()
        blocker.close()

        assert turns == 50
        assert (await put).status is PutStatus.OK


async def test_a_commit_that_fails_otherwise_has_an_unknown_outcome(
    thing: SqlTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a put with a higher token settles it; the store goes on with a new connection."""

    def fail(*_: object) -> None:
        error = sqlite3.OperationalError("disk I/O error near 'hunter2'")
        error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
        raise error

    async with opened_store(thing) as store:
        with monkeypatch.context() as patch:
            patch.setattr(SqliteDialect, "commit", fail)
            with pytest.raises(StoreOutcomeUnknownError) as caught:
                await store.put((1,), {"Name": "hunter2"}, FENCE)

        assert "hunter2" not in str(caught.value)
        assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
        assert (await store.put((1,), {"Name": "a"}, FENCE)).status is PutStatus.OK


async def test_a_process_that_names_its_ledger_puts_into_no_other_one_s(thing: SqlTable) -> None:
    """Also where the database was down when the process began, so that it raised no epoch."""
    async with opened_database(Path(thing.url)):
        ours = SqlDatabases("shop", ledger=("ledger-2", 1))
        store = await open_sql_store(thing, entity="thing", database=ours.at(thing.url))

        result = await store.put((1,), {"Name": "a"}, FENCE)

        assert result.status is PutStatus.FENCED_EPOCH
        assert await store.read((1,)) is None
        await ours.close()


async def test_a_file_that_vanished_is_unreachable(thing: SqlTable, tmp_path: Path) -> None:
    """Not silently written to under its removed name."""
    async with opened_store(thing) as store:
        await store.put((1,), {"Name": "a"}, FENCE)
        shutil.move(thing.url, tmp_path / "moved.db")

        with pytest.raises(StoreUnreachableError, match="is gone"):
            await store.put((2,), {"Name": "b"}, FENCE)
        with pytest.raises(StoreUnreachableError, match="is gone"):
            await store.read((1,))

        shutil.move(tmp_path / "moved.db", thing.url)
        assert await store.read((1,)) == {"Id": 1, "Name": "a"}


async def test_a_restored_file_is_noticed(thing: SqlTable, tmp_path: Path) -> None:
    """What is put goes into the file of that name, whose epoch is its own."""
    backup = tmp_path / "backup.db"
    async with opened_store(thing) as store:
        shutil.copyfile(thing.url, backup)
        run(backup, "UPDATE crossfade_epoch SET epoch = 0")
        await store.put((1,), {"Name": "a"}, FENCE)
        shutil.move(backup, thing.url)

        result = await store.put((2,), {"Name": "b"}, FENCE)

        assert result.status is PutStatus.FENCED_EPOCH
        assert await store.read((1,)) is None


async def test_tables_that_were_dropped_under_way_are_told_apart(thing: SqlTable) -> None:
    """Our own: unreachable until somebody prepares again. The service's: an error."""
    async with opened_store(thing) as store:
        run(Path(thing.url), "DROP TABLE crossfade_fence")
        with pytest.raises(StoreUnreachableError, match="crossfade_fence"):
            await store.put((1,), {"Name": "a"}, FENCE)

        run(Path(thing.url), "DROP TABLE Thing")
        with pytest.raises(StoreError, match="crossfade doctor"):
            await store.read((1,))


async def test_a_damaged_file_is_no_unreachable_one(thing: SqlTable) -> None:
    """Trying again would not help."""
    async with opened_store(thing) as store:
        await store.put_many([((number,), {"Name": "x" * 500}) for number in range(200)], FENCE)
    _damage(Path(thing.url))

    database = SqlDatabase(thing.url, migration="shop")
    with pytest.raises(StoreError, match="is damaged"):
        await database.highest_token()
    await database.close()


async def test_calls_beyond_the_bound_are_refused_at_once(thing: SqlTable) -> None:
    """A queue in front of a stuck database does not grow for ever."""
    limits = SqlOptions(calls_waiting_max=3, busy_seconds_max=5)
    async with opened_store(thing, limits) as store:
        blocker = sqlite3.connect(thing.url, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        puts = [
            asyncio.ensure_future(store.put((number,), {"Name": "a"}, FENCE))
            for number in range(5)
        ]
        await asyncio.sleep(0)
        blocker.close()
        results = await asyncio.gather(*puts, return_exceptions=True)

    refused = [result for result in results if isinstance(result, StoreUnreachableError)]
    assert len(refused) == 2
    assert "calls_waiting_max" in str(refused[0])


async def test_a_put_that_hangs_is_in_doubt_and_keeps_its_thread(thing: SqlTable) -> None:
    """It may be applied later; more puts would only queue behind it, reads go on."""
    limits = SqlOptions(call_seconds_max=0.05, busy_seconds_max=5)
    async with opened_store(thing, limits) as store:
        blocker = sqlite3.connect(thing.url, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        began, waits = [
            asyncio.ensure_future(store.put((number,), {"Name": "a"}, FENCE)) for number in (1, 2)
        ]
        with pytest.raises(StoreOutcomeUnknownError, match=r"within 0\.05 s"):
            await began
        with pytest.raises(StoreUnreachableError, match=r"within 0\.05 s"):
            await waits

        with pytest.raises(StoreUnreachableError, match="hangs in every call"):
            await store.put((3,), {"Name": "a"}, FENCE)
        assert await store.read((1,)) is None
        blocker.close()
        await _until_there(store, (1,))

        assert (await store.put((3,), {"Name": "a"}, FENCE)).status is PutStatus.OK
        assert await store.read((2,)) is None


async def test_reads_that_hang_stop_neither_their_callers_nor_the_end(
    thing: SqlTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each ends in time, the threads are bounded, and closing does not wait for ever."""
    limits = SqlOptions(call_seconds_max=0.05, reader_connections_max=2)
    released = threading.Event()
    async with opened_store(thing, limits) as store:
        with monkeypatch.context() as patch:
            patch.setattr(SqliteDialect, "begin", lambda *_, **__: released.wait(10))
            ends = await asyncio.gather(
                *(store.read((1,)) for _ in range(4)), return_exceptions=True
            )
            assert [type(end) for end in ends] == [StoreUnreachableError] * 4
            with pytest.raises(StoreUnreachableError, match="hangs in every call"):
                await store.read((1,))
            assert threading.active_count() < 10
            async with asyncio.timeout(2):
                await store._database.close()  # noqa: SLF001 - a look inside
        released.set()


async def _until_there(store: SqlStore, key: Key) -> None:
    """The put that hung is applied by its own thread."""
    for _ in range(500):
        if await store.read(key) is not None:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it was never applied")


async def test_a_closed_database_refuses_calls(thing: SqlTable) -> None:
    """Those that waited, too; the one under way ends."""
    async with opened_database(Path(thing.url)) as database:
        await database.close()
        await database.close()

        with pytest.raises(StoreUnreachableError, match="was closed"):
            await database.epoch()


async def test_calls_that_wait_when_the_database_closes_are_told(thing: SqlTable) -> None:
    """They are not mistaken for calls that somebody cancelled."""
    async with opened_store(thing, SqlOptions(busy_seconds_max=5)) as store:
        blocker = sqlite3.connect(thing.url, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        puts = [
            asyncio.ensure_future(store.put((number,), {"Name": "a"}, FENCE))
            for number in range(3)
        ]
        await asyncio.sleep(0.01)
        closing = asyncio.ensure_future(store._database.close())  # noqa: SLF001
        await asyncio.sleep(0.01)
        blocker.close()
        results = await asyncio.gather(*puts, return_exceptions=True)
        await closing

    assert not isinstance(results[0], BaseException)
    assert [type(result) for result in results[1:]] == [StoreUnreachableError] * 2


async def test_a_cancelled_caller_is_cancelled(thing: SqlTable) -> None:
    """What it asked for may still happen; its fence makes that harmless."""
    async with opened_store(thing) as store:
        put = asyncio.ensure_future(store.put((1,), {"Name": "a"}, FENCE))
        await asyncio.sleep(0)
        put.cancel()

        with pytest.raises(asyncio.CancelledError):
            await put


async def test_statements_for_people_make_what_prepare_makes(thing: SqlTable) -> None:
    """`doctor` prints them for those who let nobody create tables."""
    database = SqlDatabase(thing.url, migration="shop")
    with pytest.raises(ConfigurationError, match="crossfade_fence and crossfade_epoch"):
        await database.epoch()

    run(Path(thing.url), *filter(str.strip, database.ddl().split(";")))

    await database.raise_epoch(StoreEpoch("ledger-1", 1, 7))
    assert await database.epoch() == StoreEpoch("ledger-1", 1, 7)
    assert await database.table_names() == ("Thing",)
    await database.close()


async def test_our_connections_wait_for_the_disk(thing: SqlTable) -> None:
    """What the ledger calls clean survives a power failure; foreign keys are checked."""
    async with opened_database(Path(thing.url)) as database:

        def settings(cursor: sqlite3.Cursor) -> list[int]:
            names = ("synchronous", "foreign_keys", "busy_timeout")
            return [cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

        found = await database.connections.write(lambda: settings)  # type: ignore[arg-type,return-value]

    assert found == [2, 1, 5000]


def _damage(path: Path) -> None:
    """Overwrite everything but the first page."""
    damaged = bytearray(path.read_bytes())
    damaged[4096:] = b"\xaa" * (len(damaged) - 4096)
    path.write_bytes(damaged)
