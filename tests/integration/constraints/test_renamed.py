"""What others point to does not change under them, even where the engine would carry it on."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from crossfade.model.key import Key, RecordName
from crossfade.model.store_description import SqlTable
from crossfade.store.base import Fence, PutStatus, Record, StoreEpoch, Together
from crossfade.store.sql import SqlDatabases, SqlStore, open_sql_store
from tests.integration.constraints.company import run_on

FENCE = Fence(5, 1)


@dataclass(slots=True)
class Shop:
    """Products point to categories by a code that is no key, and that engines would carry on."""

    categories: SqlStore
    products: SqlStore


@pytest.fixture
async def shop(new_url: str) -> AsyncIterator[Shop]:
    """One category with one product."""
    run_on(
        new_url,
        "CREATE TABLE category (id INTEGER PRIMARY KEY, code VARCHAR(3) NOT NULL UNIQUE, "
        "open BOOLEAN NOT NULL)",
        "CREATE TABLE product (id INTEGER PRIMARY KEY, code VARCHAR(3) NULL, "
        "FOREIGN KEY (code) REFERENCES category (code) ON UPDATE CASCADE)",
    )
    databases = SqlDatabases("shop")
    database = databases.at(new_url)
    await database.prepare()
    await database.raise_epoch(StoreEpoch("ledger", 1, 1))
    opened = [
        await open_sql_store(SqlTable(new_url, name, key="id"), entity=name, database=database)
        for name in ("category", "product")
    ]
    made = Shop(*opened)
    await made.categories.put((1,), {"code": "a", "open": True}, FENCE)
    await made.products.put((7,), {"code": "a"}, FENCE)
    yield made
    await databases.close()


def _one(entity: str, key: Key, record: Record | None) -> Together:
    return Together(RecordName(entity, key), record, FENCE)


async def test_a_code_changes_only_with_those_that_use_it(shop: Shop) -> None:
    """Alone it is refused, with the name of who would change; together it is done."""
    alone = await shop.categories.put((1,), {"code": "b"}, FENCE)
    together = await shop.categories.put_together(
        [_one("category", (1,), {"code": "b"}), _one("product", (7,), {"code": "b"})]
    )

    assert alone.status is PutStatus.FOREIGN_KEY
    assert alone.in_the_way == (RecordName("product", (7,)),)
    assert together.status is PutStatus.OK
    assert await shop.products.read((7,)) == {"id": 7, "code": "b"}


async def test_other_columns_change_alone(shop: Shop) -> None:
    """Nobody points to them; a code that stays is no change either."""
    result = await shop.categories.put((1,), {"code": "a", "open": False}, FENCE)

    assert result.status is PutStatus.OK


async def test_codes_are_exchanged(shop: Shop) -> None:
    """The products change with them, and back."""
    await shop.categories.put((2,), {"code": "b", "open": True}, FENCE)

    result = await shop.categories.put_together(
        [
            _one("category", (1,), {"code": "b"}),
            _one("category", (2,), {"code": "a"}),
            _one("product", (7,), {"code": "a"}),
        ]
    )

    assert result.status is PutStatus.OK
    assert (await shop.categories.read((2,)) or {})["code"] == "a"
    assert await shop.products.read((7,)) == {"id": 7, "code": "a"}


async def test_a_code_that_nobody_has_names_no_parent(shop: Shop) -> None:
    """Whose code it will be is not known: only the refusal is."""
    result = await shop.products.put((8,), {"code": "x"}, FENCE)

    assert (result.status, result.missing) == (PutStatus.FOREIGN_KEY, ())


async def test_a_category_goes_with_its_products(shop: Shop) -> None:
    """The product is left without one."""
    result = await shop.categories.put_together(
        [_one("category", (1,), None), _one("product", (7,), {"code": None})]
    )

    assert result.status is PutStatus.OK
    assert await shop.products.read((7,)) == {"id": 7, "code": None}
