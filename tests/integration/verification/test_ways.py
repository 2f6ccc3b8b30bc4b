"""Which way is taken, what it may rely on, and that lag and quarantine are counted alike."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from crossfade.errors import GateError
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.keys import mark_dirty, quarantine_chunk_row
from crossfade.model.key import Key
from crossfade.model.key_state import DirtyReason
from crossfade.model.side import Side
from crossfade.model.verification_way import AskedWay, Way
from crossfade.store.base import Fence, Record
from crossfade.store.digests import pairs_of
from tests.integration.verification.pairs import ENGINES, THINGS, Engines, Pair, make_thing
from tests.integration.verification.test_corruption import found

COUNT = 150
KEYS: list[Key] = [(number,) for number in range(1, COUNT + 1)]


async def _made(engines: Engines, *, declared: bool, engine: str = "sqlite") -> Pair:
    pair = await engines.pair(engine, engine, declared=declared)
    things = [make_thing(number, as_text=engine == "sqlite") for number in range(1, COUNT + 1)]
    await pair.fill(things)
    return pair


async def _vouched(pair: Pair) -> int:
    kept = pairs_of(pair.new)
    assert kept is not None
    return len(await kept.pairs(KEYS))


def _with(pair: Pair, mapping: Callable[[Record], Record], version: str = "1") -> None:
    pair.entity = replace(pair.entity, to_new=mapping, version=version)


def _dirty(rows: Rows) -> None:
    mark_dirty(rows, THINGS, [(7,), (8,)], DirtyReason.WRITE, 1.0)
    quarantine_chunk_row(rows, THINGS, (9,), "a constraint", 1.0)


@pytest.mark.parametrize("declared", [True, False], ids=["columns", "function"])
async def test_lag_and_quarantine_are_counted_as_the_exact_way_does(
    engines: Engines, *, declared: bool
) -> None:
    """Different and dirty is lag, quarantined is counted apart, equal and dirty is neither."""
    pair = await _made(engines, declared=declared)
    await pair.verify(AskedWay.FAST)
    pair.run[Side.NEW]("UPDATE new_things SET remark = 'other' WHERE thing_id IN (7, 9, 10)")

    fast = await pair.verify(AskedWay.FAST, mark=_dirty)
    exact = await pair.verify(AskedWay.EXACT, mark=_dirty)

    assert (exact.different, exact.lagging, exact.quarantined) == (1, 1, 1)
    assert found(fast) == found(exact)
    await pair.opened.close()


@pytest.mark.parametrize("declared", [True, False], ids=["columns", "function"])
async def test_a_change_behind_our_back_on_the_authority_is_found(
    engines: Engines, *, declared: bool
) -> None:
    """A row that changed, one that came, one that went; two owners that changed places."""
    pair = await _made(engines, declared=declared)
    await pair.verify(AskedWay.FAST)
    pair.run[Side.LEGACY]('UPDATE "Things" SET note = NULL WHERE id = 1')
    pair.run[Side.LEGACY]('UPDATE "Things" SET owner = 207 - owner WHERE id IN (2, 4)')
    pair.run[Side.LEGACY]('UPDATE "Things" SET id = 1000 WHERE id = 70')

    fast, exact = await pair.verify(AskedWay.FAST), await pair.verify(AskedWay.EXACT)

    assert set(exact.alarm_keys) == {(1,), (2,), (4,), (70,), (1000,)}
    assert found(fast) == found(exact)
    await pair.opened.close()


@pytest.mark.parametrize("engine", ENGINES)
async def test_what_was_compared_once_is_vouched_for(engines: Engines, engine: str) -> None:
    """The first run keeps digests of what is equal, and only of that; a put takes its own away."""
    pair = await _made(engines, declared=False, engine=engine)
    pair.run[Side.NEW]("UPDATE new_things SET remark = 'other' WHERE thing_id = 3")

    first = await pair.verify(AskedWay.FAST)
    vouched = await _vouched(pair)
    await pair.fill([make_thing(number, as_text=engine == "sqlite") for number in (3, 50)])
    after = await _vouched(pair)
    second = await pair.verify(AskedWay.FAST)

    assert (first.different, first.way, vouched) == (1, Way.DIGESTS, COUNT - 1)
    assert (after, second.passed, second.compared) == (COUNT - 2, True, COUNT)
    assert await _vouched(pair) == COUNT
    await pair.opened.close()


async def test_digests_vouch_only_for_the_mapping_that_they_were_kept_for(
    engines: Engines,
) -> None:
    """Other code, or another version: everything is read, and what is kept is replaced."""
    pair = await _made(engines, declared=False)
    before = pair.entity.to_new
    await pair.verify(AskedWay.FAST)

    _with(pair, lambda record: {**before(record), "remark": "another"})
    other = await pair.verify(AskedWay.FAST)
    _with(pair, before, version="2")
    newer = await pair.verify(AskedWay.FAST)

    assert (other.different, other.compared) == (COUNT, COUNT)
    assert (newer.passed, newer.compared, await _vouched(pair)) == (True, COUNT, COUNT)
    await pair.opened.close()


async def test_a_mapping_that_gives_something_else_without_a_new_version_is_noticed(
    engines: Engines,
) -> None:
    """What a mapping calls may change: some rows are compared however they are vouched for."""
    pair = await _made(engines, declared=False)
    before, suffix = pair.entity.to_new, {"text": ""}
    _with(pair, lambda record: {**before(record), "number": record["code"] + suffix["text"]})
    assert (await pair.verify(AskedWay.FAST)).passed

    suffix["text"] = "!"
    fast = await pair.verify(AskedWay.FAST)

    assert (fast.way, fast.different, fast.compared) == (Way.DIGESTS, COUNT, COUNT)
    await pair.opened.close()


async def test_a_mapping_may_name_columns_as_it_likes(engines: Engines) -> None:
    """Records that name fewer columns are compared on those; the others are nobody's business."""
    pair = await _made(engines, declared=False)
    before = pair.entity.to_new

    def fewer(record: Record) -> Record:
        mapped = before(record)
        if record["id"] % 10 == 0:
            del mapped["remark"]
        return mapped

    _with(pair, fewer)
    pair.run[Side.NEW]("UPDATE new_things SET remark = 'own' WHERE thing_id % 5 = 0")
    for _ in range(2):
        fast, exact = await pair.verify(AskedWay.FAST), await pair.verify(AskedWay.EXACT)
        assert exact.different == COUNT // 10
        assert found(fast) == found(exact)
    await pair.opened.close()


async def test_the_fast_way_is_refused_where_there_is_none(engines: Engines) -> None:
    """With the reason; without asking for it the records are compared."""
    pair = await _made(engines, declared=True)

    with pytest.raises(GateError, match=r"cannot be verified by digests: only a share.*--fast"):
        await pair.verify(AskedWay.FAST, fraction=0.5)
    best = await pair.verify(AskedWay.BEST, fraction=0.5)

    assert (best.way, best.passed) == (Way.EXACT, True)
    assert (await pair.verify(AskedWay.BEST)).way == Way.CHECKSUMS
    await pair.opened.close()


@pytest.mark.parametrize("declared", [True, False], ids=["columns", "function"])
@pytest.mark.parametrize(("engine", "rounds"), [("sqlite", 12), ("postgres", 3), ("mariadb", 3)])
async def test_random_differences_are_found_exactly(
    engines: Engines, engine: str, rounds: int, *, declared: bool, request: pytest.FixtureRequest
) -> None:
    """Rows that come, go and change on either side: both ways find the same keys and no other."""
    chance = random.Random(request.config.getoption("--seed"))
    pair = await _made(engines, declared=declared, engine=engine)
    as_text = engine == "sqlite"
    for number in range(rounds):
        for _ in range(chance.choice((0, 1, 3, 40))):
            await _change(pair, chance, as_text=as_text)
        fast = await pair.verify(AskedWay.FAST)
        exact = await pair.verify(AskedWay.EXACT)
        assert found(fast) == found(exact), f"round {number}"
    await pair.opened.close()


async def _change(pair: Pair, chance: random.Random, *, as_text: bool) -> None:
    """One column of a row of one side, or the row, as no copy would have made it."""
    side = chance.choice(list(Side))
    store = pair.legacy if side is Side.LEGACY else pair.new
    key: Key = (chance.randint(-3, COUNT + 20),)
    thing = make_thing(chance.randint(1, COUNT), as_text=as_text) | {"id": key[0]}
    record = thing if side is Side.LEGACY else pair.entity.to_new(thing)
    if await store.read(key) is not None:
        if chance.random() < 0.3:
            await store.put(key, None, Fence(2, 1))
            return
        names = [name for name in record if record[name] != key[0]]
        record = {name: record[name] for name in chance.sample(names, 1)}
    assert (await store.put(key, record, Fence(2, 1))).reason == ""
