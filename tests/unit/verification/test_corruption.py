"""Twelve kinds of corruption, sown in the mirror: found, named, repaired; quiet on equal data."""

import unicodedata
from collections.abc import Callable
from datetime import UTC, timedelta, timezone
from decimal import Decimal

import pytest

from crossfade.model.key import Key
from crossfade.model.side import Side
from crossfade.observability.events import AlarmRaised
from crossfade.store.base import Record
from tests.unit.verification.orders import ORDERS, Orders, make_orders

SOWN: tuple[Key, ...] = ((1,), (8,), (22,), (41,))
"""The first and the last key, and two that are neither null nor empty in their note."""

Sow = Callable[[dict[Key, Record], Key], None]
"""Corrupts one key of the mirror's rows."""


def _change(column: str, change: Callable[[Record], object]) -> Sow:
    def sow(rows: dict[Key, Record], key: Key) -> None:
        value = change(rows[key])
        assert value != rows[key][column] or type(value) is not type(rows[key][column])
        rows[key][column] = value

    return sow


def _missing(rows: dict[Key, Record], key: Key) -> None:
    del rows[key]


def _stale(rows: dict[Key, Record], key: Key) -> None:
    rows[key] |= {"remark": "as it was last week", "total": Decimal("0.1")}


def _swap_items(record: Record) -> object:
    first, second, *rest = [dict(item) for item in record["items"]]
    first["sku"], second["sku"] = second["sku"], first["sku"]
    return [first, second, *rest]


def _repeat_item(record: Record) -> object:
    return [*record["items"], {**record["items"][-1], "n": 4}]


def _other_zone(record: Record) -> object:
    return record["placed_at"].replace(tzinfo=timezone(timedelta(hours=2)))


def _no_zone(record: Record) -> object:
    return record["placed_at"].replace(tzinfo=None)


KINDS: dict[str, tuple[Sow, set[str]]] = {
    "missing": (_missing, {"(absent)"}),
    "stale": (_stale, {"remark", "total"}),
    "type": (_change("code", lambda row: int(row["code"])), {"code"}),
    "null or empty": (_change("remark", lambda _: None), {"remark"}),
    "time zone": (_change("placed_at", _other_zone), {"placed_at"}),
    "time without zone": (_change("placed_at", _no_zone), {"placed_at"}),
    "float": (_change("weight", lambda row: row["weight"] + 1e-9), {"weight"}),
    "unicode form": (
        _change("remark", lambda row: unicodedata.normalize("NFC", row["remark"])),
        {"remark"},
    ),
    "truncated": (_change("remark", lambda row: row["remark"][:4]), {"remark"}),
    "reordered list": (_change("items", _swap_items), {"items[].sku"}),
    "duplicate": (_change("items", _repeat_item), {"items[]"}),
    "wrong owner": (_change("customer_id", lambda row: row["customer_id"] + 1), {"customer_id"}),
}  # fmt: skip


async def _found_and_repaired(orders: Orders, keys: tuple[Key, ...], columns: set[str]) -> None:
    verdict = await orders.verifier().verify(ORDERS)

    assert (verdict.different, verdict.alarm_keys, verdict.passed) == (len(keys), keys, False)
    assert (set(verdict.columns), verdict.lagging) == (columns, 0)
    assert sum(one.count for one in orders.events if isinstance(one, AlarmRaised)) == len(keys)

    await orders.converge()
    assert orders.agrees()
    again = await orders.verifier().verify(ORDERS)
    assert (again.passed, again.different, again.lagging) == (True, 0, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])
async def test_every_kind_is_found_and_repaired(kind: str, *, ordered: bool) -> None:
    """All keys that were sown and no other, in the columns that were corrupted."""
    orders = await make_orders(41, ordered=ordered)
    sow, columns = KINDS[kind]
    for key in SOWN:
        sow(orders.rows(Side.NEW), key)

    await _found_and_repaired(orders, SOWN, columns)


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])
async def test_extra_records_are_found_and_removed(*, ordered: bool) -> None:
    """Before, between and behind the authority's keys; one is a copy under another key."""
    orders = await make_orders(41, ordered=ordered)
    del orders.rows(Side.LEGACY)[(20,)]
    keys = ((-1,), (20,), (42,))
    rows = orders.rows(Side.NEW)
    for (number,) in keys:
        rows[(number,)] = {**rows[(8,)], "id": number, "items": []}

    await _found_and_repaired(orders, keys, {"(extra)"})


async def test_all_kinds_at_once_are_told_apart() -> None:
    """Each in a key of its own; recall and precision are both one."""
    orders = await make_orders(60)
    keys = {}
    for number, (kind, (sow, columns)) in zip(
        (1, 2, 4, 7, 8, 11, 13, 14, 16, 17, 19, 22), KINDS.items(), strict=True
    ):
        sow(orders.rows(Side.NEW), (number,))
        keys[(number,)] = (kind, columns)

    verdict = await orders.verifier().verify(ORDERS)

    assert set(verdict.alarm_keys) == set(keys)
    assert set(verdict.columns) == set().union(*(columns for _, columns in keys.values()))


async def test_equal_data_is_quiet() -> None:
    """Nulls, empty text, decimals, floats, other scripts, and a column that only new has."""
    orders = await make_orders(100)
    rows = orders.rows(Side.NEW)
    rows[(4,)]["placed_at"] = rows[(4,)]["placed_at"].astimezone(timezone(timedelta(hours=-9)))
    rows[(5,)]["total"] = float(rows[(5,)]["total"])
    rows[(6,)]["weight"] = Decimal(str(rows[(6,)]["weight"]))
    assert rows[(4,)]["placed_at"].tzinfo is not UTC

    verdict = await orders.verifier().verify(ORDERS)

    assert (verdict.passed, verdict.compared, verdict.different, verdict.lagging) == (
        True,
        100,
        0,
        0,
    )
    assert not any(isinstance(one, AlarmRaised) for one in orders.events)


async def test_what_is_not_found() -> None:
    """A type that changed without the value, and whatever the mapping does not yield."""
    orders = await make_orders()
    orders.rows(Side.NEW)[(5,)] |= {"total": float(Decimal(5) / 4), "only_new": "corrupted"}

    verdict = await orders.verifier().verify(ORDERS)

    assert verdict.passed
