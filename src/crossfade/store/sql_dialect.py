"""What differs between database engines, behind one protocol: one file implements it for each."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from sqlalchemy import Column, ColumnElement, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.dml import Insert
from sqlalchemy.types import NULLTYPE, TypeEngine

from crossfade.errors import CrossfadeError
from crossfade.model.key import RecordName
from crossfade.store.base import PutStatus

Raw = Any
"""A value as the driver takes and gives it."""

Row = tuple[Raw, ...]


class Cursor(Protocol):
    """What we use of a driver's cursor (PEP 249)."""

    @property
    def rowcount(self) -> int:
        """Rows that the last statement changed; summed up over an `executemany`."""

    def execute(self, sql: str, parameters: Sequence[Raw] = (), /) -> object:
        """Run one statement."""

    def executemany(self, sql: str, rows: Iterable[Sequence[Raw]], /) -> object:
        """Run one statement for each of many rows."""

    def fetchone(self) -> Any:  # noqa: ANN401 - drivers give what they give
        """The next row, or None."""

    def fetchall(self) -> list[Any]:
        """The remaining rows."""


class Connection(Protocol):
    """What we use of a driver's connection (PEP 249)."""

    def cursor(self) -> Cursor:
        """A cursor of this connection."""

    def close(self) -> None:
        """Give the connection back."""


class CannotHoldError(Exception):
    """A column cannot hold a value exactly; the text says why without the value."""


class KeyKind(Enum):
    """What the parts of a key column are."""

    WHOLE = "whole numbers"
    TEXT = "text"
    EITHER = "whole numbers or text"


class ColumnValues(Protocol):
    """How values go into one column and come back; a pure function of the declared type."""

    @property
    def plain(self) -> frozenset[type]:
        """Types whose values the driver stores as they are (or refuses by itself)."""

    @property
    def reads_as_stored(self) -> bool:
        """Whether `from_raw` changes nothing."""

    def to_raw(self, value: object) -> Raw:
        """The value as the database will store it.

        Raises:
            CannotHoldError: the column would change it.

        """

    def from_raw(self, raw: Raw) -> object:
        """The value as a record has it."""


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """What the database says of one column."""

    name: str
    declared: str
    """The declared type, as written in the schema."""
    nullable: bool
    has_default: bool
    generated: bool
    values: ColumnValues
    key_kind: KeyKind | None
    """What keys in this column are; None where it cannot be a key column."""
    binary_order: bool
    """Whether text is compared by code point, and so equal only to itself."""
    core_type: TypeEngine[Any] = NULLTYPE
    """SQLAlchemy's type of it, which may say how the column is read."""
    bound: Callable[[Raw], Raw] | None = None
    """From a part of the other side's key that bounds a range here, and that the column itself
    may not hold, to the highest value up to it; None where every part is compared as it is."""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns whose values must be those of a row elsewhere."""

    columns: tuple[str, ...]
    table: str
    """The table that they point to, maybe the same one."""
    referred: tuple[str, ...]
    """The columns there, in the same order."""
    cascades: bool = False
    """Whether deleting the row there changes rows here (CASCADE, SET NULL, SET DEFAULT)."""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What the database says of one table."""

    name: str
    columns: tuple[ColumnFacts, ...]
    primary_key: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...]
    """Sets of columns, the primary key included, of which no two rows may be equal."""
    indexed: tuple[tuple[str, ...], ...]
    """The columns of every index, in its order."""
    foreign_keys: tuple[ForeignKey, ...] = ()
    schema: str | None = None
    """Where the table is, if a statement must say it."""
    table: str | None = None
    """Its name inside the schema; None where `name` is that."""

    def column(self, name: str) -> ColumnFacts | None:
        """The column of that exact name."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True)
class Violation:
    """A constraint that the database enforced; nothing of the transaction took place."""

    status: PutStatus
    reason: str
    place: str = ""
    """What was violated, in the engine's own words (`table.column, table.column`)."""
    in_the_way: tuple[RecordName, ...] = ()
    """Records that point to what would be deleted, where we looked for them ourselves."""


class ViolationError(Exception):
    """Carries a violation out of a transaction that was rolled back."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(violation.reason)
        self.violation = violation


class SqlDialect(Protocol):
    """One engine: connections and transactions, its catalogue, its errors, its SQL."""

    @property
    def name(self) -> str:
        """The database in words that hold no secret."""

    @property
    def compiler(self) -> Dialect:
        """SQLAlchemy's dialect, which turns Core statements into text."""

    @property
    def puts_at_once(self) -> int:
        """How many transactions that put may run at the same time; SQLite has one writer."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What the driver raises, values that it cannot send included."""

    def connect(self, *, for_puts: bool) -> Connection:
        """A connection.

        Raises:
            ConfigurationError: there is no such database.
            StoreUnreachableError: it does not answer.

        """

    def is_current(self, connection: Connection) -> bool:
        """Whether the connection still leads to the database that the URL names."""

    def begin(self, connection: Connection, *, for_puts: bool) -> None:
        """Start a transaction: one snapshot, or one that may put."""

    def commit(self, connection: Connection) -> None:
        """Make the transaction durable."""

    def roll_back(self, connection: Connection) -> None:
        """Undo the transaction if one is open; never raises."""

    def refused_commit(self, error: Exception) -> bool:
        """Whether a commit that failed so certainly left nothing behind."""

    def violation(self, error: Exception) -> Violation | None:
        """The constraint that the error tells of, or None."""

    def failure(self, error: Exception) -> CrossfadeError:
        """Any other error, translated, without values of rows; nothing was applied."""

    def repairs_reading(self, connection: Connection, error: Exception) -> bool:
        """Whether the connection was just changed so that the same read may succeed."""

    def tables(self, cursor: Cursor) -> Mapping[str, bool]:
        """Every table and view of the service by name; whether it is a view."""

    def table_facts(self, cursor: Cursor, table: str) -> TableFacts:
        """What the catalogue says of a table that exists."""

    def defer_constraints(self, cursor: Cursor) -> None:
        """Check what can be checked at the end of the transaction there, until it ends."""

    def move_sequences(self, cursor: Cursor, table: str) -> None:
        """Move what makes ids for a table's columns past the highest value that they hold."""

    def in_binary_order(self, column: Column[Any]) -> ColumnElement[Any]:
        """The column, compared by code point."""

    def keep_higher_token(self, fences: Table) -> Insert:
        """Insert a fence row, or raise its token; changes no row that has a higher one."""

    def kept_all(self, cursor: Cursor, rows: int) -> bool:
        """Whether so many of those that were just run certainly kept the token that they gave."""

    def keep_out(self, cursor: Cursor, tables: Sequence[str]) -> None:
        """Keep all others out of our tables until the transaction ends: they may be dropped."""
