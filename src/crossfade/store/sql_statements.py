"""The statements of one table: made by SQLAlchemy once, run as text with the driver afterwards."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    MetaData,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.elements import quoted_name

from crossfade.store.sql_dialect import Row, SqlDialect
from crossfade.store.sql_tables import StoreTable

VARIABLES_MAX = 900
"""Parameters in one statement; SQLite before 3.32 takes 999."""
ROWS_FETCHED_MAX = 500
"""Keys in one statement that fetches rows by key."""
STATEMENTS_KEPT_MAX = 256
"""Compiled statements kept for a table; records that name ever other columns start anew."""


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL text and how it wants its parameters."""

    sql: str
    order: Callable[[Row], Row] | None
    """From the parameters as we name them to those of the text; None where they are the same."""

    def parameters(self, given: Row) -> Row:
        """The parameters of one run."""
        return given if self.order is None else self.order(given)

    def many(self, given: Sequence[Row]) -> Sequence[Row]:
        """The parameters of many runs."""
        return given if self.order is None else [self.order(row) for row in given]


def compiled(statement: ClauseElement, names: Sequence[str], dialect: SqlDialect) -> Statement:
    """The text of a statement whose parameters are given in the order of `names`."""
    text = statement.compile(dialect=dialect.compiler)
    wanted = tuple(getattr(text, "positiontup", None) or ())
    if wanted == tuple(names):
        return Statement(str(text), None)
    # What SQLAlchemy made a parameter by itself (an OFFSET of zero) follows what is given.
    constants = {name: value for name, value in text.params.items() if name not in names}
    every = [*names, *constants]
    positions = [every.index(name) for name in wanted]
    return Statement(str(text), _arranger(positions, tuple(constants.values())))


def _arranger(positions: Sequence[int], constants: Row) -> Callable[[Row], Row]:
    pick = row_getter(positions)
    return lambda given: pick((*given, *constants))


def row_getter(places: Sequence[Any]) -> Callable[[Any], Row]:
    """Takes values out of a row by position, or of a record by name; a tuple even of one."""
    if len(places) == 1:
        only = places[0]
        return lambda row: (row[only],)
    return itemgetter(*places) if places else lambda _: ()


class TableStatements:
    """The statements of one table; values are bound, names come from the catalogue, quoted."""

    def __init__(self, table: StoreTable, dialect: SqlDialect) -> None:
        self._table = table
        self._dialect = dialect
        schema, name = table.address
        self._core = Table(
            quoted_name(name or table.name, quote=True),
            MetaData(schema=None if schema is None else quoted_name(schema, quote=True)),
            *(
                Column(quoted_name(column.name, quote=True), column.core_type)
                for column in table.columns
            ),
        )
        self._binary = {column.name: column.binary_order for column in table.columns}
        self._kept: dict[tuple[Any, ...], Statement] = {}

    def insert(self, names: tuple[str, ...]) -> Statement:
        """Insert a row of these columns."""
        return self._keep(("insert", names), self._make_insert)

    def update(self, names: tuple[str, ...]) -> Statement:
        """Set these columns, given after the row's identity."""
        return self._keep(("update", names), self._make_update)

    def delete(self, names: tuple[str, ...]) -> Statement:
        """Delete the rows that have these values in these columns."""
        return self._keep(("delete", names), self._make_delete)

    def rows_with(self, names: tuple[str, ...], count: int) -> Statement:
        """Fetch the rows that have one of `count` tuples of values in these columns.

        Text that is equal only by collation comes too; the caller compares.
        """
        return self._keep(("rows", names, count), self._make_rows_with)

    def first_with(self, names: tuple[str, ...], answer: tuple[str, ...]) -> Statement:
        """The columns `answer` of rows that have these values; two at most, equal as they are."""
        return self._keep(("first", names, answer), self._make_first_with)

    def in_range(self, by: tuple[str, ...], answer: tuple[str, ...], bounds: str) -> Statement:
        """Rows whose `by` lies in a range; `bounds` is any of "l", "u", "n".

        Parameters: the values of the lower bound, those of the upper bound, how many rows at
        most; with the last one the first by ascending `by`, else all in any order.
        """
        return self._keep(("range", by, answer, bounds), self._make_in_range)

    def key_after(self, *, bounded: bool) -> Statement:
        """The key after so many others (last parameter), above a lower bound if bounded."""
        return self._keep(("after", bounded), self._make_key_after)

    def last_key(self) -> Statement:
        """The highest key."""
        return self._keep(("last",), self._make_last_key)

    def count(self) -> Statement:
        """How many rows there are."""
        return self._keep(("count",), self._make_count)

    def repeated_key(self) -> Statement:
        """A row for any identity that occurs twice."""
        return self._keep(("repeated",), self._make_repeated_key)

    def null_key(self) -> Statement:
        """A row for any row whose key has a NULL."""
        return self._keep(("null",), self._make_null_key)

    def _keep(
        self, name: tuple[Any, ...], make: Callable[..., tuple[ClauseElement, list[str]]]
    ) -> Statement:
        statement = self._kept.get(name)
        if statement is None:
            if len(self._kept) >= STATEMENTS_KEPT_MAX:
                self._kept.clear()
            statement = compiled(*make(*name[1:]), self._dialect)
            self._kept[name] = statement
        return statement

    def _columns(self, names: Sequence[str]) -> list[Column[Any]]:
        return [self._core.c[name] for name in names]

    def _ordering(self, name: str) -> ColumnElement[Any]:
        column = self._core.c[name]
        return column if self._binary[name] else self._dialect.in_binary_order(column)

    def _equal(self, names: Sequence[str], prefix: str) -> ColumnElement[bool]:
        """Equal by code point; where the column's collation differs it still finds the index."""
        conditions = []
        for index, name in enumerate(names):
            parameter = _bind(f"{prefix}{index}")
            conditions.append(self._core.c[name] == parameter)
            if not self._binary[name]:
                conditions.append(self._ordering(name) == parameter)
        return and_(*conditions)

    def _make_insert(self, names: tuple[str, ...]) -> tuple[ClauseElement, list[str]]:
        parameters = _names("v", len(names))
        values = dict(zip(names, _binds(parameters), strict=True))
        return insert(self._core).values(values), parameters

    def _make_update(self, names: tuple[str, ...]) -> tuple[ClauseElement, list[str]]:
        identity = self._table.identity
        parameters = _names("v", len(names))
        pairs = zip(self._columns(names), _binds(parameters), strict=True)
        statement = update(self._core).ordered_values(*pairs)
        return statement.where(self._equal(identity, "k")), [
            *_names("k", len(identity)),
            *parameters,
        ]

    def _make_delete(self, names: tuple[str, ...]) -> tuple[ClauseElement, list[str]]:
        return delete(self._core).where(self._equal(names, "k")), _names("k", len(names))

    def _make_rows_with(
        self, names: tuple[str, ...], count: int
    ) -> tuple[ClauseElement, list[str]]:
        parameters = _names("k", count * len(names))
        binds = iter(_binds(parameters))
        statement = select(*self._columns([column.name for column in self._table.columns]))
        if len(names) == 1:
            return statement.where(self._core.c[names[0]].in_(list(binds))), parameters
        alternatives = [
            and_(*(column == next(binds) for column in self._columns(names))) for _ in range(count)
        ]
        return statement.where(or_(*alternatives)), parameters

    def _make_first_with(
        self, names: tuple[str, ...], answer: tuple[str, ...]
    ) -> tuple[ClauseElement, list[str]]:
        parameters = _names("k", len(names))
        conditions = [
            column == _bind(parameter)
            for column, parameter in zip(self._columns(names), parameters, strict=True)
        ]
        return select(*self._columns(answer)).where(*conditions).limit(2), parameters

    def _make_in_range(
        self, by: tuple[str, ...], answer: tuple[str, ...], bounds: str
    ) -> tuple[ClauseElement, list[str]]:
        ordering = [self._ordering(name) for name in by]
        statement = select(*self._columns(answer))
        parameters: list[str] = []
        if "l" in bounds:
            lower = _names("l", len(by))
            statement = statement.where(_compared(ordering) > _compared(_binds(lower)))
            parameters += lower
        if "u" in bounds:
            upper = _names("u", len(by))
            statement = statement.where(_compared(ordering) <= _compared(_binds(upper)))
            parameters += upper
        if "n" in bounds:
            statement = statement.order_by(*ordering).limit(_bind("rows"))
            parameters.append("rows")
        return statement, parameters

    def _make_key_after(self, *bounded: bool) -> tuple[ClauseElement, list[str]]:
        key = self._table.key
        ordering = [self._ordering(name) for name in key]
        statement = select(*self._columns(key)).order_by(*ordering)
        parameters = _names("l", len(key)) if all(bounded) else []
        if parameters:
            statement = statement.where(_compared(ordering) > _compared(_binds(parameters)))
        return statement.limit(1).offset(_bind("rows")), [*parameters, "rows"]

    def _make_last_key(self) -> tuple[ClauseElement, list[str]]:
        key = self._table.key
        descending = [self._ordering(name).desc() for name in key]
        return select(*self._columns(key)).order_by(*descending).limit(1), []

    def _make_count(self) -> tuple[ClauseElement, list[str]]:
        return select(func.count()).select_from(self._core), []

    def _make_repeated_key(self) -> tuple[ClauseElement, list[str]]:
        ordering = [self._ordering(name) for name in self._table.identity]
        statement = select(*ordering).group_by(*ordering).having(func.count() > 1).limit(1)
        return statement, []

    def _make_null_key(self) -> tuple[ClauseElement, list[str]]:
        columns = self._columns(self._table.key)
        missing = or_(*(column.is_(None) for column in columns))
        return select(*columns).where(missing).limit(1), []


def in_batches(keys: Sequence[Row], width: int) -> Iterator[Sequence[Row]]:
    """The keys in batches that one `rows_with` takes: a single one, or full ones.

    Few sizes keep few statements: a batch that is not full repeats its last key.
    """
    size = min(ROWS_FETCHED_MAX, VARIABLES_MAX // width)
    if len(keys) == 1:
        yield keys
        return
    for start in range(0, len(keys), size):
        batch = list(keys[start : start + size])
        yield batch + [batch[-1]] * (size - len(batch))


def _names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{index}" for index in range(count)]


def _binds(names: Sequence[str]) -> list[ColumnElement[Any]]:
    return [_bind(name) for name in names]


def _bind(name: str) -> ColumnElement[Any]:
    parameter: ColumnElement[Any] = bindparam(name)
    return parameter


def _compared(parts: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    return parts[0] if len(parts) == 1 else tuple_(*parts)
