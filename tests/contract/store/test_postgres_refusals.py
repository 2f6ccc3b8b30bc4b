"""What PostgreSQL refuses: a row, a role, a connection; which one, and what would help."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from crossfade.errors import (
    ConfigurationError,
    NoDatabaseError,
    StoreError,
    StoreUnreachableError,
)
from crossfade.model.store_description import SqlTable
from crossfade.store.base import PutStatus, Record
from crossfade.store.sql import SqlDatabases, SqlOptions, SqlStore, open_sql_store
from tests.contract.store.postgres_stores import FENCE, opened_database, opened_store, run

SECRET = "hunter2"


@pytest.fixture
def thing(postgres_url: str) -> SqlTable:
    """A table with two rows."""
    run(
        postgres_url,
        "CREATE TABLE thing (id int PRIMARY KEY, name text)",
        "INSERT INTO thing VALUES (1, 'a'), (2, 'b')",
    )
    return SqlTable(postgres_url, "thing", key="id")


@pytest.mark.parametrize(
    ("declared", "record", "status", "words"),
    [
        ("name text UNIQUE", {"name": SECRET}, PutStatus.UNIQUE, "must be unique: t.name"),
        ("name text NOT NULL", {"name": None}, PutStatus.REFUSED, "must not be NULL: t.name"),
        ("name text CHECK (name = '')", {"name": SECRET}, PutStatus.REFUSED, "t_name_check"),
        (
            "name text, EXCLUDE (name WITH =)",
            {"name": SECRET},
            PutStatus.REFUSED,
            "another row excludes this one",
        ),
        (
            "name text REFERENCES named",
            {"name": SECRET},
            PutStatus.FOREIGN_KEY,
            "the parent is missing",
        ),
        ("name dom", {"name": SECRET}, PutStatus.REFUSED, "dom_check"),
        ("name int4range", {"name": SECRET}, PutStatus.REFUSED, "is no value of its column's"),
        ("name text", {"name": SECRET * 10**4}, PutStatus.REFUSED, "too large"),
        (
            "name text, a int GENERATED ALWAYS AS (1 / (length(name) - 7)) STORED",
            {"name": SECRET},
            PutStatus.REFUSED,
            "a value is none that its column can hold",
        ),
    ],
)
async def test_what_a_constraint_refuses_is_told_without_its_values(
    postgres_url: str, declared: str, record: Record, status: PutStatus, words: str
) -> None:
    """The server's own words hold the row."""
    run(
        postgres_url,
        "CREATE TABLE named (name text PRIMARY KEY)",
        "CREATE DOMAIN dom AS text CHECK (VALUE = 'x')",
        f"CREATE TABLE t (id int PRIMARY KEY, {declared})",
    )
    if "too large" in words:
        run(
            postgres_url,
            "CREATE INDEX ON t (name)",
            "ALTER TABLE t ALTER name SET STORAGE PLAIN",
        )
    if status is PutStatus.UNIQUE or "EXCLUDE" in declared:
        run(postgres_url, "INSERT INTO t VALUES (9, 'hunter2')")
    async with opened_store(SqlTable(postgres_url, "t", key="id")) as store:
        put = await store.put((1,), record, FENCE)
        many = await store.put_many([((1,), record)], FENCE)

        for result in (put, many.result):
            assert result.status is status
            assert words in result.reason
            assert SECRET not in result.reason
        assert await store.read((1,)) is None


async def test_a_role_without_a_right_is_told_which_one(thing: SqlTable) -> None:
    """And which statement gives it."""
    with _role(thing.url, "GRANT SELECT ON thing TO {0}") as url:
        async with _granted_store(url, thing) as store:
            role = _role_of(url)
            right = f"denies the role '{role}' INSERT on the table 'thing'"
            with pytest.raises(StoreError, match=right) as caught:
                await store.put((3,), {"name": SECRET}, FENCE)
            assert f'ON TABLE "thing" TO "{role}"' in str(caught.value)
            with pytest.raises(StoreError, match="UPDATE on the table 'thing'"):
                await store.put((1,), {"name": SECRET}, FENCE)
            assert await store.read((1,)) == {"id": 1, "name": "a"}


async def test_rows_that_a_policy_hides_are_an_error_and_not_missing(thing: SqlTable) -> None:
    """Else a copy would delete what it cannot see."""
    with _role(thing.url, "GRANT ALL ON thing TO {0}") as url:
        run(thing.url, "ALTER TABLE thing ENABLE ROW LEVEL SECURITY")
        async with _granted_store(url, thing) as store:
            with pytest.raises(StoreError, match="BYPASSRLS"):
                await store.read((1,))


async def test_our_tables_may_be_made_by_somebody_else(thing: SqlTable) -> None:
    """Who may not create tables may use those that are there."""
    with _role(thing.url, "GRANT ALL ON thing TO {0}") as url:
        async with _granted_store(url, thing) as store:
            assert (await store.put((1,), {"name": "c"}, FENCE)).status is PutStatus.OK


@pytest.mark.parametrize(
    ("place", "error", "words"),
    [
        ("postgres@127.0.0.1:1/x", StoreUnreachableError, "cannot be reached"),
        ("postgres@{host}/no_such_base", NoDatabaseError, "there is no database"),
        ("nobody_here:hunter2@{host}/postgres", ConfigurationError, "does not let us in"),
    ],
)
async def test_no_connection_is_told_apart(
    postgres_server: str, place: str, error: type[Exception], words: str
) -> None:
    """An address, a database, a user; never the password."""
    host = postgres_server.rpartition("@")[2]
    databases = SqlDatabases("shop", SqlOptions(connect_seconds_max=2))
    with pytest.raises(error, match=words) as caught:
        await databases.at(f"postgresql://{place.format(host=host)}").epoch()
    assert SECRET not in str(caught.value)
    await databases.close()


async def test_too_many_connections_may_be_tried_again(thing: SqlTable) -> None:
    """The limit of the database, of the role or of the server."""
    with _role(thing.url, "GRANT ALL ON thing TO {0}", "ALTER ROLE {0} CONNECTION LIMIT 0") as url:
        databases = SqlDatabases("shop")
        with pytest.raises(StoreUnreachableError, match="too many connections"):
            await databases.at(url).epoch()
        await databases.close()


@contextmanager
def _role(url: str, *statements: str) -> Iterator[str]:
    """The URL of a role that may do what the statements say, and use our tables."""
    role = f"crossfade_{url[-12:]}"
    run(url, f"CREATE ROLE {role} LOGIN", *(one.format(role) for one in statements))
    try:
        yield url.replace("postgres@", f"{role}@")
    finally:
        run(url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def _role_of(url: str) -> str:
    return url.partition("://")[2].partition("@")[0]


@asynccontextmanager
async def _granted_store(url: str, thing: SqlTable) -> AsyncIterator[SqlStore]:
    """A store as a role that may use our tables and not make them."""
    async with opened_database(thing.url):
        pass
    rights = "SELECT, INSERT, UPDATE, DELETE ON crossfade_fence, crossfade_epoch"
    run(thing.url, f"GRANT {rights} TO {_role_of(url)}")
    databases = SqlDatabases("shop")
    try:
        database = databases.at(url)
        await database.prepare()
        described = SqlTable(url, thing.table, key=thing.key)
        yield await open_sql_store(described, entity="thing", database=database)
    finally:
        await databases.close()
