"""The bulk way into PostgreSQL: COPY into a temporary table, from there a few statements."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors

from crossfade.store.postgres_copy_text import as_block, column_texts
from crossfade.store.sql_binding import RowShape, key_text
from crossfade.store.sql_bulk import BulkRows, NotInBulkError, refused
from crossfade.store.sql_dialect import Cursor, KeyKind, Raw, SqlDialect
from crossfade.store.sql_digest import mirror_digest_sql
from crossfade.store.sql_fence import FENCES
from crossfade.store.sql_tables import StoreTable

if TYPE_CHECKING:
    from psycopg.abc import QueryNoTemplate

STATEMENTS_KEPT_MAX = 64
"""Sets of statements kept for a table, one for each set of columns that records name."""
CHUNKS_WAITED_MAX = 64
"""Batches that at most go by before plain inserts of fences are tried again."""

_STAGED, _TABLE, _KEPT = "crossfade_s", "crossfade_t", "crossfade_f"

# The planner knows nothing of a table that was filled just now: it is told to use the indexes.
_BY_INDEX = (
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; "
    "SET LOCAL enable_mergejoin = off; SET LOCAL jit = off"
)


@dataclass(frozen=True, slots=True)
class _Statements:
    """The SQL of one shape of records, with and without digests."""

    make: str
    copy: str
    fence: str
    fence_over: str
    higher: str
    drop_higher: str
    first_above: str
    """The first row of the table from a whole number on; empty for other keys."""
    existing: str
    """How many staged rows are there already, and how many of those differ."""
    update: str
    insert_new: str
    insert_all: str


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
        self._quote = dialect.compiler.identifier_preparer.quote_identifier
        self._kept: dict[tuple[RowShape, bool], _Statements] = {}
        self._identity = table.only(table.identity)
        self._whole = [column.key_kind for column in self._identity] == [KeyKind.WHOLE]
        self._wait = 0
        self._waits = 1

    def encoded(self, rows: BulkRows) -> Raw:
        """See `BulkEngine.encoded`."""
        facts = (*self._identity, *self._table.only(rows.shape.names))
        columns = [
            column_texts(one, values) for one, values in zip(facts, rows.columns, strict=True)
        ]
        if not self._whole:
            columns.insert(0, (list(map(key_text, rows.keys)), True))
        if rows.digests is not None:
            columns.insert(0, (list(map(str, rows.digests)), False))
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
        cursor.execute(_BY_INDEX)
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
        cursor.execute(_BY_INDEX)
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

    def _kept_plainly(self, cursor: Cursor, sql: _Statements, given: tuple[str, str, int]) -> bool:
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

    def _is_fresh(self, cursor: Cursor, rows: BulkRows, sql: _Statements) -> bool:
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

    def _statements(self, rows: BulkRows) -> _Statements:
        name = (rows.shape, rows.digests is not None)
        statements = self._kept.get(name)
        if statements is None:
            if len(self._kept) >= STATEMENTS_KEPT_MAX:
                self._kept.clear()
            statements = self._made(*name)
            self._kept[name] = statements
        return statements

    def _made(self, shape: RowShape, digests: bool) -> _Statements:  # noqa: FBT001 - internal
        named = (*self._table.identity, *shape.names)
        free = self._free_name(named)
        columns = [self._quote(one) for one in named]
        table = self._address()
        key = f"'[' || {_STAGED}.{columns[0]} || ']'" if self._whole else f"{_STAGED}.{free}_key"
        pair = self._pair(shape, free) if digests else "NULL, NULL"
        extra = [f"NULL::bigint AS {free}_digest"] if digests else []
        extra += [] if self._whole else [f"''::text COLLATE \"C\" AS {free}_key"]
        chosen = ", ".join([*extra, *columns])
        stage = f"crossfade_{blake2b(f'{table} {chosen}'.encode(), digest_size=8).hexdigest()}"
        staged = f"pg_temp.{stage} AS {_STAGED}"
        fence = (
            f"INSERT INTO {FENCES.name} AS {_KEPT} "
            f"(migration, entity, key, token, authority_digest, mirror_digest) "
            f'SELECT %s, %s, ({key}) COLLATE "C", %s::bigint, {pair} FROM {staged} ORDER BY 3'
        )
        same = self._same_identity()
        old = ", ".join(f"{_TABLE}.{self._quote(one)}" for one in shape.names)
        new = ", ".join(f"{_STAGED}.{self._quote(one)}" for one in shape.names)
        differs = f"record_image_ne(ROW({old}), ROW({new}))" if shape.names else "false"
        inserted = ", ".join(map(self._quote, shape.inserted))
        values = ", ".join(
            [*(f"{_STAGED}.{one}" for one in columns), *("%s" for _ in shape.defaults)]
        )
        insert = f"INSERT INTO {table} ({inserted}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {staged}"
        pairs = ", ".join(
            f"{self._quote(one)} = {_STAGED}.{self._quote(one)}" for one in shape.names
        )
        return _Statements(
            make=(
                f"CREATE TEMPORARY TABLE IF NOT EXISTS pg_temp.{stage} ON COMMIT DELETE ROWS "
                f"AS SELECT {chosen} FROM {table} WITH NO DATA"
            ),
            copy=f"COPY pg_temp.{stage} FROM STDIN",
            fence=fence,
            fence_over=(
                f"{fence} ON CONFLICT (migration, entity, key) DO UPDATE SET "
                f"token = excluded.token, authority_digest = excluded.authority_digest, "
                f"mirror_digest = excluded.mirror_digest WHERE {_KEPT}.token <= excluded.token"
            ),
            higher=(
                f"SELECT {_KEPT}.key FROM {staged} JOIN {FENCES.name} AS {_KEPT} ON "
                f"{_KEPT}.migration = %s AND {_KEPT}.entity = %s AND "
                f'{_KEPT}.key = ({key}) COLLATE "C" AND {_KEPT}.token > %s'
            ),
            drop_higher=f"DELETE FROM {staged} WHERE ({key}) = ANY(%s::text[])",
            first_above=self._first_above(table) if self._whole else "",
            existing=(
                f"SELECT count(*), count(*) FILTER (WHERE {differs}) "
                f"FROM {staged} JOIN {table} AS {_TABLE} ON {same}"
            ),
            update=(
                f"UPDATE {table} AS {_TABLE} SET {pairs} FROM {staged} WHERE {same} AND {differs}"
            ),
            insert_new=f"{insert} WHERE NOT EXISTS (SELECT FROM {table} AS {_TABLE} WHERE {same})",
            insert_all=insert,
        )

    def _pair(self, shape: RowShape, free: str) -> str:
        """Both digests of a fence, or neither; of the staged values, before any trigger's turn."""
        digest = mirror_digest_sql(self._dialect, self._table, shape.names, _STAGED)
        return "NULL, NULL" if digest is None else f"{_STAGED}.{free}_digest, {digest}"

    def _first_above(self, table: str) -> str:
        key = self._quote(self._table.identity[0])
        return f"SELECT {key} FROM {table} WHERE {key} >= %s ORDER BY {key} LIMIT 1"

    def _same_identity(self) -> str:
        conditions = []
        for column in self._identity:
            ours, theirs = (f"{one}.{self._quote(column.name)}" for one in (_TABLE, _STAGED))
            conditions.append(f"{ours} = {theirs}")
            if not column.binary_order:
                # Equal by code point, not only by collation; the first one finds the index.
                conditions.append(f'{ours}::text COLLATE "C" = {theirs}::text COLLATE "C"')
        return " AND ".join(conditions)

    def _address(self) -> str:
        schema, name = self._table.address
        table = self._quote(name or self._table.name)
        return table if schema is None else f"{self._quote(schema)}.{table}"

    def _free_name(self, taken: Sequence[str]) -> str:
        """The beginning of names that no column of the table has."""
        free = "crossfade"
        while any(name.startswith(free) for name in taken):
            free += "_"
        return free
