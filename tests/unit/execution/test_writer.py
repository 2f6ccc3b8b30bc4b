"""A write: intent, authority, answer, mirror; and what is left where one of them fails."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace

import pytest

from crossfade.errors import (
    LedgerUnavailableError,
    OutcomeUnknownError,
    UpstreamFailedError,
)
from crossfade.execution.options import ExecutionOptions
from crossfade.ledger.transitions.intents import settle_unbound
from crossfade.model.intent import Doubt
from crossfade.model.key import Key
from crossfade.model.key_state import KeyState
from crossfade.model.migration_state import MigrationState
from crossfade.model.operation import MirrorWhen
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import ReplaySkipped, WorkerFailed, WriteUnknown
from tests.builders import CUSTOMERS, Node, make_node
from tests.fake_seams import LedgerFault, StoreFault
from tests.fake_services import (
    Does,
    FakeAnswer,
    ServiceRows,
    create_value,
    put_value,
    read_value,
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


async def test_without_a_ledger_no_side_is_touched() -> None:
    """Rule 1: the write is refused, and reads go on."""
    node = await _shadow()
    node.ledger.down = True

    with pytest.raises(LedgerUnavailableError):
        await node.write(put_value(KEY, "fresh"), KEY)

    assert node.world.services[Side.LEGACY].calls == []
    assert node.world.values(Side.LEGACY)[KEY] == "old"
    assert (await node.read(read_value(KEY), KEY)) == (FakeAnswer(200, "old"), Side.LEGACY)


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


@pytest.mark.parametrize(("does", "value"), [(Does.FAIL, "old"), (Does.FAIL_ACTED, "fresh")])
async def test_a_500_ends_the_doubt_and_convergence_finds_out(does: Does, value: str) -> None:
    """Rule 7: whether or not the service had acted, the mirror gets what is there."""
    node = await _shadow()
    node.world.services[Side.LEGACY].plan.append(does)

    answer = await node.write(put_value(KEY, "fresh"), KEY)
    await node.quiet()

    assert (answer.status, node.world.counts().open_intents) == (500, 0)
    assert node.world.values(Side.NEW)[KEY] == value


@pytest.mark.parametrize(
    "does", [Does.CUT, Does.LOST, Does.LATE, Does.BAD_GATEWAY, Does.BAD_GATEWAY_ACTED]
)
async def test_no_answer_of_the_service_itself_leaves_the_write_in_doubt(does: Does) -> None:
    """Rule 7: the caller learns that nobody knows, and the intent stays open until settled."""
    node = await _shadow()
    node.world.services[Side.LEGACY].plan.append(does)

    with pytest.raises(OutcomeUnknownError):
        await node.write(put_value(KEY, "fresh"), KEY)
    await node.quiet()

    intent = node.world.intents()[0]
    assert (intent.doubt, intent.keys) == (Doubt.AUTHORITY, (KEY,))
    assert node.events_of(WriteUnknown) == [
        WriteUnknown(CUSTOMERS, "PUT /customers/{id}", intent.id)
    ]
    assert not node.writer.is_alive(intent.id)
    await _recover(node)


async def test_a_call_that_was_not_sent_changes_nothing() -> None:
    """The caller is told so, and the intent is closed at once."""
    node = await _shadow()
    node.world.services[Side.LEGACY].plan.append(Does.UNREACHABLE)

    with pytest.raises(UpstreamFailedError):
        await node.write(put_value(KEY, "fresh"), KEY)

    assert (node.world.intents(), node.world.values(Side.LEGACY)[KEY]) == ([], "old")
    await _recover(node)


async def test_a_broken_transport_leaves_the_intent_to_the_resolver() -> None:
    """An exception that nobody expects: the outcome is unknown, the failure is told."""
    node = await _shadow()
    node.world.services[Side.LEGACY].plan.append(Does.CRASH)

    with pytest.raises(OutcomeUnknownError):
        await node.write(put_value(KEY, "fresh"), KEY)
    await node.quiet()

    assert node.events_of(WorkerFailed) == [WorkerFailed("writer", "RuntimeError")]
    assert [node.writer.is_alive(intent.id) for intent in node.world.intents()] == [False]
    await _recover(node)


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


@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize("does", [Does.CUT, Does.LATE, Does.LOST, Does.BAD_GATEWAY_ACTED])
async def test_a_create_in_doubt_stays_unbound(does: Does, *, says: bool) -> None:
    """While any create is unbound the entity does not agree; the resolver finds the record."""
    node = await _shadow()
    node.world.services[Side.LEGACY].plan.append(does)

    with pytest.raises(OutcomeUnknownError):
        await node.write(create_value("made", says=says), method="POST")
    await node.quiet()

    assert (node.world.counts().unbound_creates, node.world.counts().doubtful_intents) == (1, 1)
    await _recover(node)


@pytest.mark.parametrize(
    ("does", "says"), [(Does.FAIL_ACTED, False), (Does.FAIL, False), (Does.ACT, False)]
)
async def test_a_create_that_may_have_made_a_record_stays_open(does: Does, *, says: bool) -> None:
    """A 500, or a 201 without an id: there may be a record that nobody can name."""
    node = await _shadow()
    node.world.services[Side.LEGACY].plan.append(does)

    answer = await node.write(create_value("made", says=says), method="POST")
    await node.quiet()

    assert answer.status in (201, 500)
    assert [intent.doubt for intent in node.world.intents()] == [Doubt.AUTHORITY]
    await _recover(node)


@pytest.mark.parametrize("does", [Does.REFUSE, Does.UNREACHABLE])
async def test_a_create_that_made_nothing_leaves_nothing(does: Does) -> None:
    """A refusal, or a call that was not sent: the intent is closed, the entity agrees again."""
    node = await _shadow()
    node.world.services[Side.LEGACY].plan.append(does)

    await asyncio.gather(node.write(create_value("made"), method="POST"), return_exceptions=True)
    await node.quiet()

    assert (node.world.intents(), node.world.counts().unbound_creates) == ([], 0)


async def test_a_caller_that_gives_up_does_not_stop_the_write() -> None:
    """From the intent on the write runs in a task of its own."""
    node = await _shadow()
    service = node.world.services[Side.LEGACY]
    service.plan.append(Does.HANG)
    caller = asyncio.ensure_future(node.write(put_value(KEY, "fresh"), KEY))
    await node.world.clock.settle()

    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    alive = node.writer.is_alive(node.world.intents()[0].id)
    service.go_on()
    await node.quiet()

    assert (caller.cancelled(), alive) == (True, True)
    assert node.world.values(Side.NEW)[KEY] == "fresh"
    assert node.world.counts().open_intents == 0


@pytest.mark.parametrize("step", range(24))
@pytest.mark.parametrize("does", [Does.ACT, Does.CUT, Does.REFUSE])
async def test_a_caller_may_be_cancelled_at_any_step(does: Does, step: int) -> None:
    """Whatever the step: both sides agree in the end, and no half of a write is left."""
    node = await _shadow()
    node.world.turns.most = 2
    node.world.services[Side.LEGACY].plan.append(does)
    caller = asyncio.ensure_future(node.write(put_value(KEY, "fresh"), KEY, replay=True))
    for _ in range(step):
        await asyncio.sleep(0)

    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    await node.quiet()

    assert node.tasks.count() == 0
    await _recover(node)


@pytest.mark.parametrize("mirror_when", list(MirrorWhen))
@pytest.mark.parametrize("does", [Does.ACT, Does.REFUSE, Does.FAIL_ACTED, Does.CUT, Does.LATE])
@pytest.mark.parametrize("nth", range(1, 5))
async def test_a_ledger_that_fails_under_way_never_says_that_nothing_happened(
    nth: int, does: Does, mirror_when: MirrorWhen
) -> None:
    """Once the authority was asked, the caller gets its answer, or "outcome unknown"."""
    node = await _shadow()
    node.world.services[Side.LEGACY].plan.append(does)
    node.ledger.faults.extend([None] * nth + [LedgerFault.NOT_MADE])

    result = await _outcome(
        node.write(put_value(KEY, "fresh"), KEY, mirror_when=mirror_when, replay=True)
    )
    await node.quiet()

    expected = {Does.ACT: 200, Does.REFUSE: 409, Does.FAIL_ACTED: 500}
    assert result == expected.get(does, "OutcomeUnknownError")
    node.ledger.faults.clear()
    await _recover(node)


@pytest.mark.parametrize("does", [Does.ACT, Does.FAIL_ACTED, Does.CUT])
@pytest.mark.parametrize("nth", range(1, 5))
async def test_a_ledger_that_fails_under_a_create_never_says_that_nothing_happened(
    nth: int, does: Does
) -> None:
    """The same where the id cannot be bound: a caller that repeats the create makes two."""
    node = await _shadow()
    node.world.services[Side.LEGACY].plan.append(does)
    node.ledger.faults.extend([None] * nth + [LedgerFault.NOT_MADE])

    result = await _outcome(node.write(create_value("made"), method="POST"))
    await node.quiet()

    expected = {Does.ACT: 201, Does.FAIL_ACTED: 500}
    assert result == expected.get(does, "OutcomeUnknownError")
    node.ledger.faults.clear()
    await _recover(node)


async def _outcome(write: Awaitable[FakeAnswer]) -> int | str:
    results = await asyncio.gather(write, return_exceptions=True)
    result = results[0]
    return result.status if isinstance(result, FakeAnswer) else type(result).__name__


async def test_a_call_that_was_not_sent_is_told_so_without_a_ledger() -> None:
    """Closing the intent failed: nothing was written all the same."""
    node = await _shadow()
    node.world.services[Side.LEGACY].plan.append(Does.UNREACHABLE)
    node.ledger.faults.extend([None, LedgerFault.NOT_MADE])

    with pytest.raises(UpstreamFailedError):
        await node.write(put_value(KEY, "fresh"), KEY)

    await _recover(node)


async def test_a_failure_after_the_answer_is_told() -> None:
    """Nobody waits for it any more, so it is an event."""
    node = await _shadow()
    node.ledger.faults.extend([None, LedgerFault.NOT_MADE])

    answer = await node.write(put_value(KEY, "fresh"), KEY)
    await node.quiet()

    assert answer.status == 200
    assert node.events_of(WorkerFailed) == [WorkerFailed("writer", "LedgerUnavailableError")]
    await _recover(node)


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


async def test_an_intent_is_alive_before_anybody_can_see_it() -> None:
    """A resolver that looks between the commit and its news must not take it for orphaned."""
    node = await _shadow()
    node.world.turns.most = 3
    seen: list[bool] = []
    caller = asyncio.ensure_future(node.write(put_value(KEY, "fresh"), KEY))

    while not caller.done():
        await asyncio.sleep(0)
        seen += [node.writer.is_alive(intent.id) for intent in node.world.intents()]
    await node.quiet()

    assert set(seen) == {True}


async def test_an_intent_that_was_not_committed_does_not_stay_alive() -> None:
    """A ledger that fails for hours must not fill the memory."""
    node = await _shadow()
    node.ledger.faults.append(LedgerFault.MADE)

    with pytest.raises(LedgerUnavailableError):
        await node.write(put_value(KEY, "fresh"), KEY)

    assert [node.writer.is_alive(intent.id) for intent in node.world.intents()] == [False]
