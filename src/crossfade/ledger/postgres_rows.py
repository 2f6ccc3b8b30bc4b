"""The rows of a ledger on PostgreSQL inside one group commit."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crossfade.ledger.overlaid_rows import ONLY, Loaders, OverlaidRows
from crossfade.ledger.overlay import Overlay
from crossfade.ledger.postgres_flush import PostgresFlush, Statement
from crossfade.ledger.postgres_numbers import PostgresNumbers
from crossfade.ledger.postgres_session import Answered, PostgresSession
from crossfade.ledger.postgres_view import PostgresView
from crossfade.ledger.rows import LedgerIdentity
from crossfade.model.chunk import Chunk
from crossfade.model.entity_state import EntityState
from crossfade.model.intent import Intent
from crossfade.model.key import Key
from crossfade.model.key_state import KeyState
from crossfade.model.migration_state import MigrationState


class MissedError(Exception):
    """A row was not fetched yet: it is now noted, to be fetched along with others."""


class NeedsQuietError(Exception):
    """The migration's row changes: no user's transaction may rely on it meanwhile."""


class PostgresRows(OverlaidRows):
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
        self._missed: dict[str, dict[Any, None]] = {}
        super().__init__(
            Loaders(
                key=self._load_key,
                intent=self._load_intent,
                # All that there are are fetched when a batch begins: who is not known has no row.
                entity=lambda _: None,
                chunk=self._load_chunk,
                document=self._load_document,
                newest_chunk=lambda _: None,
                view=lambda: self._view,
            )
        )
        self._shared: tuple[Overlay[Any, Any], ...] = (
            self._keys, self._intents, self._chunks, self._documents,
        )  # fmt: skip
        """What is read anew in every batch; the rest changes with the ledger's version alone."""
        self._flush = PostgresFlush()
        for table, overlay in self.written.items():
            self._flush.register(table, overlay)
        self._alone = False
        self._at_once = True
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
        self._migration.remember(ONLY, migration)
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
        return self._identity.peek(ONLY)

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

    # ---- writing

    def next_sequence(self) -> int:
        """See `Rows.next_sequence`."""
        return self.numbers.take()

    def raise_sequence(self, least: int) -> None:
        """See `Rows.raise_sequence`."""
        self._check_alone()
        self.numbers.raise_to(least)

    def set_migration(self, state: MigrationState) -> None:
        """See `Rows.set_migration`."""
        self._check_alone()
        super().set_migration(state)

    def set_intent(self, intent: Intent) -> None:
        """See `Rows.set_intent`."""
        if intent.id >= self._mark:
            # A number that this very transition took is in no row yet.
            self._intents.remember(intent.id, self._intents.peek(intent.id))
        super().set_intent(intent)

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
            mine = self._written_by_transition()
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
