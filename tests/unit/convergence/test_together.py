"""A key is put together with what stands in its way, and quarantined where nothing helps."""

import pytest

from crossfade.convergence.converge import ConvergeEnd
from crossfade.model.key import RecordName
from crossfade.model.key_state import needed
from crossfade.model.side import Side
from crossfade.observability.events import KeyConverged
from crossfade.store.base import PutResult, PutStatus
from tests.builders import CUSTOMERS
from tests.settling import assert_agreed, drain
from tests.unit.convergence.titles import (
    IN_THE_WAY,
    KEY,
    MISSING,
    NAME,
    OTHER,
    answer,
    converge,
    leases,
    mark,
    start,
)


@pytest.mark.parametrize("dirty", [True, False])
async def test_two_keys_exchange_a_value(*, dirty: bool) -> None:
    """Whether the ledger knows of the other one's change or not: the authority is asked."""
    node = await start(k1="b", k2="a")
    if dirty:
        mark(node, OTHER)

    end = await converge(node)

    assert end is ConvergeEnd.CLEAN
    assert node.world.counts().dirty == 0
    assert_agreed(node.world)
    assert len(node.events_of(KeyConverged)) == 2


async def test_three_keys_pass_values_around() -> None:
    """The circle grows until the mirror takes it."""
    node = await start(k1="b", k2="c", k3="a")

    assert await converge(node) is ConvergeEnd.CLEAN

    assert_agreed(node.world)


async def test_two_records_that_want_one_value_need_a_person() -> None:
    """Both are as their authority wants them; the one that is there stays, and is clean again."""
    node = await start(k1="b")

    end = await converge(node)

    assert end is ConvergeEnd.QUARANTINED
    assert "the value belongs to customers [2], too" in str(node.world.key(KEY).quarantine)
    assert leases(node) == 0
    assert await converge(node, OTHER) is ConvergeEnd.CLEAN


async def test_a_clash_of_others_is_waited_for() -> None:
    """The second one clashes with the third: it is the second one's quarantine."""
    node = await start(k1="b", k2="c")
    tries = node.convergence.options.refused_tries_max

    ends = [await converge(node) for _ in range(tries)]

    assert ends == [ConvergeEnd.BLOCKED] * (tries - 1) + [ConvergeEnd.QUARANTINED]
    assert needed(node.world.key(KEY).quarantine) == RecordName(CUSTOMERS, OTHER)
    assert await converge(node, OTHER) is ConvergeEnd.QUARANTINED


async def test_whoever_waited_comes_back_when_its_obstacle_has_moved() -> None:
    """At once, quarantined or not; and the reconciler is told."""
    node = await start(k1="b", k2="c")
    freed: list[RecordName] = []
    node.convergence.on_freed = freed.append
    for _ in range(node.convergence.options.refused_tries_max):
        await converge(node)
    node.world.services[Side.LEGACY].rows.set(OTHER, "d")
    mark(node, OTHER)

    assert await converge(node, OTHER) is ConvergeEnd.CLEAN

    assert freed == [NAME]
    assert node.world.key(KEY).quarantine is None
    await drain(node)
    assert_agreed(node.world)


async def test_whoever_waits_for_what_did_not_change_waits_on() -> None:
    """Its obstacle was put again as it was: it would be in the way again."""
    node = await start()
    answer(node, MISSING, MISSING)
    assert await converge(node) is ConvergeEnd.BLOCKED
    freed: list[RecordName] = []
    node.convergence.on_freed = freed.append

    assert await converge(node, OTHER) is ConvergeEnd.CLEAN

    assert freed == []


async def test_whoever_is_only_dirty_is_told_too() -> None:
    """A key that waits and was not quarantined needs no new chance, only its turn."""
    node = await start()
    answer(node, MISSING, MISSING)
    assert await converge(node) is ConvergeEnd.BLOCKED
    freed: list[RecordName] = []
    node.convergence.on_freed = freed.append
    node.world.services[Side.LEGACY].rows.set(OTHER, "d")

    assert await converge(node, OTHER) is ConvergeEnd.CLEAN

    assert freed == [NAME]


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ((MISSING, MISSING), "customers [2], which points back to it"),
        ((IN_THE_WAY, IN_THE_WAY), "customers [2], which points to it on the authority still"),
        (
            (IN_THE_WAY, PutResult(PutStatus.FOREIGN_KEY, "no parent", missing=(NAME,))),
            "customers [2], which points to it on the authority still",
        ),
        ((MISSING, PutResult(PutStatus.REFUSED, "too long")), "is refused: too long"),
    ],
)
async def test_what_nothing_helps_against_is_quarantined_with_its_name(
    results: tuple[PutResult, PutResult], words: str
) -> None:
    """After so many attempts; the other key is left as it was."""
    node = await start()
    tries = node.convergence.options.refused_tries_max
    answer(node, *results * tries)

    ends = [await converge(node) for _ in range(tries)]

    assert ends == [ConvergeEnd.BLOCKED] * (tries - 1) + [ConvergeEnd.QUARANTINED]
    assert words in str(node.world.key(KEY).quarantine)
    assert needed(node.world.key(KEY).quarantine) == RecordName(CUSTOMERS, OTHER)
    assert (node.world.key(OTHER).quarantine, leases(node)) == (None, 0)


async def test_a_parent_that_the_authority_lacks_is_named() -> None:
    """Nobody can copy what is not there; once it is, the child comes back by itself."""
    node = await start()
    lost = PutResult(PutStatus.FOREIGN_KEY, "no parent", missing=(RecordName(CUSTOMERS, (9,)),))
    tries = node.convergence.options.refused_tries_max
    answer(node, *[lost, lost] * tries)
    for _ in range(tries):
        await converge(node)
    assert "customers [9], which the authority does not have" in str(
        node.world.key(KEY).quarantine
    )
    node.world.services[Side.LEGACY].rows.set((9,), "parent")
    mark(node, (9,))

    await drain(node)

    assert_agreed(node.world)


async def test_a_record_that_is_refused_alone_is_quarantined_at_once() -> None:
    """Nothing but its own children was in its way, and then it was refused for good."""
    node = await start()
    unnamed = PutResult(PutStatus.UNIQUE, "it must be unique: serial")
    answer(node, unnamed, PutResult(PutStatus.REFUSED, "nothing fits"))

    assert await converge(node) is ConvergeEnd.QUARANTINED
    assert node.world.key(KEY).quarantine == "nothing fits"


async def test_a_store_that_names_the_key_itself_explains_nothing() -> None:
    """It counts like a refusal without a name."""
    node = await start()
    odd = PutResult(PutStatus.UNIQUE, "it must be unique: title", KEY)
    answer(node, odd)

    assert await converge(node) is ConvergeEnd.BLOCKED
