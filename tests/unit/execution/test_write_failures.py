"""What a caller is told where ledger, service or caller fail under a write, and what is left."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from crossfade.errors import (
    LedgerUnavailableError,
    OutcomeUnknownError,
    UpstreamFailedError,
)
from crossfade.ledger.rows import Rows
from crossfade.model.intent import Doubt
from crossfade.model.key import Key
from crossfade.model.operation import MirrorWhen
from crossfade.model.side import Side
from crossfade.observability.events import WorkerFailed, WriteUnknown
from tests.builders import CUSTOMERS, Node
from tests.fake_seams import LedgerFault
from tests.fake_services import (
    Does,
    FakeAnswer,
    ServiceRows,
    create_value,
    put_value,
    read_value,
)
from tests.settling import assert_agreed, drain, settle, start_shadow

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


async def test_without_a_ledger_no_side_is_touched() -> None:
    """Rule 1: the write is refused, and reads go on."""
    node = await _shadow()
    node.ledger.down = True

    with pytest.raises(LedgerUnavailableError):
        await node.write(put_value(KEY, "fresh"), KEY)

    assert node.world.services[Side.LEGACY].calls == []
    assert node.world.values(Side.LEGACY)[KEY] == "old"
    assert (await node.read(read_value(KEY), KEY)) == (FakeAnswer(200, "old"), Side.LEGACY)


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
    assert len(node.events_of(WriteUnknown)) == 1
    assert [node.writer.is_alive(intent.id) for intent in node.world.intents()] == [False]
    await _recover(node)


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


@pytest.mark.parametrize("status", [303, 302, 307, 200])
async def test_a_create_that_is_answered_without_a_key_is_searched_for(status: int) -> None:
    """A redirect is how forms answer to a create: its record must not be lost to the mirror."""
    node = await _shadow()

    def made_and_elsewhere(rows: ServiceRows) -> FakeAnswer:
        rows.set((7,), "made")
        return FakeAnswer(status)

    answer = await node.write(made_and_elsewhere, method="POST")
    await node.quiet()

    assert answer.status == status
    assert [intent.doubt for intent in node.world.intents()] == [Doubt.AUTHORITY]
    await _recover(node)
    assert node.world.values(Side.NEW)[7,] == "made"


@pytest.mark.parametrize("does", [Does.ACT, Does.FAIL_ACTED])
async def test_a_caller_that_got_an_answer_is_not_told_of_as_unknown(does: Does) -> None:
    """A create without a key is in doubt for us; its caller knows what it was told."""
    node = await _shadow()
    node.world.services[Side.LEGACY].plan.append(does)

    await node.write(create_value("made", says=False), method="POST")
    await node.quiet()

    assert node.events_of(WriteUnknown) == []
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


async def test_a_write_that_a_ledger_runs_twice_is_alive_under_its_own_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first run was rolled back: its number is another write's, or nobody's."""
    node = await _shadow()
    service, transact = node.world.services[Side.LEGACY], node.ledger.transact

    async def run_twice(transition: Callable[[Rows], Any]) -> Any:  # noqa: ANN401 - any result
        before = node.world.rows.snapshot()
        node.world.rows.apply(lambda rows: (rows.next_sequence(), transition(rows)))
        node.world.rows.restore(before)
        return await transact(transition)

    monkeypatch.setattr(node.ledger, "transact", run_twice)
    service.plan.append(Does.HANG)
    writing = asyncio.ensure_future(node.write(put_value(KEY, "fresh"), KEY))
    await node.world.clock.settle()

    (intent,) = node.world.intents()
    alive = [number for number in range(intent.id + 10) if node.writer.is_alive(number)]
    assert alive == [intent.id]

    service.go_on()
    await node.finish(writing)
    await node.quiet()
    assert not node.writer.is_alive(intent.id)


async def test_an_answer_that_only_promises_settles_nothing() -> None:
    """202: the caller gets it, and the intent stays open until the service has surely acted."""
    node = await start_shadow(values={KEY: "old"})

    def accept(rows: ServiceRows) -> FakeAnswer:  # noqa: ARG001 - it will act later
        return FakeAnswer(202)

    answer = await node.write(accept, KEY)
    await node.quiet()

    (intent,) = node.ledger.look(lambda rows: rows.intents(10))
    assert (answer.status, intent.doubt) == (202, Doubt.AUTHORITY)
