"""Converge brings the two sides of one key to agree, and says clean only where they do."""

import asyncio

import pytest

from crossfade.convergence.converge import ConvergeEnd, Effect
from crossfade.convergence.options import ConvergenceOptions
from crossfade.errors import LedgerUnavailableError
from crossfade.ledger.transitions.keys import mark_dirty, take_lease
from crossfade.model.key import Key
from crossfade.model.key_state import NEEDS_OTHERS, DirtyReason
from crossfade.model.side import Side
from crossfade.observability.events import ConvergeFailed, KeyConverged, KeyQuarantined
from crossfade.store.base import Fence, PutResult, PutStatus
from tests.builders import CUSTOMERS, Node, World, make_entity
from tests.fake_seams import LedgerFault, StoreFault
from tests.settling import assert_agreed, drain, start_live, start_shadow

KEY: Key = (1,)
OTHER: Key = (2,)
FAST = ConvergenceOptions(store_seconds_max=0.01)


async def _dirty_node(value: object = "fresh", *keys: Key) -> Node:
    """A node in `shadow` whose key was changed on legacy and is dirty."""
    node = await start_shadow(values={KEY: "old", OTHER: "other"})
    node.world.services[Side.LEGACY].rows.set(KEY, value)
    _mark(node, *(keys or (KEY,)))
    return node


def _mark(node: Node, *keys: Key) -> None:
    node.world.rows.apply(lambda rows: mark_dirty(rows, CUSTOMERS, keys, DirtyReason.REPAIR, 0.0))


async def _converge(node: Node, key: Key = KEY) -> ConvergeEnd:
    return await node.convergence.converge(CUSTOMERS, key)


async def test_the_mirror_gets_what_the_authority_has() -> None:
    """The authority's record, mapped, is put on the mirror; then the key is clean."""
    node = await _dirty_node()

    end = await _converge(node)

    assert end is ConvergeEnd.CLEAN
    assert node.world.values(Side.NEW)[KEY] == "fresh"
    assert node.world.key(KEY).quiet
    assert node.convergence.cleaned == 1
    assert node.events_of(KeyConverged) == [KeyConverged(CUSTOMERS, tries=1)]


async def test_after_a_flip_legacy_follows() -> None:
    """With the authority on new, the same procedure is the write-back."""
    node = await start_live(values={KEY: "old"})
    node.world.services[Side.NEW].rows.set(KEY, "fresh")
    _mark(node, KEY)

    end = await _converge(node)

    assert end is ConvergeEnd.CLEAN
    assert node.world.values(Side.LEGACY) == {KEY: "fresh"}


async def test_a_record_that_is_gone_is_deleted_on_the_mirror() -> None:
    """Absence is copied too, and the fence outlives the row (rule 6)."""
    node = await _dirty_node()
    node.world.services[Side.LEGACY].rows.remove(KEY)
    await _converge(node)

    stale = await node.world.stores[Side.NEW].put(
        KEY, {"id": 1, "title": "stale"}, Fence(1, node.ledger.migration.epoch)
    )

    assert stale.status is PutStatus.FENCED
    assert_agreed(node.world)


async def test_a_clean_key_needs_nothing() -> None:
    """No lease is taken, no store is asked."""
    node = await start_shadow(values={KEY: "old"})

    end = await _converge(node)

    assert end is ConvergeEnd.NOTHING
    assert node.world.key(KEY).lease is None


async def test_a_quarantined_key_is_left_alone() -> None:
    """Until its record changes or somebody repairs it by name."""
    node = await _dirty_node()
    node.world.faults[Side.NEW].puts.append(PutResult(PutStatus.REFUSED, "title is too long"))
    await _converge(node)

    again = await _converge(node)
    _mark(node, KEY)
    repaired = await _converge(node)

    assert (again, repaired) == (ConvergeEnd.NOTHING, ConvergeEnd.CLEAN)


@pytest.mark.parametrize(
    ("result", "end"),
    [
        (PutResult(PutStatus.FENCED), ConvergeEnd.FENCED),
        (PutResult(PutStatus.FENCED_EPOCH), ConvergeEnd.FENCED),
        (PutResult(PutStatus.FOREIGN_KEY, "a parent is missing"), ConvergeEnd.BLOCKED),
        (PutResult(PutStatus.UNIQUE, "title is taken"), ConvergeEnd.BLOCKED),
    ],
)
async def test_what_is_in_the_way_may_go_away(result: PutResult, end: ConvergeEnd) -> None:
    """The key stays dirty without a lease, and the next attempt may succeed."""
    node = await _dirty_node()
    node.world.faults[Side.NEW].puts.extend([result, result])

    found = await _converge(node)

    state = node.world.key(KEY)
    assert (found, state.dirty, state.lease, state.quarantine) == (end, True, None, None)
    assert node.events_of(ConvergeFailed) != []
    node.world.faults[Side.NEW].puts.clear()
    assert await _converge(node) is ConvergeEnd.CLEAN


async def test_what_the_mirror_refuses_is_quarantined() -> None:
    """Visible with its reason, counted, and no longer tried."""
    node = await _dirty_node()
    node.world.faults[Side.NEW].puts.append(PutResult(PutStatus.REFUSED, "title is too long"))

    end = await _converge(node)

    state = node.world.key(KEY)
    assert end is ConvergeEnd.QUARANTINED
    assert (state.quarantine, state.dirty, state.lease) == ("title is too long", True, None)
    assert node.events_of(KeyQuarantined) == [KeyQuarantined(CUSTOMERS, "title is too long")]


async def test_what_cannot_be_mapped_is_quarantined() -> None:
    """A mapping that raises costs one key, and the reason names no value."""
    world = World()
    world.entity = make_entity(to_new=lambda row: {"title": row["secret of Ada"]})
    node = await start_shadow(world)
    world.services[Side.LEGACY].rows.set(KEY, "fresh")
    _mark(node, KEY)

    end = await _converge(node)

    assert end is ConvergeEnd.QUARANTINED
    assert "KeyError" in str(world.key(KEY).quarantine)
    assert "Ada" not in str(world.key(KEY).quarantine)


@pytest.mark.parametrize("fault", [StoreFault.UNREACHABLE, StoreFault.HANG])
async def test_an_authority_that_cannot_be_read_changes_nothing(fault: StoreFault) -> None:
    """No answer to the read: the lease is given back, the key stays dirty."""
    node = await _dirty_node()
    node.convergence.options = FAST
    node.world.faults[Side.LEGACY].reads.append(fault)

    end = await _converge(node)

    state = node.world.key(KEY)
    assert (end, state.dirty, state.lease) == (ConvergeEnd.UNREACHABLE, True, None)
    assert await _converge(node) is ConvergeEnd.CLEAN


async def test_a_put_that_was_certainly_not_made_gives_the_lease_back() -> None:
    """Somebody may try again at once."""
    node = await _dirty_node()
    node.world.faults[Side.NEW].puts.append(StoreFault.UNREACHABLE)

    end = await _converge(node)

    assert (end, node.world.key(KEY).lease) == (ConvergeEnd.UNREACHABLE, None)


@pytest.mark.parametrize(
    "fault", [StoreFault.LOST, StoreFault.APPLIED, StoreFault.LATE, StoreFault.HANG]
)
async def test_a_put_without_an_answer_keeps_the_lease(fault: StoreFault) -> None:
    """Only a put with a higher token can be sure; a late one of the lower token is refused."""
    node = await _dirty_node()
    node.convergence.options = FAST
    node.world.faults[Side.NEW].puts.append(fault)

    end = await _converge(node)
    left = node.world.key(KEY)
    node.world.services[Side.LEGACY].rows.set(KEY, "fresher")
    _mark(node, KEY)
    again = await _converge(node)
    await node.world.faults[Side.NEW].land()

    assert (end, left.dirty) == (ConvergeEnd.UNKNOWN, True)
    assert left.lease is not None
    assert again is ConvergeEnd.CLEAN
    assert node.world.values(Side.NEW)[KEY] == "fresher"


async def test_a_key_touched_meanwhile_stays_dirty() -> None:
    """Rule 4: the seq must still be the one that the attempt took itself."""
    node = await _dirty_node()

    async def touch(name: str) -> None:
        if name == "converge.read":
            node.world.services[Side.LEGACY].rows.set(KEY, "fresher")
            _mark(node, KEY)

    node.failpoint.pause = touch
    end = await _converge(node)
    node.failpoint.pause = None

    assert (end, node.world.key(KEY).dirty) == (ConvergeEnd.TOUCHED, True)
    assert await _converge(node) is ConvergeEnd.CLEAN
    assert node.world.values(Side.NEW)[KEY] == "fresher"


async def test_a_superseded_lease_clears_nothing() -> None:
    """Rule 5: after a take-over the slower attempt is fenced, or finds its lease gone."""
    node = await _dirty_node()
    epoch = node.ledger.migration.epoch

    async def take_over(name: str) -> None:
        if name == "converge.put":
            node.world.rows.apply(lambda rows: take_lease(rows, CUSTOMERS, KEY, "node-2", 0.0))

    node.failpoint.pause = take_over
    end = await _converge(node)

    state = node.world.key(KEY)
    assert (end, state.dirty) == (ConvergeEnd.TOUCHED, True)
    assert state.lease is not None
    assert (state.lease.owner, node.ledger.migration.epoch) == ("node-2", epoch)


async def test_two_attempts_on_one_key_leave_it_agreed() -> None:
    """However their steps interleave, at most the last lease clears."""
    node = await _dirty_node()
    node.world.turns.most = 3

    ends = await asyncio.gather(_converge(node), _converge(node), _converge(node))

    assert ends.count(ConvergeEnd.CLEAN) <= 1
    await drain(node)
    assert_agreed(node.world)


async def test_what_stays_in_the_way_is_quarantined() -> None:
    """After so many blocked attempts the key no longer takes part in every round."""
    node = await _dirty_node()
    tries = node.convergence.options.refused_tries_max
    blocked = PutResult(PutStatus.FOREIGN_KEY, "no such customer")
    node.world.faults[Side.NEW].puts.extend([blocked] * 2 * tries)

    ends = [await _converge(node) for _ in range(tries)]

    assert ends == [ConvergeEnd.BLOCKED] * (tries - 1) + [ConvergeEnd.QUARANTINED]
    assert node.world.key(KEY).quarantine == f"{NEEDS_OTHERS}no such customer"


async def test_a_child_whose_parent_was_not_copied_yet_is_never_quarantined() -> None:
    """Its parent comes with the sweep, however many attempts that takes."""
    node = await _dirty_node()
    node.convergence.options = ConvergenceOptions(hot_key_tries=100)
    node.world.rows.apply(
        lambda rows: rows.set_document("entities", "declared", [CUSTOMERS, "parents"])
    )
    blocked = PutResult(PutStatus.FOREIGN_KEY, "no such parent")
    node.world.faults[Side.NEW].puts.extend([blocked] * 40)

    ends = [await _converge(node) for _ in range(20)]

    assert ends == [ConvergeEnd.BLOCKED] * 20
    assert await _converge(node) is ConvergeEnd.CLEAN


async def test_a_mirror_that_was_down_quarantines_nobody() -> None:
    """Only blocked attempts count against a key, not those in which nobody answered."""
    node = await _dirty_node()
    node.convergence.options = ConvergenceOptions(hot_key_tries=100)
    down = [StoreFault.UNREACHABLE] * 20
    blocked = PutResult(PutStatus.FOREIGN_KEY, "a parent is missing")
    node.world.faults[Side.NEW].puts.extend([*down, blocked, blocked])

    ends = [await _converge(node) for _ in range(21)]

    assert ends == [ConvergeEnd.UNREACHABLE] * 20 + [ConvergeEnd.BLOCKED]


async def test_an_observer_sees_what_was_about_to_change() -> None:
    """The mirror's record before the put, beside what it should be."""
    node = await _dirty_node()
    seen: list[Effect] = []

    await node.convergence.converge(CUSTOMERS, KEY, observer=seen.append)

    wanted, found = {"id": 1, "title": "fresh"}, {"id": 1, "title": "old"}
    (effect,) = seen
    assert (effect.key, effect.wanted, effect.found) == (KEY, wanted, found)
    assert effect.token == node.ledger.look(lambda rows: rows.key(CUSTOMERS, KEY)).seq


@pytest.mark.parametrize("nth", [0, 1])
async def test_a_ledger_that_fails_leaves_the_key_dirty(nth: int) -> None:
    """Whichever transaction is not made: the key can be converged when the ledger is back."""
    node = await _dirty_node()
    node.ledger.faults.extend([None] * nth + [LedgerFault.NOT_MADE])

    with pytest.raises(LedgerUnavailableError):
        await _converge(node)

    assert node.world.key(KEY).dirty
    assert await _converge(node) is ConvergeEnd.CLEAN


async def test_a_broken_driver_leaves_the_key_dirty() -> None:
    """An exception that nobody expects reaches the caller; the lease is taken over later."""
    node = await _dirty_node()
    node.world.faults[Side.NEW].puts.append(StoreFault.BROKEN)

    with pytest.raises(RuntimeError):
        await _converge(node)

    assert node.world.key(KEY).dirty
    assert await _converge(node) is ConvergeEnd.CLEAN
