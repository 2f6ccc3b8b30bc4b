"""From descriptions and URLs to databases and stores, for whoever only looks at them."""

from typing import TypeAlias

from crossfade.model.store_description import SqlTable
from crossfade.store.sql import SqlDatabase, SqlDatabases, SqlStore, open_sql_store

Databases: TypeAlias = SqlDatabases
OpenStore: TypeAlias = SqlStore


def databases_of(migration: str) -> Databases:
    """The databases of one migration, each opened once; opens nothing yet."""
    return SqlDatabases(migration)


async def open_store(description: SqlTable, entity: str, databases: Databases) -> OpenStore:
    """One store, its description checked against the catalogue; raises as `open_sql_store`."""
    database = database_of(description, databases)
    return await open_sql_store(description, entity=entity, database=database)


def database_of(description: SqlTable, databases: Databases) -> SqlDatabase:
    """The database that a description names. Raises ConfigurationError for an unknown kind."""
    return databases.at(description.url)
