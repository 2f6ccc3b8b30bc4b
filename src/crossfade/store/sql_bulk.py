"""Puts a large batch at once: into a staging table, from there in a few statements.

The end is that of the ordinary way, row by row: the same fence, the same values, nothing written
where nothing differs, one transaction. A batch that does not suit goes the ordinary way, whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from crossfade.model.key import Key
from crossfade.store.base import OK, BatchResult, Digest, Fence, PutStatus, Record
from crossfade.store.sql_binding import RecordBinder, RowShape
from crossfade.store.sql_connections import Work
from crossfade.store.sql_dialect import (
    ColumnFacts,
    Cursor,
    KeyKind,
    Raw,
    Violation,
    ViolationError,
)
from crossfade.store.sql_fence import SqlFence
from crossfade.store.sql_tables import NOT_UNIQUE, StoreTable

ROWS_MIN = 50
"""Batches below this go the ordinary way: staging costs a few round trips more."""

_KEY_TYPES: dict[KeyKind, set[type]] = {KeyKind.WHOLE: {int}, KeyKind.TEXT: {str}}


class NotInBulkError(Exception):
    """The batch has to go the ordinary way; nothing of it was put."""

    def __init__(self, reason: str, *, ever: bool = False) -> None:
        super().__init__(reason)
        self.ever = ever
        """Whether no batch of this table can go this way."""


@dataclass(frozen=True, slots=True)
class BulkRows:
    """Records of one shape, column by column."""

    shape: RowShape
    keys: Sequence[Key]
    columns: Sequence[Sequence[Any]]
    """Values of the identity's columns, then those of the shape's names; not bound yet."""
    digests: Sequence[Digest] | None
    token: int


class BulkEngine(Protocol):
    """What one engine does for a table; all but `encoded` run in the put's transaction."""

    def encoded(self, rows: BulkRows) -> Raw:
        """The rows as they go to the server.

        Raises:
            CannotHoldError: a column cannot hold a value exactly; says which, without the value.
            NotInBulkError: some values have to go the ordinary way.

        """

    def stage(self, cursor: Cursor, rows: BulkRows, encoded: Raw) -> None:
        """Fill the connection's staging table."""

    def keep_tokens(self, cursor: Cursor, rows: BulkRows) -> frozenset[str]:
        """Keep token and digests for every staged key that has no higher token.

        Rows of the others are taken out of the staging; returns the texts of their keys.
        """

    def write(self, cursor: Cursor, rows: BulkRows, count: int) -> None:
        """Bring the staged rows, so many, into the table."""

    def key_texts(self, rows: BulkRows) -> Sequence[str]:
        """The keys as the fence has them."""


class SqlBulk:
    """The bulk way of one store; stateless but for whether it is of any use."""

    def __init__(
        self, table: StoreTable, binder: RecordBinder, fences: SqlFence, engine: BulkEngine
    ) -> None:
        self._binder = binder
        self._fences = fences
        self._engine = engine
        self._key = table.only(table.key)
        # What the schema does not promise is found by looking at rows.
        self._usable = not table.children and NOT_UNIQUE not in table.unproved

    def prepared(
        self,
        records: Sequence[tuple[Key, Record]],
        fence: Fence,
        digests: Sequence[Digest] | None,
        ledger: tuple[str, int] | None,
    ) -> Work[BatchResult] | None:
        """What to do in the put's transaction; None where the batch goes the ordinary way.

        Raises:
            CannotHoldError: the table cannot hold one of the records.

        """
        if not self._usable or len(records) < ROWS_MIN:
            return None
        rows = self._rows(records, fence, digests)
        if rows is None:
            return None
        try:
            encoded = self._engine.encoded(rows)
        except NotInBulkError:
            return None
        return lambda cursor: self._put(cursor, rows, encoded, fence, ledger)

    def give_up(self, error: NotInBulkError) -> None:
        """Note that a transaction found out why the ordinary way is needed."""
        self._usable = self._usable and not error.ever

    def _rows(
        self, records: Sequence[tuple[Key, Record]], fence: Fence, digests: Sequence[Digest] | None
    ) -> BulkRows | None:
        """The records column by column; None where they do not name the same columns, or so."""
        keys, each = zip(*records, strict=True)
        shape = self._binder.shape_of(tuple(each[0]))
        names = len(each[0])
        if shape.children or set(map(len, each)) != {names} or len(set(keys)) != len(keys):
            return None
        try:
            values = [[one[name] for one in each] for name in shape.names]
            named = [[one[name] for one in each] for name in shape.named_identity]
        except KeyError:
            return None
        self._check_keys(keys)
        identity = list(zip(*keys, strict=True))
        if not self._same(shape, named, identity):
            return None
        return BulkRows(shape, keys, [*identity, *values], digests, fence.token)

    def _check_keys(self, keys: Sequence[Key]) -> None:
        """Look at every key, unless their types tell that the columns take all of them."""
        if set(map(len, keys)) == {len(self._key)}:
            parts = zip(self._key, zip(*keys, strict=True), strict=True)
            if all(set(map(type, given)) <= _plain_types(column) for column, given in parts):
                return
        for key in keys:
            self._binder.check_key(key)

    def _same(
        self, shape: RowShape, named: Sequence[Sequence[Any]], identity: Sequence[Sequence[Any]]
    ) -> bool:
        """Whether records that name columns of the identity have the key's values there."""
        by_name = dict(zip((column.name for column in self._key), identity, strict=True))
        return all(
            list(by_name[name]) == given and set(map(type, by_name[name])) == set(map(type, given))
            for name, given in zip(shape.named_identity, named, strict=True)
        )

    def _put(
        self,
        cursor: Cursor,
        rows: BulkRows,
        encoded: Raw,
        fence: Fence,
        ledger: tuple[str, int] | None,
    ) -> BatchResult:
        epoch = self._fences.check_epoch(cursor, fence.epoch, ledger)
        if epoch.status is not PutStatus.OK:
            return BatchResult(epoch)
        engine = self._engine
        engine.stage(cursor, rows, encoded)
        higher = engine.keep_tokens(cursor, rows)
        fenced: tuple[Key, ...] = ()
        if higher:
            texts = zip(rows.keys, engine.key_texts(rows), strict=True)
            fenced = tuple([key for key, text in texts if text in higher])
        if len(fenced) < len(rows.keys):
            engine.write(cursor, rows, len(rows.keys) - len(fenced))
        return BatchResult(OK, fenced)


def _plain_types(column: ColumnFacts) -> frozenset[type]:
    """Types of keys that the column gives back as they are."""
    kind = column.key_kind or KeyKind.EITHER
    return column.values.plain.intersection(_KEY_TYPES.get(kind, ()))


def refused(reason: str) -> ViolationError:
    """The error that rolls a put back with a reason of our own."""
    return ViolationError(Violation(PutStatus.REFUSED, reason))
