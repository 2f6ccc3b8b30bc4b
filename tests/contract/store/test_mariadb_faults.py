"""MariaDB when something breaks: lost connections, deadlocks, locks, commits without an answer."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest

from crossfade.errors import StoreOutcomeUnknownError, StoreUnreachableError
from crossfade.model.key import EVERY_KEY
from crossfade.store.base import Fence, PutStatus, StoreEpoch
from crossfade.store.sql import SqlOptions
from tests.contract.store.mariadb_tables import FENCE, QUICK, make, opened, rows, store_of
from tests.servers import MARIADB, mariadb_connection, run_mariadb

_POLLS_MAX = 100


async def test_idle_connections_that_were_cut_are_made_anew(mariadb_url: str) -> None:
    """By a server that restarted or waited too long: a call that was never sent does not fail."""
    make(mariadb_url, "t", "id int primary key")
    async with opened(mariadb_url) as database:
        store = await store_of(database, "t")
        await store.put((1,), {}, FENCE)
        for number in range(3):
            await _kill_all(mariadb_url)
            assert (await store.put((number,), {}, FENCE)).status is PutStatus.OK
            await _kill_all(mariadb_url)
            assert await store.read((number,)) == {"id": number}


async def test_an_idle_connection_that_dies_unheard_is_made_anew(mariadb_url: str) -> None:
    """Its end is noticed when the transaction starts, before anything of it was sent."""
    make(mariadb_url, "t", "id int primary key")
    async with _wire(mariadb_url) as wire, opened(wire.url) as database:
        store = await store_of(database, "t")
        await store.put((1,), {}, FENCE)
        wire.cut_at = b"START TRANSACTION"

        assert (await store.put((2,), {}, FENCE)).status is PutStatus.OK
        assert wire.cuts == 1
        wire.cut_at = b"START TRANSACTION"
        assert await store.keys_in_range(EVERY_KEY, 9) == [(1,), (2,)]
        assert wire.cuts == 2


async def test_a_connection_killed_in_a_put_leaves_nothing(mariadb_url: str) -> None:
    """Certainly not applied, neither row nor token; the next put finds a connection."""
    make(mariadb_url, "t", "id int primary key", "n int")
    async with opened(mariadb_url) as database:
        store = await store_of(database, "t")
        await store.put_many([((n,), {"n": 1}) for n in (1, 2)], FENCE)
        with _holding(mariadb_url, "UPDATE t SET n = 7 WHERE id = 2"):
            put = asyncio.ensure_future(
                store.put_many([((n,), {"n": 2}) for n in (1, 2)], Fence(6, 3))
            )
            await _kill(await _waiting(mariadb_url))
            with pytest.raises(StoreUnreachableError):
                await put

        assert rows(mariadb_url, "SELECT n FROM t") == [(1,), (1,)]
        assert await database.highest_token() == 5
        assert (await store.put((1,), {"n": 3}, Fence(6, 3))).status is PutStatus.OK


async def test_a_lock_that_is_held_too_long_undoes_the_put(mariadb_url: str) -> None:
    """All of it: the server by itself would undo the last statement alone."""
    make(mariadb_url, "t", "id int primary key", "n int")
    async with opened(mariadb_url, QUICK) as database:
        store = await store_of(database, "t")
        await store.put_many([((n,), {"n": 1}) for n in (1, 2)], FENCE)
        with _holding(mariadb_url, "UPDATE t SET n = 7 WHERE id = 2"):
            with pytest.raises(StoreUnreachableError, match="lock"):
                await store.put_many([((n,), {"n": 2}) for n in (1, 2)], Fence(6, 3))
            assert rows(mariadb_url, "SELECT n FROM t WHERE id = 1") == [(1,)]
            assert (await store.put((1,), {"n": 3}, Fence(5, 3))).status is PutStatus.OK

        assert await database.highest_token() == 5
        assert (await store.put((2,), {"n": 3}, Fence(6, 3))).status is PutStatus.OK


async def test_the_loser_of_a_deadlock_may_put_again(mariadb_url: str) -> None:
    """The server undid it; nothing was applied."""
    make(mariadb_url, "t", "id int primary key", "n int")
    async with opened(mariadb_url) as database:
        store = await store_of(database, "t")
        await store.put_many([((n,), {"n": 1}) for n in range(500)], FENCE)
        # The server lets the one go on that changed more rows.
        with _holding(mariadb_url, "UPDATE t SET n = 7 WHERE id > 1") as other:
            put = asyncio.ensure_future(
                store.put_many([((n,), {"n": 2}) for n in (1, 2)], Fence(6, 3))
            )
            await _waiting(mariadb_url)
            await asyncio.to_thread(other.execute, "UPDATE t SET n = 8 WHERE id = 1")
            with pytest.raises(StoreUnreachableError, match="deadlock"):
                await put

        assert rows(mariadb_url, "SELECT DISTINCT n FROM t") == [(1,)]
        assert await database.highest_token() == 5


@pytest.mark.parametrize("applied", [False, True])
async def test_a_commit_without_an_answer_is_unknown(mariadb_url: str, *, applied: bool) -> None:
    """Whether the server got it or not; putting again with a higher token settles it."""
    make(mariadb_url, "t", "id int primary key", "n int")
    async with _wire(mariadb_url) as wire, opened(wire.url) as database:
        store = await store_of(database, "t")
        await store.put((1,), {"n": 1}, FENCE)
        wire.cut_at, wire.cuts_answer = b"COMMIT", applied

        with pytest.raises(StoreOutcomeUnknownError):
            await store.put((1,), {"n": 2}, Fence(6, 3))

        assert rows(mariadb_url, "SELECT n FROM t") == [(2 if applied else 1,)]
        assert (await store.put((1,), {"n": 3}, Fence(7, 3))).status is PutStatus.OK
        assert rows(mariadb_url, "SELECT n FROM t") == [(3,)]


async def test_a_statement_without_an_answer_was_not_applied(mariadb_url: str) -> None:
    """No COMMIT was sent: the server rolls back when the connection is gone."""
    make(mariadb_url, "t", "id int primary key", "n int")
    async with _wire(mariadb_url) as wire, opened(wire.url) as database:
        store = await store_of(database, "t")
        wire.cut_at, wire.cuts_answer = b"INSERT INTO `t`", True

        with pytest.raises(StoreUnreachableError):
            await store.put((1,), {"n": 2}, FENCE)

        assert rows(mariadb_url, "SELECT n FROM t") == []
        assert await database.highest_token() == 0


async def test_a_refused_put_leaves_no_transaction_behind(mariadb_url: str) -> None:
    """A new transaction would commit what an open one had done."""
    make(mariadb_url, "t", "id int primary key", "n int unique")
    async with _wire(mariadb_url) as wire, opened(wire.url) as database:
        store = await store_of(database, "t")
        await store.put((1,), {"n": 1}, FENCE)
        wire.cut_at = b"ROLLBACK"

        batch = await store.put_many([((2,), {"n": 2}), ((3,), {"n": 1})], FENCE)
        await store.put((4,), {"n": 4}, FENCE)

        assert batch.result.status is PutStatus.UNIQUE
        assert rows(mariadb_url, "SELECT id FROM t ORDER BY id") == [(1,), (4,)]


async def test_puts_of_different_keys_run_at_once(mariadb_url: str) -> None:
    """As many as there are connections; they share the epoch's row."""
    make(mariadb_url, "t", "id int primary key", "n int")
    async with opened(mariadb_url, SqlOptions(writer_connections_max=3)) as database:
        store = await store_of(database, "t")
        await store.put_many([((n,), {"n": 1}) for n in (1, 2, 3)], FENCE)
        with _holding(mariadb_url, "UPDATE t SET n = 7 WHERE id IN (1, 2)"):
            held = [asyncio.ensure_future(store.put((n,), {"n": 2}, FENCE)) for n in (1, 2)]
            await _waiting(mariadb_url, count=2)

            assert (await store.put((3,), {"n": 2}, FENCE)).status is PutStatus.OK
        results = await asyncio.gather(*held)
        assert [result.status for result in results] == [PutStatus.OK] * 2


async def test_a_raised_epoch_waits_for_puts_under_way(mariadb_url: str) -> None:
    """Afterwards none of a lower epoch can be applied."""
    make(mariadb_url, "t", "id int primary key", "n int")
    async with opened(mariadb_url) as database:
        store = await store_of(database, "t")
        await store.put((1,), {"n": 1}, FENCE)
        with _holding(mariadb_url, "UPDATE t SET n = 7 WHERE id = 1"):
            put = asyncio.ensure_future(store.put((1,), {"n": 2}, FENCE))
            await _waiting(mariadb_url)
            raised = asyncio.ensure_future(database.raise_epoch(StoreEpoch("ledger-1", 1, 4)))
            await _waiting(mariadb_url, count=2)
            assert not raised.done()
        assert (await put).status is PutStatus.OK
        assert (await raised).epoch == 4
        assert (await store.put((1,), {"n": 3}, FENCE)).status is PutStatus.FENCED_EPOCH


async def test_removing_waits_for_puts_of_other_migrations(mariadb_url: str) -> None:
    """DDL commits by itself, so the tables are locked before they are looked at and dropped."""
    async with opened(mariadb_url, QUICK) as database:
        insert = "INSERT INTO crossfade_epoch VALUES ('other', 'ledger-2', 1, 1)"
        with _holding(mariadb_url, insert) as other:
            with pytest.raises(StoreUnreachableError, match="lock"):
                await database.remove()
            other.execute("COMMIT")
        await database.remove()

        assert rows(mariadb_url, "SELECT migration FROM crossfade_epoch") == [("other",)]
        run_mariadb(mariadb_url, "DELETE FROM crossfade_epoch")
        await database.remove()
        assert rows(mariadb_url, "SHOW TABLES") == []


async def test_many_puts_of_the_same_keys_end_with_the_highest_token(mariadb_url: str) -> None:
    """Whatever waits, loses a deadlock and comes again."""
    make(mariadb_url, "t", "id int primary key", "token int")
    async with opened(mariadb_url) as first, opened(mariadb_url) as second:
        stores = [await store_of(first, "t"), await store_of(second, "t")]

        async def put(token: int) -> None:
            records = [((n,), {"token": token}) for n in range(30)]
            for _ in range(20):
                with suppress(StoreUnreachableError):
                    result = await stores[token % 2].put_many(
                        records[:: 1 if token % 3 else -1], Fence(token, 3)
                    )
                    assert result.result.status is PutStatus.OK
                    return
            raise AssertionError(token)

        await asyncio.gather(*map(put, range(1, 25)))

    assert rows(mariadb_url, "SELECT DISTINCT token FROM t") == [(24,)]


class _Wire:
    """A way to the real server that is cut when the client sends certain bytes."""

    def __init__(self) -> None:
        self.url = ""
        self.cut_at = b""
        self.cuts_answer = False
        self.cuts = 0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either end closes it or it is cut."""
        host, _, port = MARIADB.rpartition("@")[2].partition(":")
        answers, server = await asyncio.open_connection(host, int(port or 3306))
        back = asyncio.ensure_future(self._back(answers, writer))
        try:
            while data := await reader.read(2**20):
                cut = bool(self.cut_at) and self.cut_at in data
                if cut:
                    self.cut_at = b""
                    self.cuts += 1
                    back.cancel()
                    if self.cuts_answer:
                        server.write(data)
                        await answers.read(1)
                    return
                server.write(data)
        finally:
            back.cancel()
            server.close()
            writer.close()

    async def _back(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await answers.read(2**20):
            writer.write(data)


@asynccontextmanager
async def _wire(url: str) -> AsyncIterator[_Wire]:
    wire = _Wire()
    server = await asyncio.start_server(wire.carry, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wire.url = f"mariadb://root@127.0.0.1:{port}/{url.rpartition('/')[2]}"
    try:
        yield wire
    finally:
        server.close()


@contextmanager
def _holding(url: str, statement: str) -> Iterator[Any]:
    """Somebody else's transaction, which is rolled back in the end."""
    connection = mariadb_connection(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(statement)
            yield cursor
    finally:
        connection.rollback()
        connection.close()


async def _waiting(url: str, *, count: int = 1) -> int:
    """Wait until so many transactions of this database wait for a lock; one's connection."""
    name = url.rpartition("/")[2]
    query = (
        "SELECT t.trx_mysql_thread_id FROM information_schema.INNODB_TRX t"  # noqa: S608 - made up here
        " JOIN information_schema.PROCESSLIST p ON p.ID = t.trx_mysql_thread_id"
        f" WHERE t.trx_state = 'LOCK WAIT' AND p.DB = '{name}'"
    )
    for _ in range(_POLLS_MAX):
        found = await asyncio.to_thread(rows, url, query)
        if len(found) >= count:
            return int(found[0][0])
        # The server answers from what it saw before if it is asked more often.
        await asyncio.sleep(0.15)
    raise AssertionError("nobody waits for a lock")


async def _kill(connection: int) -> None:
    await asyncio.to_thread(run_mariadb, MARIADB, f"KILL {connection}")


async def _kill_all(url: str) -> None:
    """Kill every connection to the database, and wait until none is left."""
    name = url.rpartition("/")[2]
    query = f"SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '{name}'"  # noqa: S608 - made up here
    for _ in range(_POLLS_MAX):
        found = rows(MARIADB, query)
        if not found:
            return
        for (connection,) in found:
            with suppress(Exception):
                run_mariadb(MARIADB, f"KILL {connection}")
        await asyncio.sleep(0.01)
    raise AssertionError("connections do not end")
