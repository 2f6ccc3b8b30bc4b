"""Invoices move from two SQLite tables into Redis documents and back, under writes."""

import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis

from crossfade.codec import decode_exact
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.model.store_documents import Items, RedisDocuments
from tests.integration.stores.invoices import (
    Callers,
    Invoice,
    LegacyService,
    as_json,
    document_of,
    invoice_of,
    made,
)
from tests.integration.stores.redis_server import own_redis
from tests.integration.stores.walk import (
    copied,
    eventually,
    move,
    prepare,
    quiet,
    shop,
    started,
    walk_there_and_back,
)


class RedisService:
    """The new service: keeps documents of its own, with a field that no mapping knows."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.prefix = f"test-{uuid4().hex[:12]}"
        self.client: Any = redis.Redis.from_url(url)

    def documents(self) -> RedisDocuments:
        """As a definition describes them."""
        return RedisDocuments(
            self.url,
            f"{self.prefix}:invoice:{{id}}",
            items={"lines": Items(key="article")},
            types={"total": Decimal},
        )

    async def put(self, number: int, invoice: Invoice | None) -> None:
        """Make, change or delete an invoice."""
        place = f"{self.prefix}:invoice:{number}"
        if invoice is None:
            self.client.delete(place)
            return
        found = self.client.get(place)
        mine = {"seen": decode_exact(found).get("seen", 0) + 1} if found else {"seen": 1}
        self.client.set(place, as_json(document_of(number, invoice) | mine))

    def everything(self) -> dict[int, Invoice]:
        """What Redis holds, read by nobody's mapping."""
        return {
            int(place.rpartition(b":")[2]): invoice_of(decode_exact(self.client.get(place)))
            for place in self.client.scan_iter(f"{self.prefix}:invoice:*")
        }


@pytest.fixture
def service(redis_url: str) -> Iterator[RedisService]:
    """A service with documents of its own."""
    service = RedisService(redis_url)
    yield service
    for pattern in (f"{service.prefix}*", "crossfade:{shop}*"):
        for key in service.client.scan_iter(pattern):
            service.client.delete(key)
    service.client.close()


async def test_an_aggregate_becomes_documents_and_comes_back(
    service: RedisService, tmp_path: Path
) -> None:
    """Through every stage and back, no acknowledged write is lost on either side."""
    legacy = LegacyService(tmp_path)
    migration = shop(legacy, service.documents())

    written = await walk_there_and_back(
        migration,
        tmp_path,
        {Side.LEGACY: legacy.put, Side.NEW: service.put},
        {Side.LEGACY: legacy.everything, Side.NEW: service.everything},
    )

    assert written > 200


async def test_a_server_that_came_back_empty_is_filled_anew(tmp_path: Path) -> None:
    """It keeps nothing through a restart: after `doctor --apply` everything is copied again."""
    folder = tmp_path / "redis"
    folder.mkdir()
    legacy = LegacyService(tmp_path)
    with own_redis(folder) as server:
        service = RedisService(server.url)
        migration = shop(legacy, service.documents())
        for number in range(1, 200):
            await legacy.put(number, made(random.Random(number)))
        await prepare(migration, tmp_path)
        async with started(migration, tmp_path) as node:
            await move(node, Stage.SHADOW)
            await copied(node)
            assert service.everything() == legacy.everything()
            callers = Callers(
                {Side.LEGACY: legacy.put, Side.NEW: service.put},
                node.writer.write,
                random.Random(1),
            )

            server.restart()
            await callers.write_one(5, made(random.Random(0)))
            assert not (await node.stages.plan(Stage.LIVE)).allowed
            await prepare(migration, tmp_path)

            await eventually(
                lambda: service.everything() == legacy.everything(), "everything is copied again"
            )
            await quiet(node)
        service.client.close()
