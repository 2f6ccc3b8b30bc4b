"""The rows of a SQLite ledger inside one transition, and the writing of a batch of them."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from crossfade.codec import decode, encode
from crossfade.ledger.overlay import Journal, Overlay
from crossfade.ledger.row_writer import RowWriter
from crossfade.ledger.rows import AuditEntry, Counts, LedgerIdentity
from crossfade.ledger.sqlite_view import SqliteView
from crossfade.model.chunk import Chunk
from crossfade.model.entity_state import EntityState
from crossfade.model.intent import Intent
from crossfade.model.key import Key
from crossfade.model.key_state import KeyState
from crossfade.model.migration_state import MigrationState

_TABLES = (
    "key", "intent", "entity", "chunk", "document", "migration", "incarnation", "audit",
)  # fmt: skip
"""What is written; the last overlays are only remembered."""

_ONLY = ""
"""Name of the one row of a table that has one row."""


class SqliteRows:
    """One batch of transitions over one connection (`Rows`); used by the writer thread alone.

    Reads by name come from overlays. A list is read by SQL, so before it the batch's rows are
    written to the open transaction, and those of the running transition inside a savepoint.
    """

    def __init__(self, connection: sqlite3.Connection, queries: Mapping[str, str]) -> None:
        self._connection = connection
        self._queries = queries
        self._view = SqliteView(connection, queries)
        view = self._view
        self._journal: Journal = []
        self._keys: Overlay[tuple[str, Key], KeyState] = Overlay(view.key_row, self._journal)
        self._intents: Overlay[int, Intent] = Overlay(self._stored_intent, self._journal)
        self._entities: Overlay[str, EntityState] = Overlay(view.entity_row, self._journal)
        self._chunks: Overlay[tuple[str, int], Chunk] = Overlay(view.chunk_row, self._journal)
        self._documents: Overlay[tuple[str, str], str] = Overlay(view.document_text, self._journal)
        self._migration: Overlay[str, MigrationState] = Overlay(
            lambda _: view.migration(), self._journal
        )
        self._identity: Overlay[str, LedgerIdentity] = Overlay(
            lambda _: view.identity(), self._journal
        )
        self._audit: Overlay[int, AuditEntry] = Overlay(lambda _: None, self._journal)
        self._audit_numbers: Overlay[str, int] = Overlay(
            lambda _: view.last_audit(), self._journal
        )
        self._newest_chunks: Overlay[str, int] = Overlay(view.newest_chunk, self._journal)
        self._overlays: tuple[Overlay[Any, Any], ...] = (
            self._keys, self._intents, self._entities, self._chunks, self._documents,
            self._migration, self._identity, self._audit, self._audit_numbers,
            self._newest_chunks,
        )  # fmt: skip
        self._writer = RowWriter(connection, queries)
        for number, table in enumerate(_TABLES):
            self._writer.register(table, self._overlays[number])
        self._sequence = 0
        self._numbers_in_rows = 0
        self._sequence_written = 0
        self._in_savepoint = False
        self._rows_max = 0

    # ---- the batch

    def begin(self, *, changed_by_others: bool, rows_max: int) -> None:
        """Start a batch on what is committed now."""
        self._rows_max = rows_max
        if changed_by_others or self._remembered() > rows_max:
            self.forget()
        if self._sequence_written == 0 or changed_by_others:
            self._sequence_written = self._view.sequence()
            self._sequence = max(self._sequence, self._sequence_written)
        self._numbers_in_rows = self._sequence

    def accept(self) -> None:
        """The running transition succeeded."""
        self._journal.clear()
        if self._in_savepoint:
            self._run("keep_transition")
            self._in_savepoint = False

    def discard(self) -> None:
        """The running transition failed: none of its writes stays."""
        self._take_back()
        if self._in_savepoint:
            self._run("undo_transition")
            self._run("keep_transition")
            # What was read inside the savepoint may have been the transition's own writes.
            self.forget()

    def write_batch(self) -> None:
        """Give every accepted row to SQL; the caller commits."""
        self._writer.write()
        if self._sequence != self._sequence_written:
            self._connection.execute(self._queries["set_sequence"], (self._sequence,))
            self._sequence_written = self._sequence

    def forget(self) -> None:
        """Remember nothing: the batch was rolled back, or somebody else has written.

        Numbers that were handed out are not handed out again: the sequence stays where it is.
        """
        for overlay in self._overlays:
            overlay.forget()
        self._journal.clear()
        self._view.forget()
        self._sequence_written = 0
        self._in_savepoint = False

    # ---- reading

    def identity(self) -> LedgerIdentity:
        """See `RowsView.identity`."""
        return self._identity.get(_ONLY) or self._view.identity()

    def migration(self) -> MigrationState:
        """See `RowsView.migration`."""
        return self._migration.get(_ONLY) or MigrationState()

    def entity(self, name: str) -> EntityState:
        """See `RowsView.entity`."""
        return self._entities.get(name) or EntityState(name)

    def key(self, entity: str, key: Key) -> KeyState:
        """See `RowsView.key`."""
        state = self._keys.get((entity, key))
        if state is not None:
            return state
        floor = self.entity(entity).floor
        return KeyState(entity, key, seq=floor, clean_seq=floor)

    def intent(self, intent_id: int) -> Intent | None:
        """See `RowsView.intent`."""
        return self._intents.get(intent_id)

    def chunks_since(self, entity: str, token: int) -> Sequence[Chunk]:
        """See `RowsView.chunks_since`; most leases are younger than every chunk."""
        if token >= (self._newest_chunks.get(entity) or 0):
            return ()
        return self._listing().chunks_since(entity, token)

    def document(self, kind: str, name: str) -> Any:  # noqa: ANN401 - any JSON value
        """See `RowsView.document`."""
        text = self._documents.get((kind, name))
        return None if text is None else decode(text)

    # ---- lists

    def counts(self, entity: str | None = None) -> Counts:
        """See `RowsQueries.counts`."""
        return self._listing().counts(entity)

    def intents(self, limit: int) -> Sequence[Intent]:
        """See `RowsQueries.intents`."""
        return self._listing().intents(limit)

    def dirty_keys(
        self, entity: str | None, limit: int, *, after: int = 0, ready: bool = False
    ) -> Sequence[KeyState]:
        """See `RowsQueries.dirty_keys`."""
        return self._listing().dirty_keys(entity, limit, after=after, ready=ready)

    def quarantined_keys(self, entity: str | None, limit: int) -> Sequence[KeyState]:
        """See `RowsQueries.quarantined_keys`."""
        return self._listing().quarantined_keys(entity, limit)

    def held_keys(self, entity: str | None, limit: int) -> Sequence[KeyState]:
        """See `RowsQueries.held_keys`."""
        return self._listing().held_keys(entity, limit)

    def forgettable_keys(self, entity: str, limit: int) -> Sequence[KeyState]:
        """See `RowsQueries.forgettable_keys`."""
        return self._listing().forgettable_keys(entity, limit)

    def last_touched(self, entity: str) -> int:
        """See `RowsQueries.last_touched`."""
        return self._listing().last_touched(entity)

    def open_chunks(self, entity: str | None = None) -> Sequence[Chunk]:
        """See `RowsQueries.open_chunks`."""
        return self._listing().open_chunks(entity)

    def documents(self, kind: str) -> Sequence[tuple[str, Any]]:
        """See `RowsQueries.documents`."""
        return self._listing().documents(kind)

    def audit(self, limit: int, *, before: int | None = None) -> Sequence[AuditEntry]:
        """See `RowsQueries.audit`."""
        return self._listing().audit(limit, before=before)

    # ---- writing

    def next_sequence(self) -> int:
        """See `Rows.next_sequence`.

        The number is stored by the commit that stores what was done with it, and nobody outside
        sees it before that commit is durable: after a crash the stored one is at least as high as
        every number that anybody ever saw. Numbers of failed transitions are skipped, not reused.
        """
        self._sequence += 1
        return self._sequence

    def raise_sequence(self, least: int) -> None:
        """See `Rows.raise_sequence`."""
        self._sequence = max(self._sequence, least)

    def set_incarnation(self, incarnation: int) -> None:
        """See `Rows.set_incarnation`."""
        self._identity.put(_ONLY, replace(self.identity(), incarnation=incarnation))

    def set_migration(self, state: MigrationState) -> None:
        """See `Rows.set_migration`."""
        self._migration.put(_ONLY, state)

    def set_entity(self, state: EntityState) -> None:
        """See `Rows.set_entity`."""
        self._entities.put(state.name, state)

    def set_key(self, state: KeyState) -> None:
        """See `Rows.set_key`."""
        self._keys.put((state.entity, state.key), state)

    def forget_key(self, entity: str, key: Key) -> None:
        """See `Rows.forget_key`."""
        self._keys.put((entity, key), None)

    def set_intent(self, intent: Intent) -> None:
        """See `Rows.set_intent`."""
        self._intents.put(intent.id, intent)

    def delete_intent(self, intent_id: int) -> None:
        """See `Rows.delete_intent`."""
        self._intents.put(intent_id, None)

    def set_chunk(self, chunk: Chunk) -> None:
        """See `Rows.set_chunk`."""
        self._chunks.put((chunk.entity, chunk.token), chunk)
        if chunk.token > (self._newest_chunks.get(chunk.entity) or 0):
            self._newest_chunks.put(chunk.entity, chunk.token)

    def delete_chunk(self, entity: str, token: int) -> None:
        """See `Rows.delete_chunk`."""
        self._chunks.put((entity, token), None)

    def set_document(self, kind: str, name: str, value: Any) -> None:  # noqa: ANN401 - any JSON
        """See `Rows.set_document`."""
        self._documents.put((kind, name), None if value is None else encode(value).decode())

    def append_audit(self, entry: AuditEntry) -> None:
        """See `Rows.append_audit`."""
        number = (self._audit_numbers.get(_ONLY) or 0) + 1
        self._audit_numbers.put(_ONLY, number)
        self._audit.put(number, replace(entry, number=number))

    # ---- inside

    def _stored_intent(self, intent_id: int) -> Intent | None:
        """A number that was given after the last writing of rows is in no row yet."""
        return None if intent_id > self._numbers_in_rows else self._view.intent(intent_id)

    def _listing(self) -> SqliteView:
        """A view that sees every write so far, for a list.

        The batch's rows are written first, those of the running transition inside a savepoint:
        it may still fail. Afterwards they need no memory, however many they are.
        """
        if not self._in_savepoint:
            mine = [(overlay, name, overlay.get(name)) for overlay, name, _, _ in self._journal]
            self._take_back()
            self._writer.write()
            self._run("begin_transition")
            self._in_savepoint = True
            for overlay, name, value in mine:
                overlay.put(name, value)
        self._writer.write()
        self._journal.clear()
        if self._remembered() > self._rows_max:
            for overlay in self._overlays:
                overlay.forget_unchanged()
        self._numbers_in_rows = self._sequence
        self._view.forget()
        return self._view

    def _take_back(self) -> None:
        while self._journal:
            overlay, name, before, first = self._journal.pop()
            overlay.take_back(name, before, first=first)

    def _remembered(self) -> int:
        return sum(overlay.size for overlay in self._overlays)

    def _run(self, query: str) -> None:
        self._connection.execute(self._queries[query])
