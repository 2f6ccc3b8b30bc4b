"""Reads and lists over the rows of a ledger on PostgreSQL, through one session."""

from collections.abc import Sequence
from typing import Any

from crossfade.codec import decode
from crossfade.ledger.key_shelf import (
    DIRTY_SHELVES,
    HELD_SHELVES,
    QUARANTINE_SHELVES,
    READY_SHELVES,
    UNSETTLED_SHELVES,
    Shelf,
)
from crossfade.ledger.postgres_session import PostgresSession
from crossfade.ledger.row_text import (
    audit_of_row,
    chunk_of_row,
    entity_of_row,
    intent_of_row,
    key_of_row,
    key_text,
    migration_of_row,
)
from crossfade.ledger.rows import AuditEntry, Counts, LedgerIdentity
from crossfade.model.chunk import Chunk
from crossfade.model.entity_state import EntityState
from crossfade.model.intent import Intent
from crossfade.model.key import Key
from crossfade.model.key_state import KeyState
from crossfade.model.migration_state import MigrationState

AUDIT_NUMBER_MAX = 2**63 - 1


class PostgresView:
    """Reads of what the session's present transaction sees (`RowsQueries`).

    The migration and the entities are remembered until `forget`.
    """

    def __init__(self, session: PostgresSession) -> None:
        self._session = session
        self._migration: MigrationState | None = None
        self._identity: LedgerIdentity | None = None
        self._entities: dict[str, EntityState] = {}

    def reads(self, session: PostgresSession) -> bool:
        """Whether this is the session that the view reads through."""
        return session is self._session

    def forget(self) -> None:
        """Another transaction: read everything anew."""
        self._migration = None
        self._identity = None
        self._entities = {}

    def identity(self) -> LedgerIdentity:
        """See `RowsView.identity`."""
        if self._identity is None:
            self._identity = LedgerIdentity(*self._session.one("get_identity"))
        return self._identity

    def sequence(self) -> int:
        """The highest number that was ever taken."""
        return int(self._session.one("last_number")[0])

    def migration(self) -> MigrationState:
        """See `RowsView.migration`."""
        if self._migration is None:
            self._migration = migration_of_row(self._session.one("get_migration"))
        return self._migration

    def entity(self, name: str) -> EntityState:
        """See `RowsView.entity`."""
        state = self._entities.get(name)
        if state is None:
            row = self._session.one("get_entity", name)
            state = EntityState(name) if row is None else entity_of_row(row)
            self._entities[name] = state
        return state

    def key(self, entity: str, key: Key) -> KeyState:
        """See `RowsView.key`."""
        found = self.key_rows([(entity, key)])
        if found:
            return found[0]
        floor = self.entity(entity).floor
        return KeyState(entity, key, seq=floor, clean_seq=floor)

    def intent(self, intent_id: int) -> Intent | None:
        """See `RowsView.intent`."""
        found = self.intent_rows([intent_id])
        return found[0] if found else None

    def chunks_since(self, entity: str, token: int) -> Sequence[Chunk]:
        """See `RowsView.chunks_since`."""
        return [chunk_of_row(row) for row in self._session.all("chunks_since", entity, token)]

    def document(self, kind: str, name: str) -> Any:  # noqa: ANN401 - any JSON value
        """See `RowsView.document`."""
        found = self.document_rows([(kind, name)])
        return decode(found[0][2]) if found else None

    def counts(self, entity: str | None = None) -> Counts:
        """See `RowsQueries.counts`."""
        shelves = [int(shelf) for shelf in UNSETTLED_SHELVES]
        rows = self._session.named("count_keys", entity=entity, shelves=shelves)
        number = {Shelf(shelf): count for shelf, count in rows}
        intents, doubtful, unbound = self._session.one("count_intents", entity, entity)
        (leases,) = self._session.one("count_leases", entity, entity)
        (oldest,) = self._session.one("oldest_dirty_since", entity, entity)

        def on(*shelves: Shelf) -> int:
            return sum(number.get(shelf, 0) for shelf in shelves)

        return Counts(
            open_intents=intents,
            doubtful_intents=doubtful,
            unbound_creates=int(unbound),
            dirty=on(*DIRTY_SHELVES),
            quarantined=on(Shelf.QUARANTINED),
            waived=on(Shelf.WAIVED),
            held=on(*HELD_SHELVES),
            leases=leases,
            open_chunks=len(self.open_chunks(entity)),
            oldest_dirty_since=oldest,
        )

    def intents(self, limit: int) -> Sequence[Intent]:
        """See `RowsQueries.intents`."""
        return [intent_of_row(row) for row in self._session.all("list_intents", limit)]

    def dirty_keys(
        self, entity: str | None, limit: int, *, after: int = 0, ready: bool = False
    ) -> Sequence[KeyState]:
        """See `RowsQueries.dirty_keys`."""
        shelves = READY_SHELVES if ready else UNSETTLED_SHELVES
        return self._on_shelves(entity, shelves, limit, after=after, dirty=True)

    def quarantined_keys(self, entity: str | None, limit: int) -> Sequence[KeyState]:
        """See `RowsQueries.quarantined_keys`."""
        return self._on_shelves(entity, QUARANTINE_SHELVES, limit)

    def held_keys(self, entity: str | None, limit: int) -> Sequence[KeyState]:
        """See `RowsQueries.held_keys`."""
        return self._on_shelves(entity, HELD_SHELVES, limit)

    def forgettable_keys(self, entity: str, limit: int) -> Sequence[KeyState]:
        """See `RowsQueries.forgettable_keys`."""
        return self._on_shelves(entity, (Shelf.QUIET,), limit)

    def last_touched(self, entity: str) -> int:
        """See `RowsQueries.last_touched`."""
        shelves = [int(shelf) for shelf in Shelf]
        (highest,) = self._session.one("last_touched", shelves, entity)
        return max(self.entity(entity).floor, highest or 0)

    def open_chunks(self, entity: str | None = None) -> Sequence[Chunk]:
        """See `RowsQueries.open_chunks`."""
        if entity is None:
            return [chunk_of_row(row) for row in self._session.all("open_chunks")]
        return [chunk_of_row(row) for row in self._session.all("open_chunks_of", entity)]

    def documents(self, kind: str) -> Sequence[tuple[str, Any]]:
        """See `RowsQueries.documents`."""
        return [(name, decode(text)) for name, text in self._session.all("list_documents", kind)]

    def audit(self, limit: int, *, before: int | None = None) -> Sequence[AuditEntry]:
        """See `RowsQueries.audit`."""
        below = AUDIT_NUMBER_MAX if before is None else before
        return [audit_of_row(row) for row in self._session.all("newest_audit", below, limit)]

    # ---- many rows by name, for whoever remembers them

    def entity_rows(self) -> list[EntityState]:
        """Every entity that has a row."""
        return [entity_of_row(row) for row in self._session.all("all_entities")]

    def key_rows(self, row_ids: Sequence[tuple[str, Key]]) -> list[KeyState]:
        """The keys that have a row."""
        entities = [entity for entity, _ in row_ids]
        keys = [key_text(key) for _, key in row_ids]
        return [key_of_row(row) for row in self._session.all("get_keys", entities, keys)]

    def intent_rows(self, intent_ids: Sequence[int]) -> list[Intent]:
        """The intents that are open."""
        return [intent_of_row(row) for row in self._session.all("get_intents", list(intent_ids))]

    def chunk_rows(self, row_ids: Sequence[tuple[str, int]]) -> list[Chunk]:
        """The chunks that have a row."""
        entities = [entity for entity, _ in row_ids]
        tokens = [token for _, token in row_ids]
        return [chunk_of_row(row) for row in self._session.all("get_chunks", entities, tokens)]

    def document_rows(self, row_ids: Sequence[tuple[str, str]]) -> list[tuple[str, str, str]]:
        """Kind, name and JSON text of the documents that there are."""
        kinds = [kind for kind, _ in row_ids]
        names = [name for _, name in row_ids]
        return self._session.all("get_documents", kinds, names)

    def newest_chunks(self) -> dict[str, int]:
        """The highest token of the chunks of each entity that has any."""
        return dict(self._session.all("newest_chunks"))

    def last_audit(self) -> int:
        """The number of the newest audit entry, 0 where there is none."""
        return int(self._session.one("last_audit")[0])

    def _on_shelves(
        self,
        entity: str | None,
        shelves: Sequence[Shelf],
        limit: int,
        *,
        after: int = -1,
        dirty: bool = False,
    ) -> list[KeyState]:
        """The rows on the shelves by ascending sequence number: one index range each, merged."""
        rows = self._session.named(
            "keys_on_shelves",
            entity=entity,
            shelves=[int(shelf) for shelf in shelves],
            limit=limit,
            after=after,
            dirty=dirty,
        )
        return [key_of_row(row) for row in rows]
