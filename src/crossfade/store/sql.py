"""Opens SQL tables as stores: one database object for a URL, one store for an entity in it."""

from crossfade.errors import ConfigurationError, DefinitionError
from crossfade.model.store_description import SqlTable
from crossfade.store.sql_database import SqlDatabase
from crossfade.store.sql_dialect import Cursor, SqlDialect
from crossfade.store.sql_options import SqlOptions
from crossfade.store.sql_statements import TableStatements
from crossfade.store.sql_store import SqlStore
from crossfade.store.sql_survey import Hiding
from crossfade.store.sql_tables import (
    NOT_NEVER_NULL,
    NOT_UNIQUE,
    StoreTable,
    find_table,
    store_table,
)

__all__ = ["SqlDatabase", "SqlDatabases", "SqlOptions", "SqlStore", "open_sql_store"]


class SqlDatabases:
    """The databases of one migration in this process: each URL is opened once."""

    def __init__(
        self,
        migration: str,
        options: SqlOptions | None = None,
        *,
        ledger: tuple[str, int] | None = None,
    ) -> None:
        """Open nothing.

        Args:
            migration: the migration's name.
            options: limits.
            ledger: id and incarnation of the ledger that this process serves: puts into a
                database of another one are refused from the first. None: nobody has said yet.

        """
        self._migration = migration
        self._ledger = ledger
        self._options = options
        self._by_url: dict[str, SqlDatabase] = {}

    def at(self, url: str) -> SqlDatabase:
        """The one database of that URL; opens nothing.

        Raises:
            ConfigurationError: the URL names no database that this release knows.

        """
        database = self._by_url.get(url)
        if database is None:
            database = SqlDatabase(url, migration=self._migration, options=self._options)
            database.ledger = self._ledger
            self._by_url[url] = database
        return database

    async def close(self) -> None:
        """Close them all."""
        for database in self._by_url.values():
            await database.close()


async def open_sql_store(description: SqlTable, *, entity: str, database: SqlDatabase) -> SqlStore:
    """Read the catalogue, check the description against it, and make the store.

    Writes nothing, and does not need the fence tables yet. Where the schema does not promise that
    the key is unique and never NULL, all keys are read once to see it.

    Raises:
        DefinitionError: the description is a child's, or of another database.
        ConfigurationError: no such file, table or column; a view; a key that is not unique.
        StoreUnreachableError: the database does not answer.

    """
    if description.parent is not None:
        raise DefinitionError(
            f"table {description.table!r} has parent=, which only children have. "
            f"Name it in children= of its parent, or remove parent=."
        )
    if description.url != database.url:
        raise DefinitionError(
            f"table {description.table!r} is not in {database.name}. Open it with its own."
        )
    database.schema.describe(entity, description)

    def read(cursor: Cursor) -> StoreTable:
        table = _read_table(cursor, description, database.dialect)
        database.schema.read(cursor, database.dialect)
        return table

    table = await database.connections.read(
        read,
        seconds_max=database.options.check_seconds_max,
    )
    return SqlStore(database, entity, table)


def _read_table(cursor: Cursor, description: SqlTable, dialect: SqlDialect) -> StoreTable:
    children = description.children or {}
    tables = dialect.tables(cursor)
    for wanted in (description, *children.values()):
        if wanted.table not in tables and isinstance(dialect, Hiding):
            dialect.check_visible(cursor, wanted.table)
        find_table(wanted.table, tables, dialect.name)
    table = store_table(
        description,
        dialect.table_facts(cursor, description.table),
        {name: dialect.table_facts(cursor, child.table) for name, child in children.items()},
    )
    for part in (table, *table.children.values()):
        _check_rows(cursor, part, dialect)
    return table


def _check_rows(cursor: Cursor, table: StoreTable, dialect: SqlDialect) -> None:
    """What the schema does not promise of the key, the rows must show.

    Raises:
        ConfigurationError: they do not.

    """
    statements = TableStatements(table, dialect)
    checks = {
        NOT_UNIQUE: (statements.repeated_key, "is not unique: two rows have the same"),
        NOT_NEVER_NULL: (statements.null_key, "is NULL in some row"),
    }
    for doubt in table.unproved:
        make, words = checks[doubt]
        statement = make()
        cursor.execute(statement.sql, statement.parameters(()))
        if cursor.fetchone() is not None:
            raise ConfigurationError(
                f"the key {', '.join(table.key)} of table {table.name!r} {words}. "
                f"Name columns that identify a row, or correct the rows."
            )
