"""Lists are ordered, bounded and filtered alike on every backend; counts agree with them."""

from functools import partial
from typing import Any

import pytest

from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import AuditEntry, Counts, Rows
from crossfade.model.chunk import Chunk
from crossfade.model.intent import Doubt
from crossfade.model.key import KeyRange
from crossfade.model.key_state import Lease
from crossfade.model.side import Side
from tests.contract.ledger.rows_to_write import ORDER, write_intent, write_key

CUSTOMER = "customer"


def _numbers(keys: object) -> list[int]:
    return [state.key[0] for state in keys]  # type: ignore[attr-defined]


def _write_one_key_of_each_kind(rows: Rows) -> None:
    write_key(rows, 1, clean_seq=10_000)
    write_key(rows, 2, dirty_since=50.0)
    write_key(rows, 3, open_intents=1, dirty_since=40.0)
    write_key(rows, 4, quarantine="no parent", dirty_since=10.0)
    write_key(rows, 5, quarantine="no parent", waived=True, dirty_since=11.0)
    write_key(rows, 6, held_authority=Side.NEW, dirty_since=12.0)
    write_key(rows, 7, held_authority=Side.NEW, releasing=True)
    write_key(rows, 8, lease=Lease("me", 8), dirty_since=60.0)
    write_key(rows, 9, clean_seq=10_000, lease=Lease("me", 9))
    write_key(rows, 10, entity=CUSTOMER, dirty_since=30.0)
    write_key(rows, 11, releasing=True, dirty_since=70.0)
    write_key(rows, 12, clean_seq=10_000, quarantine="left", waived=False)


async def test_counts_tell_the_kinds_of_keys_apart(ledger: Ledger) -> None:
    """A key counts as held, else as quarantined or waived, else as dirty."""
    await ledger.transact(_write_one_key_of_each_kind)

    order = ledger.look(lambda rows: rows.counts(ORDER))

    assert order == Counts(
        dirty=4, quarantined=2, waived=1, held=2, leases=2, oldest_dirty_since=40.0
    )
    everything = ledger.look(lambda rows: rows.counts())
    assert (everything.dirty, everything.oldest_dirty_since) == (5, 30.0)
    assert await ledger.transact(lambda rows: rows.counts()) == everything
    assert ledger.look(lambda rows: rows.counts("nobody")) == Counts()


async def test_counts_follow_every_change(ledger: Ledger) -> None:
    """A key that moves from one kind to another is counted once, wherever it is."""
    await ledger.transact(_write_one_key_of_each_kind)
    steps: list[tuple[dict[str, Any], tuple[int, int]]] = [
        ({"quarantine": "x"}, (3, 3)),
        ({"quarantine": "x", "waived": True}, (3, 2)),
        ({}, (4, 2)),
        ({"clean_seq": 99_999}, (3, 2)),
    ]
    for changes, expected in steps:
        await ledger.transact(partial(write_key, number=2, **changes))
        counts = ledger.look(lambda rows: rows.counts(ORDER))
        assert (counts.dirty, counts.quarantined) == expected


async def test_intents_are_counted_by_kind(ledger: Ledger) -> None:
    """Open, doubtful and unbound intents are told apart; settled ones are gone."""

    def write(rows: Rows) -> None:
        for doubt, unbound in ((Doubt.NONE, False), (Doubt.MIRROR, False), (Doubt.NONE, True)):
            write_intent(rows, doubt=doubt, unbound=unbound)

    await ledger.transact(write)
    counts = ledger.look(lambda rows: rows.counts())
    assert (counts.open_intents, counts.doubtful_intents, counts.unbound_creates) == (3, 1, 1)

    for intent in ledger.look(lambda rows: rows.intents(10)):
        await ledger.transact(partial(_delete, number=intent.id))
    assert ledger.look(lambda rows: rows.counts()) == Counts()


def _delete(rows: Rows, number: int) -> None:
    rows.delete_intent(number)


async def test_intents_come_oldest_first_and_bounded(ledger: Ledger) -> None:
    """The resolver sees the oldest intents."""

    def write(rows: Rows) -> None:
        numbers = [rows.next_sequence() for _ in range(5)]
        for number in reversed(numbers):
            write_intent(rows, number)

    await ledger.transact(write)

    found = [intent.id for intent in ledger.look(lambda rows: rows.intents(3))]
    assert found == sorted(found)
    assert len(found) == 3


@pytest.mark.parametrize("inside", [True, False], ids=["in a transition", "by look"])
async def test_dirty_keys_are_paged_by_sequence(ledger: Ledger, *, inside: bool) -> None:
    """Every dirty key of any kind comes, lowest `seq` first, each page after the last."""
    await ledger.transact(_write_one_key_of_each_kind)

    async def page(after: int) -> list[tuple[int, int]]:
        def query(rows: object) -> list[tuple[int, int]]:
            found = rows.dirty_keys(None, 3, after=after)  # type: ignore[attr-defined]
            return [(state.key[0], state.seq) for state in found]

        return await ledger.transact(query) if inside else ledger.look(query)

    numbers: list[int] = []
    after = 0
    while found := await page(after):
        assert len(found) <= 3
        numbers += [number for number, _ in found]
        after = found[-1][1]

    assert numbers == [2, 3, 4, 5, 6, 7, 8, 10, 11]


async def test_ready_keys_are_those_that_may_converge(ledger: Ledger) -> None:
    """No open intent, not quarantined, not being released; leased and held ones may."""
    await ledger.transact(_write_one_key_of_each_kind)

    assert _numbers(ledger.look(lambda rows: rows.dirty_keys(None, 99, ready=True))) == [
        2, 6, 8, 10,
    ]  # fmt: skip
    assert _numbers(ledger.look(lambda rows: rows.dirty_keys(ORDER, 2, ready=True))) == [2, 6]


async def test_a_touched_key_moves_to_the_end(ledger: Ledger) -> None:
    """Paging by `seq` meets a key again when it became dirty anew."""
    await ledger.transact(_write_one_key_of_each_kind)
    await ledger.transact(partial(write_key, number=2))

    assert _numbers(ledger.look(lambda rows: rows.dirty_keys(ORDER, 99)))[-1] == 2


async def test_quarantined_held_and_forgettable_keys(ledger: Ledger) -> None:
    """Each list has its keys by ascending `seq`, is bounded, and none has another's."""
    await ledger.transact(_write_one_key_of_each_kind)

    assert _numbers(ledger.look(lambda rows: rows.quarantined_keys(ORDER, 9))) == [4, 5, 12]
    assert _numbers(ledger.look(lambda rows: rows.quarantined_keys(None, 2))) == [4, 5]
    assert _numbers(ledger.look(lambda rows: rows.quarantined_keys(CUSTOMER, 9))) == []
    assert _numbers(ledger.look(lambda rows: rows.held_keys(None, 9))) == [6, 7]
    assert _numbers(ledger.look(lambda rows: rows.held_keys(ORDER, 1))) == [6]
    assert _numbers(ledger.look(lambda rows: rows.held_keys(CUSTOMER, 9))) == []
    assert _numbers(await ledger.transact(lambda rows: rows.held_keys(ORDER, 9))) == [6, 7]
    assert _numbers(ledger.look(lambda rows: rows.forgettable_keys(ORDER, 9))) == [1]
    assert _numbers(await ledger.transact(lambda rows: rows.forgettable_keys(ORDER, 9))) == [1]


async def test_chunks_are_listed_by_token(ledger: Ledger) -> None:
    """`chunks_since` has open and closed ones of higher token, `open_chunks` only open ones."""

    def write(rows: Rows) -> None:
        for entity, is_open in ((ORDER, False), (ORDER, True), (CUSTOMER, True), (ORDER, True)):
            token = rows.next_sequence()
            rows.set_chunk(Chunk(token, entity, KeyRange(), 0, 0, "me", open=is_open))

    await ledger.transact(write)

    for read in (ledger.look(_chunk_lists), await ledger.transact(_chunk_lists)):
        assert read == ([1, 2, 4], [2, 4], [], [2, 3, 4], [2, 4])
    assert ledger.look(lambda rows: rows.counts()).open_chunks == 3


def _chunk_lists(rows: object) -> tuple[list[int], ...]:
    since = rows.chunks_since  # type: ignore[attr-defined]
    open_chunks = rows.open_chunks  # type: ignore[attr-defined]
    lists = (since(ORDER, 0), since(ORDER, 1), since(ORDER, 4), open_chunks(), open_chunks(ORDER))
    return tuple([chunk.token for chunk in chunks] for chunks in lists)


async def test_documents_of_a_kind_come_by_name(ledger: Ledger) -> None:
    """Other kinds are left out."""

    def write(rows: Rows) -> None:
        for kind, name in (("b", "2"), ("a", "2"), ("a", "10"), ("a", "1")):
            rows.set_document(kind, name, {"of": name})

    await ledger.transact(write)

    expected = [("1", {"of": "1"}), ("10", {"of": "10"}), ("2", {"of": "2"})]
    assert ledger.look(lambda rows: rows.documents("a")) == expected
    assert await ledger.transact(lambda rows: rows.documents("a")) == expected


async def test_the_audit_is_paged_backwards(ledger: Ledger) -> None:
    """The newest entries come first, `before` goes on from there."""

    def write(rows: Rows) -> None:
        for number in range(5):
            rows.append_audit(AuditEntry(float(number), "anna", f"step {number}", {}))

    await ledger.transact(write)

    newest = ledger.look(lambda rows: rows.audit(2))
    older = ledger.look(lambda rows: rows.audit(9, before=newest[-1].number))
    assert [entry.action for entry in (*newest, *older)] == [
        f"step {number}" for number in (4, 3, 2, 1, 0)
    ]
