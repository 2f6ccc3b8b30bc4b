"""From descriptions to databases and stores: one table of what this release knows."""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeAlias

from crossfade.errors import ConfigurationError
from crossfade.model.key import Key
from crossfade.model.side import Side
from crossfade.model.store_description import SqlTable
from crossfade.model.store_documents import MongoCollection, RedisDocuments
from crossfade.model.store_functions import Functions
from crossfade.model.store_http import HttpResource
from crossfade.references import resolve_reference
from crossfade.seams.clock import Clock, SystemClock
from crossfade.store.awaited_store import TypedStore
from crossfade.store.base import FencedDatabase, Record
from crossfade.store.function_store import FunctionRecords
from crossfade.store.plain_store import PlainStore
from crossfade.store.sql import SqlDatabase, SqlDatabases, SqlStore, open_sql_store
from crossfade.store.table_shape import TableShape
from crossfade.store.unfenced import LookUp, UnfencedDatabase, UnfencedStore

Description: TypeAlias = SqlTable | RedisDocuments | MongoCollection | HttpResource | Functions
"""Where one side keeps one entity."""


class OpenStore(TypedStore, Protocol):
    """A store that also says what it holds."""

    @property
    def shape(self) -> TableShape:
        """What its records look like."""

    def as_read(self, key: Key, record: Record) -> Record:
        """The record as a read gives it after a put."""


class Databases:
    """The databases of one migration in this process: each is opened once, by its first store."""

    def __init__(
        self,
        migration: str,
        *,
        ledger: tuple[str, int] | None = None,
        standing: LookUp | None = None,
        clock: Clock | None = None,
        shared: bool = False,
    ) -> None:
        """Open nothing.

        Args:
            migration: the migration's name.
            ledger: id and incarnation of the ledger that this process serves: puts into a
                database of another one are refused from the first. None: nobody has said yet.
            standing: what the ledger says now, for stores that cannot fence by themselves.
            clock: this process's clock.
            shared: whether other processes may work for the same ledger.

        """
        self.migration = migration
        self.shared = shared
        self.ledger = ledger
        self.standing = standing
        self.clock: Clock = clock or SystemClock()
        self.sql = SqlDatabases(migration, ledger=ledger)
        self._others: dict[object, Any] = {}

    def at(self, url: str) -> SqlDatabase:
        """The SQL database of a URL. Raises ConfigurationError for an unknown kind."""
        return self.sql.at(url)

    def once(self, name: object, make: Callable[[], Any]) -> Any:  # noqa: ANN401 - any database
        """The one database of that name, made by its first use."""
        if name not in self._others:
            self._others[name] = make()
        return self._others[name]

    async def close(self) -> None:
        """Close them all."""
        await self.sql.close()
        for database in self._others.values():
            await database.close()


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one kind of description is opened; `module` needs the driver of an extra."""

    database: Callable[[Any, str, Databases], FencedDatabase]
    open: Callable[[Any, str, Any], Awaitable[Any]]
    extra: str = ""


def databases_of(migration: str) -> Databases:
    """The databases of one migration, each opened once; opens nothing yet."""
    return Databases(migration)


def is_description(described: object) -> bool:
    """Whether it describes a store that this release knows."""
    return type(described) in _KINDS


def resolved(described: object, resolve: Callable[[str], str]) -> Description:
    """The description with its references resolved.

    Raises:
        ConfigurationError: it describes no store that this release knows.

    """
    if not is_description(described):
        known = ", ".join(kind.__name__ for kind in _KINDS)
        raise ConfigurationError(f"no store that this version knows. Use one of {known}.")
    description: Any = described
    found: Description = description.with_url(resolve)
    if isinstance(found, HttpResource):
        return found.with_headers(partial(resolve_reference, environ=os.environ))
    return found


async def open_store(description: Description, entity: str, databases: Databases) -> OpenStore:
    """One store, its description checked against what is there; raises as its kind does."""
    database = database_of(description, databases, entity)
    store: OpenStore = await _KINDS[type(description)].open(description, entity, database)
    return store


def database_of(description: Description, databases: Databases, entity: str) -> FencedDatabase:
    """The database of a description; what cannot fence is one of its own for each entity.

    Raises:
        ConfigurationError: an unknown kind of URL, or a driver that is not installed.

    """
    kind = _KINDS[type(description)]
    try:
        return kind.database(description, entity, databases)
    except ImportError as error:
        raise ConfigurationError(
            f"{description!r} needs a driver that is not installed. "
            f"Run pip install 'crossfade[{kind.extra}]'."
        ) from error


def make_known(description: Description, entity: str, side: Side, databases: Databases) -> None:
    """Tell a database of a table before any store of it is opened: its rows may point to others.

    Opens nothing. Without it a store knows the foreign keys of those that were opened before it.
    """
    if isinstance(description, SqlTable):
        databases.sql.at(description.url).schema.describe(entity, description, side.value)


def _sql_database(description: SqlTable, entity: str, databases: Databases) -> SqlDatabase:
    del entity
    return databases.sql.at(description.url)


async def _open_sql(description: SqlTable, entity: str, database: SqlDatabase) -> SqlStore:
    return await open_sql_store(description, entity=entity, database=database)


def _redis_database(description: RedisDocuments, entity: str, databases: Databases) -> Any:  # noqa: ANN401 - loaded late
    # Drivers are extras: each is loaded only by a definition that names its engine.
    from crossfade.store.redis_database import RedisDatabase  # noqa: PLC0415 - the driver is an extra

    del entity

    def make() -> RedisDatabase:
        made = RedisDatabase(
            description.url, migration=databases.migration, durable=description.durable
        )
        made.ledger = databases.ledger
        return made

    return databases.once(("redis", description.url), make)


def _mongo_database(description: MongoCollection, entity: str, databases: Databases) -> Any:  # noqa: ANN401 - loaded late
    from crossfade.store.mongo_database import MongoDatabase  # noqa: PLC0415 - the driver is an extra

    del entity

    def make() -> MongoDatabase:
        made = MongoDatabase(description.url, migration=databases.migration)
        made.ledger = databases.ledger
        return made

    return databases.once(("mongo", description.url), make)


async def _open_mongo(description: MongoCollection, entity: str, database: Any) -> Any:  # noqa: ANN401 - loaded late
    from crossfade.store.mongo_documents import open_mongo_store  # noqa: PLC0415 - the driver is an extra

    return await open_mongo_store(description, entity=entity, database=database)


async def _open_redis(description: RedisDocuments, entity: str, database: Any) -> Any:  # noqa: ANN401 - loaded late
    from crossfade.store.redis_documents import open_redis_store  # noqa: PLC0415 - the driver is an extra

    return await open_redis_store(description, entity=entity, database=database)


def _http_database(
    description: HttpResource, entity: str, databases: Databases
) -> UnfencedDatabase:
    def make() -> UnfencedDatabase:
        # The client is loaded only where somebody asks for it.
        from crossfade.store.http_resource import HttpRecords  # noqa: PLC0415 - its client loads slowly

        plain = HttpRecords(description, migration=databases.migration, entity=entity)
        return _unfenced(plain, description.answers_within_seconds, databases)

    made: UnfencedDatabase = databases.once(("http", entity, description.url), make)
    return made


def _functions_database(
    description: Functions, entity: str, databases: Databases
) -> UnfencedDatabase:
    def make() -> UnfencedDatabase:
        plain = FunctionRecords(description)
        return _unfenced(plain, description.answers_within_seconds, databases)

    made: UnfencedDatabase = databases.once(("functions", entity, id(description)), make)
    return made


def _unfenced(
    plain: PlainStore, answers_within_seconds: float, databases: Databases
) -> UnfencedDatabase:
    if databases.shared:
        raise ConfigurationError(
            f"{plain.name} cannot refuse a copy from the past, so that only one process may put "
            "there. Keep the ledger in SQLite, and set backfill.processes to 0."
        )
    return UnfencedDatabase(
        plain,
        clock=databases.clock,
        answers_within_seconds=answers_within_seconds,
        standing=databases.standing,
    )


async def _open_unfenced(
    description: Description, entity: str, database: UnfencedDatabase
) -> UnfencedStore:
    del description, entity
    await database.plain.answers()
    return UnfencedStore(database)


_KINDS: Mapping[type, _Kind] = {
    SqlTable: _Kind(_sql_database, _open_sql),
    RedisDocuments: _Kind(_redis_database, _open_redis, "redis"),
    MongoCollection: _Kind(_mongo_database, _open_mongo, "mongodb"),
    HttpResource: _Kind(_http_database, _open_unfenced),
    Functions: _Kind(_functions_database, _open_unfenced),
}
"""Type of a description to how it is opened; another kind is one more line."""
