"""The bulk way into PostgreSQL: COPY into a temporary table, from there a few statements."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors

from crossfade.store.postgres_bulk_sql import (
    BY_INDEX,
    BulkStatements,
    bulk_statements,
    has_whole_key,
)
from crossfade.store.postgres_copy_text import ColumnTexts, as_block, column_texts
from crossfade.store.sql_binding import RowShape, key_text
from crossfade.store.sql_bulk import BulkRows, NotInBulkError, refused
from crossfade.store.sql_dialect import Cursor, Raw, SqlDialect
from crossfade.store.sql_tables import StoreTable

if TYPE_CHECKING:
    from psycopg.abc import QueryNoTemplate

STATEMENTS_KEPT_MAX = 64
"""Sets of statements kept for a table, one for each set of columns that records name."""
CHUNKS_WAITED_MAX = 64
"""Batches that at most go by before plain inserts of fences are tried again."""


class PostgresBulk:
    """See `BulkEngine`.

    Fences are inserted plainly as long as none is there, which is the case in the first sweep and
    costs half; where one is, they are inserted or raised, and for a while this is not tried again.
    """

    def __init__(
        self,
        dialect: SqlDialect,
        table: StoreTable,
        names: tuple[str, str],
        referred: Callable[[], frozenset[str]],
    ) -> None:
        """Open nothing.

        Args:
            dialect: the engine.
            table: the table, which has no children.
            names: of the migration and of the entity.
            referred: tells the columns to which rows of other tables point.

        """
        self._dialect = dialect
        self._table = table
        self._names = names
        self._referred = referred
        self._kept: dict[tuple[RowShape, bool], BulkStatements] = {}
        self._identity = table.only(table.identity)
        self._whole = has_whole_key(table)
        self._wait = 0
        self._waits = 1

    def encoded(self, rows: BulkRows) -> Raw:
        """See `BulkEngine.encoded`."""
        facts = (*self._identity, *self._table.only(rows.shape.names))
        columns = [
            column_texts(one, values) for one, values in zip(facts, rows.columns, strict=True)
        ]
        if not self._whole:
            columns.insert(0, ColumnTexts(list(map(key_text, rows.keys)), 0, may_escape=True))
        if rows.digests is not None:
            columns.insert(0, ColumnTexts(list(map(str, rows.digests)), 0, may_escape=False))
        return as_block(columns)

    def stage(self, cursor: Cursor, rows: BulkRows, encoded: Raw) -> None:
        """See `BulkEngine.stage`; the table is emptied at the end of every transaction."""
        sql = self._statements(rows)
        assert isinstance(cursor, psycopg.Cursor)  # noqa: S101 - of this engine's connections
        try:
            cursor.execute(sql.make)
        except errors.InsufficientPrivilege as error:
            raise NotInBulkError("no right to make temporary tables", ever=True) from error
        query: QueryNoTemplate = sql.copy.encode()
        with cursor.copy(query) as copy:
            copy.write(encoded)

    def keep_tokens(self, cursor: Cursor, rows: BulkRows) -> frozenset[str]:
        """See `BulkEngine.keep_tokens`."""
        sql = self._statements(rows)
        given = (*self._names, rows.token)
        if self._kept_plainly(cursor, sql, given):
            return frozenset()
        cursor.execute(sql.fence_over, given)
        if cursor.rowcount == len(rows.keys):
            return frozenset()
        cursor.execute(BY_INDEX)
        cursor.execute(sql.higher, given)
        texts = [text for (text,) in cursor.fetchall()]
        cursor.execute(sql.drop_higher, (texts,))
        return frozenset(texts)

    def write(self, cursor: Cursor, rows: BulkRows, count: int) -> None:
        """See `BulkEngine.write`."""
        sql = self._statements(rows)
        shape = rows.shape
        if self._is_fresh(cursor, rows, sql):
            self._run(cursor, sql.insert_all, shape.defaults, count)
            return
        cursor.execute(BY_INDEX)
        cursor.execute(sql.existing)
        existing, different = cursor.fetchone()
        if existing > count:
            raise refused(f"two rows of table {self._table.name!r} have the same key")
        if different:
            if self._referred().intersection(shape.names):
                raise NotInBulkError("rows point to columns that would change")
            self._run(cursor, sql.update, (), different)
        if existing < count:
            self._run(cursor, sql.insert_new, shape.defaults, count - existing)

    def key_texts(self, rows: BulkRows) -> Sequence[str]:
        """See `BulkEngine.key_texts`."""
        return list(map(key_text, rows.keys))

    def _kept_plainly(
        self, cursor: Cursor, sql: BulkStatements, given: tuple[str, str, int]
    ) -> bool:
        if self._wait:
            self._wait -= 1
            return False
        cursor.execute("SAVEPOINT crossfade")
        try:
            cursor.execute(sql.fence, given)
        except errors.UniqueViolation:
            cursor.execute("ROLLBACK TO SAVEPOINT crossfade")
            self._wait = self._waits
            self._waits = min(2 * self._waits, CHUNKS_WAITED_MAX)
            return False
        self._waits = 1
        return True

    def _is_fresh(self, cursor: Cursor, rows: BulkRows, sql: BulkStatements) -> bool:
        """Whether the table has no row at all where the batch goes, told by one look."""
        if not self._whole:
            return False
        lowest, highest = min(rows.columns[0]), max(rows.columns[0])
        cursor.execute(sql.first_above, (lowest,))
        row = cursor.fetchone()
        return row is None or int(row[0]) > highest

    def _run(self, cursor: Cursor, sql: str, given: tuple[Raw, ...], count: int) -> None:
        cursor.execute(sql, given)
        if cursor.rowcount != count:
            raise refused(
                f"table {self._table.name!r} changed {cursor.rowcount} of {count} row(s): a "
                f"trigger ignores some, or somebody else changes them"
            )

    def _statements(self, rows: BulkRows) -> BulkStatements:
        name = (rows.shape, rows.digests is not None)
        statements = self._kept.get(name)
        if statements is None:
            if len(self._kept) >= STATEMENTS_KEPT_MAX:
                self._kept.clear()
            shape, digests = name
            statements = bulk_statements(self._dialect, self._table, shape, digests=digests)
            self._kept[name] = statements
        return statements
