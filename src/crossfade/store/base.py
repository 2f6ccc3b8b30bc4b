"""The ports of a store: read and put records, guard them by token and epoch."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, runtime_checkable

from crossfade.model.entity_graph import EntityLinks
from crossfade.model.key import Key, KeyRange, RecordName

Record = dict[str, Any]
"""Column name to value; an aggregate has each child list under its name, ordered by key."""


Digest = int
"""64 bits, signed: what a database computes of a row that it holds, equal for equal rows."""


@dataclass(frozen=True, slots=True)
class Fence:
    """What every copy carries: the store refuses it where it has seen higher (rule 6)."""

    token: int
    epoch: int


class PutStatus(Enum):
    """How a put ended; anything but `OK` changed no row."""

    OK = "the record is as wanted, the token is kept"
    FENCED = "a higher token was seen for this key"
    FENCED_EPOCH = "the store's epoch is another one"
    UNIQUE = "another key has a value that must be unique"
    FOREIGN_KEY = "a parent is missing, or a child is in the way"
    REFUSED = "the store refuses the record: a constraint or a type"


@dataclass(frozen=True, slots=True)
class PutResult:
    """The end of one put."""

    status: PutStatus
    reason: str = ""
    """What was refused, in words that hold no value of the record."""
    other_key: Key | None = None
    """With `UNIQUE`: the key that has the value, where the store can tell."""
    of: str = ""
    """With `put_together`: the entity of the record that was refused, where that is known."""
    missing: tuple[RecordName, ...] = ()
    """With `FOREIGN_KEY`: records that the put points to and that are not there."""
    in_the_way: tuple[RecordName, ...] = ()
    """With `FOREIGN_KEY`: records that point to what the put would delete, some of them."""


NAMES_MAX = 100
"""Records that a result names at most; when those have moved, another put names the next ones."""

OK = PutResult(PutStatus.OK)


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The end of a put of many: all rows but the fenced ones were put, or none was."""

    result: PutResult
    """`OK`, or why the whole batch was refused (`FENCED_EPOCH`, `UNIQUE`, `REFUSED`, ...)."""
    fenced: tuple[Key, ...] = ()
    """Keys left as they are since a higher token was seen for them."""


@dataclass(frozen=True, slots=True)
class Together:
    """One of several records that are put in one transaction."""

    name: RecordName
    record: Record | None
    """As in `RecordWriter.put`; None deletes."""
    fence: Fence
    parked: bool = False
    """Put it without what it points to, where that may be NULL: as a place for others to point to.

    Never the whole record, so whoever asks for it must not call the key clean.
    """


class RecordReader(Protocol):
    """Reading one entity on one side; every read sees committed data of the store itself."""

    async def read(self, key: Key) -> Record | None:
        """The whole record (aggregate) in one snapshot, or None where it does not exist.

        Raises:
            StoreUnreachableError: no answer; may be repeated.
            StoreError: the store failed.

        """

    async def read_range(self, range_: KeyRange, rows_max: int) -> Sequence[tuple[Key, Record]]:
        """The first records of a range by ascending key, at most `rows_max`, in one snapshot."""

    async def keys_in_range(self, range_: KeyRange, rows_max: int) -> Sequence[Key]:
        """The first keys of a range, ascending, at most `rows_max`."""

    async def key_after(self, lower: Key | None, rows: int) -> Key | None:
        """The `rows`-th key above `lower`, or None where there are fewer."""

    async def last_key(self) -> Key | None:
        """The highest key, or None where there is no record."""

    async def rows_estimate(self) -> int:
        """About how many records there are; for progress, never for a decision."""


class RecordWriter(Protocol):
    """Putting records on one side, fenced; each call is ONE transaction of the store.

    The epoch row, the fence rows and the rows themselves are read and written in that
    transaction. Equal or lower epochs and tokens: a put whose epoch differs from the store's, or
    whose token is lower than the one kept for its key, changes nothing. The token is kept even
    when the row is deleted and when nothing had to change (rule 6).
    """

    async def put(self, key: Key, record: Record | None, fence: Fence) -> PutResult:
        """Make the record's columns and children so, insert it, or with None delete it.

        Columns that the record does not name are left as they are. Repeating a put with the same
        fence is harmless.

        Raises:
            StoreOutcomeUnknownError: the commit was sent and not answered; put again with a
                higher token.
            StoreUnreachableError: certainly not applied.

        """

    async def put_many(
        self,
        records: Sequence[tuple[Key, Record]],
        fence: Fence,
        digests: Sequence[Digest] | None = None,
    ) -> BatchResult:
        """Put many records, all but the fenced ones or none; raises as `put` does.

        Args:
            records: no key twice.
            fence: token and epoch of all of them.
            digests: of the authority's row behind each record, in the same order, where the
                authority computes any: kept beside the fence for a later verification.

        """

    async def raise_token(self, key: Key, fence: Fence) -> PutResult:
        """Keep the token for the key without touching its row: earlier puts are refused."""

    async def put_together(self, records: Sequence[Together]) -> PutResult:
        """Put records of any entities of this store's database in one transaction: all or none.

        For what no order of single puts can reach: values that must be unique change hands,
        records point to one another, what others point to is deleted with them. In between,
        values may be parked; nobody else ever sees that, since it is one transaction. All fences
        are checked first: where one is refused, no token is kept and no row changed.

        Args:
            records: no name twice, all of one epoch, each with its own token.

        Returns:
            `OK`, or what stands in the way of the whole. With `UNIQUE`, `other_key` is a key of
            the entity `of`; one of the call itself means that two records want the same value.
            Raises as `put` does.

        """

    async def move_sequences(self) -> None:
        """Move whatever makes new ids in the store past the highest id that it holds.

        Run by a flip before the store becomes the authority; a number is never moved down.
        Repeating it is harmless. Raises as `RecordReader.read` does.
        """


@runtime_checkable
class Linked(Protocol):
    """A store that knows where its rows point to; optional."""

    @property
    def links(self) -> EntityLinks | None:
        """The tables of the entity and their foreign keys; None while that is not known yet."""


def links_of(store: object) -> EntityLinks | None:
    """Where a store's rows point to; None where it does not know."""
    return store.links if isinstance(store, Linked) else None


class Store(RecordReader, RecordWriter, Protocol):
    """One side's data of one entity."""

    @property
    def ordered(self) -> bool:
        """Whether the store orders keys as Python orders them (numbers; text by code point)."""


@dataclass(frozen=True, slots=True)
class StoreEpoch:
    """What a database remembers of the migration that copies into it."""

    ledger_id: str
    incarnation: int
    epoch: int


class FencedDatabase(Protocol):
    """One database that holds rows of a side: its epoch row and fence table."""

    @property
    def name(self) -> str:
        """The database in words that hold no secret."""

    async def epoch(self) -> StoreEpoch | None:
        """The epoch row, or None where the migration has none here yet.

        Raises:
            ConfigurationError: the two tables do not exist; names the command that makes them.
            StoreUnreachableError: no answer.

        """

    async def raise_epoch(self, wanted: StoreEpoch) -> StoreEpoch:
        """Set the epoch unless it is higher already (never down); returns what holds now.

        Waits for puts under way, so that afterwards none of a lower epoch can be applied.

        Raises:
            ForeignLedgerError: the row belongs to another ledger, or to a later incarnation.

        """

    async def adopt(self, wanted: StoreEpoch) -> None:
        """Make the row so whoever it belonged to; only for `crossfade ledger adopt`."""

    async def highest_token(self) -> int:
        """The highest token kept here; above the ledger's sequence it means a foreign ledger."""

    async def prepare(self) -> None:
        """Create the two tables where they are missing."""

    async def remove(self) -> None:
        """Drop the migration's rows, and the two tables if no other migration uses them."""

    def ddl(self) -> str:
        """The statements that `prepare` runs, for people who run them by hand."""

    async def close(self) -> None:
        """Give back connections."""
