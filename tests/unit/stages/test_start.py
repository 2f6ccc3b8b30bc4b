"""Before a node serves: entities are known, and the stores are this ledger's."""

import pytest

from crossfade.errors import ConfigurationError, ForeignLedgerError
from crossfade.model.key import Key
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import WorkerFailed
from crossfade.stages.start import NodeStart
from crossfade.store.base import Fence, StoreEpoch
from tests.builders import CUSTOMERS, Node, World, make_entity, make_node, make_sides
from tests.fake_seams import NodeDiedError, StoreFault
from tests.settling import start_shadow

KEY: Key = (1,)


def _start(node: Node) -> NodeStart:
    sides = make_sides(node.world, node.life)
    return NodeStart(node.ledger, sides, node.hooks, store_seconds_max=0.01)


async def test_a_changed_mapping_asks_for_a_new_sweep() -> None:
    """Rule 12: what was copied by another mapping counts for nothing."""
    world = World()
    node = await start_shadow(world, {KEY: "old"})
    first = await _start(node).declare_entities()
    same = await _start(node).declare_entities()
    world.entity = make_entity(version="2")

    changed = await _start(node).declare_entities()

    assert (first, same, changed) == ((), (), (CUSTOMERS,))
    assert node.ledger.look(lambda rows: rows.entity(CUSTOMERS).coverage) == ()


async def test_a_node_in_off_says_that_it_writes_without_intent() -> None:
    """So that the next one waits for what it may leave in flight."""
    node = make_node()

    served = [await _start(node).note_untracked() for _ in range(2)]

    assert served == [False, True]


async def test_a_node_in_shadow_writes_nothing_without_intent() -> None:
    """Nothing to note."""
    node = await start_shadow()

    assert await _start(node).note_untracked() is False
    assert not node.ledger.migration.untracked_served


async def test_stores_that_know_no_ledger_become_this_one_s() -> None:
    """At the ledger's epoch."""
    node = make_node()

    await _start(node).check_stores()

    kept = [await node.world.databases[side].epoch() for side in Side]
    assert kept == [StoreEpoch(node.ledger.identity.ledger_id, 1, 0)] * 2


@pytest.mark.parametrize(
    "found",
    [StoreEpoch("another", 1, 0), StoreEpoch("0" * 32, 2, 0), StoreEpoch("0" * 32, 1, 99)],
)
async def test_a_store_of_another_ledger_is_refused(found: StoreEpoch) -> None:
    """Another identity, a later incarnation, an epoch that this ledger never had."""
    node = make_node()
    await node.world.databases[Side.NEW].adopt(found)

    with pytest.raises(ForeignLedgerError, match="ledger adopt"):
        await _start(node).check_stores()


async def test_a_store_with_tokens_of_the_future_is_refused() -> None:
    """The ledger is an older copy of itself."""
    node = await start_shadow()
    epoch = node.ledger.migration.epoch
    await node.world.stores[Side.NEW].raise_token(KEY, Fence(10_000, epoch))

    with pytest.raises(ForeignLedgerError, match="older copy"):
        await _start(node).check_stores()


@pytest.mark.parametrize("fault", [StoreFault.UNREACHABLE, StoreFault.HANG])
async def test_a_store_that_is_down_is_told_and_checked_later(fault: StoreFault) -> None:
    """A node must be able to start without its mirror."""
    node = await start_shadow()
    node.world.faults[Side.NEW].epochs.append(fault)

    await _start(node).check_stores()

    assert len(node.events_of(WorkerFailed)) == 1


async def test_missing_tables_are_an_error() -> None:
    """They are made by a command, not silently."""
    node = make_node()
    node.world.databases[Side.NEW].disk.prepared = False

    with pytest.raises(ConfigurationError):
        await _start(node).check_stores()


async def test_a_change_of_epoch_that_was_cut_off_is_no_foreign_ledger() -> None:
    """The flip row says that the stores may be ahead."""
    node = make_node()
    await node.move(Stage.SHADOW)
    node.failpoint.name = "barrier.fenced"
    with pytest.raises(NodeDiedError):
        await node.barrier.step()
    other = make_node(node.world)

    await _start(other).check_stores()

    assert other.ledger.migration.flip is not None
