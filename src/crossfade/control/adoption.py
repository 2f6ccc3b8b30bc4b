"""`ledger adopt`: make the stores obey this ledger, whichever they obeyed before."""

import os
from dataclasses import dataclass
from functools import partial

from crossfade.config import Config
from crossfade.control.documents import Document, document
from crossfade.control.requests import Asked
from crossfade.errors import ConfigurationError
from crossfade.ledger.adopt import StoresSeen, adopt_ledger, check_stage_known
from crossfade.ledger.from_url import ledger_exists, ledger_from_url
from crossfade.ledger.transitions.moves import Decision
from crossfade.migration import Migration
from crossfade.model.counted import counted
from crossfade.model.migration_state import MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.seams.clock import SystemClock
from crossfade.seams.randomness import SystemRandomness
from crossfade.store.base import FencedDatabase, StoreEpoch
from crossfade.store.from_url import Databases, database_of, databases_of, resolved

NEW_LEDGER = "new"
"""Typed instead of an id where the ledger is gone and there is no copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptAsked(Asked):
    """Make the stores obey this ledger; its id is the confirmation."""

    ledger_id: str
    stage: str | None = None
    """The stage that held last, where the ledger does not know it."""


async def adopt(definition: Migration, config: Config, asked: AdoptAsked) -> Document:
    """Make the stores obey this ledger; everything has to be swept and verified again.

    Crash under way: the ledger has a higher incarnation than some stores, which refuse it until
    it is adopted again.

    Raises:
        LockedError: a node runs.
        ConfigurationError: the id is another ledger's, or the stores lack our two tables.
        StoreUnreachableError: a database does not answer.

    """
    _check_place(config, asked)
    stage = None if asked.stage is None else Stage(asked.stage)
    databases = databases_of(definition.name)
    try:
        stores = _databases(definition, databases)
        seen = await _seen(stores)
        if asked.ledger_id == NEW_LEDGER:
            # Before it is made: a ledger that nobody obeys would only be in the way.
            check_stage_known(MigrationState(), seen, stage)
            if asked.dry_run:
                summary = f"This would make {config.ledger_shown}, and the stores would obey it."
                return _told(definition, summary, NEW_LEDGER, 0, dry_run=True)
        return await _adopt(definition, config, asked, stores, seen)
    finally:
        await databases.close()


def _check_place(config: Config, asked: AdoptAsked) -> None:
    """A new ledger is made only where there is none, and only by that word."""
    there, new = ledger_exists(config.ledger), asked.ledger_id == NEW_LEDGER
    if there and new:
        raise ConfigurationError(
            f"there is a ledger {config.ledger_shown} already. Adopt it by its id: "
            "`crossfade ledger show`."
        )
    if not there and not new:
        raise ConfigurationError(
            f"there is no ledger {config.ledger_shown}. Bring a copy back, or make a new one that "
            "the stores obey: `crossfade ledger adopt new`."
        )


async def _adopt(
    definition: Migration,
    config: Config,
    asked: AdoptAsked,
    stores: tuple[FencedDatabase, ...],
    seen: StoresSeen,
) -> Document:
    clock = SystemClock()
    stage = None if asked.stage is None else Stage(asked.stage)
    # Crash later: a new ledger that the stores refuse; adopting it by its id goes on.
    ledger = ledger_from_url(config.ledger, clock, SystemRandomness())
    try:
        before = ledger.identity
        named = before.ledger_id if asked.ledger_id == NEW_LEDGER else asked.ledger_id
        if asked.dry_run:
            _check_id(named, before.ledger_id)
            check_stage_known(ledger.migration, seen, stage)
            summary = (
                f"{counted(len(stores), 'database')} would obey {before.ledger_id}, incarnation "
                f"{before.incarnation + 1}; everything would have to be copied again."
            )
            return _told(definition, summary, before.ledger_id, before.incarnation, dry_run=True)
        decision = Decision(asked.actor, asked.reason, clock.now().timestamp())
        adopted = await ledger.transact(
            partial(adopt_ledger, ledger_id=named, seen=seen, decision=decision, stage=stage)
        )
        identity = adopted.identity
        wanted = StoreEpoch(identity.ledger_id, identity.incarnation, adopted.migration.epoch)
        for store in stores:
            await store.adopt(wanted)
    finally:
        await ledger.close()
    summary = (
        f"{counted(len(stores), 'database')} now under ledger {identity.ledger_id}, "
        f"incarnation {identity.incarnation}. {_next(adopted.migration)}"
    )
    return _told(definition, summary, identity.ledger_id, identity.incarnation, dry_run=False)


def _next(migration: MigrationState) -> str:
    """What comes after an adoption; in `off` nothing was copied that could count."""
    if migration.retired:
        return "The migration is retired: `crossfade up` is all that is left."
    if migration.stage is Stage.OFF:
        return "The stage is off: `crossfade up`, then `crossfade stage promote shadow`."
    if migration.stage is Stage.READ_ONLY:
        return "Writes are refused in read_only. Start `crossfade up`, then copy everything again."
    return (
        f"The stage is {migration.stage}, {migration.authority} has authority. Everything has to "
        "be copied again: `crossfade up`, then `crossfade backfill start`."
    )


def _databases(definition: Migration, databases: Databases) -> tuple[FencedDatabase, ...]:
    """Every database of the definition, once."""
    found: dict[int, FencedDatabase] = {}
    for name, entity in definition.entities.items():
        for side in Side:
            resolve = partial(definition.database_url, environment=os.environ)
            database = database_of(resolved(entity.store(side), resolve), databases, name)
            found[id(database)] = database
    return tuple(found.values())


async def _seen(stores: tuple[FencedDatabase, ...]) -> StoresSeen:
    """The highest numbers that the stores remember."""
    epochs = [epoch.epoch for store in stores if (epoch := await store.epoch()) is not None]
    tokens = [await store.highest_token() for store in stores]
    return StoresSeen(token=max(tokens, default=0), epoch=max(epochs, default=0))


def _check_id(typed: str, ledger_id: str) -> None:
    if typed != ledger_id:
        raise ConfigurationError(
            f"this ledger is {ledger_id}, not {typed}. See `crossfade ledger show`."
        )


def _told(
    definition: Migration, summary: str, ledger_id: str, incarnation: int, *, dry_run: bool
) -> Document:
    return document(
        "adopt",
        migration=definition.name,
        ledger_id=ledger_id,
        incarnation=incarnation,
        dry_run=dry_run,
        summary=summary,
    )
