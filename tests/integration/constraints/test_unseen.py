"""What the engine or we ourselves do to rows on the way is seen: none is changed unnoticed."""

from collections.abc import AsyncIterator

import pytest

from crossfade.model.key import Key, RecordName
from crossfade.model.store_description import SqlTable
from crossfade.store.base import Fence, PutStatus, Record, StoreEpoch, Together
from crossfade.store.sql import SqlDatabase, SqlDatabases, SqlStore, open_sql_store
from tests.integration.constraints.company import run_on

FENCE = Fence(5, 1)


@pytest.fixture
async def database(new_url: str) -> AsyncIterator[SqlDatabase]:
    """A prepared database on each engine."""
    databases = SqlDatabases("shop")
    made = databases.at(new_url)
    await made.prepare()
    await made.raise_epoch(StoreEpoch("ledger", 1, 1))
    yield made
    await databases.close()


async def _opened(database: SqlDatabase, table: str, **more: object) -> SqlStore:
    described = SqlTable(database.url, table, key="id", **more)  # type: ignore[arg-type] # another kind of answer
    return await open_sql_store(described, entity=table, database=database)


def _one(entity: str, key: Key, record: Record | None) -> Together:
    return Together(RecordName(entity, key), record, FENCE)


async def test_columns_that_the_record_does_not_name_are_never_parked(
    database: SqlDatabase,
) -> None:
    """They are the new service's own, and nobody would put them back."""
    run_on(
        database.url,
        "CREATE TABLE place (id INTEGER PRIMARY KEY, own VARCHAR(9) NULL, seat INTEGER NOT NULL, "
        "UNIQUE (own, seat))",
        "INSERT INTO place VALUES (1, 'hall', 1), (2, 'hall', 2)",
    )
    places = await _opened(database, "place")

    result = await places.put_together(
        [_one("place", (1,), {"seat": 2}), _one("place", (2,), {"seat": 1})]
    )

    assert result.status is PutStatus.OK
    assert await places.read((1,)) == {"id": 1, "own": "hall", "seat": 2}
    assert await places.read((2,)) == {"id": 2, "own": "hall", "seat": 1}


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL"])
@pytest.mark.parametrize("gone", [False, True])
async def test_a_code_is_not_parked_under_those_that_use_it(
    database: SqlDatabase, action: str, *, gone: bool
) -> None:
    """The engine would change them with it: whoever is not part of the put is named."""
    run_on(
        database.url,
        "CREATE TABLE category (id INTEGER PRIMARY KEY, code VARCHAR(3) NULL UNIQUE)",
        "CREATE TABLE product (id INTEGER PRIMARY KEY, code VARCHAR(3) NULL, "
        f"FOREIGN KEY (code) REFERENCES category (code) ON UPDATE {action})",
    )
    categories, products = await _opened(database, "category"), await _opened(database, "product")
    await categories.put((1,), {"code": "a"}, FENCE)
    await categories.put((2,), {"code": "b"}, FENCE)
    await products.put((7,), {"code": "b"}, FENCE)

    result = await categories.put_together(
        [
            _one("category", (1,), {"code": "b"}),
            _one("category", (2,), None if gone else {"code": "a"}),
        ]
    )

    assert result.status is PutStatus.FOREIGN_KEY
    assert result.in_the_way == (RecordName("product", (7,)),)
    assert await products.read((7,)) == {"id": 7, "code": "b"}


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL"])
async def test_a_record_that_points_to_its_own_lost_child_is_not_put_in_part(
    database: SqlDatabase, action: str
) -> None:
    """The authority has no such constraint; the engine would mend the record behind our back."""
    run_on(
        database.url,
        "CREATE TABLE line (id INTEGER PRIMARY KEY, bill INTEGER NOT NULL)",
        "CREATE TABLE bill (id INTEGER PRIMARY KEY, best INTEGER NULL, "
        f"FOREIGN KEY (best) REFERENCES line (id) ON DELETE {action})",
    )
    lines = SqlTable(database.url, "line", key="id", parent="bill")
    bills = await _opened(database, "bill", children={"lines": lines})
    await bills.put((1,), {"best": None, "lines": [{"id": 7}, {"id": 8}]}, FENCE)
    await bills.put((1,), {"best": 7}, FENCE)

    result = await bills.put((1,), {"best": 7, "lines": [{"id": 8}]}, FENCE)

    assert result.status is not PutStatus.OK
    found = await bills.read((1,))
    assert found is not None
    assert (found["best"], len(found["lines"])) == (7, 2)


async def test_a_child_that_pointed_to_a_lost_one_stays(database: SqlDatabase) -> None:
    """It does not go with it, though the engine would take it along."""
    run_on(
        database.url,
        "CREATE TABLE chain (id INTEGER PRIMARY KEY)",
        "CREATE TABLE link (id INTEGER PRIMARY KEY, chain INTEGER NOT NULL, before_id INTEGER "
        "NULL, FOREIGN KEY (before_id) REFERENCES link (id) ON DELETE CASCADE)",
    )
    links = SqlTable(database.url, "link", key="id", parent="chain")
    chains = await _opened(database, "chain", children={"links": links})
    first, second = {"id": 1, "before_id": None}, {"id": 2, "before_id": 1}
    await chains.put((1,), {"links": [first, second]}, FENCE)

    result = await chains.put((1,), {"links": [{**second, "before_id": None}]}, FENCE)

    assert result.status is PutStatus.OK
    found = await chains.read((1,))
    assert found is not None
    assert [(one["id"], one["before_id"]) for one in found["links"]] == [(2, None)]
