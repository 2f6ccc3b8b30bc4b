"""Functions on PostgreSQL: the ledger in the authority's database, one transaction for both."""

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

import crossfade
from crossfade.errors import ConfigurationError
from crossfade.library.running import Running
from crossfade.model.stage import Stage
from crossfade.store.from_url import databases_of
from tests.integration.library.profile_shop import QUIET, ProfileShop

LEGACY_TABLE = "CREATE TABLE profile (id int PRIMARY KEY, full_name text NOT NULL)"
NEW_TABLE = "CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL)"
SECONDS_MAX = 40
PUT = "INSERT INTO {} VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET {} = excluded.{}"
LEGACY_PUT = PUT.format("profile", "full_name", "full_name")
NEW_PUT = PUT.format("people", "name", "name")


class PostgresShop(ProfileShop):
    """Both databases and the ledger on PostgreSQL; the ledger is legacy's neighbour."""

    def __init__(self, folder: Path, legacy_url: str, new_url: str, *, made: bool = False) -> None:
        self.folder = folder
        self.legacy_url = legacy_url
        self.new_url = new_url
        self.migration = crossfade.Migration("shop", answers_within="300ms")
        self.profiles = self.migration.entity(
            "profile",
            legacy=crossfade.SqlTable(legacy_url, "profile", key="id"),
            new=crossfade.SqlTable(new_url, "people", key="id"),
            to_new=lambda row: {"id": row["id"], "name": row["full_name"]},
            to_legacy=lambda row: {"id": row["id"], "full_name": row["name"]},
        )
        if not made:
            asyncio.run(self._prepare())

    async def _prepare(self) -> None:
        for url, table in ((self.legacy_url, LEGACY_TABLE), (self.new_url, NEW_TABLE)):
            with psycopg.connect(url) as connection:
                connection.execute(table)
        databases = databases_of("shop")
        for url in (self.legacy_url, self.new_url):
            await databases.at(url).prepare()
        await databases.close()

    def started(self) -> Running:
        """Crossfade for this program, on the ledger that several may share."""
        return crossfade.running(
            self.migration,
            ledger=f"{self.legacy_url}?schema=crossfade",
            folder=self.folder,
            settings=QUIET,
            control=False,
        )

    def legacy_get(self, user_id: int) -> str | None:
        """A profile's name, as legacy has it."""
        return _one(self.legacy_url, "SELECT full_name FROM profile WHERE id = %s", user_id)

    def new_get(self, user_id: int) -> str | None:
        """A profile's name, as new has it."""
        return _one(self.new_url, "SELECT name FROM people WHERE id = %s", user_id)


@pytest.fixture
def shop(tmp_path: Path, postgres_url: str, second_postgres_url: str) -> PostgresShop:
    """Two databases and a migration; nothing runs."""
    return PostgresShop(tmp_path, postgres_url, second_postgres_url)


def _one(url: str, sql: str, user_id: int) -> str | None:
    with psycopg.connect(url) as connection:
        row = connection.execute(sql, (user_id,)).fetchone()
    return None if row is None else str(row[0])


class Save:
    """One write in its caller's transaction, both sides."""

    def __init__(self, shop: PostgresShop) -> None:
        self.new_url = shop.new_url

        def legacy(connection: "psycopg.Connection[object]", user_id: int, name: str) -> None:
            connection.execute(LEGACY_PUT, (user_id, name))

        def new(connection: "psycopg.Connection[object]", user_id: int, name: str) -> None:
            assert connection is not None
            with psycopg.connect(shop.new_url) as own:
                own.execute(NEW_PUT, (user_id, name))

        self.put = shop.migration.operation(
            writes=shop.profiles, key="user_id", new=new, transaction="connection", name="put"
        )(legacy)

        async def legacy_async(
            connection: "psycopg.AsyncConnection[object]", user_id: int, name: str
        ) -> None:
            await connection.execute(LEGACY_PUT, (user_id, name))

        async def new_async(
            connection: "psycopg.AsyncConnection[object]", user_id: int, name: str
        ) -> None:
            raise AssertionError((connection, user_id, name))

        self.put_async = shop.migration.operation(
            writes=shop.profiles, key="user_id", new=new_async, transaction="connection",
            name="put async",
        )(legacy_async)  # fmt: skip


@contextmanager
def _transaction(shop: PostgresShop) -> Iterator["psycopg.Connection[object]"]:
    with psycopg.connect(shop.legacy_url) as connection:
        yield connection


@pytest.mark.parametrize("stage", [Stage.OFF, Stage.SHADOW])
def test_the_write_and_its_record_commit_together(shop: PostgresShop, stage: Stage) -> None:
    """Rolled back: nothing is written and nothing is dirty. Committed: new follows."""
    save = Save(shop)
    with shop.started() as running:
        shop.walk(running, stage)
        with _transaction(shop) as connection:
            save.put(connection, 1, "ann")
            connection.rollback()
        nothing = shop.counts(running), shop.both(1)
        with _transaction(shop) as connection:
            save.put(connection, 1, "bob")
            save.put(connection, 2, "cid")
            uncommitted = shop.both(1)
        shop.settle(running)
        if stage is Stage.SHADOW:
            shop.wait(running, lambda _: shop.new_get(2) == "cid")

    assert (nothing[0].dirty, nothing[0].open_intents, nothing[1]) == (0, 0, (None, None))
    assert uncommitted == (None, None)
    assert shop.both(1) == ("bob", "bob" if stage is Stage.SHADOW else None)


def test_awaited_writes_commit_together_too(shop: PostgresShop) -> None:
    """With an asynchronous connection, in the caller's own loop."""
    save = Save(shop)

    async def call() -> None:
        async with await psycopg.AsyncConnection.connect(shop.legacy_url) as connection:
            await save.put_async(connection, 1, "ann")
            await connection.rollback()
            await save.put_async(connection, 2, "bob")

    with shop.started() as running:
        shop.walk(running, Stage.SHADOW)
        asyncio.run(call())
        shop.wait(running, lambda _: shop.new_get(2) == "bob")

    assert shop.both(1) == (None, None)


def test_after_the_flip_the_write_is_made_apart(shop: PostgresShop) -> None:
    """New is in another database than the ledger: an ordinary write, with an intent."""
    save = Save(shop)
    with shop.started() as running:
        shop.walk(running, Stage.LIVE)
        with _transaction(shop) as connection:
            save.put(connection, 1, "ann")
        shop.settle(running)
        shop.wait(running, lambda _: shop.legacy_get(1) == "ann")

    assert shop.both(1) == ("ann", "ann")


def test_a_connection_to_elsewhere_is_refused(shop: PostgresShop) -> None:
    """So is a ledger that is somewhere else: never a write whose record may be lost."""
    save = Save(shop)
    with shop.started() as running:
        shop.walk(running, Stage.SHADOW)
        with (
            psycopg.connect(shop.new_url) as connection,
            pytest.raises(ConfigurationError, match="not in the database"),
        ):
            save.put(connection, 1, "ann")

    assert shop.both(1) == (None, None)


def test_several_processes_share_a_ledger(shop: PostgresShop, tmp_path: Path) -> None:
    """Two programs write the same keys over one PostgreSQL ledger; both sides agree in the end."""
    program = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        from tests.integration.library.test_postgres import PostgresShop, Save, _transaction
        urls = {shop.legacy_url!r}, {shop.new_url!r}
        shop = PostgresShop(Path({str(tmp_path)!r}), *urls, made=True)
        save = Save(shop)
        with shop.started() as running:
            for number in range(40):
                with _transaction(shop) as connection:
                    save.put(connection, number % 5, f"{{sys.argv[1]}} {{number}}")
        """
    )
    with shop.started() as running:
        shop.walk(running, Stage.SHADOW)
        shop.copy_all(running)
        children = [
            subprocess.Popen(
                [sys.executable, "-c", program, name], stderr=subprocess.PIPE, text=True
            )
            for name in ("one", "two")
        ]
        for child in children:
            _, told = child.communicate(timeout=SECONDS_MAX)
            assert child.returncode == 0, told
        shop.settle(running)
        shop.wait(running, lambda _: all(len(set(shop.both(key))) == 1 for key in range(5)))

    assert all(shop.legacy_get(key) is not None for key in range(5))
