"""Whatever happens while several keys are put together, none is called clean too early."""

from collections.abc import Sequence

import pytest

from crossfade.convergence.converge import ConvergeEnd
from crossfade.convergence.options import ConvergenceOptions
from crossfade.ledger.transitions.keys import take_lease
from crossfade.model.key import Key, RecordName
from crossfade.model.key_state import AUTHORITY_LACKS_IT, POINTS_TO_IT
from crossfade.model.side import Side
from crossfade.store.base import Fence, PutResult, PutStatus, Record, Together
from crossfade.store.memory import MemoryTable
from crossfade.store.memory_store import MemoryStore
from tests.builders import CUSTOMERS, World, make_entity
from tests.fake_seams import StoreFault
from tests.settling import ROUNDS_MAX, assert_agreed, drain, start_shadow
from tests.unit.convergence.titles import (
    KEY,
    OTHER,
    TAKEN,
    THIRD,
    answer,
    converge,
    leases,
    mark,
    start,
)


@pytest.mark.parametrize("status", [PutStatus.FENCED, PutStatus.FENCED_EPOCH])
async def test_a_fenced_put_of_several_changes_nothing(status: PutStatus) -> None:
    """Somebody newer owns one of them."""
    node = await start()
    answer(node, TAKEN, PutResult(status))

    assert await converge(node) is ConvergeEnd.FENCED
    assert (leases(node), node.world.key(OTHER).dirty) == (0, True)


async def test_a_key_that_was_taken_over_meanwhile_is_left_to_the_other() -> None:
    """Before the circle is closed the key itself was leased by somebody newer."""
    node = await start(k1="b", k2="a")

    async def take_over(name: str) -> None:
        if name == "converge.put":
            node.failpoint.pause = None
            node.world.rows.apply(lambda rows: take_lease(rows, CUSTOMERS, KEY, "node-2", 0.0))

    node.failpoint.pause = take_over

    assert await converge(node) is ConvergeEnd.FENCED
    lease = node.world.key(KEY).lease
    assert lease is not None
    assert lease.owner == "node-2"


async def test_a_member_that_was_touched_meanwhile_stays_dirty() -> None:
    """Rule 4 holds for each of them: the others are clean."""
    node = await start(k1="b", k2="a")

    async def touch(name: str) -> None:
        if name == "converge.put_together":
            mark(node, OTHER)

    node.failpoint.pause = touch

    assert await converge(node) is ConvergeEnd.CLEAN
    node.failpoint.pause = None
    assert (node.world.key(KEY).dirty, node.world.key(OTHER).dirty) == (False, True)


async def test_a_key_that_was_touched_meanwhile_is_not_clean() -> None:
    """The others may be."""
    node = await start(k1="b", k2="a")

    async def touch(name: str) -> None:
        if name == "converge.put_together":
            mark(node, KEY)

    node.failpoint.pause = touch

    assert await converge(node) is ConvergeEnd.TOUCHED
    assert (node.world.key(KEY).dirty, node.world.key(OTHER).dirty) == (True, False)


@pytest.mark.parametrize("fault", [StoreFault.LOST, StoreFault.APPLIED, StoreFault.HANG])
async def test_a_put_of_several_without_an_answer_keeps_all_leases(fault: StoreFault) -> None:
    """Only higher tokens can be sure of the mirror."""
    node = await start(k1="b", k2="a")
    node.convergence.options = ConvergenceOptions(store_seconds_max=0.01)
    answer(node, TAKEN, fault)

    assert await converge(node) is ConvergeEnd.UNKNOWN
    assert leases(node) == 2
    node.convergence.options = ConvergenceOptions()
    await drain(node)
    assert_agreed(node.world)


async def test_a_mirror_that_is_cut_off_then_gives_all_leases_back() -> None:
    """The put was certainly not made."""
    node = await start()
    answer(node, TAKEN, StoreFault.UNREACHABLE)

    assert await converge(node) is ConvergeEnd.UNREACHABLE
    assert leases(node) == 0


@pytest.mark.parametrize("fault", [StoreFault.UNREACHABLE, StoreFault.HANG])
async def test_an_authority_that_cannot_be_read_then_gives_all_leases_back(
    fault: StoreFault,
) -> None:
    """Of the other record nothing is known."""
    node = await start()
    node.convergence.options = ConvergenceOptions(store_seconds_max=0.01)
    answer(node, TAKEN)
    node.world.faults[Side.LEGACY].reads.extend([None, fault])

    assert await converge(node) is ConvergeEnd.UNREACHABLE
    assert (leases(node), node.world.key(OTHER).dirty) == (0, True)


async def test_what_cannot_be_mapped_stands_in_the_way() -> None:
    """The other record's mapping raises: it is named, and its own attempt quarantines it."""
    world = World()
    titles = {"a": "a", "b": "b", "c": "c"}
    world.entity = make_entity(to_new=lambda row: {"id": row["id"], "title": titles[row["name"]]})
    node = await start(world, k1="b", k2="bad")
    tries = node.convergence.options.refused_tries_max

    ends = [await converge(node) for _ in range(tries)]

    assert ends == [ConvergeEnd.BLOCKED] * (tries - 1) + [ConvergeEnd.QUARANTINED]
    assert "customers [2], which cannot be copied" in str(world.key(KEY).quarantine)
    assert await converge(node, OTHER) is ConvergeEnd.QUARANTINED


async def test_what_changes_while_it_is_looked_at_quarantines_nobody() -> None:
    """The first record was read before the exchange, the second one after it: both want "b"."""
    node = await start(k1="b")

    async def exchange(name: str) -> None:
        if name == "converge.put_together":
            node.failpoint.pause = None
            node.world.services[Side.LEGACY].rows.set(OTHER, "a")

    node.failpoint.pause = exchange

    assert await converge(node) is ConvergeEnd.BLOCKED
    assert await converge(node) is ConvergeEnd.CLEAN
    assert_agreed(node.world)


async def test_a_write_under_way_quarantines_nobody() -> None:
    """What was read may be from before it."""
    node = await start(k1="b")

    async def touch(name: str) -> None:
        if name == "converge.put_together":
            node.failpoint.pause = None
            mark(node, OTHER)

    node.failpoint.pause = touch

    assert await converge(node) is ConvergeEnd.BLOCKED


async def test_a_mapping_that_breaks_while_it_is_looked_at_quarantines_nobody() -> None:
    """Nothing can be said of such a record."""
    world = World()
    titles = {"a": "a", "b": "b", "c": "c"}
    world.entity = make_entity(to_new=lambda row: {"id": row["id"], "title": titles[row["name"]]})
    node = await start(world, k1="b")

    async def break_it(name: str) -> None:
        if name == "converge.put_together":
            titles.clear()

    node.failpoint.pause = break_it

    assert await converge(node) is ConvergeEnd.BLOCKED


async def test_more_than_go_together_are_left_to_themselves() -> None:
    """They are dirty, and the key waits for them without counting its attempts."""
    node = await start()
    node.convergence.options = ConvergenceOptions(together_max=1)
    many = PutResult(
        PutStatus.FOREIGN_KEY,
        "rows point to it",
        in_the_way=(RecordName(CUSTOMERS, OTHER), RecordName(CUSTOMERS, THIRD)),
    )
    answer(node, *[many] * 20)

    ends = [await converge(node) for _ in range(20)]

    assert set(ends) == {ConvergeEnd.BLOCKED}
    assert node.world.key(OTHER).dirty
    assert node.world.key(THIRD).dirty


@pytest.mark.parametrize("lacking", [False, True])
async def test_many_that_stay_in_the_way_are_not_copied_for_ever(*, lacking: bool) -> None:
    """An authority without the constraint keeps them so: the key is quarantined, they are not."""
    world = World()
    parents = {(2,): 7, (3,): 8, (4,): 9} if lacking else {(2,): 1, (3,): 1, (4,): 1}
    world.entity = make_entity(
        to_new=lambda row: {"id": row["id"], "title": row["name"], "next": None}
    )
    table = MemoryTable(CUSTOMERS, key=("id",), references={"next": CUSTOMERS})
    mirror = world.stores[Side.NEW] = MemoryStore(world.databases[Side.NEW], CUSTOMERS, table)
    node = await start_shadow(world, dict.fromkeys([KEY, *parents], "x"))
    node.convergence.options = ConvergenceOptions(together_max=3)
    names = tuple(RecordName(CUSTOMERS, (key,) if lacking else at) for at, key in parents.items())
    many = PutResult(
        PutStatus.FOREIGN_KEY,
        "a foreign key",
        missing=names if lacking else (),
        in_the_way=() if lacking else names,
    )
    put = mirror.put

    async def refuse(key: Key, record: Record | None, fence: Fence) -> PutResult:
        return many if key == KEY else await put(key, record, fence)

    async def refuse_together(records: Sequence[Together]) -> PutResult:
        assert any(one.name.key == KEY for one in records)
        return many

    mirror.put = refuse  # type: ignore[method-assign] # put in its place by the test
    mirror.put_together = refuse_together  # type: ignore[method-assign] # put in its place by the test
    mark(node, KEY)

    for _ in range(ROUNDS_MAX):
        dirty = node.ledger.look(lambda rows: rows.dirty_keys(None, 100, ready=True))
        for state in dirty:
            await converge(node, state.key)

    last = AUTHORITY_LACKS_IT if lacking else POINTS_TO_IT
    assert (node.world.key(KEY).quarantine or "").endswith(last)
    assert node.world.counts().dirty == 0
    assert node.convergence.cleaned <= len(names) * 2


async def test_a_long_circle_is_parked_and_stays_dirty() -> None:
    """Its members are there without their pointers, so that each can be put after the others."""
    world = World()
    world.entity = make_entity(
        to_new=lambda row: {"id": row["id"], "title": row["name"], "next": row["id"] % 9 + 1}
    )
    table = MemoryTable(CUSTOMERS, key=("id",), references={"next": CUSTOMERS})
    world.stores[Side.NEW] = MemoryStore(world.databases[Side.NEW], CUSTOMERS, table)
    node = await start_shadow(world)
    keys: list[Key] = [(number,) for number in range(1, 10)]
    for key in keys:
        world.services[Side.LEGACY].rows.set(key, "x")
    mark(node, *keys)
    node.convergence.options = ConvergenceOptions(together_max=3)

    first = await converge(node)

    assert first is ConvergeEnd.BLOCKED
    assert world.stores[Side.NEW].rows[KEY]["next"] is None
    assert world.key(KEY).dirty
    await drain(node)
    assert [row["next"] for _, row in sorted(world.stores[Side.NEW].rows.items())] == [
        *range(2, 10),
        1,
    ]


async def test_a_key_that_is_held_is_not_put_with_others() -> None:
    """After a forced roll-back its newest value is elsewhere."""
    node = await start(k1="b", k2="a")
    state = node.world.key(OTHER)
    held = type(state)(CUSTOMERS, OTHER, seq=state.seq, held_authority=Side.NEW)
    node.world.rows.apply(lambda rows: rows.set_key(held))

    assert await converge(node) is ConvergeEnd.BLOCKED
    assert node.world.key(OTHER) == held
