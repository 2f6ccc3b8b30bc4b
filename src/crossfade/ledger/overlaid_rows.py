"""The rows that a batch of transitions remembers and has changed, over any database."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from crossfade.codec import decode, encode
from crossfade.ledger.overlay import Journal, Overlay
from crossfade.ledger.rows import AuditEntry, Counts, LedgerIdentity, RowsQueries
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

ONLY = ""
"""Name of the one row of a table that has one row."""


class View(RowsQueries, Protocol):
    """What the present transaction of the database sees."""

    def last_audit(self) -> int:
        """The number of the newest entry of the audit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaders:
    """How a row that is not remembered is read; None where there is none."""

    key: Callable[[tuple[str, Key]], KeyState | None]
    intent: Callable[[int], Intent | None]
    entity: Callable[[str], EntityState | None]
    chunk: Callable[[tuple[str, int]], Chunk | None]
    document: Callable[[tuple[str, str]], str | None]
    newest_chunk: Callable[[str], int | None]
    view: Callable[[], View]
    """What reads everything else, within the present transaction."""


class OverlaidRows(ABC):
    """One batch of transitions in one transaction of a database (`Rows`).

    Reads by name come from overlays, lists from the database (`_listing`).
    """

    def __init__(self, loaders: Loaders) -> None:
        journal: Journal = []
        self._loaders = loaders
        self._journal = journal
        self._keys: Overlay[tuple[str, Key], KeyState] = Overlay(loaders.key, journal)
        self._intents: Overlay[int, Intent] = Overlay(loaders.intent, journal)
        self._entities: Overlay[str, EntityState] = Overlay(loaders.entity, journal)
        self._chunks: Overlay[tuple[str, int], Chunk] = Overlay(loaders.chunk, journal)
        self._documents: Overlay[tuple[str, str], str] = Overlay(loaders.document, journal)
        self._migration: Overlay[str, MigrationState] = Overlay(
            lambda _: loaders.view().migration(), journal
        )
        self._identity: Overlay[str, LedgerIdentity] = Overlay(
            lambda _: loaders.view().identity(), journal
        )
        self._audit: Overlay[int, AuditEntry] = Overlay(lambda _: None, journal)
        self._audit_numbers: Overlay[str, int] = Overlay(
            lambda _: loaders.view().last_audit(), journal
        )
        self._newest_chunks: Overlay[str, int] = Overlay(loaders.newest_chunk, journal)
        self._overlays: tuple[Overlay[Any, Any], ...] = (
            self._keys, self._intents, self._entities, self._chunks, self._documents,
            self._migration, self._identity, self._audit, self._audit_numbers,
            self._newest_chunks,
        )  # fmt: skip
        self._in_savepoint = False

    @property
    def written(self) -> dict[str, Overlay[Any, Any]]:
        """What a flush gives to SQL, by table."""
        return dict(zip(_TABLES, self._overlays, strict=False))

    @abstractmethod
    def _listing(self) -> RowsQueries:
        """A view that sees every write so far, for a list."""

    # ---- reading

    def identity(self) -> LedgerIdentity:
        """See `RowsView.identity`."""
        return self._identity.get(ONLY) or self._loaders.view().identity()

    def migration(self) -> MigrationState:
        """See `RowsView.migration`."""
        return self._migration.get(ONLY) or MigrationState()

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

    def set_incarnation(self, incarnation: int) -> None:
        """See `Rows.set_incarnation`."""
        self._identity.put(ONLY, replace(self.identity(), incarnation=incarnation))

    def set_migration(self, state: MigrationState) -> None:
        """See `Rows.set_migration`."""
        self._migration.put(ONLY, state)

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
        number = (self._audit_numbers.get(ONLY) or 0) + 1
        self._audit_numbers.put(ONLY, number)
        self._audit.put(number, replace(entry, number=number))

    # ---- for those who know the database

    def _take_back(self) -> None:
        """Undo what the running transition has written."""
        while self._journal:
            overlay, name, before, first = self._journal.pop()
            overlay.take_back(name, before, first=first)

    def _written_by_transition(self) -> list[tuple[Overlay[Any, Any], Any, Any]]:
        """Take back what the running transition has written; it goes on in a savepoint."""
        mine = [(overlay, name, overlay.get(name)) for overlay, name, _, _ in self._journal]
        self._take_back()
        return mine
