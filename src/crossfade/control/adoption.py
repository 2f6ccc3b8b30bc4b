"""`ledger adopt`: make the stores obey this ledger, whichever they obeyed before."""

import os
from dataclasses import dataclass
from functools import partial

from crossfade.config import Config
from crossfade.control.documents import Document, document
from crossfade.control.requests import Asked
from crossfade.errors import ConfigurationError
from crossfade.ledger.adopt import StoresSeen, adopt_ledger, check_stage_known
from crossfade.ledger.from_url import ledger_from_url
from crossfade.ledger.transitions.moves import Decision
from crossfade.migration import Migration
from crossfade.model.counted import counted
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.model.store_description import SqlTable
from crossfade.seams.clock import SystemClock
from crossfade.seams.randomness import SystemRandomness
from crossfade.store.base import FencedDatabase, StoreEpoch
from crossfade.store.from_url import Databases, database_of, databases_of


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
    clock = SystemClock()
    ledger = ledger_from_url(config.ledger, clock, SystemRandomness())
    databases = databases_of(definition.name)
    try:
        stores = _databases(definition, databases)
        seen = await _seen(stores)
        stage = None if asked.stage is None else Stage(asked.stage)
        before = ledger.identity
        if asked.dry_run:
            _check_id(asked.ledger_id, before.ledger_id)
            check_stage_known(ledger.migration, seen, stage)
            summary = (
                f"{counted(len(stores), 'database')} would obey {before.ledger_id}, incarnation "
                f"{before.incarnation + 1}; everything would have to be copied again."
            )
            return _told(definition, summary, before.ledger_id, before.incarnation, dry_run=True)
        decision = Decision(asked.actor, asked.reason, clock.now().timestamp())
        adopted = await ledger.transact(
            partial(
                adopt_ledger,
                ledger_id=asked.ledger_id,
                seen=seen,
                decision=decision,
                stage=stage,
            )
        )
        identity = adopted.identity
        wanted = StoreEpoch(identity.ledger_id, identity.incarnation, adopted.migration.epoch)
        for store in stores:
            await store.adopt(wanted)
    finally:
        await databases.close()
        await ledger.close()
    summary = (
        f"{len(stores)} databases obey {identity.ledger_id}, incarnation {identity.incarnation}. "
        "Everything has to be copied again: `crossfade up`, then `crossfade backfill start`."
    )
    return _told(definition, summary, identity.ledger_id, identity.incarnation, dry_run=False)


def _databases(definition: Migration, databases: Databases) -> tuple[FencedDatabase, ...]:
    """Every database of the definition, once."""
    found: dict[str, FencedDatabase] = {}
    for entity in definition.entities.values():
        for side in Side:
            described = entity.store(side)
            if isinstance(described, SqlTable):
                table = described.with_url(
                    partial(definition.database_url, environment=os.environ)
                )
                found[table.url] = database_of(table, databases)
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
