"""What a ledger transition may read and write: the rows of one ledger, inside one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from crossfade.model.chunk import Chunk
from crossfade.model.entity_state import EntityState
from crossfade.model.intent import Intent
from crossfade.model.key import Key
from crossfade.model.key_state import KeyState
from crossfade.model.migration_state import MigrationState


@dataclass(frozen=True, slots=True)
class LedgerIdentity:
    """Which ledger this is; the stores remember it (rule: a foreign ledger is an error)."""

    ledger_id: str
    incarnation: int
    """Goes up when the ledger was restored from a copy or adopted by name."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what, when, and why."""

    at: float
    """Wall-clock seconds since 1970 (UTC), for people."""
    actor: str
    action: str
    detail: dict[str, Any]
    number: int = 0
    """Given by the ledger, ascending."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How much is open, of one entity or of all."""

    open_intents: int = 0
    doubtful_intents: int = 0
    unbound_creates: int = 0
    dirty: int = 0
    """Dirty keys that can converge: quarantined and held ones are counted apart."""
    quarantined: int = 0
    """Quarantined keys that no operator waived."""
    waived: int = 0
    held: int = 0
    leases: int = 0
    open_chunks: int = 0
    oldest_dirty_since: float | None = None
    """Wall-clock seconds at which the oldest dirty key became dirty."""


class RowsView(Protocol):
    """Reading the committed rows; used inside transitions and, alone, by readers.

    An unknown key, entity or document is no error: it has its default row.
    """

    def identity(self) -> LedgerIdentity:
        """Which ledger this is."""

    def migration(self) -> MigrationState:
        """Stage, epoch, flip, holds."""

    def entity(self, name: str) -> EntityState:
        """One entity; a new one of generation 0 where there is no row."""

    def key(self, entity: str, key: Key) -> KeyState:
        """One key; where there is no row, a clean one whose sequence numbers are the floor."""

    def intent(self, intent_id: int) -> Intent | None:
        """An open intent, or None."""

    def chunks_since(self, entity: str, token: int) -> Sequence[Chunk]:
        """Chunks of the entity, open and closed, whose token is higher."""

    def document(self, kind: str, name: str) -> Any:  # noqa: ANN401 - any JSON value
        """A small named JSON value (sweeps, canary, verdicts, comparison counts), or None."""


class RowsQueries(RowsView, Protocol):
    """Lists over the rows; each is bounded by `limit`."""

    def counts(self, entity: str | None = None) -> Counts:
        """How much is open."""

    def intents(self, limit: int) -> Sequence[Intent]:
        """Open intents, oldest first."""

    def dirty_keys(
        self, entity: str | None, limit: int, *, after: int = 0, ready: bool = False
    ) -> Sequence[KeyState]:
        """Dirty keys by ascending `seq` above `after`; `ready`: only those that may converge.

        Ready means: no open intent, not quarantined. A key that is leased is still listed.
        """

    def quarantined_keys(self, entity: str | None, limit: int) -> Sequence[KeyState]:
        """Quarantined keys, waived ones included."""

    def held_keys(self, entity: str | None, limit: int) -> Sequence[KeyState]:
        """Keys held after a forced roll-back."""

    def forgettable_keys(self, entity: str, limit: int) -> Sequence[KeyState]:
        """Rows of quiet keys without lease or quarantine, lowest `seq` first."""

    def last_touched(self, entity: str) -> int:
        """The highest `seq` of the entity's keys, or its floor; equal: no key was touched."""

    def open_chunks(self, entity: str | None = None) -> Sequence[Chunk]:
        """Chunks that are being copied or were left behind."""

    def documents(self, kind: str) -> Sequence[tuple[str, Any]]:
        """All documents of a kind as (name, value), by name."""

    def audit(self, limit: int, *, before: int | None = None) -> Sequence[AuditEntry]:
        """The newest audit entries first; `before`: only lower numbers."""


class Rows(RowsQueries, Protocol):
    """Reading and writing inside one transaction; all writes are committed together or none."""

    def next_sequence(self) -> int:
        """The next number of the one global sequence; never given twice, even after a crash."""

    def raise_sequence(self, least: int) -> None:
        """Make every further number higher than `least`; a lower one is no error."""

    def set_incarnation(self, incarnation: int) -> None:
        """Write the ledger's incarnation."""

    def set_migration(self, state: MigrationState) -> None:
        """Write the migration's row."""

    def set_entity(self, state: EntityState) -> None:
        """Write an entity's row."""

    def set_key(self, state: KeyState) -> None:
        """Write a key's row."""

    def forget_key(self, entity: str, key: Key) -> None:
        """Remove a key's row."""

    def set_intent(self, intent: Intent) -> None:
        """Write an open intent."""

    def delete_intent(self, intent_id: int) -> None:
        """Remove an intent; an unknown one is no error."""

    def set_chunk(self, chunk: Chunk) -> None:
        """Write a chunk."""

    def delete_chunk(self, entity: str, token: int) -> None:
        """Remove a chunk; an unknown one is no error."""

    def set_document(self, kind: str, name: str, value: Any) -> None:  # noqa: ANN401 - any JSON
        """Write a document; None removes it."""

    def append_audit(self, entry: AuditEntry) -> None:
        """Add an audit entry; its number is given here."""
