"""The tables of a database that a draft may use."""

from collections.abc import Sequence
from contextlib import suppress

from crossfade.control.draft.pairing import Table
from crossfade.errors import ConfigurationError
from crossfade.store.from_url import databases_of
from crossfade.store.sql_dialect import Cursor, SqlDialect, TableFacts

OURS = "crossfade_"
"""What the names of our own tables begin with."""


async def read_tables(url: str) -> list[Table]:
    """Every table with its columns and primary key, ours left out.

    Raises:
        ConfigurationError: there is no such database.
        StoreUnreachableError: it does not answer.

    """
    databases = databases_of("draft")
    try:
        database = databases.at(url)
        names = [name for name in await database.table_names() if not name.startswith(OURS)]
        dialect = database.dialect
        facts = await database.connections.read(lambda cursor: _facts(cursor, dialect, names))
    finally:
        await databases.close()
    return [_table(one) for one in facts]


def _facts(cursor: Cursor, dialect: SqlDialect, names: Sequence[str]) -> list[TableFacts]:
    """Of every table that can be copied from; `doctor` says why of the others."""
    found = []
    for name in names:
        with suppress(ConfigurationError):
            found.append(dialect.table_facts(cursor, name))
    return found


def _table(facts: TableFacts) -> Table:
    # What the database computes by itself is never written.
    columns = tuple(column for column in facts.columns if not column.generated)
    parents = tuple((link.table, link.columns) for link in facts.foreign_keys)
    names = tuple(column.name for column in columns)
    return Table(facts.name, names, facts.primary_key, columns, parents)
