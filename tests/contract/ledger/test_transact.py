"""Transactions are all or nothing, one after the other, and durable before they are told."""

import asyncio
from functools import partial

import pytest

from crossfade.errors import LedgerUnavailableError, WritesHeldError
from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.intents import (
    OpenedIntent,
    WriteRequest,
    close_intent,
    open_intent,
)
from crossfade.ledger.transitions.moves import Decision, move_stage
from crossfade.model.entity_state import EntityState
from crossfade.model.key_state import KeyState
from crossfade.model.stage import Stage
from tests.contract.ledger.conftest import Backend
from tests.contract.ledger.rows_to_write import (
    FULL_AUDIT,
    FULL_CHUNK,
    FULL_ENTITY,
    FULL_KEY,
    FULL_MIGRATION,
    ORDER,
    write_intent,
    write_key,
)

DECISION = Decision("anna", "a test", 1.0)


class RefusalError(Exception):
    """What a transition of these tests raises."""


def _write_everything(rows: Rows) -> None:
    rows.set_migration(FULL_MIGRATION)
    rows.set_entity(FULL_ENTITY)
    rows.set_key(FULL_KEY)
    rows.set_key(KeyState(ORDER, (1,), seq=99))
    rows.forget_key(ORDER, (2,))
    write_intent(rows)
    rows.delete_intent(1)
    rows.set_chunk(FULL_CHUNK)
    rows.set_document("a", "b", {"c": 1})
    rows.set_incarnation(9)
    rows.append_audit(FULL_AUDIT)


def _everything(rows: Rows) -> tuple[object, ...]:
    return (
        rows.identity(), rows.migration(), rows.entity(ORDER), rows.counts(),
        list(rows.dirty_keys(None, 99)), list(rows.intents(99)), list(rows.chunks_since(ORDER, 0)),
        list(rows.documents("a")), list(rows.audit(99)), list(rows.forgettable_keys(ORDER, 99)),
    )  # fmt: skip


def _start(rows: Rows) -> None:
    write_intent(rows)
    write_key(rows, 2, clean_seq=50)
    write_key(rows, 3)
    rows.set_document("a", "b", {"c": 0})


@pytest.mark.parametrize("lists", [False, True], ids=["rows only", "with lists"])
async def test_a_transition_that_raises_leaves_nothing(ledger: Ledger, *, lists: bool) -> None:
    """Every kind of write is undone, whether or not a list was read in between."""
    await ledger.transact(_start)
    before = await ledger.transact(_everything)

    def write_and_raise(rows: Rows) -> None:
        if lists:
            rows.counts()
        _write_everything(rows)
        if lists:
            rows.dirty_keys(None, 9)
            write_key(rows, 77)
            rows.audit(9)
        raise RefusalError

    with pytest.raises(RefusalError):
        await ledger.transact(write_and_raise)

    assert await ledger.transact(_everything) == before
    assert ledger.look(_everything) == before  # type: ignore[arg-type]
    assert ledger.migration == before[1]


async def test_a_transition_that_raises_harms_no_other(ledger: Ledger) -> None:
    """Of a hundred transitions handed over at once, exactly the failing ones fail."""

    def write(rows: Rows, number: int) -> int:
        write_key(rows, number)
        if number % 7 == 0:
            rows.counts()
        if number % 3 == 0:
            raise RefusalError(number)
        return number

    transitions = (ledger.transact(partial(write, number=number)) for number in range(100))
    results = await asyncio.gather(*transitions, return_exceptions=True)

    assert [one for one in results if isinstance(one, int)] == [n for n in range(100) if n % 3]
    assert sum(isinstance(one, RefusalError) for one in results) == 34
    keys = ledger.look(lambda rows: rows.dirty_keys(ORDER, 200))
    assert sorted(state.key[0] for state in keys) == [n for n in range(100) if n % 3]
    assert ledger.look(lambda rows: rows.counts()).dirty == 66


async def test_no_sequence_number_is_given_twice(ledger: Ledger) -> None:
    """Also not the numbers of transitions that failed."""

    def take(rows: Rows, number: int) -> int:
        taken = rows.next_sequence()
        if number % 2:
            raise RefusalError(taken)
        return taken

    results = await asyncio.gather(
        *(ledger.transact(partial(take, number=number)) for number in range(64)),
        return_exceptions=True,
    )

    seen = [one.args[0] if isinstance(one, RefusalError) else one for one in results]
    assert len(set(seen)) == 64


async def test_sixty_four_callers_each_see_their_own_effect(backend: Backend) -> None:
    """Intents of many callers on a few shared keys: every one is opened, closed and counted."""
    ledger = backend.ledger
    await ledger.transact(partial(move_stage, wanted=Stage.SHADOW, decision=DECISION))

    async def caller(number: int) -> None:
        for step in range(5):
            key = ((number + step) % 10,)
            request = WriteRequest(ORDER, (key,), "PUT", "node")
            opened = await ledger.transact(partial(open_intent, request=request, at=1.0))
            assert ledger.look(partial(_has_intent, number=opened.intent.id))
            await ledger.transact(partial(close_intent, intent_id=opened.intent.id, at=2.0))

    await asyncio.gather(*(caller(number) for number in range(64)))

    counts = ledger.look(lambda rows: rows.counts())
    assert (counts.open_intents, counts.dirty) == (0, 10)
    keys = ledger.look(lambda rows: rows.dirty_keys(ORDER, 99))
    assert [state.open_intents for state in keys] == [0] * 10
    # An opening takes two numbers, one of them for the key; a closing takes one.
    assert max(state.seq for state in keys) == 64 * 5 * 3


def _has_intent(rows: object, number: int) -> bool:
    return rows.intent(number) is not None  # type: ignore[attr-defined]


async def test_a_cancelled_caller_does_not_stop_its_transition(backend: Backend) -> None:
    """What was handed over takes place; the caller just does not hear of it."""
    ledger = backend.ledger
    tasks = [
        asyncio.ensure_future(ledger.transact(partial(write_key, number=number)))
        for number in range(50)
    ]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await backend.reopen()

    assert backend.ledger.look(lambda rows: rows.counts()).dirty == 50


async def test_a_look_sees_one_moment(ledger: Ledger) -> None:
    """Two rows that always change together never differ in a look."""

    def write(rows: Rows, number: int) -> None:
        rows.set_entity(EntityState("a", floor=number))
        rows.set_entity(EntityState("b", floor=number))
        rows.set_document("n", "n", number)

    def read(rows: object) -> set[int | None]:
        found = [rows.entity(name).floor for name in "ab"]  # type: ignore[attr-defined]
        return {*found, rows.document("n", "n") or 0}  # type: ignore[attr-defined]

    writing = asyncio.gather(*(ledger.transact(partial(write, number=n)) for n in range(1, 60)))
    seen = set()
    while not writing.done():
        moment = ledger.look(read)
        assert len(moment) == 1
        seen |= moment
        await asyncio.sleep(0)
    await writing

    assert ledger.look(read) == {59}


async def test_what_was_told_is_seen_by_the_next_look(ledger: Ledger) -> None:
    """A caller that was answered, and everybody else from then on, sees its write."""
    for number in range(1, 20):
        await ledger.transact(partial(write_key, number=number))
        assert ledger.look(lambda rows: rows.counts()).dirty == number


async def test_a_look_that_raises_harms_nothing(ledger: Ledger) -> None:
    """The next look works."""

    def fail(_: object) -> None:
        raise RefusalError

    with pytest.raises(RefusalError):
        ledger.look(fail)

    assert ledger.look(lambda rows: rows.counts()).dirty == 0


async def test_closing_commits_what_was_handed_over(backend: Backend) -> None:
    """A close right behind many transitions loses none of them."""
    writing = [
        asyncio.ensure_future(backend.ledger.transact(partial(write_key, number=number)))
        for number in range(300)
    ]
    await asyncio.sleep(0)
    await backend.reopen()
    await asyncio.gather(*writing)

    assert backend.ledger.look(lambda rows: rows.counts()).dirty == 300


async def test_a_closed_ledger_refuses_everything(ledger: Ledger) -> None:
    """Writes and looks say that the ledger is closed; closing twice is harmless."""
    await ledger.close()
    await ledger.close()

    with pytest.raises(LedgerUnavailableError, match="closed"):
        await ledger.transact(lambda rows: rows.next_sequence())
    with pytest.raises(LedgerUnavailableError, match="closed"):
        ledger.look(lambda rows: rows.counts())


async def test_what_a_transition_raises_is_raised_as_it_is(ledger: Ledger) -> None:
    """The refusals of the protocol reach the caller with their facts."""
    request = WriteRequest(ORDER, ((1,),), "PUT", "node")

    with pytest.raises(WritesHeldError, match="the stage is off") as refused:
        await ledger.transact(partial(open_intent, request=request, at=1.0))

    assert refused.value.retry_after_seconds > 0


async def test_values_that_no_row_can_hold_fail_alone(ledger: Ledger) -> None:
    """One impossible value is its own caller's error; its neighbours are committed."""

    def impossible(rows: Rows) -> None:
        rows.set_document("a", "b", {"a function": test_closing_commits_what_was_handed_over})

    results = await asyncio.gather(
        ledger.transact(partial(write_key, number=1)),
        ledger.transact(impossible),
        ledger.transact(partial(write_key, number=2)),
        return_exceptions=True,
    )

    assert [isinstance(one, Exception) for one in results] == [False, True, False]
    assert ledger.look(lambda rows: rows.counts()).dirty == 2


async def test_results_are_values_of_the_caller(ledger: Ledger) -> None:
    """A transition's result is handed back as it is."""
    await ledger.transact(partial(move_stage, wanted=Stage.SHADOW, decision=DECISION))
    request = WriteRequest(ORDER, ((1,),), "PUT", "node")

    result = await ledger.transact(partial(open_intent, request=request, at=1.0))

    assert isinstance(result, OpenedIntent)
    assert ledger.look(lambda rows: rows.intent(result.intent.id)) == result.intent
