"""Open every store of a definition: the databases and tables of both sides."""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from crossfade.convergence.sides import EntityStores, Sides
from crossfade.errors import ConfigurationError, StoreUnreachableError
from crossfade.ledger.base import OpenedLedger
from crossfade.migration import Migration, load_migration
from crossfade.model.entity import Entity
from crossfade.model.side import Side
from crossfade.seams.clock import Clock
from crossfade.store.awaited_store import AwaitedStore, TypedStore
from crossfade.store.base import FencedDatabase, Store, StoreEpoch
from crossfade.store.from_url import (
    Databases,
    Description,
    database_of,
    make_known,
    open_store,
    resolved,
)
from crossfade.store.keyed_store import KeyedStore
from crossfade.store.unfenced import Standing, UnfencedDatabase

_Opening = Callable[[], Awaitable[TypedStore]]


async def open_sides(
    migration: Migration, databases: Databases, away: Callable[[str], None] | None = None
) -> Sides:
    """Open every store of a definition; reads catalogues, writes nothing.

    Args:
        migration: the definition.
        databases: where connections come from.
        away: told why, where a database does not answer: its store is opened by the first use
            that can. None: that is an error.

    Raises:
        ConfigurationError: what a description says is not there, or cannot be copied from.
        StoreUnreachableError: without `away`, or where both sides of an entity do not answer.

    """
    entities = {}
    by_side: dict[Side, dict[int, FencedDatabase]] = {side: {} for side in Side}
    for name, entity in migration.entities.items():
        for side in Side:
            make_known(_described(migration, entity, side), name, side, databases)
    for name, entity in migration.entities.items():
        opening: dict[Side, _Opening] = {}
        own: dict[Side, FencedDatabase] = {}
        for side in Side:
            description = _described(migration, entity, side)
            database = own[side] = database_of(description, databases, name)
            by_side[side][id(database)] = database
            opening[side] = partial(open_store, description, name, databases)
        entities[name] = await _open_both(entity, opening, own, away)
    return Sides(
        entities=entities,
        databases={side: tuple(found.values()) for side, found in by_side.items()},
        answers_within_seconds={side: migration.answers_within_seconds(side) for side in Side},
    )


def databases_of_node(migration: str, ledger: OpenedLedger, clock: Clock) -> Databases:
    """The databases of a node, which obey its ledger; opens nothing."""
    identity = ledger.identity

    def standing() -> Standing:
        now = ledger.migration
        epoch = StoreEpoch(identity.ledger_id, identity.incarnation, now.epoch)
        return Standing(epoch, now.authority)

    return Databases(
        migration,
        ledger=(identity.ledger_id, identity.incarnation),
        standing=standing,
        clock=clock,
        shared=ledger.nodes.name is not None,
    )


@dataclass(frozen=True, slots=True)
class SidesInProcess:
    """The stores of a definition in a process that has no ledger."""

    sides: Sides
    databases: Databases

    async def close(self) -> None:
        """Give back connections."""
        await self.databases.close()


async def open_in_process(file: Path, ledger: tuple[str, int]) -> SidesInProcess:
    """Load a definition and open its stores; for a process of the backfill.

    Args:
        file: the definition.
        ledger: id and incarnation of the ledger that the node serves.

    Raises:
        ConfigurationError: the file cannot be loaded, or a description does not fit.
        StoreUnreachableError: a database does not answer.

    """
    migration = load_migration(file)
    databases = Databases(migration.name, ledger=ledger, shared=True)
    try:
        return SidesInProcess(await open_sides(migration, databases), databases)
    except BaseException:
        await databases.close()
        raise


async def _open_both(
    entity: Entity,
    opening: Mapping[Side, _Opening],
    databases: Mapping[Side, FencedDatabase],
    away: Callable[[str], None] | None,
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
    walked = {side: _walked(entity, side, stores, databases) for side in Side}
    return EntityStores(entity, walked[Side.LEGACY], walked[Side.NEW], *key_types)


def _walked(
    entity: Entity,
    side: Side,
    stores: Mapping[Side, Store],
    databases: Mapping[Side, FencedDatabase],
) -> Store:
    """The store, or one that takes the other side's keys where its own cannot be listed.

    Raises:
        ConfigurationError: it is legacy's, which everything has to be copied from.

    """
    database = databases[side]
    if not isinstance(database, UnfencedDatabase) or database.plain.enumerable:
        return stores[side]
    if side is Side.LEGACY:
        raise ConfigurationError(
            f"{entity.name} on legacy: the keys of {database.name} cannot be listed, so that "
            "nothing could be copied from there. Give list= of the HttpResource, or keys= of the "
            "Functions."
        )
    return KeyedStore(stores[side], stores[side.other], side, database)


def _described(migration: Migration, entity: Entity, side: Side) -> Description:
    """The description of one side's store, its references resolved."""
    resolve = partial(migration.database_url, environment=os.environ)
    try:
        return resolved(entity.store(side), resolve)
    except ConfigurationError as error:
        raise type(error)(f"{entity.name} on {side}: {error}") from error


def _names(types: tuple[type, ...]) -> str:
    return ", ".join("whole number" if one is int else "text" for one in types)
