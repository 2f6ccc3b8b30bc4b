"""What `init` drafts from databases of two engines, `doctor` finds nothing wrong with."""

import asyncio
from pathlib import Path

import pytest

from crossfade.config import load_config
from crossfade.control.doctor.examine import examine
from crossfade.control.draft.pairing import pair_tables
from crossfade.control.draft.reading import read_tables
from crossfade.control.draft.writing import Places, migration_text
from crossfade.migration import load_migration
from tests.integration.doctor.looking import ENGINES, Make, told

QUOTES = {"sqlite": '"', "postgres": '"', "mariadb": "`"}
TYPES = {
    "sqlite": ("INTEGER", "TEXT", "DECIMAL(12, 2)"),
    "postgres": ("bigint", "text", "numeric(12, 2)"),
    "mariadb": ("bigint", "varchar(200)", "decimal(12, 2)"),
}


def legacy_tables(engine: str) -> list[str]:
    """As an older service has them; one table only it has, and one name that is hostile."""
    whole, text, money = TYPES[engine]
    q = QUOTES[engine]
    return [
        (
            f"CREATE TABLE {q}Customer{q} (CustomerId {whole} NOT NULL PRIMARY KEY, Email {text}, "
            f"Credit {money})"
        ),
        (
            f"CREATE TABLE {q}Order{q} (OrderId {whole} NOT NULL PRIMARY KEY, "
            f"CustomerId {whole} NOT NULL, FOREIGN KEY (CustomerId) REFERENCES "
            f"{q}Customer{q} (CustomerId))"
        ),
        (
            f"CREATE TABLE {q}OrderLine{q} (OrderId {whole} NOT NULL, Line {whole} NOT NULL, "
            f"Amount {money}, PRIMARY KEY (OrderId, Line), FOREIGN KEY (OrderId) REFERENCES "
            f"{q}Order{q} (OrderId))"
        ),
        f"CREATE TABLE {q}odd 'name'{q} (id {whole} NOT NULL PRIMARY KEY, {q}a 'b' %{q} {text})",
        f"CREATE TABLE Log (At {text})",
    ]


def new_tables(engine: str) -> list[str]:
    """The same in another style; a code that was text is a number."""
    whole, text, money = TYPES[engine]
    q = QUOTES[engine]
    return [
        f"CREATE TABLE customers (id {whole} NOT NULL PRIMARY KEY, email {text}, credit {money})",
        (
            f"CREATE TABLE orders (id {whole} NOT NULL PRIMARY KEY, customer_id {whole} NOT NULL, "
            f"FOREIGN KEY (customer_id) REFERENCES customers (id))"
        ),
        (
            f"CREATE TABLE order_lines (order_id {whole} NOT NULL, line {whole} NOT NULL, "
            f"amount {money}, PRIMARY KEY (order_id, line), FOREIGN KEY (order_id) REFERENCES "
            f"orders (id))"
        ),
        f"CREATE TABLE {q}odd_names{q} (id {whole} NOT NULL PRIMARY KEY, {q}a b{q} {text})",
    ]


@pytest.mark.parametrize(
    ("legacy", "new"),
    [(one, two) for one in ENGINES for two in ENGINES if one != two] + [("postgres", "postgres")],
)
async def test_a_draft_of_two_engines_passes(
    place: Make, tmp_path: Path, legacy: str, new: str
) -> None:
    """Tables, columns, keys, foreign keys; nothing is wrong, and nothing was written twice."""
    one, other = place(legacy), place(new)
    one.run(*legacy_tables(legacy))
    other.run(*new_tables(new))
    tables = [await read_tables(place_.url) for place_ in (one, other)]
    drafts = pair_tables(*tables)
    places = Places("http://127.0.0.1:1", "http://127.0.0.1:1", one.url, other.url)
    text = migration_text("shop", places, drafts)
    file = tmp_path / "migration.py"
    file.write_text(text)

    definition = load_migration(file)
    document = await examine(
        definition, load_config(tmp_path), apply=True, records_max=9, progress=lambda _: None
    )

    assert sorted(draft.name for draft in drafts) == ["customer", "oddname", "order", "orderline"]
    assert "customer_to_new = columns(\n" in text
    assert "# children={" in text
    problems = [one for one in told(document, "problem") if " service: " not in one]
    assert problems == []


async def test_what_has_to_be_converted_is_said(place: Make) -> None:
    """Columns of one name and different types are no mere renaming."""
    one, other = place("sqlite"), place("postgres")
    one.run("CREATE TABLE a (id INTEGER PRIMARY KEY, paid REAL)")
    one.run("CREATE TABLE b (id TEXT PRIMARY KEY)")
    other.run("CREATE TABLE a (id bigint PRIMARY KEY, paid bigint)")
    other.run("CREATE TABLE b (id bigint PRIMARY KEY)")

    tables = await asyncio.gather(read_tables(one.url), read_tables(other.url))
    drafts = pair_tables(*tables)
    text = migration_text("shop", Places("http://l", "http://n", "l", "n"), drafts)

    assert [draft.name for draft in drafts] == ["a"]
    assert '"paid": record["paid"],  # REAL on legacy, bigint on new' in text
    assert "columns(" not in text
