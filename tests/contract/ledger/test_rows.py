"""Whatever a transition writes is read back as it was, in the same transition and after it."""

import dataclasses
from dataclasses import is_dataclass

import pytest
from msgspec import structs

from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import LedgerIdentity, Rows
from crossfade.model.chunk import Chunk
from crossfade.model.entity_state import EntityState
from crossfade.model.intent import Intent
from crossfade.model.key import Key, KeyRange
from crossfade.model.key_state import KeyState
from crossfade.model.migration_state import Flip, MigrationState
from tests.contract.ledger.conftest import Backend
from tests.contract.ledger.rows_to_write import (
    FULL_AUDIT,
    FULL_CHUNK,
    FULL_ENTITY,
    FULL_KEY,
    FULL_MIGRATION,
    KEYS,
    ORDER,
    full_intent,
)


@pytest.mark.parametrize(
    "full", [FULL_KEY, FULL_ENTITY, FULL_MIGRATION, FULL_MIGRATION.flip, FULL_CHUNK]
)
def test_the_rows_written_here_use_every_field(
    full: KeyState | EntityState | MigrationState | Flip | Chunk,
) -> None:
    """A field added to a row is added here too, else these tests would not miss its column."""
    fields = dataclasses.fields(full) if is_dataclass(full) else structs.fields(full)
    alike = [field.name for field in fields if getattr(full, field.name) == field.default]

    assert [name for name in alike if name != "open"] == []


async def test_an_empty_ledger_has_default_rows(ledger: Ledger) -> None:
    """What was never written is a new migration, generation 0, a clean key, no intent."""

    def read(rows: Rows) -> tuple[object, ...]:
        return (rows.migration(), rows.entity("x"), rows.key("x", (1,)), rows.intent(1),
                rows.document("a", "b"), list(rows.chunks_since("x", 0)))  # fmt: skip

    expected: tuple[object, ...] = (
        MigrationState(),
        EntityState("x"),
        KeyState("x", (1,)),
        None,
        None,
        [],
    )
    assert await ledger.transact(read) == expected
    assert ledger.migration == MigrationState()
    assert ledger.look(lambda rows: rows.key("x", (1,))) == KeyState("x", (1,))


async def test_a_key_without_a_row_stands_at_the_floor(ledger: Ledger) -> None:
    """Whoever compares sequence numbers sees that rows were forgotten."""
    await ledger.transact(lambda rows: rows.set_entity(EntityState(ORDER, floor=30)))

    state = ledger.look(lambda rows: rows.key(ORDER, (1,)))

    assert (state.seq, state.clean_seq, state.dirty) == (30, 30, False)
    assert await ledger.transact(lambda rows: rows.key(ORDER, (1,))) == state


async def test_every_field_of_a_key_is_kept(backend: Backend) -> None:
    """A key's row survives the transition, the commit and the closing of the ledger."""

    def write(rows: Rows) -> KeyState:
        rows.set_key(FULL_KEY)
        return rows.key(ORDER, FULL_KEY.key)

    assert await backend.ledger.transact(write) == FULL_KEY
    assert backend.ledger.look(lambda rows: rows.key(ORDER, FULL_KEY.key)) == FULL_KEY
    await backend.reopen()
    assert await backend.ledger.transact(lambda rows: rows.key(ORDER, FULL_KEY.key)) == FULL_KEY


@pytest.mark.parametrize("key", KEYS, ids=repr)
async def test_keys_of_every_shape_are_kept(backend: Backend, key: Key) -> None:
    """Numbers of any size, any text, several columns: the same key comes back."""
    state = KeyState(ORDER, key, seq=2)
    await backend.ledger.transact(lambda rows: rows.set_key(state))
    await backend.reopen()

    assert backend.ledger.look(lambda rows: rows.key(ORDER, key)) == state
    assert backend.ledger.look(lambda rows: rows.dirty_keys(ORDER, 10)) == [state]


async def test_every_field_of_an_intent_is_kept(backend: Backend) -> None:
    """An open intent survives whatever happens to its node."""

    def write(rows: Rows) -> Intent:
        intent = full_intent(rows)
        rows.set_intent(intent)
        return intent

    intent = await backend.ledger.transact(write)
    await backend.reopen()

    assert backend.ledger.look(lambda rows: rows.intent(intent.id)) == intent
    assert backend.ledger.look(lambda rows: rows.intents(10)) == [intent]
    assert await backend.ledger.transact(lambda rows: rows.intent(intent.id)) == intent


async def test_a_deleted_intent_is_gone(ledger: Ledger) -> None:
    """Deleting an intent twice, or one that never was, is no error."""

    def write(rows: Rows) -> int:
        intent = full_intent(rows)
        rows.set_intent(intent)
        return intent.id

    number = await ledger.transact(write)
    await ledger.transact(lambda rows: rows.delete_intent(number))
    await ledger.transact(lambda rows: rows.delete_intent(number))
    await ledger.transact(lambda rows: rows.delete_intent(99_999))

    assert ledger.look(lambda rows: rows.intent(number)) is None
    assert ledger.look(lambda rows: rows.counts()).open_intents == 0


async def test_every_field_of_an_entity_is_kept(backend: Backend) -> None:
    """Coverage, generation and floor survive."""
    await backend.ledger.transact(lambda rows: rows.set_entity(FULL_ENTITY))
    assert backend.ledger.look(lambda rows: rows.entity(ORDER)) == FULL_ENTITY
    await backend.reopen()

    assert await backend.ledger.transact(lambda rows: rows.entity(ORDER)) == FULL_ENTITY


async def test_every_field_of_the_migration_is_kept(backend: Backend) -> None:
    """Stage, epoch, flip and holds are known at once, and after a restart."""
    await backend.ledger.transact(lambda rows: rows.set_migration(FULL_MIGRATION))
    assert backend.ledger.migration == FULL_MIGRATION
    assert backend.ledger.look(lambda rows: rows.migration()) == FULL_MIGRATION
    await backend.reopen()

    assert backend.ledger.migration == FULL_MIGRATION
    assert await backend.ledger.transact(lambda rows: rows.migration()) == FULL_MIGRATION


async def test_every_field_of_a_chunk_is_kept(backend: Backend) -> None:
    """An open chunk survives its worker."""
    await backend.ledger.transact(lambda rows: rows.set_chunk(FULL_CHUNK))
    await backend.reopen()

    assert backend.ledger.look(lambda rows: rows.open_chunks()) == [FULL_CHUNK]
    assert await backend.ledger.transact(lambda rows: list(rows.chunks_since(ORDER, 20))) == [
        FULL_CHUNK
    ]


async def test_documents_are_kept_as_json(backend: Backend) -> None:
    """A document is any JSON value; what comes back is a copy that nobody shares."""
    value = {"numbers": [1, 2**70, 1.5], "text": "ä", "nothing": None}

    def write(rows: Rows) -> None:
        rows.set_document("sweep", "order", value)
        rows.document("sweep", "order")["text"] = "changed by a reader"

    await backend.ledger.transact(write)
    await backend.reopen()

    assert backend.ledger.look(lambda rows: rows.document("sweep", "order")) == value
    assert await backend.ledger.transact(lambda rows: rows.document("sweep", "order")) == value


async def test_a_document_of_none_is_removed(ledger: Ledger) -> None:
    """None removes the document, also where there is none."""
    await ledger.transact(lambda rows: rows.set_document("a", "x", value=False))
    assert ledger.look(lambda rows: rows.document("a", "x")) is False

    for _ in range(2):
        await ledger.transact(lambda rows: rows.set_document("a", "x", None))

    assert ledger.look(lambda rows: rows.documents("a")) == []


async def test_audit_entries_are_numbered(backend: Backend) -> None:
    """Entries keep everything they were given and get ascending numbers."""
    for _ in range(2):
        await backend.ledger.transact(lambda rows: rows.append_audit(FULL_AUDIT))
    await backend.reopen()
    await backend.ledger.transact(lambda rows: rows.append_audit(FULL_AUDIT))

    entries = backend.ledger.look(lambda rows: rows.audit(10))
    assert [entry.number for entry in entries] == [3, 2, 1]
    assert {entry.detail["nested"]["ü"] for entry in entries} == {True}
    assert (entries[0].at, entries[0].actor) == (FULL_AUDIT.at, FULL_AUDIT.actor)
    assert entries[0].detail == FULL_AUDIT.detail


async def test_the_identity_is_kept_and_its_incarnation_goes_up(backend: Backend) -> None:
    """The id is made once; the incarnation is what adopting the ledger raises."""
    before = backend.ledger.identity
    await backend.ledger.transact(lambda rows: rows.set_incarnation(5))
    assert backend.ledger.identity == LedgerIdentity(before.ledger_id, 5)
    await backend.reopen()

    assert backend.ledger.identity == LedgerIdentity(before.ledger_id, 5)
    assert backend.ledger.look(lambda rows: rows.identity()).incarnation == 5
    assert len(before.ledger_id) == 32


async def test_sequence_numbers_ascend_across_restarts(backend: Backend) -> None:
    """No number is handed out twice, in one transition, in the next, or after reopening."""

    def take_three(rows: Rows) -> list[int]:
        return [rows.next_sequence() for _ in range(3)]

    numbers = await backend.ledger.transact(take_three)
    await backend.reopen()
    numbers += await backend.ledger.transact(take_three)
    await backend.ledger.transact(lambda rows: rows.raise_sequence(1_000))
    await backend.ledger.transact(lambda rows: rows.raise_sequence(3))
    await backend.reopen()
    numbers += await backend.ledger.transact(take_three)

    assert sorted(set(numbers)) == numbers
    assert numbers[-1] > 1_000


async def test_a_forgotten_key_has_its_default_row_again(ledger: Ledger) -> None:
    """Forgetting a key leaves nothing behind, not even in the counts."""
    await ledger.transact(lambda rows: rows.set_key(FULL_KEY))
    await ledger.transact(lambda rows: rows.forget_key(ORDER, FULL_KEY.key))
    await ledger.transact(lambda rows: rows.forget_key(ORDER, ("never", 1)))

    assert ledger.look(lambda rows: rows.key(ORDER, FULL_KEY.key)) == KeyState(ORDER, FULL_KEY.key)
    counts = ledger.look(lambda rows: rows.counts())
    assert (counts.dirty, counts.quarantined, counts.waived, counts.held, counts.leases) == (
        0,
    ) * 5


async def test_a_deleted_chunk_is_gone(ledger: Ledger) -> None:
    """Deleting a chunk, also twice, leaves no open chunk."""
    await ledger.transact(lambda rows: rows.set_chunk(FULL_CHUNK))
    for _ in range(2):
        await ledger.transact(lambda rows: rows.delete_chunk(ORDER, FULL_CHUNK.token))

    assert ledger.look(lambda rows: rows.open_chunks()) == []
    assert ledger.look(lambda rows: rows.counts()).open_chunks == 0


async def test_rows_of_one_transition_are_read_back_inside_it(ledger: Ledger) -> None:
    """Reads and lists inside a transition see its own writes, the removals too."""

    def write(rows: Rows) -> tuple[object, ...]:
        intent = full_intent(rows)
        rows.set_intent(intent)
        rows.set_key(KeyState(ORDER, (1,), seq=rows.next_sequence()))
        rows.set_chunk(Chunk(rows.next_sequence(), ORDER, KeyRange(), 0, 0, "me"))
        seen = (len(rows.intents(9)), len(rows.dirty_keys(ORDER, 9)), len(rows.open_chunks()))
        rows.delete_intent(intent.id)
        rows.forget_key(ORDER, (1,))
        rows.set_document("a", "b", 1)
        rows.append_audit(FULL_AUDIT)
        after = (len(rows.intents(9)), len(rows.dirty_keys(ORDER, 9)), rows.counts().open_intents)
        return seen, after, rows.documents("a"), len(rows.audit(9))

    result = await ledger.transact(write)

    assert result == ((1, 1, 1), (0, 0, 0), [("b", 1)], 1)
