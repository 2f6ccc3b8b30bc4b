"""The rows of a ledger in memory: plain dictionaries, and a journal that takes a failure back."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from crossfade.codec import decode, encode
from crossfade.ledger.key_shelf import (
    DIRTY_SHELVES,
    HELD_SHELVES,
    QUARANTINE_SHELVES,
    READY_SHELVES,
    Shelf,
    shelf_of,
)
from crossfade.ledger.rows import AuditEntry, Counts, LedgerIdentity
from crossfade.model.chunk import Chunk
from crossfade.model.entity_state import EntityState
from crossfade.model.intent import Doubt, Intent
from crossfade.model.key import Key
from crossfade.model.key_state import KeyState
from crossfade.model.migration_state import MigrationState


@dataclass(slots=True)
class MemoryTables:
    """Everything that a ledger holds; all values are immutable, so a copy is shallow."""

    identity: LedgerIdentity
    sequence: int = 0
    migration: MigrationState = field(default_factory=MigrationState)
    entities: dict[str, EntityState] = field(default_factory=dict)
    keys: dict[tuple[str, Key], KeyState] = field(default_factory=dict)
    intents: dict[int, Intent] = field(default_factory=dict)
    chunks: dict[tuple[str, int], Chunk] = field(default_factory=dict)
    documents: dict[tuple[str, str], bytes] = field(default_factory=dict)
    audit: tuple[AuditEntry, ...] = ()

    def copy(self) -> "MemoryTables":
        """Tables that start equal and then live their own life."""
        return MemoryTables(
            identity=self.identity,
            sequence=self.sequence,
            migration=self.migration,
            entities=self.entities.copy(),
            keys=self.keys.copy(),
            intents=self.intents.copy(),
            chunks=self.chunks.copy(),
            documents=self.documents.copy(),
            audit=self.audit,
        )


class MemoryView:
    """Reads and lists over the tables (`RowsQueries`)."""

    def __init__(self, tables: MemoryTables) -> None:
        self._tables = tables

    def identity(self) -> LedgerIdentity:
        """See `RowsView.identity`."""
        return self._tables.identity

    def migration(self) -> MigrationState:
        """See `RowsView.migration`."""
        return self._tables.migration

    def entity(self, name: str) -> EntityState:
        """See `RowsView.entity`."""
        return self._tables.entities.get(name) or EntityState(name)

    def key(self, entity: str, key: Key) -> KeyState:
        """See `RowsView.key`."""
        state = self._tables.keys.get((entity, key))
        if state is not None:
            return state
        floor = self.entity(entity).floor
        return KeyState(entity, key, seq=floor, clean_seq=floor)

    def intent(self, intent_id: int) -> Intent | None:
        """See `RowsView.intent`."""
        return self._tables.intents.get(intent_id)

    def chunks_since(self, entity: str, token: int) -> Sequence[Chunk]:
        """See `RowsView.chunks_since`."""
        return self._chunks(lambda chunk: chunk.entity == entity and chunk.token > token)

    def document(self, kind: str, name: str) -> Any:  # noqa: ANN401 - any JSON value
        """See `RowsView.document`."""
        data = self._tables.documents.get((kind, name))
        return None if data is None else decode(data)

    def counts(self, entity: str | None = None) -> Counts:
        """See `RowsQueries.counts`."""
        keys = [state for state in self._tables.keys.values() if entity in (None, state.entity)]
        intents = [one for one in self._tables.intents.values() if entity in (None, one.entity)]
        shelves = [shelf_of(state) for state in keys]
        dirty_since = [
            state.dirty_since
            for state, shelf in zip(keys, shelves, strict=True)
            if shelf in DIRTY_SHELVES
        ]
        return Counts(
            open_intents=len(intents),
            doubtful_intents=sum(intent.doubt is not Doubt.NONE for intent in intents),
            unbound_creates=sum(intent.unbound for intent in intents),
            dirty=len(dirty_since),
            quarantined=shelves.count(Shelf.QUARANTINED),
            waived=shelves.count(Shelf.WAIVED),
            held=sum(shelf in HELD_SHELVES for shelf in shelves),
            leases=sum(state.lease is not None for state in keys),
            open_chunks=len(self.open_chunks(entity)),
            oldest_dirty_since=min(dirty_since, default=None),
        )

    def intents(self, limit: int) -> Sequence[Intent]:
        """See `RowsQueries.intents`."""
        return [intent for _, intent in sorted(self._tables.intents.items())[:limit]]

    def dirty_keys(
        self, entity: str | None, limit: int, *, after: int = 0, ready: bool = False
    ) -> Sequence[KeyState]:
        """See `RowsQueries.dirty_keys`."""
        return self._by_sequence(
            limit,
            lambda state: (
                entity in (None, state.entity)
                and state.dirty
                and state.seq > after
                and (not ready or shelf_of(state) in READY_SHELVES)
            ),
        )

    def quarantined_keys(self, entity: str | None, limit: int) -> Sequence[KeyState]:
        """See `RowsQueries.quarantined_keys`."""
        return self._by_sequence(
            limit,
            lambda state: entity in (None, state.entity) and shelf_of(state) in QUARANTINE_SHELVES,
        )

    def held_keys(self, entity: str | None, limit: int) -> Sequence[KeyState]:
        """See `RowsQueries.held_keys`."""
        return self._by_sequence(
            limit,
            lambda state: entity in (None, state.entity) and shelf_of(state) in HELD_SHELVES,
        )

    def forgettable_keys(self, entity: str, limit: int) -> Sequence[KeyState]:
        """See `RowsQueries.forgettable_keys`."""
        return self._by_sequence(
            limit, lambda state: state.entity == entity and shelf_of(state) is Shelf.QUIET
        )

    def last_touched(self, entity: str) -> int:
        """See `RowsQueries.last_touched`."""
        seqs = [state.seq for state in self._tables.keys.values() if state.entity == entity]
        return max(self.entity(entity).floor, *seqs, 0)

    def open_chunks(self, entity: str | None = None) -> Sequence[Chunk]:
        """See `RowsQueries.open_chunks`."""
        return self._chunks(lambda chunk: chunk.open and entity in (None, chunk.entity))

    def documents(self, kind: str) -> Sequence[tuple[str, Any]]:
        """See `RowsQueries.documents`."""
        stored = sorted(self._tables.documents.items())
        return [(name, decode(data)) for (of_kind, name), data in stored if of_kind == kind]

    def audit(self, limit: int, *, before: int | None = None) -> Sequence[AuditEntry]:
        """See `RowsQueries.audit`."""
        newest_first = reversed(self._tables.audit)
        wanted = (entry for entry in newest_first if before is None or entry.number < before)
        return list(islice(wanted, limit))

    def _by_sequence(self, limit: int, wanted: Callable[[KeyState], bool]) -> list[KeyState]:
        found = filter(wanted, self._tables.keys.values())
        return sorted(found, key=lambda state: state.seq)[:limit]

    def _chunks(self, wanted: Callable[[Chunk], bool]) -> list[Chunk]:
        found: Iterable[Chunk] = filter(wanted, self._tables.chunks.values())
        return sorted(found, key=lambda chunk: chunk.token)


class MemoryRows(MemoryView):
    """The rows inside one transition (`Rows`); `take_back` undoes all its writes."""

    def __init__(self, tables: MemoryTables) -> None:
        super().__init__(tables)
        self._undo: list[Callable[[], None]] = []

    def take_back(self) -> None:
        """Undo every write but the numbers that were handed out: they are never used again."""
        while self._undo:
            self._undo.pop()()

    def next_sequence(self) -> int:
        """See `Rows.next_sequence`."""
        self._tables.sequence += 1
        return self._tables.sequence

    def raise_sequence(self, least: int) -> None:
        """See `Rows.raise_sequence`."""
        self._tables.sequence = max(self._tables.sequence, least)

    def set_incarnation(self, incarnation: int) -> None:
        """See `Rows.set_incarnation`."""
        self._assign("identity", replace(self._tables.identity, incarnation=incarnation))

    def set_migration(self, state: MigrationState) -> None:
        """See `Rows.set_migration`."""
        self._assign("migration", state)

    def set_entity(self, state: EntityState) -> None:
        """See `Rows.set_entity`."""
        self._write(self._tables.entities, state.name, state)

    def set_key(self, state: KeyState) -> None:
        """See `Rows.set_key`."""
        self._write(self._tables.keys, (state.entity, state.key), state)

    def forget_key(self, entity: str, key: Key) -> None:
        """See `Rows.forget_key`."""
        self._write(self._tables.keys, (entity, key), None)

    def set_intent(self, intent: Intent) -> None:
        """See `Rows.set_intent`."""
        self._write(self._tables.intents, intent.id, intent)

    def delete_intent(self, intent_id: int) -> None:
        """See `Rows.delete_intent`."""
        self._write(self._tables.intents, intent_id, None)

    def set_chunk(self, chunk: Chunk) -> None:
        """See `Rows.set_chunk`."""
        self._write(self._tables.chunks, (chunk.entity, chunk.token), chunk)

    def delete_chunk(self, entity: str, token: int) -> None:
        """See `Rows.delete_chunk`."""
        self._write(self._tables.chunks, (entity, token), None)

    def set_document(self, kind: str, name: str, value: Any) -> None:  # noqa: ANN401 - any JSON
        """See `Rows.set_document`."""
        data = None if value is None else encode(value)
        self._write(self._tables.documents, (kind, name), data)

    def append_audit(self, entry: AuditEntry) -> None:
        """See `Rows.append_audit`."""
        detail = decode(encode(entry.detail))
        number = len(self._tables.audit) + 1
        entries = (*self._tables.audit, replace(entry, detail=detail, number=number))
        self._assign("audit", entries)

    def _assign(self, name: str, value: object) -> None:
        before = getattr(self._tables, name)
        self._undo.append(lambda: setattr(self._tables, name, before))
        setattr(self._tables, name, value)

    def _write(self, table: dict[Any, Any], row: object, value: object) -> None:
        before = table.get(row)
        self._undo.append(lambda: _put(table, row, before))
        _put(table, row, value)


def _put(table: dict[Any, Any], row: object, value: object) -> None:
    if value is None:
        table.pop(row, None)
    else:
        table[row] = value
