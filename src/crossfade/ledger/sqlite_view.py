"""Reads and lists over the rows of a SQLite ledger, through one connection."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from operator import attrgetter
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
from crossfade.ledger.tallies import (
    DOUBTFUL,
    INTENTS,
    LEASES,
    OPEN_CHUNKS,
    SHELF_TALLIES,
    UNBOUND,
)
from crossfade.model.chunk import Chunk
from crossfade.model.entity_state import EntityState
from crossfade.model.intent import Intent
from crossfade.model.key import Key
from crossfade.model.key_state import KeyState
from crossfade.model.migration_state import MigrationState

AUDIT_NUMBER_MAX = 2**63 - 1


class SqliteView:
    """Reads of what the connection's present transaction sees (`RowsQueries`).

    The migration and the entities are remembered until `forget`, since every request asks.
    """

    def __init__(self, connection: sqlite3.Connection, queries: Mapping[str, str]) -> None:
        self._connection = connection
        self._queries = queries
        self._migration: MigrationState | None = None
        self._identity: LedgerIdentity | None = None
        self._entities: dict[str, EntityState] = {}

    def forget(self) -> None:
        """The database has changed: read everything anew."""
        self._migration = None
        self._identity = None
        self._entities = {}

    def identity(self) -> LedgerIdentity:
        """See `RowsView.identity`."""
        if self._identity is None:
            ledger_id, incarnation, _ = self._one("get_ledger")
            self._identity = LedgerIdentity(ledger_id, incarnation)
        return self._identity

    def sequence(self) -> int:
        """The highest sequence number of a committed transition."""
        return int(self._one("get_ledger")[2])

    def migration(self) -> MigrationState:
        """See `RowsView.migration`."""
        if self._migration is None:
            row = self._one("get_migration")
            self._migration = MigrationState() if row is None else migration_of_row(row)
        return self._migration

    def entity(self, name: str) -> EntityState:
        """See `RowsView.entity`."""
        state = self._entities.get(name)
        if state is None:
            state = self.entity_row(name) or EntityState(name)
            self._entities[name] = state
        return state

    def key(self, entity: str, key: Key) -> KeyState:
        """See `RowsView.key`."""
        state = self.key_row((entity, key))
        if state is not None:
            return state
        floor = self.entity(entity).floor
        return KeyState(entity, key, seq=floor, clean_seq=floor)

    def intent(self, intent_id: int) -> Intent | None:
        """See `RowsView.intent`."""
        row = self._one("get_intent", intent_id)
        return None if row is None else intent_of_row(row)

    def chunks_since(self, entity: str, token: int) -> Sequence[Chunk]:
        """See `RowsView.chunks_since`."""
        return [chunk_of_row(row) for row in self._all("chunks_since", entity, token)]

    def document(self, kind: str, name: str) -> Any:  # noqa: ANN401 - any JSON value
        """See `RowsView.document`."""
        text = self.document_text((kind, name))
        return None if text is None else decode(text)

    def counts(self, entity: str | None = None) -> Counts:
        """See `RowsQueries.counts`."""
        sums: dict[str, int] = {}
        oldest: list[float] = []
        dirty_tallies = {SHELF_TALLIES[shelf] for shelf in DIRTY_SHELVES}
        dirty_entities = set()
        for name, what, number in self._all("list_tallies"):
            if entity in (None, name):
                sums[what] = sums.get(what, 0) + number
                if what in dirty_tallies:
                    dirty_entities.add(name)
        for name in dirty_entities:
            oldest += [since for (since,) in self._all("oldest_dirty_since", name)]

        def on(*shelves: Shelf) -> int:
            return sum(sums.get(SHELF_TALLIES[shelf], 0) for shelf in shelves)

        return Counts(
            open_intents=sums.get(INTENTS, 0),
            doubtful_intents=sums.get(DOUBTFUL, 0),
            unbound_creates=sums.get(UNBOUND, 0),
            dirty=on(*DIRTY_SHELVES),
            quarantined=on(Shelf.QUARANTINED),
            waived=on(Shelf.WAIVED),
            held=on(*HELD_SHELVES),
            leases=sums.get(LEASES, 0),
            open_chunks=sums.get(OPEN_CHUNKS, 0),
            oldest_dirty_since=min(oldest, default=None),
        )

    def intents(self, limit: int) -> Sequence[Intent]:
        """See `RowsQueries.intents`."""
        return [intent_of_row(row) for row in self._all("list_intents", limit)]

    def dirty_keys(
        self, entity: str | None, limit: int, *, after: int = 0, ready: bool = False
    ) -> Sequence[KeyState]:
        """See `RowsQueries.dirty_keys`."""
        shelves = READY_SHELVES if ready else UNSETTLED_SHELVES
        return self._on_shelves(
            "dirty_keys_on_shelf", self._counted(entity, shelves), limit, after
        )

    def quarantined_keys(self, entity: str | None, limit: int) -> Sequence[KeyState]:
        """See `RowsQueries.quarantined_keys`."""
        return self._on_shelves("keys_on_shelf", self._counted(entity, QUARANTINE_SHELVES), limit)

    def held_keys(self, entity: str | None, limit: int) -> Sequence[KeyState]:
        """See `RowsQueries.held_keys`."""
        return self._on_shelves("keys_on_shelf", self._counted(entity, HELD_SHELVES), limit)

    def forgettable_keys(self, entity: str, limit: int) -> Sequence[KeyState]:
        """See `RowsQueries.forgettable_keys`."""
        return self._on_shelves("keys_on_shelf", [(entity, Shelf.QUIET)], limit)

    def last_touched(self, entity: str) -> int:
        """See `RowsQueries.last_touched`."""
        highest = (self._one("last_on_shelf", entity, shelf.value)[0] for shelf in Shelf)
        return max(self.entity(entity).floor, *(seq or 0 for seq in highest))

    def open_chunks(self, entity: str | None = None) -> Sequence[Chunk]:
        """See `RowsQueries.open_chunks`."""
        if entity is None:
            return [chunk_of_row(row) for row in self._all("open_chunks")]
        return [chunk_of_row(row) for row in self._all("open_chunks_of", entity)]

    def documents(self, kind: str) -> Sequence[tuple[str, Any]]:
        """See `RowsQueries.documents`."""
        return [(name, decode(text)) for name, text in self._all("list_documents", kind)]

    def audit(self, limit: int, *, before: int | None = None) -> Sequence[AuditEntry]:
        """See `RowsQueries.audit`."""
        below = AUDIT_NUMBER_MAX if before is None else before
        return [audit_of_row(row) for row in self._all("newest_audit", below, limit)]

    def entity_row(self, name: str) -> EntityState | None:
        """The entity's row, or None where there is none."""
        row = self._one("get_entity", name)
        return None if row is None else entity_of_row(row)

    def key_row(self, row_id: tuple[str, Key]) -> KeyState | None:
        """The key's row, or None where there is none."""
        row = self._one("get_key", row_id[0], key_text(row_id[1]))
        return None if row is None else key_of_row(row)

    def chunk_row(self, row_id: tuple[str, int]) -> Chunk | None:
        """The chunk's row, or None where there is none."""
        row = self._one("get_chunk", *row_id)
        return None if row is None else chunk_of_row(row)

    def document_text(self, row_id: tuple[str, str]) -> str | None:
        """The document's JSON text, or None where there is none."""
        row = self._one("get_document", *row_id)
        return None if row is None else row[0]

    def newest_chunk(self, entity: str) -> int:
        """The highest token of the entity's chunks, 0 where it has none."""
        return int(self._one("newest_chunk", entity)[0])

    def last_audit(self) -> int:
        """The number of the newest audit entry, 0 where there is none."""
        return int(self._one("last_audit")[0])

    def _counted(
        self, entity: str | None, shelves: Sequence[Shelf]
    ) -> Iterator[tuple[str, Shelf]]:
        """The shelves that hold any key, by entity."""
        shelf_of_tally = {SHELF_TALLIES[shelf]: shelf for shelf in shelves}
        for name, what, _ in self._all("list_tallies"):
            if entity in (None, name) and what in shelf_of_tally:
                yield name, shelf_of_tally[what]

    def _on_shelves(
        self,
        query: str,
        shelves: Iterator[tuple[str, Shelf]] | Sequence[tuple[str, Shelf]],
        limit: int,
        after: int = -1,
    ) -> list[KeyState]:
        """The rows on the shelves by ascending sequence number: one index range each, merged."""
        ranges = [
            [key_of_row(row) for row in self._all(query, name, shelf.value, after, limit)]
            for name, shelf in shelves
        ]
        return list(islice(merge(*ranges, key=attrgetter("seq")), limit))

    def _one(self, query: str, *values: Any) -> Any:  # noqa: ANN401 - a row of any columns
        return self._connection.execute(self._queries[query], values).fetchone()

    def _all(self, query: str, *values: Any) -> list[Any]:  # noqa: ANN401 - any columns
        return self._connection.execute(self._queries[query], values).fetchall()
