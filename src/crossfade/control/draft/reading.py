"""The tables of a database that a draft may use."""

from crossfade.control.draft.pairing import Table
from crossfade.store.from_url import databases_of

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
        facts = await database.connections.read(
            lambda cursor: [database.dialect.table_facts(cursor, name) for name in names]
        )
    finally:
        await databases.close()
    return [
        Table(one.name, tuple(column.name for column in one.columns), one.primary_key)
        for one in facts
    ]
