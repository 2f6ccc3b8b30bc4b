"""The table of types in the documentation says what a read really gives."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest

from crossfade import SqlTable
from crossfade.store.base import Fence, StoreEpoch
from crossfade.store.sql import SqlDatabases, open_sql_store
from tests.integration.doctor.looking import Make
from tests.project_files import ROOT

PAGE = ROOT / "docs" / "howto" / "databases.md"
HEAD = "| in a record | PostgreSQL | MariaDB | SQLite |"
NOON = datetime(2024, 2, 29, 12, 30, 15, 250_000)  # noqa: DTZ001 - a column without a zone
VALUES = {
    "`int`": 42,
    "`Decimal`": Decimal("12.50"),
    "`float`": 0.5,
    "`str`": '{"a": 1}',
    "`bytes`": b"\x00\xff",
    "`bool`": True,
    "`date`": date(2024, 2, 29),
    "`datetime`": NOON,
    "`datetime` in UTC": NOON.replace(tzinfo=UTC),
    "`time`": time(12, 30, 15, 250_000),
    "`dict`": {"a": [1, None]},
    "`list`": [],
}
ENGINES = ("postgres", "mariadb", "sqlite")


def documented(engine: str) -> Iterator[tuple[str, str]]:
    """What a record has, and a type of the engine, as the page says."""
    _, _, rest = PAGE.read_text().partition(HEAD)
    rows = [line for line in rest.splitlines()[2:] if line.startswith("|")]
    for line in rows:
        in_record, *types = (cell.strip() for cell in line.strip("|").split("|"))
        if in_record not in VALUES:
            return
        for declared in re.findall(r"`([^`]+)`", types[ENGINES.index(engine)]):
            yield in_record, declared


@pytest.mark.parametrize("engine", ENGINES)
async def test_each_type_holds_what_the_page_says(place: Make, engine: str) -> None:
    """Put, and read back equal and of the same Python type, a row for each line."""
    service = place(engine)
    columns = list(documented(engine))
    assert len(columns) >= 6
    declared = ", ".join(f"c{n} {kind} NULL" for n, (_, kind) in enumerate(columns))
    service.run(f"CREATE TABLE t (id bigint PRIMARY KEY, {declared})")
    databases = SqlDatabases("shop")
    database = databases.at(service.url)
    try:
        await database.prepare()
        await database.raise_epoch(StoreEpoch("L", 1, 1))
        store = await open_sql_store(
            SqlTable(service.url, "t", key="id"), entity="t", database=database
        )
        record = {f"c{n}": VALUES[name] for n, (name, _) in enumerate(columns)}
        put = await store.put((1,), {"id": 1, **record}, Fence(1, 1))

        found = await store.read((1,))

        assert put.reason == ""
        assert found is not None
        for n, (name, kind) in enumerate(columns):
            value = found[f"c{n}"]
            assert (type(value), value) == (type(VALUES[name]), VALUES[name]), kind
    finally:
        await databases.close()
