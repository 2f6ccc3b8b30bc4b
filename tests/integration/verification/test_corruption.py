"""Twelve kinds of corruption on real engines: the fast ways find what the exact way finds."""

from collections.abc import Iterable

import pytest

from crossfade.ledger.transitions.verdicts import Verdict
from crossfade.model.side import Side
from crossfade.model.verification_way import AskedWay, Way
from crossfade.store.base import Record
from tests.integration.verification.pairs import ENGINES, Engines, Pair, make_thing

Engined = tuple[str, str, tuple[str, ...]]
"""Legacy's engine, new's, and columns that they do not compare."""

COUNT = 200
SOWN = (1, 8, 122, 200)
"""The first and the last key, and two that have a note; two of them in one part."""

PAIRS: list[Engined] = [
    *((engine, engine, ()) for engine in ENGINES),
    ("postgres", "mariadb", ("weight",)),
    ("mariadb", "postgres", ("weight",)),
    ("sqlite", "postgres", ("placed", "day", "flag")),
    ("postgres", "sqlite", ("placed", "day", "flag")),
]
"""Engines, and the columns that only one of them compares, or that have no type on one."""

KINDS: dict[str, tuple[str, str]] = {
    "missing": ("id", ""),
    "extra": ("id", "thing_id = -thing_id"),
    "stale": ("total", "remark = 'of last week', sum = 0.1"),
    "type": ("code", "number = '{key}'"),
    "null or empty": ("note", "remark = CASE WHEN remark = '' THEN NULL ELSE '' END"),
    "time zone": ("placed", "placed_at = '2026-03-29 02:31:00+02:00'"),
    "date": ("day", "born = '2025-12-31'"),
    "float": ("weight", "mass = mass + 1e-9"),
    "unicode form": ("note", "remark = 'K\u00fcche {key} |'"),
    "truncated": ("note", "remark = 'K'"),
    "reordered list": ("tags", """labels = '["b", "a{key}"]'"""),
    "duplicate": ("tags", """labels = '["a{key}", "b", "b"]'"""),
    "wrong owner": ("owner", "owner_id = 4294967295 + owner_id"),
    "sign": ("owner", "owner_id = -owner_id, sum = -sum"),
    "flag": ("flag", "is_open = NULL"),
    "bytes": ("raw", "bytes = NULL"),
}
"""The column that it needs, and what somebody does to one key."""


async def _made(engines: Engines, pair: Engined, *, declared: bool) -> Pair:
    legacy, new, without = pair
    made = await engines.pair(legacy, new, declared=declared, without=without)
    await made.fill(_things(pair, range(1, COUNT + 1)))
    return made


def _things(pair: Engined, numbers: Iterable[int]) -> list[Record]:
    return [make_thing(number, as_text="sqlite" in pair) for number in numbers]


def _sow(pair: Pair, kind: str, key: int) -> None:
    change = KINDS[kind][1].format(key=key)
    do = f"UPDATE new_things SET {change}" if change else "DELETE FROM new_things"  # noqa: S608 - made up here
    pair.run[Side.NEW](f"{do} WHERE thing_id = {key}")


@pytest.mark.parametrize("declared", [True, False], ids=["columns", "function"])
@pytest.mark.parametrize("engined", PAIRS, ids=lambda one: f"{one[0]}-{one[1]}")
async def test_the_fast_ways_find_what_the_exact_way_finds(
    engines: Engines, engined: Engined, *, declared: bool
) -> None:
    """Each kind in the same keys, told apart by the same columns; quiet before it was sown."""
    pair = await _made(engines, engined, declared=declared)
    quiet = await pair.verify(AskedWay.FAST)
    way = Way.CHECKSUMS if declared else Way.DIGESTS
    assert (quiet.passed, quiet.compared, quiet.way) == (True, COUNT, way)

    for kind, (column, _) in KINDS.items():
        if column in engined[2]:
            continue
        for key in SOWN:
            _sow(pair, kind, key)
        fast = await pair.verify(AskedWay.FAST)
        exact = await pair.verify(AskedWay.EXACT)

        assert exact.different >= len(SOWN), kind
        assert found(fast) == found(exact), kind
        for key in SOWN:
            pair.run[Side.NEW](f"DELETE FROM new_things WHERE thing_id IN ({key}, -{key})")  # noqa: S608 - made up here
        await pair.fill(_things(engined, SOWN))

    assert (await pair.verify(AskedWay.FAST)).passed
    await pair.opened.close()


def found(verdict: Verdict) -> tuple[object, ...]:
    """All that two verdicts of the same data must agree on."""
    return (
        verdict.different, verdict.alarm_keys, verdict.columns, verdict.compared,
        verdict.lagging, verdict.quarantined, verdict.passed, verdict.reason,
    )  # fmt: skip
