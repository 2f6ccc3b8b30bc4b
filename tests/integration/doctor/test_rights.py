"""The rights that `doctor --grants` prints are enough, and none of them can be left out."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from crossfade import Migration, SqlTable
from crossfade.control.doctor.grants import tell_grants
from crossfade.errors import CrossfadeError
from crossfade.model.key import EVERY_KEY
from crossfade.store.base import Fence, Record, StoreEpoch
from crossfade.store.digests import Digesting
from crossfade.store.sql import SqlDatabases, open_sql_store
from tests.integration.doctor.looking import Make, Place, found, one_with, role_of, told

SCHEMAS = {
    "postgres": (
        "CREATE SCHEMA more",
        "CREATE TABLE thing (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, name text)",
        "CREATE TABLE more.line (n serial PRIMARY KEY, word text, thing_id bigint)",
        "ALTER TABLE more.line ADD FOREIGN KEY (thing_id) REFERENCES thing",
        "CREATE INDEX ON more.line (thing_id)",
    ),
    "mariadb": (
        "CREATE SEQUENCE numbers",
        "CREATE TABLE thing (id bigint PRIMARY KEY DEFAULT nextval(numbers), name varchar(40))",
        "CREATE TABLE line (n int PRIMARY KEY AUTO_INCREMENT, word text, thing_id bigint)",
        "ALTER TABLE line ADD FOREIGN KEY (thing_id) REFERENCES thing (id) ON DELETE CASCADE",
    ),
}
LINES = {"postgres": "more.line", "mariadb": "line"}
CLEAR = {
    "postgres": (
        "DELETE FROM more.line",
        "TRUNCATE thing RESTART IDENTITY CASCADE",
        "ALTER SEQUENCE more.line_n_seq RESTART",
        "DELETE FROM crossfade_fence",
        "DELETE FROM crossfade_epoch",
    ),
    "mariadb": (
        "DELETE FROM line",
        "DELETE FROM thing",
        "ALTER SEQUENCE numbers RESTART 1",
        "DELETE FROM crossfade_fence",
        "DELETE FROM crossfade_epoch",
    ),
}
"""Back to empty tables, so that every right is needed again."""

PASSWORD = "correct horse"
ENGINES = ("postgres", "mariadb")


def table_of(engine: str, url: str) -> SqlTable:
    """An aggregate of two tables, in two schemas where there are any."""
    lines = SqlTable(url, LINES[engine], parent="thing_id")
    return SqlTable(url, "thing", key="id", children={"lines": lines})


def definition_of(engine: str, legacy: str, new: str) -> Migration:
    """An entity on both sides of one database: tables may be shared in a test of rights."""
    shop = Migration("shop")
    shop.entity(
        "thing",
        legacy=table_of(engine, legacy),
        new=table_of(engine, new),
        to_new=dict,
        to_legacy=dict,
    )
    return shop


async def granted(place: Place, role: str) -> list[str]:
    """What is printed for a role."""
    document = await tell_grants(definition_of(place.engine, place.url, place.url), role)
    assert document["problems"] == []
    (only,) = document["databases"]
    assert isinstance(only["grants"], list)
    return [*only["ddl"].splitlines(), *only["grants"]]


def records(count: int, name: str) -> list[tuple[tuple[int], Record]]:
    """Things with a line each."""
    return [
        ((n,), {"id": n, "name": name, "lines": [{"n": n, "word": name}]})
        for n in range(1, count + 1)
    ]


async def use_everything(engine: str, url: str) -> None:
    """All that a migration does with a store, but to make and to drop our tables."""
    databases = SqlDatabases("shop")
    try:
        database = databases.at(url)
        await database.prepare()
        await database.raise_epoch(StoreEpoch("L", 1, 1))
        assert await database.epoch() == StoreEpoch("L", 1, 1)
        store = await open_sql_store(table_of(engine, url), entity="thing", database=database)
        flat = await open_sql_store(
            SqlTable(url, "thing", key="id"), entity="flat", database=database
        )
        for token, name in ((1, "a"), (2, "b")):
            many = await store.put_many(records(5, name), Fence(token, 1))
            assert many.result.reason == ""
            rows = [((n,), {"id": n, "name": name}) for n in range(1, 200)]
            assert (await flat.put_many(rows, Fence(token, 1))).result.reason == ""
        assert (await store.put((3,), None, Fence(3, 1))).reason == ""
        assert (await store.raise_token((4,), Fence(4, 1))).reason == ""
        await store.move_sequences()
        assert len(await store.read_range(EVERY_KEY, 500)) == 198
        assert await database.highest_token() == 4
        await use_digests(flat)
        assert await store.rows_estimate() == 198
    finally:
        await databases.close()


async def use_digests(store: object) -> None:
    """Checksums, as a verification asks for them."""
    assert isinstance(store, Digesting)
    assert store.digests is not None
    digest = store.digests.of_columns(("name",))
    assert digest is not None
    (found_sum,) = await store.digests.sums(digest, [EVERY_KEY], None)
    assert found_sum.rows == 198


@contextlib.contextmanager
def prepared(place: Place) -> Iterator[tuple[str, str]]:
    """Tables, and a role that may do nothing."""
    place.run(*SCHEMAS[place.engine])
    with role_of(place, PASSWORD) as found_role:
        yield found_role


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_rights_are_enough(place: Make, tmp_path: Path, engine: str) -> None:
    """A role that has exactly them puts, reads, flips and verifies; doctor is content."""
    service = place(engine)
    with prepared(service) as (role, url):
        service.run_script(await granted(service, role))

        await use_everything(engine, url)

        document = await found(definition_of(engine, url, url), tmp_path, apply=False)
        assert told(document, "problem") == []
        assert PASSWORD not in str(document)


@pytest.mark.parametrize("engine", ENGINES)
async def test_what_retire_needs_is_there_as_a_note(place: Make, engine: str) -> None:
    """With it the role takes our two tables out; without it, the error names a right."""
    service = place(engine)
    with prepared(service) as (role, url):
        script = await granted(service, role)
        service.run_script(script)
        database = SqlDatabases("shop").at(url)
        with pytest.raises(CrossfadeError):
            await database.remove()
        notes = [line.removeprefix("-- ") for line in script if line.endswith(";")]
        service.run(*(line for line in notes if line not in script))

        await database.remove()

        with pytest.raises(CrossfadeError, match="has no tables"):
            await database.epoch()
        await database.close()


@pytest.mark.parametrize("engine", ENGINES)
async def test_none_of_them_can_be_left_out(place: Make, tmp_path: Path, engine: str) -> None:
    """Without one right something fails; the error, and doctor, name what is missing."""
    service = place(engine)
    with prepared(service) as (role, url):
        script = await granted(service, role)
        service.run_script(script)
        tried = 0
        for line in script:
            for right, place_named in rights_in(line):
                tried += 1
                service.run(*CLEAR[engine])
                revoked = f"REVOKE {right} ON {place_named} FROM {account(engine, role)}"
                service.run(revoked)
                assert right in await failure(engine, url), revoked
                problems = told_all(await found(definition_of(engine, url, url), tmp_path))
                assert any(right in one and "GRANT" in one for one in problems), (
                    revoked,
                    problems,
                )
                service.run(line)
        assert tried >= 16


async def failure(engine: str, url: str) -> str:
    """What is said where not everything can be used; empty where all of it works."""
    try:
        await use_everything(engine, url)
    except (CrossfadeError, AssertionError) as error:
        return str(error)
    return ""


def told_all(document: dict[str, Any]) -> list[str]:
    """Problems, those of our tables too."""
    return [
        f"{one['message']} {one['ddl']}"
        for one in document["findings"]
        if one["verdict"] == "problem"
    ]


def rights_in(line: str) -> Iterator[tuple[str, str]]:
    """Each right of a GRANT on a table or a sequence, and what it is on."""
    match = re.fullmatch(r"GRANT (.+) ON ((?:TABLE |SEQUENCE )?\S+) TO .+;", line)
    if match and "DATABASE" not in line and "SCHEMA" not in line:
        yield from ((right, match[2]) for right in match[1].split(", "))


def account(engine: str, role: str) -> str:
    """As a statement names it."""
    return f"'{role}'@'%'" if engine == "mariadb" else role


@pytest.mark.parametrize("engine", ENGINES)
async def test_one_missing_right_hides_nothing_else(
    place: Make, tmp_path: Path, engine: str
) -> None:
    """A table without a right is named with its GRANT; the other entity is looked at as well."""
    service = place(engine)
    service.run("CREATE TABLE other (id int PRIMARY KEY)")
    with prepared(service) as (role, url):
        service.run_script(await granted(service, role))
        shop = definition_of(engine, url, url)
        shop.entity(
            "other",
            legacy=SqlTable(url, "other", key="id"),
            new=SqlTable(url, "other", key="id"),
            to_new=dict,
            to_legacy=dict,
        )

        document = await found(shop, tmp_path, apply=False)

        problems = told(document, "problem")
        assert document["exit_code"] == 3
        assert any("GRANT" in one and "other" in one for one in problems), problems
        assert all(one.startswith(("other on", "mapping of other")) for one in problems)
        assert one_with(told(document, "ok"), "thing on new: table thing")


@pytest.mark.parametrize("engine", ENGINES)
async def test_what_cannot_be_looked_into(place: Make, tmp_path: Path, engine: str) -> None:
    """A view, no key, no table, no server, a wrong password: each is told, and 4 comes first."""
    service = place(engine)
    service.run(
        "CREATE TABLE keyless (id int)",
        "CREATE TABLE fine (id int PRIMARY KEY)",
        "CREATE VIEW seen AS SELECT id FROM fine",
    )
    with role_of(service, PASSWORD) as (_, url):
        wrong = url.replace(quote(PASSWORD), "hunter2hunter2")
        nobody = re.sub(r"@[^/]+/", "@127.0.0.1:1/", url)
        shop = Migration("shop")
        good = SqlTable(service.url, "fine", key="id")
        bad = {
            "view": replace(good, table="seen"),
            "keyless": replace(good, table="keyless", key=()),
            "absent": replace(good, table="fin"),
            "denied": replace(good, url=wrong),
            "away": replace(good, url=nobody),
        }
        for name, table in bad.items():
            shop.entity(name, legacy=good, new=table, to_new=dict, to_legacy=dict)

        document = await found(shop, tmp_path, apply=False)

        problems = told(document, "problem")
        assert "is a view" in one_with(problems, "view on new")
        assert "has no key" in one_with(problems, "keyless on new") or "needs key=" in one_with(
            problems, "keyless on new"
        )
        assert "Did you mean 'fine'?" in one_with(problems, "absent on new")
        if engine == "mariadb":
            assert "password" in one_with(problems, "denied on new")
        assert "cannot be reached" in one_with(problems, "away on new")
        assert document["exit_code"] == 4
        assert "hunter2" not in str(document)
        assert [one for one in told(document, "ok") if one.startswith("view on legacy")]


async def test_a_missing_driver_names_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pip install` with the extra of that engine, and the other side is looked at."""
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    for name in list(__import__("sys").modules):
        if name.startswith("crossfade.store.postgres_"):
            monkeypatch.delitem(__import__("sys").modules, name)
    (tmp_path / "a.db").touch()
    shop = Migration("shop")
    shop.entity(
        "a",
        legacy=SqlTable("postgresql://h/d", "a", key="id"),
        new=SqlTable(f"sqlite:///{tmp_path}/a.db", "a", key="id"),
        to_new=dict,
        to_legacy=dict,
    )

    document = await found(shop, tmp_path, apply=False)

    problems = told(document, "problem")
    assert "pip install 'crossfade[postgres]'" in one_with(problems, "a on legacy")
    assert "there is no table 'a'" in one_with(problems, "a on new")
    assert document["exit_code"] == 3
