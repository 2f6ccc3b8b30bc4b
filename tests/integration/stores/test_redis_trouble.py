"""What a Redis store does when its server, or somebody else's documents, misbehave."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest

from crossfade.backfill.batch_put import put_rows
from crossfade.codec import decode_exact, encode
from crossfade.errors import (
    ConfigurationError,
    StoreError,
    StoreOutcomeUnknownError,
    StoreUnreachableError,
)
from crossfade.model.key import EVERY_KEY
from crossfade.model.store_documents import RedisDocuments
from crossfade.store.base import Fence, PutStatus, StoreEpoch
from crossfade.store.redis_database import RedisDatabase
from crossfade.store.redis_documents import RedisStore, open_redis_store
from crossfade.store.redis_options import RedisOptions
from tests.integration.stores.redis_server import RedisServer, own_redis

EPOCH = StoreEpoch("ledger-1", 1, 3)
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that keeps nothing through a restart."""
    with own_redis(tmp_path) as server:
        yield server


class Opened:
    """A prepared store on a server."""

    def __init__(self, server: RedisServer, **options: Any) -> None:  # noqa: ANN401 - limits
        limits = RedisOptions(connect_seconds_max=1.0, answer_seconds_max=2.0, **options)
        self.server = server
        self.database = RedisDatabase(server.url, migration="shop", options=limits)
        self.description = RedisDocuments(server.url, "customer:{id}", sequence="customer:last")
        self.store: RedisStore

    async def __aenter__(self) -> Self:
        """Prepare it, at epoch 3."""
        self.store = await open_redis_store(
            self.description, entity="customer", database=self.database
        )
        await self.database.prepare()
        await self.database.raise_epoch(EPOCH)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.database.close()


async def test_a_restart_that_may_have_lost_writes_is_no_silent_one(server: RedisServer) -> None:
    """No put, no raised epoch, until an operator prepares it anew; then it is an empty one."""
    async with Opened(server) as opened:
        await opened.store.put((1,), {"name": "a"}, Fence(5, 3))
        with server.client() as client:
            kept = client.hgetall("crossfade:{shop}")
        server.restart()
        with server.client() as client:
            # As if a snapshot from before had been loaded: our own keys are there, and older.
            client.hset("crossfade:{shop}", mapping=kept)

        with pytest.raises(ConfigurationError, match=r"restarted.*doctor --apply"):
            await opened.database.epoch()
        with pytest.raises(ConfigurationError):
            await opened.database.raise_epoch(StoreEpoch("ledger-1", 1, 4))
        with pytest.raises(StoreUnreachableError, match="restarted"):
            await opened.store.put((1,), {"name": "b"}, Fence(6, 3))
        await opened.database.prepare()
        assert await opened.database.epoch() is None
        await opened.database.raise_epoch(EPOCH)
        assert (await opened.store.put((1,), {"name": "c"}, Fence(7, 3))).status is PutStatus.OK


async def test_a_server_that_came_back_empty_is_not_prepared(server: RedisServer) -> None:
    """As a database whose tables are gone."""
    async with Opened(server) as opened:
        server.restart()

        with pytest.raises(ConfigurationError, match="no mark of this migration"):
            await opened.database.epoch()
        with pytest.raises(StoreUnreachableError, match="no mark"):
            await opened.store.put((1,), {"name": "b"}, Fence(6, 3))
        assert await opened.store.read((1,)) is None


async def test_a_durable_server_may_restart_at_any_time(tmp_path: Path) -> None:
    """Documents, tokens and the epoch are what they were; nobody has to do anything."""
    with own_redis(tmp_path, *DURABLE) as server:
        async with Opened(server) as opened:
            assert await opened.database.doubts() == ()
            await opened.store.put((1,), {"name": "a"}, Fence(5, 3))
            server.restart()

            late = await opened.store.put((1,), {"name": "late"}, Fence(4, 3))

            assert late.status is PutStatus.FENCED
            assert await opened.database.epoch() == EPOCH
            assert await opened.store.read((1,)) == {"id": 1, "name": "a"}


async def test_a_server_that_dies_in_the_middle_leaves_the_outcome_open(
    server: RedisServer,
) -> None:
    """Sent and not answered is unknown; no connection is certainly not applied."""
    async with Opened(server) as opened:
        with server.client() as client:
            client.client_pause(5000, all=False)
        put = asyncio.ensure_future(opened.store.put((1,), {"name": "a"}, Fence(5, 3)))
        await asyncio.sleep(0.2)
        server.kill()

        with pytest.raises(StoreOutcomeUnknownError):
            await put
        with pytest.raises(StoreUnreachableError):
            await opened.store.put((1,), {"name": "a"}, Fence(6, 3))
        with pytest.raises(StoreUnreachableError):
            await opened.store.read((1,))


async def test_an_answer_that_comes_too_late_is_nobody_elses(server: RedisServer) -> None:
    """A put that was given up leaves no answer behind for the next command."""
    async with Opened(server) as opened:
        with server.client() as client:
            client.client_pause(600, all=True)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await opened.store.put((1,), {"name": "a"}, Fence(5, 3))
        await asyncio.sleep(0.6)

        names = [await opened.store.read((number,)) for number in (2, 3)]

        assert names == [None, None]


async def test_a_busy_server_refuses_and_nothing_was_changed(server: RedisServer) -> None:
    """Somebody's endless script is killed by its owner; ours is put again."""
    async with Opened(server) as opened:
        with server.client() as client:
            client.config_set("busy-reply-threshold", 50)

        def spin() -> None:
            with server.client() as client, pytest.raises(Exception, match="kill"):
                client.eval("while true do end", 0)

        spinning = threading.Thread(target=spin)
        spinning.start()
        await asyncio.sleep(0.3)
        try:
            with pytest.raises(StoreUnreachableError, match="BUSY"):
                await opened.store.put((1,), {"name": "a"}, Fence(5, 3))
        finally:
            with server.client() as client:
                client.script_kill()
            spinning.join(10)

        assert await opened.store.read((1,)) is None
        assert (await opened.store.put((1,), {"name": "a"}, Fence(5, 3))).status is PutStatus.OK


async def test_a_full_server_refuses_and_nothing_was_changed(server: RedisServer) -> None:
    """No document, no token."""
    async with Opened(server) as opened:
        with server.client() as client:
            client.config_set("maxmemory", "1")
        with pytest.raises(StoreUnreachableError, match="OutOfMemory"):
            await opened.store.put((1,), {"name": "a"}, Fence(5, 3))
        with server.client() as client:
            client.config_set("maxmemory", "0")

        assert await opened.database.highest_token() == 0
        assert (await opened.store.put((1,), {"name": "a"}, Fence(4, 3))).status is PutStatus.OK


async def test_only_the_row_that_is_too_large_is_set_aside(server: RedisServer) -> None:
    """A batch beyond a script's size is halved until it fits."""
    async with Opened(server, document_bytes_max=2000, put_bytes_max=3000) as opened:
        rows = [((number,), {"name": "x" * 900}) for number in range(10)]
        rows[6] = ((6,), {"name": "x" * 2500})

        bad = await put_rows(opened.store, rows, Fence(5, 3), 10.0)

        assert [(one.key, one.final) for one in bad] == [((6,), True)]
        assert "2000 bytes" in bad[0].reason
        assert len(await opened.store.keys_in_range(EVERY_KEY, 20)) == 9


async def test_what_the_service_changes_in_between_is_never_lost(server: RedisServer) -> None:
    """The service counts in a field of its own while we put, and no count is lost."""
    async with Opened(server) as opened:
        with server.client() as client:
            client.set("customer:1", encode({"seen": 0}))

        def count() -> None:
            with server.client() as client:
                for _ in range(300):
                    client.transaction(_seen, "customer:1")

        counting = threading.Thread(target=count)
        counting.start()
        token = 10
        while counting.is_alive():
            # A put that always comes second says so, and is put again: by the next round here.
            with suppress(StoreUnreachableError):
                await opened.store.put((1,), {"name": f"n{token}"}, Fence(token, 3))
            token += 1
        counting.join()
        await opened.store.put((1,), {"name": f"n{token}"}, Fence(token, 3))

        found = await opened.store.read((1,))
        assert found == {"id": 1, "seen": 300, "name": f"n{token}"}


def _seen(pipe: Any) -> None:  # noqa: ANN401 - the client's
    document = decode_exact(pipe.get("customer:1"))
    pipe.multi()
    pipe.set("customer:1", encode({**document, "seen": document["seen"] + 1}))


async def test_documents_that_are_none_of_ours_are_left_alone(server: RedisServer) -> None:
    """Another type, no JSON, a key that is written otherwise: refused, never overwritten."""
    async with Opened(server) as opened:
        with server.client() as client:
            client.rpush("customer:1", "a list")
            client.set("customer:2", "no JSON")
            client.set("customer:007", b'{"id": 7}')

        results = [
            await opened.store.put((number,), {"name": "a"}, Fence(5, 3)) for number in (1, 2)
        ]
        deleted = await opened.store.put((1,), None, Fence(6, 3))

        assert [result.status for result in results] == [PutStatus.REFUSED] * 2
        assert deleted.status is PutStatus.OK
        assert await opened.store.read((1,)) is None
        with pytest.raises(StoreError, match="no JSON"):
            await opened.store.read((2,))
        assert await opened.store.keys_in_range(EVERY_KEY, 9) == [(2,)]
        with server.client() as client:
            assert client.lrange("customer:1", 0, -1) == [b"a list"]


async def test_documents_of_the_service_are_found_in_order(server: RedisServer) -> None:
    """Those that it made behind our back, too; a time to live stays as the service set it."""
    async with Opened(server) as opened:
        with server.client() as client:
            for number in (10, 9, -1, 2**62):
                client.set(f"customer:{number}", encode({"id": number}), ex=1000)

        await opened.store.put((9,), {"name": "a"}, Fence(5, 3))

        keys = await opened.store.keys_in_range(EVERY_KEY, 9)
        assert keys == [(-1,), (9,), (10,), (2**62,)]
        assert await opened.store.last_key() == (2**62,)
        with server.client() as client:
            client.delete("customer:10")
            assert client.ttl("customer:9") > 900
        assert await opened.store.keys_in_range(EVERY_KEY, 9) == [(-1,), (9,), (2**62,)]


async def test_the_services_counter_is_moved_past_the_highest_id(server: RedisServer) -> None:
    """Never down."""
    async with Opened(server) as opened:
        await opened.store.put((2**60,), {"name": "a"}, Fence(5, 3))

        await opened.store.move_sequences()
        with server.client() as client:
            assert client.incr("customer:last") == 2**60 + 1
        await opened.store.move_sequences()

        with server.client() as client:
            assert client.incr("customer:last") == 2**60 + 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--maxmemory-policy", "allkeys-lru"), "noeviction"),
        (("--cluster-enabled", "yes"), "Cluster"),
        (("--requirepass", "secret"), "credentials"),
    ],
)
async def test_a_server_that_cannot_be_used_is_told_at_opening(
    tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    """Each with what to set."""
    with own_redis(tmp_path, *options) as server:
        opened = Opened(server)
        with pytest.raises(ConfigurationError, match=words):
            await open_redis_store(opened.description, entity="customer", database=opened.database)
        await opened.database.close()
