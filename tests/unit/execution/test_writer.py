"""A write: intent, authority, answer, mirror; and what is left where one of them fails."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace

import pytest

from crossfade.errors import (
    OutcomeUnknownError,
)
from crossfade.execution.options import ExecutionOptions
from crossfade.ledger.transitions.intents import settle_unbound
from crossfade.model.key import Key
from crossfade.model.key_state import KeyState
from crossfade.model.migration_state import MigrationState
from crossfade.model.operation import MirrorWhen
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import ReplaySkipped
from tests.builders import Node, make_node
from tests.fake_seams import StoreFault
from tests.fake_services import (
    Does,
    FakeAnswer,
    ServiceRows,
    create_value,
    put_value,
    remove_key,
)
from tests.settling import assert_agreed, cover, drain, settle, start_live, start_shadow

KEY: Key = (1,)


OTHER: Key = (2,)


async def _shadow() -> Node:
    return await start_shadow(values={KEY: "old", OTHER: "other"})


async def _recover(node: Node) -> None:
    """Everything that workers would still do; then both sides must agree."""
    await node.quiet()
    await settle(node)
    await drain(node)
    assert_agreed(node.world)


async def test_a_write_reaches_both_sides() -> None:
    """The caller gets the authority's answer; the mirror follows; nothing stays open."""
    node = await _shadow()

    answer = await node.write(put_value(KEY, "fresh"), KEY)
    await node.quiet()

    assert (answer.status, answer.value) == (200, "fresh")
    assert node.world.values(Side.NEW)[KEY] == "fresh"
    assert_agreed(node.world)
    assert (node.world.counts().open_intents, node.world.counts().dirty) == (0, 0)


async def test_in_live_new_is_written_first() -> None:
    """And legacy follows, so that rolling back loses nothing."""
    node = await start_live(values={KEY: "old"})

    await node.write(put_value(KEY, "fresh"), KEY)
    await node.quiet()

    assert [tag.role for tag in node.world.services[Side.NEW].calls] == ["serve"]
    assert node.world.services[Side.LEGACY].calls == []
    assert node.world.values(Side.LEGACY) == {KEY: "fresh"}


async def test_the_intent_is_durable_before_a_side_is_touched() -> None:
    """Rule 1; and the call carries the intent's number as its idempotency key."""
    node = await _shadow()
    seen: list[tuple[int, bool]] = []
    node.world.services[Side.LEGACY].before = lambda _: seen.append(
        (node.world.intents()[0].id, node.world.key(KEY).quiet)
    )

    await node.write(put_value(KEY, "fresh"), KEY)

    tag = node.world.services[Side.LEGACY].calls[0]
    assert seen == [(tag.intent, False)]


async def test_every_key_takes_a_new_seq_at_open_and_at_close() -> None:
    """Rule 3: whoever looked before, between or after sees three different numbers."""
    node = await _shadow()
    seqs = [node.world.key(KEY).seq]
    node.world.services[Side.LEGACY].before = lambda _: seqs.append(node.world.key(KEY).seq)
    node.world.faults[Side.NEW].dead = True

    await node.write(put_value(KEY, "fresh"), KEY)
    await node.quiet()
    seqs.append(node.world.key(KEY).seq)

    assert seqs == sorted(set(seqs))
    assert len(seqs) == 3


async def test_the_writer_never_clears() -> None:
    """Rule 2: after the close the key is dirty; only a fenced put makes it clean."""
    node = await _shadow()
    node.world.faults[Side.NEW].dead = True

    await node.write(put_value(KEY, "fresh"), KEY, replay=True)
    await node.quiet()

    assert node.world.key(KEY).dirty
    assert node.world.values(Side.NEW)[KEY] == "fresh", "the replay did reach the mirror"
    node.world.faults[Side.NEW].dead = False
    await _recover(node)


async def test_several_keys_share_one_intent() -> None:
    """All are dirty in one transaction, and all converge."""
    node = await _shadow()

    def swap(rows: ServiceRows) -> FakeAnswer:
        first, second = rows.get(KEY), rows.get(OTHER)
        rows.set(KEY, second)
        rows.set(OTHER, first)
        return FakeAnswer(200)

    opened: list[tuple[Key, ...]] = []
    node.world.services[Side.LEGACY].before = lambda _: opened.append(node.world.intents()[0].keys)
    await node.write(swap, KEY, OTHER)
    await node.quiet()

    assert opened == [(KEY, OTHER)]
    assert node.world.values(Side.NEW) == {KEY: "other", OTHER: "old"}


async def test_a_deleted_record_is_deleted_on_the_mirror() -> None:
    """Absence converges like any other state."""
    node = await _shadow()

    await node.write(remove_key(KEY), KEY, method="DELETE")
    await node.quiet()

    assert node.world.values(Side.NEW) == {OTHER: "other"}


async def test_the_caller_is_answered_before_the_mirror_follows() -> None:
    """`after_answer`, the default: a slow mirror costs the caller nothing."""
    node = await _shadow()
    node.world.faults[Side.NEW].puts.append(StoreFault.HANG)

    answer = await node.write(put_value(KEY, "fresh"), KEY)

    assert (answer.status, node.world.values(Side.NEW)[KEY]) == (200, "old")
    await node.tasks.cancel_all()
    await _recover(node)


async def test_the_caller_may_wait_for_the_mirror() -> None:
    """`before_answer`: when the caller is answered, the mirror has it too."""
    node = await _shadow()

    answer = await node.write(put_value(KEY, "fresh"), KEY, mirror_when=MirrorWhen.BEFORE_ANSWER)

    assert (answer.status, node.world.values(Side.NEW)[KEY]) == (200, "fresh")


async def test_a_mirror_that_cannot_follow_does_not_fail_the_caller() -> None:
    """`before_answer` waits for the attempt, not for its success."""
    node = await _shadow()
    node.world.faults[Side.NEW].dead = True

    answer = await node.write(put_value(KEY, "fresh"), KEY, mirror_when=MirrorWhen.BEFORE_ANSWER)

    assert (answer.status, node.world.key(KEY).dirty) == (200, True)
    node.world.faults[Side.NEW].dead = False
    await _recover(node)


@pytest.mark.parametrize("mirror_when", list(MirrorWhen))
async def test_a_refusal_of_the_authority_is_handed_on(mirror_when: MirrorWhen) -> None:
    """A complete answer ends the doubt; the key converges, nothing stays open."""
    node = await _shadow()
    node.world.services[Side.LEGACY].plan.append(Does.REFUSE)

    answer = await node.write(put_value(KEY, "fresh"), KEY, mirror_when=mirror_when, replay=True)
    await node.quiet()

    assert answer.status == 409
    assert node.world.services[Side.NEW].calls == []
    assert (node.world.counts().open_intents, node.world.counts().dirty) == (0, 0)
    assert_agreed(node.world)


async def test_a_create_is_bound_to_the_id_that_the_authority_made() -> None:
    """Unbound until the answer says the id; then a write like any other, never replayed."""
    node = await _shadow()
    unbound: list[bool] = []
    node.world.services[Side.LEGACY].before = lambda _: unbound.append(
        node.world.intents()[0].unbound
    )

    answer = await node.write(create_value("made"), method="POST", replay=True)
    await node.quiet()

    assert (answer.made, unbound) == ((3,), [True])
    assert node.world.services[Side.NEW].calls == []
    assert node.world.values(Side.NEW)[(3,)] == "made"
    assert node.world.counts().unbound_creates == 0


async def _outcome(write: Awaitable[FakeAnswer]) -> int | str:
    results = await asyncio.gather(write, return_exceptions=True)
    result = results[0]
    return result.status if isinstance(result, FakeAnswer) else type(result).__name__


@pytest.mark.parametrize("mirror_when", list(MirrorWhen))
async def test_an_authority_that_changed_under_way_makes_the_outcome_unknown(
    mirror_when: MirrorWhen,
) -> None:
    """Rule 2: "done" only while the route of the intent holds (a forced roll-back, here)."""
    node = await start_live(values={KEY: "old"})

    def roll_back_by_force(_: object) -> None:
        state = node.ledger.migration
        node.world.rows.apply(lambda rows: rows.set_migration(_rolled_back(state)))

    node.world.services[Side.NEW].after = roll_back_by_force

    with pytest.raises(OutcomeUnknownError):
        await node.write(put_value(KEY, "fresh"), KEY, mirror_when=mirror_when)
    await node.quiet()


async def test_a_write_is_not_replayed_on_a_side_that_became_the_authority() -> None:
    """The mirror of the intent has the authority now: nothing may write it but its own writes."""
    node = await start_live(values={KEY: "old"})

    def roll_back_by_force(_: object) -> None:
        state = node.ledger.migration
        node.world.rows.apply(lambda rows: rows.set_migration(_rolled_back(state)))

    node.world.services[Side.NEW].after = roll_back_by_force

    await _outcome(node.write(put_value(KEY, "fresh"), KEY, replay=True))
    await node.quiet()

    assert node.world.services[Side.LEGACY].calls == []


def _rolled_back(state: MigrationState) -> MigrationState:
    moved = {"stage": Stage.SHADOW, "epoch": state.epoch + 1, "decision": state.decision + 1}
    return replace(state, **moved)  # type: ignore[arg-type]


async def test_a_barrier_that_passes_under_way_does_not_spoil_the_answer() -> None:
    """It raises the epoch, but the authority was legacy all the time: "done" is true."""
    node = make_node()
    await node.move(Stage.SHADOW)
    service = node.world.services[Side.LEGACY]
    service.plan.append(Does.HANG)
    caller = asyncio.ensure_future(node.write(put_value(KEY, "fresh"), KEY))
    await node.world.clock.settle()

    assert await node.barrier.step()
    service.go_on()
    answer = await caller
    await node.quiet()

    assert (answer.status, node.world.intents()) == (200, [])
    await cover(node)
    await _recover(node)


async def test_writes_over_the_bound_leave_the_mirror_to_the_reconciler() -> None:
    """Too many tasks that follow: the write is closed, its key stays dirty, nothing is lost."""
    node = await _shadow()
    node.writer.options = ExecutionOptions(followers_max=0)

    await node.write(put_value(KEY, "fresh"), KEY)
    await node.quiet()

    assert (node.world.counts().open_intents, node.world.key(KEY).dirty) == (0, True)
    await _recover(node)


async def test_a_mirror_that_cannot_follow_gets_no_replays() -> None:
    """Shadow work is shed first; the caller's write is made, and it is said what was left out."""
    node = await _shadow()
    node.writer.options = ExecutionOptions(followers_max=0)

    answer = await node.write(put_value(KEY, "fresh"), KEY, replay=True)
    await node.quiet()

    assert answer.status == 200
    assert node.world.services[Side.NEW].calls == []
    assert [event.reason for event in node.events if isinstance(event, ReplaySkipped)] == [
        "the mirror does not keep up"
    ]
    await _recover(node)


async def test_an_answered_write_leaves_its_key_leased_until_the_mirror_has_it() -> None:
    """The intent's end and the lease are one step: nobody else begins with the key in between."""
    node = await _shadow()
    seen: list[KeyState] = []

    async def note(name: str) -> None:
        if name == "writer.closed":
            seen.append(node.world.key(KEY))

    node.writer._seams = replace(node.seams, failpoint=note)  # noqa: SLF001 - watches one step
    await node.write(put_value(KEY, "fresh"), KEY)
    await node.quiet()

    assert [(state.dirty, state.open_intents, state.lease is not None) for state in seen] == [
        (True, 0, True)
    ]
    assert not node.world.key(KEY).dirty


async def test_a_create_bound_by_the_resolver_is_left_to_it() -> None:
    """The intent was settled while the answer was on its way: nothing is bound twice."""
    node = await _shadow()
    service = node.world.services[Side.LEGACY]
    service.after = lambda _: node.world.rows.apply(
        lambda rows: settle_unbound(rows, rows.intents(1)[0].id, [(3,)], 0.0)
    )

    answer = await node.write(create_value("made"), method="POST")
    await node.quiet()

    assert (answer.status, node.world.counts().unbound_creates) == (201, 0)
    service.after = None
    await _recover(node)
