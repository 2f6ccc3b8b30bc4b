"""Open every store of a definition: the databases and tables of both sides."""

import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from crossfade.convergence.sides import EntityStores, Sides
from crossfade.errors import ConfigurationError, StoreUnreachableError
from crossfade.migration import Migration
from crossfade.model.entity import Entity
from crossfade.model.side import Side
from crossfade.model.store_description import SqlTable
from crossfade.store.awaited_store import AwaitedStore, TypedStore
from crossfade.store.base import Store
from crossfade.store.sql import SqlDatabases, open_sql_store

_Opening = Callable[[], Awaitable[TypedStore]]


async def open_sides(
    migration: Migration, databases: SqlDatabases, away: Callable[[str], None] | None = None
) -> Sides:
    """Open every store of a definition; reads catalogues, writes nothing.

    Args:
        migration: the definition.
        databases: where connections come from.
        away: told why, where a database does not answer: its store is opened by the first use
            that can. None: that is an error.

    Raises:
        StoreUnreachableError: without `away`, or where both sides of an entity do not answer.

    """
    entities = {}
    by_side: dict[Side, dict[str, None]] = {side: {} for side in Side}
    for name, entity in migration.entities.items():
        opening: dict[Side, _Opening] = {}
        for side in Side:
            table = _table_of(migration, entity, side)
            by_side[side][table.url] = None
            database = databases.at(table.url)
            opening[side] = partial(open_sql_store, table, entity=name, database=database)
        entities[name] = await _open_both(entity, opening, away)
    return Sides(
        entities=entities,
        databases={
            side: tuple(databases.at(url) for url in urls) for side, urls in by_side.items()
        },
        answers_within_seconds={
            Side.LEGACY: migration.legacy.answers_within_seconds,
            Side.NEW: migration.new.answers_within_seconds,
        },
    )


async def _open_both(
    entity: Entity, opening: Mapping[Side, _Opening], away: Callable[[str], None] | None
) -> EntityStores:
    found: dict[Side, TypedStore] = {}
    absent: dict[Side, StoreUnreachableError] = {}
    for side in Side:
        try:
            found[side] = await opening[side]()
        except StoreUnreachableError as error:
            absent[side] = error
    key_types = {store.key_types for store in found.values()}
    if len(key_types) > 1:
        legacy, new = (_names(found[side].key_types) for side in Side)
        raise ConfigurationError(
            f"the keys of {entity.name} are of different types on the two sides: "
            f"{legacy} and {new}. Name key columns of one type."
        )
    stores: dict[Side, Store] = {**found}
    for side, reason in absent.items():
        if away is None or not key_types:
            raise reason
        away(f"{entity.name} on {side}: {reason}")
        stores[side] = AwaitedStore(opening[side], *key_types)
    return EntityStores(entity, stores[Side.LEGACY], stores[Side.NEW], *key_types)


def _table_of(migration: Migration, entity: Entity, side: Side) -> SqlTable:
    """The table of one side, its URL resolved."""
    table = entity.store(side)
    if not isinstance(table, SqlTable):
        raise ConfigurationError(
            f"{entity.name}: {side} is no store that this version knows. Use SqlTable(...)."
        )
    return table.with_url(partial(migration.database_url, environment=os.environ))


def _names(types: tuple[type, ...]) -> str:
    return ", ".join("whole number" if one is int else "text" for one in types)
