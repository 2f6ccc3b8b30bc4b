"""Digests of rows on every engine: they add up, they tell apart; pairs are kept beside fences."""

from decimal import Decimal

import pytest

from crossfade.model.key import EVERY_KEY, Key, KeyRange
from crossfade.store.base import Fence, Record, Store
from crossfade.store.digests import (
    PORTABLE,
    DigestPair,
    FencePairs,
    RowDigest,
    RowDigests,
    digests_of,
    pairs_of,
)
from tests.contract.store.backends import Backend
from tests.contract.store.layouts import Column, Kind, Layout

pytestmark = pytest.mark.asks("digests")

THINGS = Layout(
    table="things",
    columns=(
        Column("id", Kind.WHOLE, nullable=False),
        Column("owner", Kind.WHOLE),
        Column("name", Kind.TEXT),
        Column("note", Kind.TEXT),
        Column("weight", Kind.NUMBER),
        Column("total", Kind.DECIMAL),
        Column("raw", Kind.BYTES),
    ),
    key=("id",),
)
NAMES = tuple(column.name for column in THINGS.columns)

USUAL: Record = {
    "owner": -1, "name": "a", "note": "", "weight": 0.5, "total": Decimal("1.5"), "raw": b"",
}  # fmt: skip

OTHERS: dict[str, Record] = {
    "null": {"note": None},
    "null for no bytes": {"raw": None},
    "moved to the next column": {"name": "", "note": "a"},
    "split otherwise": {"name": "a|", "note": None},
    "a sign": {"owner": 1},
    "a sign of a decimal": {"total": Decimal("-1.5")},
    "unsigned": {"owner": 4294967295},
    "upper half": {"owner": -1 - 2**32},
    "only an upper half": {"owner": 2**40},
    "another upper half": {"owner": 2**41},
    "times ten thousand": {"total": Decimal(15000)},
    "zero": {"owner": 0},
    "a float": {"weight": 0.5 + 1e-12},
    "another form": {"name": "a\u0308"},
    "composed": {"name": "\u00e4"},
    "upper case": {"name": "A"},
    "a space behind": {"name": "a "},
    "bytes": {"raw": b"\x00"},
    "more bytes": {"raw": b"\x00\x00"},
}


async def _opened(backend: Backend) -> tuple[Store, RowDigests, FencePairs]:
    store = await backend.open(THINGS)
    digests, pairs = digests_of(store), pairs_of(store)
    assert digests is not None
    assert pairs is not None
    return store, digests, pairs


async def _put(store: Store, records: dict[int, Record]) -> None:
    rows = [((key,), {"id": key, **USUAL, **record}) for key, record in records.items()]
    result = await store.put_many(rows, Fence(7, 3))
    assert result.result.reason == ""


def _own(digests: RowDigests, binding: str = "") -> RowDigest:
    digest = digests.of_columns(NAMES, binding)
    assert digest is not None
    return digest


def _portable(digests: RowDigests) -> RowDigest:
    forms = digests.forms()
    names = [name for name in NAMES if forms[name][PORTABLE]]
    return RowDigest(PORTABLE, tuple(names), tuple(forms[name][PORTABLE][0] for name in names), 9)


@pytest.mark.parametrize("portable", [False, True], ids=["own", "portable"])
async def test_every_difference_gives_another_digest(backend: Backend, *, portable: bool) -> None:
    """What hash functions of databases are known to take for the same is told apart."""
    store, digests, _ = await _opened(backend)
    digest = _portable(digests) if portable else _own(digests)
    seen: dict[int, str] = {}
    for name, change in {"usual": {}, **OTHERS}.items():
        if portable and not change.keys() <= set(digest.columns):
            continue
        await _put(store, {1: change})
        (((key, found),),) = await digests.digests(digest, [EVERY_KEY], 10)
        assert key == (1,)
        assert seen.setdefault(found, name) == name
    await _put(store, {1: {}})
    assert seen[(await digests.digests(digest, [EVERY_KEY], 10))[0][0][1]] == "usual"


async def test_sums_are_those_of_the_digests(backend: Backend) -> None:
    """By parts, by ranges, and read with the records."""
    store, digests, _ = await _opened(backend)
    await _put(store, {key: {"owner": key * 2**33} for key in range(-5, 20)})
    digest = _own(digests)

    (listed,) = await digests.digests(digest, [EVERY_KEY], 100)
    single = dict(listed)
    parts = await digests.first_sums(digest, EVERY_KEY, 10, 100)
    records, found = await digests.read_range(digest, KeyRange((0,), (3,)), 100)
    limited = await digests.sums(digest, [EVERY_KEY], 4)

    assert [one.rows for one in parts] == [10, 10, 5]
    assert [one.range for one in parts][1] == KeyRange((4,), (14,))
    assert parts[-1].range.upper is None
    even = await digests.even_sums(digest, [KeyRange((-6,), (8,)), KeyRange((8,), (50,))], 4)
    assert {one.range for one in even} >= {KeyRange((-6,), (-2,)), KeyRange((6,), (8,))}
    assert sum(one.rows for one in even) == len(single)
    again = await digests.sums(digest, [one.range for one in parts], None)
    for one in [*parts, *even, *again]:
        keys = [key for key in single if one.range.contains(key)]
        assert (one.rows, one.total) == (len(keys), sum(single[key] for key in keys))
    assert dict(records) == dict(await store.read_range(KeyRange((0,), (3,)), 100))
    assert found == [single[key] for key in [(1,), (2,), (3,)]]
    assert limited[0].rows == 4


async def test_values_that_change_rows_change_the_sum(backend: Backend) -> None:
    """The same values in every column, the same keys, in other rows."""
    store, digests, _ = await _opened(backend)
    for digest in (_own(digests), _portable(digests)):
        totals = set()
        for owners in ((1, 2), (2, 1)):
            await _put(store, {key: {"owner": owner} for key, owner in enumerate(owners)})
            totals.add((await digests.sums(digest, [EVERY_KEY], None))[0].total)
        assert len(totals) == 2


async def test_a_digest_depends_on_what_it_is_bound_to(backend: Backend) -> None:
    """Another generation, or other columns: other digests; the same again: the same."""
    store, digests, _ = await _opened(backend)
    await _put(store, {1: {}})

    async def found(digest: RowDigest | None) -> int:
        assert digest is not None
        return (await digests.digests(digest, [EVERY_KEY], 1))[0][0][1]

    bound = [await found(_own(digests, binding)) for binding in ("", "1", "2", "1")]
    fewer = await found(digests.of_columns(("name",)))

    assert bound[1] == bound[3]
    assert len({*bound, fewer}) == 4
    assert digests.of_columns(("name", "nobody")) is None


async def test_pairs_are_kept_beside_fences(backend: Backend) -> None:
    """For keys that have a fence, at the right epoch; an ordinary put takes them away."""
    store, _, pairs = await _opened(backend)
    await _put(store, {key: {} for key in range(1, 8)})
    wanted: dict[Key, DigestPair] = {
        (key,): DigestPair(key - 2**62, -(10**15) * key) for key in (1, 2, 3, 7)
    }
    keys: list[Key] = [(key,) for key in range(12)]

    assert await pairs.keep(wanted, epoch=2) == 0
    assert await pairs.pairs(keys) == {}
    await pairs.keep({**wanted, (11,): DigestPair(1, 1)}, epoch=3)
    assert await pairs.pairs(keys) == wanted

    part = await pairs.sums([(2,), (6,)])
    assert part is not None
    assert part.next is None
    assert [one.rows for one in part.sums] == [2, 1, 1]
    assert part.sums[0].authority == sum(wanted[key,].authority for key in (1, 2))
    assert part.sums[2].mirror == wanted[7,].mirror
    whole = await pairs.sums([])
    assert whole is not None
    assert [one.rows for one in whole.sums] == [4]

    await _put(store, {2: {"note": "new"}})
    assert set(await pairs.pairs(keys)) == {(1,), (3,), (7,)}
