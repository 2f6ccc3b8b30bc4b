"""What `doctor` asks of a database beside its catalogue: triggers, rights, what equals what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from sqlalchemy import Column, MetaData, Table, false, func, literal_column, select, union
from sqlalchemy.sql.elements import quoted_name

from crossfade.store.sql_dialect import Cursor, SqlDialect
from crossfade.store.sql_statements import compiled
from crossfade.store.sql_tables import StoreTable

RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
"""What we do with the rows of a table: each side is the mirror at some time."""

OWN_RIGHTS = ("SELECT", "INSERT", "UPDATE")
"""What we do with our own two tables, until they are dropped."""

OURS = ("crossfade_epoch", "crossfade_fence")
"""Our own two tables."""


@dataclass(frozen=True, slots=True)
class LinkSurvey:
    """A foreign key, as far as only its own engine knows it."""

    name: str
    deferrable: bool
    """Whether it can be checked at the end of a transaction."""
    defer: str = ""
    """The statement that makes it so; empty where there is none."""


@dataclass(frozen=True, slots=True)
class TableSurvey:
    """What one table has beside columns and indexes."""

    triggers: tuple[str, ...] = ()
    """Those that rows fire which we write."""
    links: Mapping[tuple[str, ...], LinkSurvey] = field(default_factory=dict)
    """Columns of a foreign key to what is known of it."""
    sequences: tuple[str, ...] = ()
    """What makes ids for it, and is moved at a flip."""


@runtime_checkable
class Surveying(Protocol):
    """A dialect that can tell more than a store needs; optional."""

    def survey(self, cursor: Cursor, table: str) -> TableSurvey:
        """Look at a table that exists."""

    def missing_rights(self, cursor: Cursor, table: str) -> Sequence[str]:
        """Statements that give the user of the connection what it lacks on a table.

        Runs in a transaction that may put, and changes nothing. A table of ours is one, too.
        """

    def grants(self, cursor: Cursor, tables: Sequence[str], role: str) -> Sequence[str]:
        """Statements that let a role copy into and out of tables that exist, and nothing else.

        Lines that begin with `--` are notes. A role of MariaDB may be `name@host`.
        """


@runtime_checkable
class Hiding(Protocol):
    """A dialect whose catalogue leaves out tables on which the user has no right; optional."""

    def check_visible(self, cursor: Cursor, table: str) -> None:
        """Raise the driver's error where a table may be there, and hidden from us."""


@runtime_checkable
class Estimating(Protocol):
    """A dialect whose planner knows how many rows a table has; optional."""

    def rows_estimate(self, cursor: Cursor, table: str) -> int | None:
        """About how many rows there are, or None where it is quicker or better to count them."""


def same_texts(
    cursor: Cursor, dialect: SqlDialect, table: StoreTable, column: str
) -> frozenset[str]:
    """What the database does not tell apart in a text column, such as the case of letters."""
    schema, name = table.address
    core = Table(
        quoted_name(name or table.name, quote=True),
        MetaData(schema=None if schema is None else quoted_name(schema, quote=True)),
        Column(quoted_name(column, quote=True)),
    )
    found = set()
    for words, other in _NEIGHBOURS.items():
        # Texts without a collation take that of the column that begins the union.
        texts = union(
            select(core.c[column]).where(false()),
            select(literal_column("'a'")),
            select(literal_column(f"'{other}'")),
        ).subquery()
        statement = compiled(select(func.count()).select_from(texts), (), dialect)
        cursor.execute(statement.sql, statement.parameters(()))
        if cursor.fetchone()[0] == 1:
            found.add(words)
    return frozenset(found)


_NEIGHBOURS = {
    "upper and lower case": "A",
    "accents": "á",
    "spaces at the end": "a ",
}
"""What may be ignored to a text that is then equal to `a`."""
