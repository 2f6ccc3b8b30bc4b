"""Every way in which PostgreSQL fails: told apart, bounded, and never with a row's values."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from crossfade.errors import (
    ConfigurationError,
    StoreOutcomeUnknownError,
    StoreUnreachableError,
)
from crossfade.model.key import EVERY_KEY
from crossfade.model.store_description import SqlTable
from crossfade.store import postgres_dialect
from crossfade.store.base import Fence, PutStatus, StoreEpoch
from crossfade.store.sql import SqlDatabase, SqlDatabases, SqlOptions
from crossfade.store.sql_dialect import Cursor
from tests.contract.store.postgres_stores import FENCE, opened_database, opened_store, run

IMPATIENT = SqlOptions(busy_seconds_max=0.1)
SECRET = "hunter2"
ATTEMPTS_MAX = 500


@pytest.fixture
def thing(postgres_url: str) -> SqlTable:
    """A table with two rows."""
    run(
        postgres_url,
        "CREATE TABLE thing (id int PRIMARY KEY, name text)",
        "INSERT INTO thing VALUES (1, 'a'), (2, 'b')",
    )
    return SqlTable(postgres_url, "thing", key="id")


async def test_connections_that_were_cut_while_idle_fail_no_call(thing: SqlTable) -> None:
    """Nothing was sent on them, so new ones are taken."""
    async with opened_store(thing) as store:
        for name in ("c", "d"):
            assert (await store.put((1,), {"name": name}, FENCE)).status is PutStatus.OK
            assert await store.read((1,)) == {"id": 1, "name": name}
            _cut_all(thing.url)


async def test_a_cut_that_shows_only_when_a_transaction_begins_fails_no_call(
    thing: SqlTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network may swallow the end of a connection: nothing but BEGIN was sent."""
    monkeypatch.setattr(postgres_dialect, "is_alive", lambda one: not one.closed)
    async with opened_store(thing) as store:
        assert (await store.put((1,), {"name": "c"}, FENCE)).status is PutStatus.OK
        await store.read((1,))
        _cut_all(thing.url)

        assert (await store.put((1,), {"name": "d"}, FENCE)).status is PutStatus.OK
        assert await store.read((1,)) == {"id": 1, "name": "d"}


async def test_a_connection_cut_in_mid_put_leaves_nothing(thing: SqlTable) -> None:
    """It was not committed, so it may be repeated."""
    async with opened_store(thing) as store:
        with _locked(thing.url, "SELECT * FROM thing WHERE id = 1 FOR UPDATE"):
            put = asyncio.ensure_future(store.put((1,), {"name": "c"}, FENCE))
            await _waiting(thing.url, "Lock")
            _cut_all(thing.url, "wait_event_type = 'Lock'")
            with pytest.raises(
                StoreUnreachableError, match=r"lost the connection|ended the connection"
            ):
                await put

        assert await store.read((1,)) == {"id": 1, "name": "a"}
        assert (await store.put((1,), {"name": "c"}, Fence(4, 1))).status is PutStatus.OK


async def test_a_connection_cut_in_mid_commit_has_an_unknown_outcome(thing: SqlTable) -> None:
    """The commit was sent and not answered; only a put with a higher token settles it."""
    _on_commit(thing.url, "PERFORM pg_sleep(20)")
    async with opened_store(thing) as store:
        put = asyncio.ensure_future(store.put((1,), {"name": "c"}, FENCE))
        await _waiting(thing.url, "Timeout")
        _cut_all(thing.url, "query = 'COMMIT'")
        with pytest.raises(StoreOutcomeUnknownError):
            await put

        run(thing.url, "DROP TRIGGER at_commit ON thing")
        assert (await store.put((1,), {"name": "d"}, Fence(6, 1))).status is PutStatus.OK


async def test_a_commit_that_the_server_refuses_left_nothing(thing: SqlTable) -> None:
    """A deferred constraint speaks at the commit, and then nothing took place."""
    _on_commit(thing.url, f"RAISE EXCEPTION '{SECRET} %', NEW.name")
    async with opened_store(thing) as store:
        result = await store.put((1,), {"name": SECRET}, FENCE)

        assert result.status is PutStatus.REFUSED
        assert SECRET not in result.reason
        assert await store.read((1,)) == {"id": 1, "name": "a"}
        assert (await store.raise_token((1,), Fence(1, 1))).status is PutStatus.OK


async def test_a_deadlock_is_broken_by_giving_way(thing: SqlTable) -> None:
    """The put may be repeated, and then it is applied."""
    async with opened_store(thing) as store:
        with _locked(thing.url, "UPDATE thing SET name = 'x' WHERE id = 2") as other:
            other.execute("SET LOCAL deadlock_timeout = '20s'")
            records = [((1,), {"name": SECRET}), ((2,), {"name": SECRET})]
            put = asyncio.ensure_future(store.put_many(records, FENCE))
            await _waiting(thing.url, "Lock")
            statement = "UPDATE thing SET name = 'y' WHERE id = 1"
            blocked = asyncio.ensure_future(asyncio.to_thread(other.execute, statement))
            with pytest.raises(StoreUnreachableError, match="broke a deadlock") as caught:
                await put
            await blocked
        assert SECRET not in str(caught.value)
        assert await store.read((1,)) == {"id": 1, "name": "y"}
        assert (await store.put_many(records, FENCE)).result.status is PutStatus.OK


async def test_a_row_that_somebody_locks_is_waited_for_and_then_given_up(thing: SqlTable) -> None:
    """Bounded by busy_seconds_max."""
    async with opened_store(thing, IMPATIENT) as store:
        with _locked(thing.url, "SELECT * FROM thing FOR UPDATE"):
            with pytest.raises(StoreUnreachableError, match="is locked by somebody else"):
                await store.put((1,), {"name": "c"}, FENCE)
            assert await store.read((1,)) == {"id": 1, "name": "a"}
        with (
            _locked(thing.url, "LOCK TABLE thing"),
            pytest.raises(StoreUnreachableError, match="is locked by somebody else"),
        ):
            await store.read((1,))


async def test_a_statement_that_is_cancelled_was_not_applied(thing: SqlTable) -> None:
    """By its time-out, or by an operator."""
    async with opened_store(thing) as store:
        with _locked(thing.url, "SELECT * FROM thing FOR UPDATE"):
            put = asyncio.ensure_future(store.put((1,), {"name": "c"}, FENCE))
            await _waiting(thing.url, "Lock")
            run(thing.url, f"SELECT pg_cancel_backend(pid) {_OTHERS} AND wait_event_type = 'Lock'")
            with pytest.raises(StoreUnreachableError, match="took too long"):
                await put


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("40001", "another transaction in the way"),
        ("40P01", "broke a deadlock"),
        ("53100", "the disk is full"),
        ("53300", "too many connections"),
        ("25006", "is read-only"),
        ("57P01", "was stopped"),
        ("08006", "lost the connection"),
        ("58030", "input/output error"),
    ],
)
async def test_what_may_be_repeated_is_unreachable(thing: SqlTable, code: str, words: str) -> None:
    """With our words, not with the server's."""
    _before_writing(thing.url, f"RAISE EXCEPTION '{SECRET}' USING ERRCODE = '{code}'")
    async with opened_store(thing) as store:
        with pytest.raises(StoreUnreachableError, match=words) as caught:
            await store.put((1,), {"name": SECRET}, FENCE)

        assert SECRET not in str(caught.value)
        assert await store.read((1,)) == {"id": 1, "name": "a"}


async def test_fence_tables_that_are_gone_name_the_command(thing: SqlTable) -> None:
    """A put without its fence is no put."""
    async with opened_store(thing) as store:
        run(thing.url, "DROP TABLE crossfade_fence")
        with pytest.raises(StoreUnreachableError, match="crossfade doctor --apply"):
            await store.put((1,), {"name": "c"}, FENCE)
    databases = SqlDatabases("shop")
    run(thing.url, "DROP TABLE crossfade_epoch")
    with pytest.raises(ConfigurationError, match="crossfade doctor --apply"):
        await databases.at(thing.url).epoch()
    await databases.close()


async def test_a_table_that_changes_under_a_store_is_read_again(thing: SqlTable) -> None:
    """Statements that the server had prepared are made anew."""
    async with opened_store(thing) as store:
        for _ in range(8):
            await store.read((1,))
        run(thing.url, "ALTER TABLE thing ALTER name TYPE varchar(9)")
        with pytest.raises(StoreUnreachableError, match="has changed a table just now"):
            await store.read((1,))
        assert await store.read((1,)) == {"id": 1, "name": "a"}


async def test_puts_of_one_key_at_once_end_with_the_highest_token(thing: SqlTable) -> None:
    """Each waits for the fence of the one before."""
    async with opened_store(thing) as store:
        await asyncio.gather(
            *(store.put((7,), {"name": f"{token}"}, Fence(token, 1)) for token in range(5, 45))
        )

        assert await store.read((7,)) == {"id": 7, "name": "44"}


async def test_batches_that_overlap_do_not_stop_each_other(thing: SqlTable) -> None:
    """They take their fences in one order, whatever the order of the rows."""
    async with opened_store(thing) as store:
        keys = list(range(10, 60))
        batches = [keys, keys[::-1], keys[20:] + keys[:20]] * 4
        results = await asyncio.gather(
            *(
                store.put_many([((key,), {"name": f"{token}"}) for key in batch], Fence(token, 1))
                for token, batch in enumerate(batches, start=5)
            )
        )

        assert {result.result.status for result in results} == {PutStatus.OK}
        found = dict(await store.read_range(EVERY_KEY, 99))
        assert {found[(key,)]["name"] for key in keys} == {f"{4 + len(batches)}"}


async def test_an_epoch_is_raised_amid_puts_that_never_pause(thing: SqlTable) -> None:
    """The puts of others let it through, and those of the epoch before end with it."""
    async with opened_store(thing, SqlOptions(busy_seconds_max=2)) as store:
        raised = asyncio.Event()

        async def put(key: int) -> PutStatus:
            status = PutStatus.OK
            while status is PutStatus.OK:
                status = (await store.put((key,), {"name": "x"}, FENCE)).status
            return status

        async def raise_epoch() -> None:
            async with opened_database(thing.url) as database:
                await database.raise_epoch(StoreEpoch("ledger-1", 1, 2))
            raised.set()

        ends = await asyncio.gather(*map(put, range(100, 108)), raise_epoch())

        assert raised.is_set()
        assert set(ends[:-1]) == {PutStatus.FENCED_EPOCH}


async def test_an_acknowledged_put_is_on_the_disk_whatever_the_database_says(
    thing: SqlTable,
) -> None:
    """A setting that loses the last commits in a power failure is overruled; others are kept."""
    name = thing.url.rpartition("/")[2]
    settings = []
    for setting in ("off", "local"):
        run(thing.url, f'ALTER DATABASE "{name}" SET synchronous_commit = {setting}')
        async with opened_database(thing.url) as database:
            settings.append(await database.connections.read(_synchronous_commit))

    assert settings == ["on", "local"]


async def test_nodes_that_begin_at_once_prepare_one_database(postgres_url: str) -> None:
    """The tables and the epoch's row are made once."""
    databases = [SqlDatabases("shop") for _ in range(6)]
    wanted = StoreEpoch("ledger-1", 1, 1)

    async def begin(database: SqlDatabase) -> StoreEpoch:
        await database.prepare()
        return await database.raise_epoch(wanted)

    held = await asyncio.gather(*(begin(one.at(postgres_url)) for one in databases))

    assert held == [wanted] * len(databases)
    for one in databases:
        await one.close()


_FUNCTION = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {}; RETURN NEW; END$$"
_OTHERS = (
    "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'crossfade'"
)


def _cut_all(url: str, which: str = "true") -> None:
    run(url, f"SELECT pg_terminate_backend(pid, 5000) {_OTHERS} AND {which}")


async def _waiting(url: str, kind: str) -> None:
    for _ in range(ATTEMPTS_MAX):
        if run(url, f"SELECT 1 {_OTHERS} AND wait_event_type = '{kind}'"):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nobody waits")


@contextmanager
def _locked(url: str, statement: str) -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())
        yield connection


def _on_commit(url: str, body: str) -> None:
    run(
        url,
        _FUNCTION.format(body),
        "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT OR UPDATE ON thing"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION f()",
    )


def _before_writing(url: str, body: str) -> None:
    run(
        url,
        _FUNCTION.format(body),
        "CREATE TRIGGER before BEFORE INSERT OR UPDATE ON thing FOR EACH ROW EXECUTE FUNCTION f()",
    )


def _synchronous_commit(cursor: Cursor) -> str:
    cursor.execute("SHOW synchronous_commit")
    return str(cursor.fetchone()[0])
