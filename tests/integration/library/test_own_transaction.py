"""Writes in their caller's own transaction: whatever happens around them, no write is lost."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

import crossfade
from crossfade.errors import ConfigurationError, NestedWriteError
from crossfade.model.stage import Stage
from tests.integration.library.test_postgres import LEGACY_PUT, PostgresShop

NOWHERE = "postgresql://nobody@127.0.0.1:9/nothing"

Connection = psycopg.Connection[Any]


@pytest.fixture
def shop(tmp_path: Path, postgres_url: str, second_postgres_url: str) -> PostgresShop:
    """Two databases and a migration; nothing runs."""
    return PostgresShop(tmp_path, postgres_url, second_postgres_url)


def _within(shop: PostgresShop, body: Callable[..., Any], **options: Any) -> Callable[..., Any]:  # noqa: ANN401 - any kind of value
    """A write on its caller's connection; new's function is never reached here."""

    def new(connection: Connection, user_id: int, name: str) -> None:
        raise AssertionError((connection, user_id, name))

    given: dict[str, Any] = {"key": "user_id", **options}
    return shop.migration.operation(
        writes=shop.profiles, new=new, transaction="connection", name=body.__name__, **given
    )(body)


def test_a_write_on_another_connection_is_not_part_of_it(shop: PostgresShop) -> None:
    """It would be committed while the record of it is rolled back: refused, and not written."""

    def put_apart(user_id: int, name: str) -> None:
        with psycopg.connect(shop.legacy_url) as own:
            own.execute(LEGACY_PUT, (user_id, name))

    apart = shop.migration.operation(
        writes=shop.profiles, key="user_id", new=shop.new_put, name="apart"
    )(put_apart)

    def put_nested(connection: Connection, user_id: int, name: str) -> None:
        put(connection, user_id, name)

    def put_elsewhere(connection: Connection, user_id: int, name: str) -> None:
        assert connection is not None
        with psycopg.connect(shop.legacy_url) as own:
            put(own, user_id, name)

    def put(connection: Connection, user_id: int, name: str) -> None:
        connection.execute(LEGACY_PUT, (user_id, name))

    def put_both(connection: Connection, user_id: int, name: str) -> None:
        assert connection is not None
        apart(user_id, name)

    put = _within(shop, put)
    nested, elsewhere = _within(shop, put_nested), _within(shop, put_elsewhere)
    both = _within(shop, put_both)
    with shop.started() as running:
        shop.walk(running, Stage.SHADOW)
        for refused in (both, elsewhere):
            with psycopg.connect(shop.legacy_url) as connection:
                with pytest.raises(NestedWriteError):
                    refused(connection, 1, "ann")
                connection.rollback()
        nothing = shop.both(1)
        with psycopg.connect(shop.legacy_url) as connection:
            nested(connection, 2, "bob")
        shop.wait(running, lambda _: shop.new_get(2) == "bob")

    assert nothing == (None, None)


def test_a_create_that_raises_leaves_nothing_in_the_transaction(shop: PostgresShop) -> None:
    """Its id is not known, so nobody could look for its record if the caller committed it."""

    def create(connection: Connection, name: str) -> int:
        connection.execute(LEGACY_PUT, (7, name))
        raise ValueError(name)

    async def create_async(connection: "psycopg.AsyncConnection[Any]", name: str) -> int:
        await connection.execute(LEGACY_PUT, (8, name))
        raise ValueError(name)

    async def new_async(connection: "psycopg.AsyncConnection[Any]", name: str) -> int:
        raise AssertionError((connection, name))

    def new(connection: Connection, name: str) -> int:
        raise AssertionError((connection, name))

    operation = shop.migration.operation
    made = operation(
        writes=shop.profiles, created=lambda value: value, new=new, transaction="connection"
    )(create)
    made_async = operation(
        writes=shop.profiles, created=lambda value: value, new=new_async,
        transaction="connection",
    )(create_async)  # fmt: skip

    async def awaited() -> None:
        async with await psycopg.AsyncConnection.connect(shop.legacy_url) as connection:
            with pytest.raises(ValueError, match="ann"):
                await made_async(connection, "ann")
            await connection.execute(LEGACY_PUT, (9, "the caller's own"))

    with shop.started() as running:
        shop.walk(running, Stage.SHADOW)
        with psycopg.connect(shop.legacy_url) as connection:
            with pytest.raises(ValueError, match="ann"):
                made(connection, "ann")
            connection.execute(LEGACY_PUT, (10, "the caller's own"))
        asyncio.run(awaited())
        shop.settle(running)

    assert [shop.both(key) for key in (7, 8)] == [(None, None)] * 2
    assert [shop.legacy_get(key) for key in (9, 10)] == ["the caller's own"] * 2


def test_the_other_sides_database_need_not_answer(
    tmp_path: Path, postgres_url: str, second_postgres_url: str
) -> None:
    """It is none of the caller's business: the write takes place, and follows later."""
    shop = PostgresShop(tmp_path, postgres_url, second_postgres_url)

    def put(connection: Connection, user_id: int, name: str) -> None:
        connection.execute(LEGACY_PUT, (user_id, name))

    within = _within(shop, put)
    with shop.started() as running:
        shop.walk(running, Stage.SHADOW)
        entity = running.on_node(_definition)
        there = entity.new
        object.__setattr__(entity, "new", crossfade.SqlTable(NOWHERE, "people", key="id"))
        with psycopg.connect(shop.legacy_url) as connection:
            within(connection, 1, "ann")
        object.__setattr__(entity, "new", there)
        shop.wait(running, lambda _: shop.new_get(1) == "ann")


async def _definition(node: Any) -> Any:  # noqa: ANN401 - any kind of value
    return node.definition.entities["profile"]


def test_a_pipeline_is_refused(shop: PostgresShop) -> None:
    """Each of its trips may commit by itself: the record would be committed before the write."""

    def put(connection: Connection, user_id: int, name: str) -> None:
        connection.execute(LEGACY_PUT, (user_id, name))

    within = _within(shop, put)
    with shop.started() as running:
        shop.walk(running, Stage.SHADOW)
        for autocommit in (False, True):
            with (
                psycopg.connect(shop.legacy_url, autocommit=autocommit) as connection,
                connection.pipeline(),
                pytest.raises(ConfigurationError, match="pipeline mode"),
            ):
                within(connection, 1, "ann")

    assert shop.both(1) == (None, None)
