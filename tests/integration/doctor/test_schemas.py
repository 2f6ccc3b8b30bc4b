"""`doctor` compares the schemas of both sides on real engines, before any row is copied."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from crossfade import Migration, SqlTable
from crossfade.model.column_mapping import columns
from tests.integration.doctor.looking import ENGINES, Make, found, one_with, told

Record = dict[str, Any]

GOOD = {
    "sqlite": "CREATE TABLE {0} (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL, paid DECIMAL)",
    "postgres": "CREATE TABLE {0} (id bigint PRIMARY KEY, name varchar(40) NOT NULL, "
    "paid numeric)",
    "mariadb": "CREATE TABLE {0} (id bigint PRIMARY KEY, name varchar(40) NOT NULL, "
    "paid decimal(30, 10))",
}


_PAIRS = [pair for pair in product(ENGINES, ENGINES) if pair != ("mariadb", "mariadb")]
"""Engines of legacy and new; a test has one MariaDB database."""


def same(name: str) -> Migration:
    """A migration of functions, so that no service has to run."""
    return Migration(name)


@pytest.mark.parametrize(("legacy", "new"), _PAIRS)
async def test_equal_schemas_need_nothing(
    place: Make, tmp_path: Path, legacy: str, new: str
) -> None:
    """Of any two engines; empty tables are only said not to have been tried."""
    one, other = place(legacy), place(new)
    one.run(GOOD[legacy].format("things"))
    other.run(GOOD[new].format("goods"))
    shop = same("shop")
    shop.entity(
        "thing",
        legacy=SqlTable(one.url, "things", key="id"),
        new=SqlTable(other.url, "goods", key="id"),
        to_new=dict,
        to_legacy=dict,
    )

    document = await found(shop, tmp_path)

    assert told(document, "problem") == []
    expected = {"no record to try it on", "no operation reads or writes"}
    # Any NUMERIC holds more than MariaDB's.
    expected |= {"cannot hold everything"} if "mariadb" in (legacy, new) else set()
    assert all(any(words in one for words in expected) for one in told(document)), document


async def test_types_that_do_not_fit(place: Make, tmp_path: Path) -> None:
    """Widths, lengths, digits, zones and characters; by name, never by a value, with the cure."""
    legacy, new = place("mariadb"), place("postgres")
    legacy.run(
        "CREATE TABLE a (id bigint unsigned PRIMARY KEY, small int unsigned, name varchar(60), "
        "paid decimal(12, 4), born date, at timestamp(6) NOT NULL DEFAULT current_timestamp(6), "
        "kept varchar(10))"
    )
    new.run(
        "CREATE TABLE a (id bigint PRIMARY KEY, small integer, name varchar(40), "
        "paid numeric(12, 2), born date, at timestamp, kept varchar(10))"
    )
    shop = same("shop")
    shop.entity(
        "a",
        legacy=SqlTable(legacy.url, "a", key="id"),
        new=SqlTable(new.url, "a", key="id"),
        to_new=lambda row: {**row},
        to_legacy=lambda row: {**row},
    )

    document = await found(shop, tmp_path)

    text = one_with(told(document), "a to new: new cannot hold")
    assert "legacy.id (bigint(20) unsigned -> bigint): whole numbers such as 92233" in text
    assert "legacy.small (int(10) unsigned -> integer): whole numbers such as 2147483648" in text
    assert "legacy.name (varchar(60) -> character varying(40)): texts of 41 characters" in text
    assert "numbers with 3 digits behind the point" in text
    assert "such as 0000-00-00" in text
    assert (
        "legacy.at (timestamp(6) -> timestamp without time zone): date-times with a time" in text
    )
    assert "legacy.kept" not in text
    ddl = next(one["ddl"] for one in document["findings"] if "new cannot hold" in one["message"])
    assert 'ALTER COLUMN "small" TYPE bigint;' in ddl
    new.run_script(ddl.splitlines())
    back = one_with(told(document), "a to legacy: legacy cannot hold")
    assert "new.small" in back
    assert "numbers below zero" in back


async def test_columns_that_are_missing_or_too_many(place: Make, tmp_path: Path) -> None:
    """Seen without a single record, in a declared mapping and in a function."""
    legacy, new = place("sqlite"), place("postgres")
    legacy.run("CREATE TABLE a (id INTEGER PRIMARY KEY, name TEXT)")
    new.run(
        "CREATE TABLE a (id bigint PRIMARY KEY, title text, needed text NOT NULL, "
        "made text GENERATED ALWAYS AS (title || '!') STORED)"
    )
    shop = same("shop")
    shop.entity(
        "a",
        legacy=SqlTable(legacy.url, "a", key="id"),
        new=SqlTable(new.url, "a", key="id"),
        to_new=lambda row: {"id": row["id"], "titel": row["name"], "made": "x"},
        to_legacy=columns({"id": "id", "title": "nam"}),
    )

    findings = told(await found(shop, tmp_path), "problem")

    assert one_with(findings, "new has no column titel in a")
    assert one_with(findings, "new needs the column needed of a")
    assert one_with(findings, "new computes made of a by itself")
    assert one_with(findings, "legacy has no column nam in a")


async def test_nulls(place: Make, tmp_path: Path) -> None:
    """Where one side may hold NULL and the other not, or the mapping cannot take it."""
    legacy, new = place("mariadb"), place("postgres")
    legacy.run("CREATE TABLE a (id int PRIMARY KEY, b varchar(9), c varchar(9), d varchar(9))")
    new.run("CREATE TABLE a (id bigint PRIMARY KEY, b text NOT NULL, c text NOT NULL, d text)")
    shop = same("shop")
    shop.entity(
        "a",
        legacy=SqlTable(legacy.url, "a", key="id"),
        new=SqlTable(new.url, "a", key="id"),
        to_new=lambda row: {**row, "c": row["c"] or "", "d": row["d"].strip()},
        to_legacy=dict,
    )

    document = await found(shop, tmp_path)

    findings = told(document)
    assert "new.b where legacy.b is NULL" in one_with(findings, "must not be NULL")
    assert "new.c" not in one_with(findings, "must not be NULL")
    assert "legacy.d" in one_with(findings, "the mapping raises where one of these is NULL")
    ddl = [one["ddl"] for one in document["findings"] if "must not be NULL" in one["message"]]
    assert 'ALTER TABLE "public"."a" ALTER COLUMN "b" DROP NOT NULL;' in ddl[0]
    new.run_script(ddl[0].splitlines())
    assert not any("must not be NULL" in one for one in told(await found(shop, tmp_path)))


async def test_uniques_and_collations(place: Make, tmp_path: Path) -> None:
    """What must be unique on the mirror, and what the mirror does not tell apart."""
    legacy, new = place("postgres"), place("mariadb")
    legacy.run("CREATE TABLE a (code varchar(20) PRIMARY KEY, email text, badge integer UNIQUE)")
    new.run(
        "CREATE TABLE a (code varchar(20) COLLATE utf8mb4_general_ci PRIMARY KEY, "
        "email varchar(200) COLLATE utf8mb4_bin UNIQUE, badge integer UNIQUE)"
    )
    shop = same("shop")
    shop.entity(
        "a",
        legacy=SqlTable(legacy.url, "a", key="code"),
        new=SqlTable(new.url, "a", key="code"),
        to_new=dict,
        to_legacy=dict,
    )

    document = await found(shop, tmp_path)

    findings = told(document)
    assert "new.email must be unique, and legacy does not" in one_with(findings, "must be unique,")
    code = one_with(findings, "new.code must be unique and does not tell apart")
    assert "accents and spaces at the end and upper and lower case" in code
    assert "apart spaces at the end, as" in one_with(findings, "new.email must be unique and does")
    assert not any("badge" in one for one in findings)
    assert "utf8mb4_nopad_bin" in one_with(findings, "a on new: the keys code are not ordered")
    for one in document["findings"]:
        if one["what"] == "a on legacy" or "legacy does not promise" in one["message"]:
            legacy.run_script(one["ddl"].splitlines())
    after = told(await found(shop, tmp_path))
    assert not any("legacy does not promise" in one for one in after)


async def test_children_and_triggers(place: Make, tmp_path: Path) -> None:
    """A child without an index, with the statement; triggers, on all three engines."""
    legacy, new = place("mariadb"), place("postgres")
    other = place("sqlite")
    legacy.run(
        "CREATE TABLE o (id int PRIMARY KEY)",
        "CREATE TABLE l (n int PRIMARY KEY, o_id int NOT NULL)",
        "CREATE TRIGGER touched BEFORE INSERT ON l FOR EACH ROW SET NEW.n = NEW.n",
    )
    new.run(
        "CREATE TABLE o (id bigint PRIMARY KEY)",
        "CREATE TABLE l (n bigint PRIMARY KEY, o_id bigint NOT NULL)",
        "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER noted BEFORE INSERT ON o FOR EACH ROW EXECUTE FUNCTION noted()",
    )
    other.run(
        "CREATE TABLE o (id INTEGER PRIMARY KEY)",
        "CREATE TRIGGER seen AFTER INSERT ON o BEGIN SELECT 1; END",
    )
    shop = same("shop")
    shop.entity(
        "o",
        legacy=SqlTable(
            legacy.url, "o", key="id", children={"ls": SqlTable(legacy.url, "l", parent="o_id")}
        ),
        new=SqlTable(
            new.url, "o", key="id", children={"ls": SqlTable(new.url, "l", parent="o_id")}
        ),
        to_new=dict,
        to_legacy=dict,
    )
    shop.entity(
        "p",
        legacy=SqlTable(other.url, "o", key="id"),
        new=SqlTable(new.url, "l", key="n"),
        to_new=dict,
        to_legacy=dict,
    )

    document = await found(shop, tmp_path)

    findings = told(document)
    assert "triggers of l, too (touched)" in one_with(findings, "o on legacy: copies fire")
    assert "triggers of o, too (noted)" in one_with(findings, "o on new: copies fire")
    assert "(seen)" in one_with(findings, "p on legacy: copies fire")
    for one in document["findings"]:
        if "no index finds" in one["message"]:
            (legacy if "legacy" in one["what"] else new).run(one["ddl"].rstrip(";"))
    assert not any("no index finds" in one for one in told(await found(shop, tmp_path)))


@pytest.mark.parametrize("engine", ["postgres", "mariadb"])
async def test_foreign_keys(place: Make, tmp_path: Path, engine: str) -> None:
    """The order, what no entity covers, and a cycle that nothing can be the first of."""
    legacy, new = place("sqlite"), place(engine)
    for one, words in ((legacy, "INTEGER"), (new, "bigint")):
        one.run(
            f"CREATE TABLE outside (id {words} PRIMARY KEY)",
            f"CREATE TABLE c (id {words} PRIMARY KEY)",
            f"CREATE TABLE b (id {words} PRIMARY KEY, c {words} NOT NULL, x {words} NOT NULL, "
            f"FOREIGN KEY (c) REFERENCES c (id), FOREIGN KEY (x) REFERENCES outside (id))",
        )
    new.run(
        "ALTER TABLE c ADD COLUMN b bigint NOT NULL",
        "ALTER TABLE c ADD CONSTRAINT back FOREIGN KEY (b) REFERENCES b (id)",
    )
    shop = same("shop")
    for name in ("b", "c"):
        shop.entity(
            name,
            legacy=SqlTable(legacy.url, name, key="id"),
            new=SqlTable(new.url, name, key="id"),
            to_new=lambda row: {"b": 1, **row},
            to_legacy=lambda row: row,
        )

    document = await found(shop, tmp_path)

    everything = told(document, "ok", "warning", "problem")
    assert "in the order c, b" in one_with(everything, "foreign keys on legacy: rows are put")
    assert "b of new points to outside" in one_with(everything, "keys on new: b of new")
    assert one_with(told(document, "problem"), "b, c point to one another, none can be the first")
    (cycle,) = [one for one in document["findings"] if "none can be" in one["message"]]
    if engine == "postgres":
        new.run(cycle["ddl"].splitlines()[0])
    else:
        assert cycle["ddl"] == ""
        new.run("ALTER TABLE c MODIFY b bigint NULL")
    after = told(await found(shop, tmp_path), "ok", "warning", "problem")
    assert "in one transaction" in one_with(after, "b, c point to one another")


async def test_sequences_are_named(place: Make, tmp_path: Path) -> None:
    """Identity, serial and MariaDB's own sequences; AUTO_INCREMENT needs nothing."""
    legacy, new = place("mariadb"), place("postgres")
    legacy.run(
        "CREATE SEQUENCE numbers",
        "CREATE TABLE a (id bigint PRIMARY KEY DEFAULT nextval(numbers))",
    )
    new.run("CREATE TABLE a (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY)")
    shop = same("shop")
    shop.entity(
        "a",
        legacy=SqlTable(legacy.url, "a", key="id"),
        new=SqlTable(new.url, "a", key="id"),
        to_new=dict,
        to_legacy=dict,
    )

    findings = told(await found(shop, tmp_path), "ok")

    assert "numbers" in one_with(findings, "a on legacy: each flip moves")
    assert "public.a_id_seq" in one_with(findings, "a on new: each flip moves")
