"""Puts records inside one transaction: epoch, fence, rows, children; deletes them the same way."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from crossfade.model.key import Key
from crossfade.store.base import OK, BatchResult, Fence, PutResult, PutStatus
from crossfade.store.sql_binding import BoundRecord, BoundRow, RowShape, same_row
from crossfade.store.sql_dialect import Cursor, Row, Violation, ViolationError
from crossfade.store.sql_fence import SqlFence
from crossfade.store.sql_reading import SqlReading, TableReading
from crossfade.store.sql_statements import Statement

Ledger = tuple[str, int]
"""Identity and incarnation of the ledger that this process serves."""


class SqlPutting:
    """What a store does in the transaction of a put; raises `ViolationError` to roll it back."""

    def __init__(self, reading: SqlReading, fences: SqlFence, entity: str) -> None:
        self._reading = reading
        self._fences = fences
        self._entity = entity

    def put(
        self, cursor: Cursor, records: Sequence[BoundRecord], fence: Fence, ledger: Ledger | None
    ) -> BatchResult:
        """Put all records but the fenced ones."""
        epoch = self._fences.check_epoch(cursor, fence.epoch, ledger)
        if epoch.status is not PutStatus.OK:
            return BatchResult(epoch)
        texts = [record.text for record in records]
        fenced = self._fences.keep_tokens(cursor, self._entity, texts, fence.token)
        wanted = [record for record in records if record.text not in fenced]
        if wanted:
            self._put_rows(cursor, wanted)
            for name, child in self._reading.children.items():
                self._put_children(cursor, name, child, wanted)
        return BatchResult(OK, tuple(record.key for record in records if record.text in fenced))

    def delete(
        self, cursor: Cursor, key: Key, text: str, fence: Fence, ledger: Ledger | None
    ) -> PutResult:
        """Delete the record and its children; its fence row stays."""
        result = self.keep_token(cursor, text, fence, ledger)
        if result.status is not PutStatus.OK:
            return result
        for child in self._reading.children.values():
            statement = child.statements.delete(child.table.parent)
            cursor.execute(statement.sql, statement.parameters(key))
        main = self._reading.main
        statement = main.statements.delete(main.table.key)
        cursor.execute(statement.sql, statement.parameters(key))
        if cursor.rowcount > 1:
            raise _refused(f"two rows of table {main.table.name!r} have the same key")
        return OK

    def keep_token(
        self, cursor: Cursor, text: str, fence: Fence, ledger: Ledger | None
    ) -> PutResult:
        """Check the epoch and keep the token for one key."""
        epoch = self._fences.check_epoch(cursor, fence.epoch, ledger)
        if epoch.status is not PutStatus.OK:
            return epoch
        if self._fences.keep_tokens(cursor, self._entity, [text], fence.token):
            return FENCED
        return OK

    def _put_rows(self, cursor: Cursor, records: Sequence[BoundRecord]) -> None:
        main = self._reading.main
        rows = main.rows_with(cursor, main.table.key, [record.key for record in records])
        _put_over(cursor, main, [record.row for record in records], _by_identity(main, rows))

    def _put_children(
        self, cursor: Cursor, name: str, child: TableReading, records: Sequence[BoundRecord]
    ) -> None:
        named = [record for record in records if name in record.children]
        if not named:
            return
        parents = [record.key for record in named]
        owned = set(parents)
        rows = child.rows_with(cursor, child.table.parent, parents)
        # Text that only the collation finds equal belongs to somebody else.
        existing = _by_identity(child, (row for row in rows if child.parent_of(row) in owned))
        wanted = [row for record in named for row in record.children[name]]
        gone = existing.keys() - {row.identity for row in wanted}
        if gone:
            _change(cursor, child, child.statements.delete(child.table.identity), list(gone))
        _put_over(cursor, child, wanted, existing)


FENCED = PutResult(PutStatus.FENCED, "a higher token was seen for this key")


def _put_over(
    cursor: Cursor, table: TableReading, wanted: Iterable[BoundRow], existing: Mapping[Row, Row]
) -> None:
    """Update the rows that differ, insert those that are missing; nothing for the others."""
    updates: dict[RowShape, list[Row]] = defaultdict(list)
    inserts: dict[RowShape, list[Row]] = defaultdict(list)
    for row in wanted:
        found = existing.get(row.identity)
        if found is None:
            inserts[row.shape].append(row.identity + row.values + row.shape.defaults)
        elif not same_row(row.shape.current(found), row.values):
            updates[row.shape].append(row.values + row.identity)
    for shape, rows in updates.items():
        _change(cursor, table, table.statements.update(shape.names), rows)
    for shape, rows in inserts.items():
        _change(cursor, table, table.statements.insert(shape.inserted), rows)


def _change(
    cursor: Cursor, table: TableReading, statement: Statement, rows: Sequence[Row]
) -> None:
    cursor.executemany(statement.sql, statement.many(rows))
    if cursor.rowcount != len(rows):
        raise _refused(
            f"table {table.table.name!r} changed {cursor.rowcount} of {len(rows)} row(s): a "
            f"trigger ignores some, or their key is NULL or not unique"
        )


def _by_identity(table: TableReading, rows: Iterable[Row]) -> dict[Row, Row]:
    found: dict[Row, Row] = {}
    for row in rows:
        # A batch may have asked for the same key twice; another row of the same key is a fault.
        if found.setdefault(table.identity_of(row), row) != row:
            raise _refused(f"two rows of table {table.table.name!r} have the same key")
    return found


def _refused(reason: str) -> ViolationError:
    return ViolationError(Violation(PutStatus.REFUSED, reason))
