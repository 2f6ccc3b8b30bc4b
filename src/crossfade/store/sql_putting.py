"""Puts records inside one transaction: epoch, fence, rows, children; deletes them the same way."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from crossfade.model.key import Key, RecordName
from crossfade.store.base import OK, BatchResult, Fence, PutResult, PutStatus
from crossfade.store.sql_binding import (
    BoundBatch,
    BoundChildren,
    BoundRows,
    RecordBinder,
    same_row,
)
from crossfade.store.sql_dialect import Cursor, Row, Violation, ViolationError
from crossfade.store.sql_fence import SqlFence
from crossfade.store.sql_pointing import RowsThatPoint
from crossfade.store.sql_reading import SqlReading, TableReading
from crossfade.store.sql_statements import Statement

Ledger = tuple[str, int]
"""Identity and incarnation of the ledger that this process serves."""


class SqlPutting:
    """What a store does in the transaction of a put; raises `ViolationError` to roll it back."""

    def __init__(
        self,
        reading: SqlReading,
        binder: RecordBinder,
        fences: SqlFence,
        points: RowsThatPoint,
        entity: str,
    ) -> None:
        self._reading = reading
        self._binder = binder
        self._fences = fences
        self._points = points
        self._entity = entity

    def put(
        self, cursor: Cursor, batch: BoundBatch, fence: Fence, ledger: Ledger | None
    ) -> BatchResult:
        """Put all records but the fenced ones."""
        epoch = self._fences.check_epoch(cursor, fence.epoch, ledger)
        if epoch.status is not PutStatus.OK:
            return BatchResult(epoch)
        higher = self._fences.keep_tokens(cursor, self._entity, batch.texts, fence.token)
        pairs = zip(batch.records, batch.texts, strict=True)
        fenced = tuple([key for key, text in pairs if text in higher]) if higher else ()
        left = self._without(batch, fenced)
        if left.records:
            pointed_to = self._points.is_pointed_to(self._reading)
            keys = left.records if pointed_to else ()
            self.write(cursor, left, {RecordName(self._entity, key) for key in keys})
        return BatchResult(OK, fenced)

    def write(self, cursor: Cursor, batch: BoundBatch, but: Collection[RecordName]) -> None:
        """Make the rows so, under tokens that are kept already.

        `but`: the records that are put in this transaction, which may point to what goes.
        """
        if self._write_once(cursor, batch, but):
            # The engine may have changed rows that pointed to those which went: now it refuses.
            self._write_once(cursor, batch, but)

    def delete(
        self, cursor: Cursor, key: Key, text: str, fence: Fence, ledger: Ledger | None
    ) -> PutResult:
        """Delete the record and its children; its fence row stays."""
        result = self.keep_token(cursor, text, fence, ledger)
        if result.status is not PutStatus.OK:
            return result
        self.remove(cursor, key, {RecordName(self._entity, key)})
        return OK

    def remove(self, cursor: Cursor, key: Key, but: Collection[RecordName]) -> None:
        """Delete the record's rows, children first, under a token that is kept already."""
        main = self._reading.main
        for child in self._reading.children.values():
            self._points.check_gone(cursor, child, child.table.parent, [key], but)
        self._points.check_gone(cursor, main, main.table.key, [key], but)
        for child in self._reading.children.values():
            statement = child.statements.delete(child.table.parent)
            cursor.execute(statement.sql, statement.parameters(key))
        statement = main.statements.delete(main.table.key)
        cursor.execute(statement.sql, statement.parameters(key))
        if cursor.rowcount > 1:
            raise _refused(f"two rows of table {main.table.name!r} have the same key")

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

    def _without(self, batch: BoundBatch, fenced: tuple[Key, ...]) -> BoundBatch:
        if not fenced:
            return batch
        left = {key: record for key, record in batch.records.items() if key not in fenced}
        return self._binder.bind(left)

    def _write_once(self, cursor: Cursor, batch: BoundBatch, but: Collection[RecordName]) -> bool:
        """Whether rows went to which others may have pointed."""
        self._put_rows(cursor, batch, but)
        went = [
            self._put_children(cursor, self._reading.children[name], children, but)
            for name, children in batch.children.items()
        ]
        return any(went)

    def _put_rows(self, cursor: Cursor, batch: BoundBatch, but: Collection[RecordName]) -> None:
        main = self._reading.main
        rows = main.rows_with(cursor, main.table.key, list(batch.records))
        existing = _by_identity(main, rows)
        for group in batch.groups:
            self._check_renamed(cursor, main, group, existing, but)
            ordered = self._points.parents_first(main, group)
            _put_over(cursor, main, ordered, existing)

    def _put_children(
        self,
        cursor: Cursor,
        child: TableReading,
        children: BoundChildren,
        but: Collection[RecordName],
    ) -> bool:
        existing = self._children_of(cursor, child, children.parents)
        gone = set(existing).difference(*(group.identities for group in children.groups))
        pointing = self._points.pointing_tables(child) if gone else frozenset()
        if child.table.name in pointing:
            # Rows that no longer point to those which go do not go with them.
            for group in children.groups:
                self._put_over(cursor, child, _those_in(group, existing), existing, but)
        if gone:
            self._points.check_gone(cursor, child, child.table.identity, list(gone), but)
            _change(cursor, child, child.statements.delete(child.table.identity), list(gone))
        if pointing:
            existing = self._children_of(cursor, child, children.parents)
        for group in children.groups:
            self._put_over(cursor, child, group, existing, but)
        return bool(pointing)

    def _children_of(
        self, cursor: Cursor, child: TableReading, parents: Sequence[Key]
    ) -> dict[Row, Row]:
        owned = set(parents)
        rows = child.rows_with(cursor, child.table.parent, parents)
        # Text that only the collation finds equal belongs to somebody else.
        return _by_identity(child, (row for row in rows if child.parent_of(row) in owned))

    def _put_over(
        self,
        cursor: Cursor,
        table: TableReading,
        wanted: BoundRows,
        existing: Mapping[Row, Row],
        but: Collection[RecordName],
    ) -> None:
        self._check_renamed(cursor, table, wanted, existing, but)
        _put_over(cursor, table, wanted, existing)

    def _check_renamed(
        self,
        cursor: Cursor,
        table: TableReading,
        wanted: BoundRows,
        existing: Mapping[Row, Row],
        but: Collection[RecordName],
    ) -> None:
        """Values to which others point do not change unless those are put, too."""
        shape = wanted.shape
        referred = self._points.renamed_by(table)
        first = len(table.table.identity)
        places = [place for place, name in enumerate(shape.names, start=first) if name in referred]
        if not places or not existing:
            return
        pairs = zip(wanted.identities, wanted.rows, strict=True)
        changed = [
            identity
            for identity, row in pairs
            if identity in existing
            and any(shape.current(existing[identity])[place] != row[place] for place in places)
        ]
        self._points.check_gone(cursor, table, table.table.identity, changed, but)


FENCED = PutResult(PutStatus.FENCED, "a higher token was seen for this key")


def _put_over(
    cursor: Cursor, table: TableReading, wanted: BoundRows, existing: Mapping[Row, Row]
) -> None:
    """Update the rows that differ, insert those that are missing; nothing for the others."""
    shape = wanted.shape
    updates: Sequence[Row] = ()
    inserts = wanted.rows
    if existing:
        pairs = list(zip(wanted.identities, wanted.rows, strict=True))
        inserts = [row for identity, row in pairs if identity not in existing]
        updates = [
            row
            for identity, row in pairs
            if identity in existing and not same_row(shape.current(existing[identity]), row)
        ]
    if updates:
        _change(cursor, table, table.statements.update(shape.names), updates)
    if inserts:
        rows = [row + shape.defaults for row in inserts] if shape.defaults else inserts
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


def _those_in(wanted: BoundRows, existing: Mapping[Row, Row]) -> BoundRows:
    pairs = zip(wanted.identities, wanted.rows, strict=True)
    rows = [row for identity, row in pairs if identity in existing]
    identities = [identity for identity in wanted.identities if identity in existing]
    return BoundRows(wanted.shape, identities, rows)


def _by_identity(table: TableReading, rows: Iterable[Row]) -> dict[Row, Row]:
    found: dict[Row, Row] = {}
    for row in rows:
        # A batch may have asked for the same key twice; another row of the same key is a fault.
        if found.setdefault(table.identity_of(row), row) != row:
            raise _refused(f"two rows of table {table.table.name!r} have the same key")
    return found


def _refused(reason: str) -> ViolationError:
    return ViolationError(Violation(PutStatus.REFUSED, reason))
