"""The rows of a ledger on PostgreSQL inside one group commit."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from crossfade.codec import decode, encode
from crossfade.ledger.overlay import Journal, Overlay
from crossfade.ledger.postgres_flush import PostgresFlush, Statement
from crossfade.ledger.postgres_numbers import PostgresNumbers
from crossfade.ledger.postgres_session import Answered, PostgresSession
from crossfade.ledger.postgres_view import PostgresView
from crossfade.ledger.rows import AuditEntry, Counts, LedgerIdentity
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


class MissedError(Exception):
    """A row was not fetched yet: it is now noted, to be fetched along with others."""


class NeedsQuietError(Exception):
    """The migration's row changes: no user's transaction may rely on it meanwhile."""


class PostgresRows:
    """One batch of transitions in one transaction (`Rows`); used by the writer thread alone.

    Rows that are read by name are fetched for the whole batch at once: a transition that misses
    one is taken back, and run again when its rows are there. A list is read by SQL, so before it
    the batch's rows are written to the open transaction, those of the running transition behind
    a savepoint.
    """

    def __init__(self, session: PostgresSession) -> None:
        self._session = session
        self._view = PostgresView(session)
        self.numbers = PostgresNumbers(session)
        journal: Journal = []
        self._journal = journal
        self._missed: dict[str, dict[Any, None]] = {}
        self._keys: Overlay[tuple[str, Key], KeyState] = Overlay(self._load_key, journal)
        self._intents: Overlay[int, Intent] = Overlay(self._load_intent, journal)
        # All that there are are fetched when a batch begins: one that is not known has no row.
        self._entities: Overlay[str, EntityState] = Overlay(lambda _: None, journal)
        self._chunks: Overlay[tuple[str, int], Chunk] = Overlay(self._load_chunk, journal)
        self._documents: Overlay[tuple[str, str], str] = Overlay(self._load_document, journal)
        self._migration: Overlay[str, MigrationState] = Overlay(
            lambda _: self._view.migration(), journal
        )
        self._identity: Overlay[str, LedgerIdentity] = Overlay(
            lambda _: self._view.identity(), journal
        )
        self._audit: Overlay[int, AuditEntry] = Overlay(lambda _: None, journal)
        self._audit_numbers: Overlay[str, int] = Overlay(
            lambda _: self._view.last_audit(), journal
        )
        self._newest_chunks: Overlay[str, int] = Overlay(lambda _: None, journal)
        self._overlays: tuple[Overlay[Any, Any], ...] = (
            self._keys, self._intents, self._entities, self._chunks, self._documents,
            self._migration, self._identity, self._audit, self._audit_numbers,
            self._newest_chunks,
        )  # fmt: skip
        self._shared: tuple[Overlay[Any, Any], ...] = (
            self._keys, self._intents, self._chunks, self._documents,
        )  # fmt: skip
        """What is read anew in every batch; the rest changes with the ledger's version alone."""
        self._flush = PostgresFlush()
        for number, table in enumerate(_TABLES):
            self._flush.register(table, self._overlays[number])
        self._alone = False
        self._at_once = True
        self._in_savepoint = False
        self._mark = 1

    # ---- the batch

    def begin(self, session: PostgresSession, *, changed: bool, alone: bool) -> None:
        """Start a batch; `changed`: others have committed since; `alone`: users are kept out."""
        if session is not self._session:
            self._session, self._view = session, PostgresView(session)
            changed = True
        self._alone = alone
        self._in_savepoint = False
        self._view.forget()
        self._missed = {}
        for overlay in self._overlays if changed else self._shared:
            overlay.forget()
        self._journal.clear()

    def fill(
        self, migration: MigrationState, entities: Iterable[EntityState], chunks: Mapping[str, int]
    ) -> None:
        """The rows that every batch needs, as they are committed now."""
        self._migration.remember(_ONLY, migration)
        for state in entities:
            self._entities.remember(state.name, state)
        for entity, token in chunks.items():
            self._newest_chunks.remember(entity, token)

    def begin_transition(self, *, at_once: bool) -> None:
        """The next transition runs; `at_once`: it fetches what it misses by itself."""
        self._at_once = at_once
        self._mark = self.numbers.mark()

    def accept(self) -> None:
        """The running transition succeeded."""
        self._journal.clear()
        if self._in_savepoint:
            self._session.run("keep_transition")
            self._in_savepoint = False

    def discard(self) -> None:
        """The running transition failed: none of its writes stays."""
        self._take_back()
        if self._in_savepoint:
            self._session.run("undo_transition")
            self._session.run("keep_transition")
            self._in_savepoint = False
            # What was read inside the savepoint may have been the transition's own writes.
            self._read_anew()

    def retract(self) -> None:
        """The running transition has missed rows: as if it had never run."""
        self._take_back()
        self.numbers.back_to(self._mark)

    def known_identity(self) -> LedgerIdentity | None:
        """The ledger's identity, if anybody has read or written it."""
        return self._identity.peek(_ONLY)

    @property
    def misses(self) -> int:
        """How many rows were missed since they were last fetched."""
        return sum(map(len, self._missed.values()))

    def fetch_missed(self) -> None:
        """Read what the last runs have missed, a statement a table."""
        missed, self._missed = self._missed, {}
        if intents := list(missed.get("intent", ())):
            found = {intent.id: intent for intent in self._view.intent_rows(intents)}
            for number in intents:
                self._intents.remember(number, found.get(number))
        if keys := list(missed.get("key", ())):
            self._fetch_keys(keys)
        if chunks := list(missed.get("chunk", ())):
            there = {(one.entity, one.token): one for one in self._view.chunk_rows(chunks)}
            for chunk in chunks:
                self._chunks.remember(chunk, there.get(chunk))
        if documents := list(missed.get("document", ())):
            rows = self._view.document_rows(documents)
            texts = {(kind, name): text for kind, name, text in rows}
            for document in documents:
                self._documents.remember(document, texts.get(document))

    def write_batch(self, further: Sequence[Statement]) -> list[Answered]:
        """Give every accepted row to SQL, and the further statements; the caller commits."""
        return self._flush.write(self._session, further)

    def forget(self) -> None:
        """Remember nothing: the batch was rolled back."""
        for overlay in self._overlays:
            overlay.forget()
        self._journal.clear()
        self._view.forget()
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
        """See `Rows.next_sequence`."""
        return self.numbers.take()

    def raise_sequence(self, least: int) -> None:
        """See `Rows.raise_sequence`."""
        self._check_alone()
        self.numbers.raise_to(least)

    def set_incarnation(self, incarnation: int) -> None:
        """See `Rows.set_incarnation`."""
        self._identity.put(_ONLY, replace(self.identity(), incarnation=incarnation))

    def set_migration(self, state: MigrationState) -> None:
        """See `Rows.set_migration`."""
        self._check_alone()
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
        if intent.id >= self._mark:
            # A number that this very transition took is in no row yet.
            self._intents.remember(intent.id, self._intents.peek(intent.id))
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

    def _load_key(self, row_id: tuple[str, Key]) -> KeyState | None:
        self._miss("key", row_id)
        self._fetch_keys([row_id])
        return self._keys.peek(row_id)

    def _load_intent(self, intent_id: int) -> Intent | None:
        self._miss("intent", intent_id)
        return self._view.intent(intent_id)

    def _load_chunk(self, row_id: tuple[str, int]) -> Chunk | None:
        self._miss("chunk", row_id)
        found = self._view.chunk_rows([row_id])
        return found[0] if found else None

    def _load_document(self, row_id: tuple[str, str]) -> str | None:
        self._miss("document", row_id)
        found = self._view.document_rows([row_id])
        return found[0][2] if found else None

    def _miss(self, table: str, row_id: object) -> None:
        """Note the row and end this run, unless the transition reads by itself."""
        if self._at_once or self._in_savepoint:
            return
        self._missed.setdefault(table, {})[row_id] = None
        raise MissedError

    def _fetch_keys(self, row_ids: Sequence[tuple[str, Key]]) -> None:
        found = {(state.entity, state.key): state for state in self._view.key_rows(row_ids)}
        for row_id in row_ids:
            self._keys.remember(row_id, found.get(row_id))
        self.numbers.past(max((state.seq for state in found.values()), default=0))

    def _check_alone(self) -> None:
        if not self._alone:
            raise NeedsQuietError

    def _listing(self) -> PostgresView:
        """A view that sees every write so far, for a list."""
        if not self._at_once and not self._in_savepoint:
            # Nothing can be fetched ahead for a transition that reads lists.
            raise MissedError
        if not self._in_savepoint:
            mine = [(overlay, name, overlay.get(name)) for overlay, name, _, _ in self._journal]
            self._take_back()
            self._flush.write(self._session)
            self._session.run("begin_transition")
            self._in_savepoint = True
            for overlay, name, value in mine:
                overlay.put(name, value)
        self._flush.write(self._session)
        self._journal.clear()
        self._view.forget()
        return self._view

    def _read_anew(self) -> None:
        """Nothing is unwritten: what a savepoint took back is read again."""
        for overlay in self._overlays:
            overlay.forget()
        self._view.forget()
        self.fill(self._view.migration(), self._view.entity_rows(), self._view.newest_chunks())

    def _take_back(self) -> None:
        while self._journal:
            overlay, name, before, first = self._journal.pop()
            overlay.take_back(name, before, first=first)
