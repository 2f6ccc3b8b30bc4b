"""Digests of one table's rows, computed by its database; see `RowDigests`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    MetaData,
    Select,
    Table,
    bindparam,
    func,
    select,
    tuple_,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.elements import quoted_name

from crossfade.errors import ConfigurationError, StoreError, StoreUnreachableError
from crossfade.model.key import Key, KeyRange
from crossfade.store.base import Digest, Record
from crossfade.store.digests import Forms, RangeSum, RowDigest, stable_seed
from crossfade.store.mariadb_digest import MariaDbDigest
from crossfade.store.postgres_digest import PostgresDigest
from crossfade.store.sql_connections import SqlConnections
from crossfade.store.sql_dialect import Cursor, KeyKind, Row, SqlDialect
from crossfade.store.sql_digest_engine import EngineDigest, Form
from crossfade.store.sql_reading import SqlReading
from crossfade.store.sql_statements import Statement, compiled
from crossfade.store.sql_tables import StoreTable
from crossfade.store.sqlite_digest import SqliteDigest

Result = TypeVar("Result")
_Columns = ReadOnlyColumnCollection[str, Column[Any]]
_Selected = tuple[Select[*tuple[Any, ...]], list[str]]
"""A statement, and the names of its parameters in order."""

_ENGINES: Mapping[str, Callable[[], EngineDigest]] = {
    "sqlite": SqliteDigest,
    "postgresql": PostgresDigest,
    "mysql": MariaDbDigest,
    "mariadb": MariaDbDigest,
}
STATEMENTS_KEPT_MAX = 32
"""Compiled statements; a verification has a seed of its own and needs four."""


def engine_digest(dialect: SqlDialect) -> EngineDigest | None:
    """How the engine computes digests; None where it does not."""
    make = _ENGINES.get(dialect.compiler.name)
    return None if make is None else make()


def can_digest(dialect: SqlDialect, table: StoreTable) -> bool:
    """Whether rows of the table have digests; an aggregate has none, since its children count."""
    return engine_digest(dialect) is not None and not table.children


def row_digest(
    engine: EngineDigest, table: StoreTable, names: Sequence[str], binding: str = ""
) -> RowDigest:
    """See `RowDigests.of_columns`."""
    forms = [engine.forms(column) for column in table.only(names)]
    function = next(iter(forms[0]))
    # The names are part of it: a value that moves to another column is another row.
    seed = stable_seed(binding, *names)
    return RowDigest(function, tuple(names), tuple(one[function][0] for one in forms), seed)


def mirror_digest_sql(
    dialect: SqlDialect, table: StoreTable, names: Sequence[str], alias: str
) -> str | None:
    """The digest of a row that is being put, as SQL text without parameters.

    Args:
        dialect: the engine.
        table: the table that is put into.
        names: the columns that the record names, without those of the table's identity.
        alias: the name under which a statement knows the rows; they have the table's types.

    Returns:
        An expression of a whole number of 64 bits; None where such rows have no digest.

    """
    engine = engine_digest(dialect)
    if engine is None or not can_digest(dialect, table):
        return None
    digest = row_digest(engine, table, mirror_columns(table, names))
    rows = _core(table).alias(quoted_name(alias, quote=True))
    expression = _digest_of(engine, table, rows.c, digest)
    statement = expression.compile(dialect=dialect.compiler)
    return None if statement.params else str(statement)


def mirror_columns(table: StoreTable, names: Sequence[str]) -> tuple[str, ...]:
    """The columns whose digest is kept of a record that names some: those, and the identity."""
    wanted = {*names, *table.identity}
    return tuple(column.name for column in table.columns if column.name in wanted)


class SqlDigests:
    """A `RowDigests` of one table without children."""

    def __init__(
        self, connections: SqlConnections, dialect: SqlDialect, reading: SqlReading
    ) -> None:
        engine = engine_digest(dialect)
        assert engine is not None  # noqa: S101 - `can_digest` was asked
        self._connections = connections
        self._dialect = dialect
        self._engine = engine
        self._reading = reading
        self._table = reading.main.table
        self._core = _core(self._table)
        self._kept: dict[tuple[Any, ...], Statement] = {}
        kinds = (column.key_kind for column in self._table.only(self._table.key))
        self._key_types = tuple(int if kind is KeyKind.WHOLE else str for kind in kinds)

    @property
    def key(self) -> tuple[str, ...]:
        """See `RowDigests.key`."""
        return self._table.key

    def forms(self) -> Mapping[str, Forms]:
        """See `RowDigests.forms`."""
        return {column.name: self._engine.forms(column) for column in self._table.columns}

    def of_columns(self, names: Sequence[str], binding: str = "") -> RowDigest | None:
        """See `RowDigests.of_columns`."""
        known = {column.name for column in self._table.columns}
        if not known.issuperset(names):
            return None
        columns = mirror_columns(self._table, names)
        return row_digest(self._engine, self._table, columns, binding)

    async def first_sums(
        self, digest: RowDigest, range_: KeyRange, rows_max: int, parts_max: int
    ) -> Sequence[RangeSum]:
        """See `RowDigests.first_sums`."""

        def work(cursor: Cursor) -> list[RangeSum]:
            found: list[RangeSum] = []
            left: KeyRange | None = range_
            while left is not None and len(found) < parts_max:
                upper = self._upper(cursor, left, rows_max)
                found.append(self._sum(cursor, digest, KeyRange(left.lower, upper), None))
                left = None if upper == range_.upper else KeyRange(upper, range_.upper)
            return found

        return await self._read(work)

    async def sums(
        self, digest: RowDigest, ranges: Sequence[KeyRange], rows_max: int | None
    ) -> Sequence[RangeSum]:
        """See `RowDigests.sums`."""
        return await self._read(
            lambda cursor: [self._sum(cursor, digest, one, rows_max) for one in ranges]
        )

    async def even_sums(
        self, digest: RowDigest, ranges: Sequence[KeyRange], length: int
    ) -> Sequence[RangeSum]:
        """See `RowDigests.even_sums`."""
        return await self._read(
            lambda cursor: [
                one for range_ in ranges for one in self._even(cursor, digest, range_, length)
            ]
        )

    async def digests(
        self, digest: RowDigest, ranges: Sequence[KeyRange], rows_max: int
    ) -> Sequence[Sequence[tuple[Key, Digest]]]:
        """See `RowDigests.digests`."""

        def work(cursor: Cursor) -> list[list[tuple[Key, Digest]]]:
            found = []
            for range_ in ranges:
                rows = self._rows(cursor, digest, self._table.key, range_, rows_max)
                keys = self._keys([row[:-1] for row in rows])
                found.append(list(zip(keys, _last(rows), strict=True)))
            return found

        return await self._read(work)

    async def read_range(
        self, digest: RowDigest, range_: KeyRange, rows_max: int
    ) -> tuple[Sequence[tuple[Key, Record]], Sequence[Digest]]:
        """See `RowDigests.read_range`."""
        main = self._reading.main

        def work(cursor: Cursor) -> tuple[list[tuple[Key, Record]], list[Digest]]:
            rows = self._rows(cursor, digest, main.names, range_, rows_max)
            keys = self._keys(list(map(main.key_of, rows)))
            # The digest behind the columns has no name, and so no place in a record.
            records = main.records(rows)
            return list(zip(keys, records, strict=True)), _last(rows)

        return await self._read(work)

    def _upper(self, cursor: Cursor, range_: KeyRange, rows_max: int) -> Key | None:
        """The key up to which a range has so many rows; its own end where it has fewer."""
        key = self._reading.key_after(cursor, range_.lower, rows_max)
        if key is None or (range_.upper is not None and key > range_.upper):
            return range_.upper
        return key

    def _sum(
        self, cursor: Cursor, digest: RowDigest, range_: KeyRange, rows_max: int | None
    ) -> RangeSum:
        bounds = _bounds(range_)
        kept = ("sum", digest, bounds, rows_max is not None)
        statement = self._statement(kept, lambda: self._make_sum(digest, bounds, rows_max))
        more = () if rows_max is None else (rows_max,)
        given = (*(range_.lower or ()), *(range_.upper or ()), *more)
        cursor.execute(statement.sql, statement.parameters(given))
        count, *sums = cursor.fetchone()
        return RangeSum(range_, int(count), self._engine.joined(sums))

    def _even(
        self, cursor: Cursor, digest: RowDigest, range_: KeyRange, length: int
    ) -> list[RangeSum]:
        lower, upper = _whole(range_.lower), _whole(range_.upper)
        statement = self._statement(("even", digest), lambda: self._make_even(digest))
        cursor.execute(statement.sql, statement.parameters((lower + 1, length, lower, upper)))
        found = []
        for place, count, *sums in cursor.fetchall():
            begin = lower + int(place) * length
            part = KeyRange((begin,), (min(begin + length, upper),))
            found.append(RangeSum(part, int(count), self._engine.joined(sums)))
        return found

    def _make_even(self, digest: RowDigest) -> _Selected:
        value = _digest_of(self._engine, self._table, self._core.c, digest)
        place = self._core.c[self._table.key[0]] - bindparam("first")
        number = self._engine.quotient(place, bindparam("length"))
        rows, parameters = self._in_range(select(number.label("p"), value.label("d")), "lu")
        part = rows.subquery("q")
        sums = self._engine.sums(part.c.d)
        statement = select(part.c.p, func.count(), *sums).group_by(part.c.p)
        return statement, ["first", "length", *parameters]

    def _make_sum(self, digest: RowDigest, bounds: str, rows_max: int | None) -> _Selected:
        value = _digest_of(self._engine, self._table, self._core.c, digest)
        if rows_max is None:
            rows, parameters = self._in_range(
                select(func.count(), *self._engine.sums(value)), bounds
            )
            return rows, parameters
        rows, parameters = self._in_range(select(value.label("d")), bounds)
        part = rows.limit(bindparam("rows")).subquery("q")
        sums = self._engine.sums(part.c.d)
        return select(func.count(), *sums).select_from(part), [*parameters, "rows"]

    def _rows(
        self,
        cursor: Cursor,
        digest: RowDigest,
        answer: tuple[str, ...],
        range_: KeyRange,
        rows_max: int,
    ) -> list[Row]:
        bounds = _bounds(range_)

        def make() -> _Selected:
            columns = [self._core.c[name] for name in answer]
            value = _digest_of(self._engine, self._table, self._core.c, digest)
            rows, parameters = self._in_range(select(*columns, value), bounds)
            order = [self._core.c[name] for name in self._table.key]
            return rows.order_by(*order).limit(bindparam("rows")), [*parameters, "rows"]

        statement = self._statement(("rows", digest, answer, bounds), make)
        given = (*(range_.lower or ()), *(range_.upper or ()), rows_max)
        cursor.execute(statement.sql, statement.parameters(given))
        return cursor.fetchall()

    def _in_range(self, statement: Select[*tuple[Any, ...]], bounds: str) -> _Selected:
        key = [self._core.c[name] for name in self._table.key]
        parameters: list[str] = []
        statement = statement.select_from(self._core)
        for mark in bounds:
            names = [f"{mark}{number}" for number in range(len(key))]
            bound = _compared([bindparam(name) for name in names])
            ours = _compared(key)
            statement = statement.where(ours > bound if mark == "l" else ours <= bound)
            parameters += names
        return statement, parameters

    def _statement(self, kept: tuple[Any, ...], make: Callable[[], _Selected]) -> Statement:
        statement = self._kept.get(kept)
        if statement is None:
            if len(self._kept) >= STATEMENTS_KEPT_MAX:
                self._kept.clear()
            statement = compiled(*make(), self._dialect)
            self._kept[kept] = statement
        return statement

    def _keys(self, rows: Sequence[Row]) -> list[Key]:
        keys = list(map(tuple, rows))
        columns = zip(*keys, strict=True)
        if keys and any(
            set(map(type, one)) != {kind}
            for one, kind in zip(columns, self._key_types, strict=True)
        ):
            raise StoreError(
                f"a key of table {self._table.name!r} is of another type than its column. "
                f"Correct those rows first."
            )
        return keys

    async def _read(self, work: Callable[[Cursor], Result]) -> Result:
        try:
            return await self._connections.read(work)
        except ConfigurationError as error:
            raise StoreUnreachableError(str(error)) from error


def _digest_of(
    engine: EngineDigest,
    table: StoreTable,
    columns: _Columns,
    digest: RowDigest,
) -> ColumnElement[Any]:
    facts = table.only(digest.columns)
    values = [
        engine.value(columns[one.name], one, Form(digest.function, form, digest.seed + place))
        for place, (one, form) in enumerate(zip(facts, digest.forms, strict=True))
    ]
    return engine.row(digest.function, values, digest.forms, digest.seed)


def _core(table: StoreTable) -> Table:
    schema, name = table.address
    return Table(
        quoted_name(name or table.name, quote=True),
        MetaData(schema=None if schema is None else quoted_name(schema, quote=True)),
        *(Column(quoted_name(one.name, quote=True), one.core_type) for one in table.columns),
    )


def _whole(bound: Key | None) -> int:
    if bound is None or len(bound) != 1:
        raise StoreError("only whole numbers with bounds have parts of equal length.")
    return int(bound[0])


def _bounds(range_: KeyRange) -> str:
    lower = "" if range_.lower is None else "l"
    return lower if range_.upper is None else f"{lower}u"


def _compared(parts: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    return parts[0] if len(parts) == 1 else tuple_(*parts)


def _last(rows: Sequence[Row]) -> list[Digest]:
    return [int(row[-1]) for row in rows]
