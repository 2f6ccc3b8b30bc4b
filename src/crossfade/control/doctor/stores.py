"""Look at both databases: tables, columns, keys, our two tables, and whose ledger they obey."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, runtime_checkable

from crossfade.control.doctor.findings import Finding, Verdict, fine, problem, warning
from crossfade.control.doctor.schemas import look_at_own_rights
from crossfade.errors import ConfigurationError, CrossfadeError, RightMissingError
from crossfade.migration import Migration
from crossfade.model.entity import Entity
from crossfade.model.side import Side
from crossfade.store.base import FencedDatabase, StoreEpoch
from crossfade.store.from_url import (
    Databases,
    OpenStore,
    database_of,
    make_known,
    open_store,
    resolved,
)
from crossfade.store.sql_cures import change_type, exact_collation, make_index
from crossfade.store.sql_store import SqlStore
from crossfade.store.unfenced import UnfencedDatabase


@runtime_checkable
class Doubtful(Protocol):
    """A database that may say what to think about."""

    async def doubts(self) -> tuple[str, ...]:
        """What does not stand in the way, and may surprise."""


@dataclass(slots=True)
class Opened:
    """What could be opened."""

    stores: dict[str, dict[Side, OpenStore]] = field(default_factory=dict)
    """By entity; only those that fit their description."""
    databases: dict[str, FencedDatabase] = field(default_factory=dict)
    """By name; each one once."""


async def look_at_stores(
    migration: Migration, databases: Databases, opened: Opened
) -> list[Finding]:
    """Open every store; what does not open is told, and left out of `opened`."""
    findings = []
    url_of = partial(migration.database_url, environment=os.environ)
    for name, entity in migration.entities.items():
        for side in Side:
            # What is wrong with it is told where its store is opened.
            with suppress(CrossfadeError):
                make_known(resolved(entity.store(side), url_of), name, side, databases)
    for name, entity in migration.entities.items():
        for side in Side:
            findings += await _look_at_store(entity, side, url_of, databases, opened)
        types = {store.key_types for store in opened.stores.get(name, {}).values()}
        if len(types) > 1:
            findings.append(
                problem(
                    f"{name}: keys",
                    "the keys of the two sides are of different types: "
                    "name key columns of one type on both sides",
                )
            )
    return findings


async def _look_at_store(
    entity: Entity,
    side: Side,
    url_of: Callable[[str], str],
    databases: Databases,
    opened: Opened,
) -> list[Finding]:
    name = entity.name
    what = f"{name} on {side}"
    try:
        description = resolved(entity.store(side), url_of)
        store = await open_store(description, name, databases)
        database = database_of(description, databases, name)
    except CrossfadeError as error:
        return [problem(what, str(error), error.exit_code)]
    opened.stores.setdefault(name, {})[side] = store
    opened.databases[database.name] = database
    if isinstance(database, UnfencedDatabase):
        return _unfenced(what, side, database)
    columns = len(store.shape.columns)
    key = ", ".join(store.shape.key)
    findings = [fine(what, f"table {store.shape.table}, {columns} columns, key {key} is unique")]
    if store.shape.open:
        findings = [fine(what, f"documents {store.shape.table}, key {key}")]
    findings += (
        [warning(what, reason) for reason in await database.doubts()]
        if isinstance(database, Doubtful)
        else []
    )
    if not store.ordered:
        findings.append(_unordered(what, store))
    findings += [
        Finding(
            what,
            Verdict.WARNING,
            f"no index finds the rows of {child.table} by {', '.join(child.parent)}: "
            "every read of a key reads the whole table; make an index",
            ddl=_index_of(store, child_name),
        )
        for child_name, child in store.shape.children.items()
        if not child.parent_indexed
    ]
    return findings


def _unordered(what: str, store: OpenStore) -> Finding:
    """Keys in another order than ours: what it costs, and how it is mended."""
    message = (
        f"the keys {', '.join(store.shape.key)} are not ordered by code point here: while the "
        "backfill copies a chunk, every key counts as being copied"
    )
    if not isinstance(store, SqlStore):
        return warning(what, message)
    table, dialect = store.table, store.database.dialect
    collation = exact_collation(dialect)
    ddl = "\n".join(
        change_type(dialect, table, column.name, f"{column.declared} {collation}")
        for column in table.only(table.key)
        if not column.binary_order
    )
    return Finding(what, Verdict.WARNING, f"{message}. Declare them {collation}", ddl=ddl.strip())


def _index_of(store: OpenStore, child: str) -> str:
    if not isinstance(store, SqlStore):
        return ""
    table = store.table.children[child]
    return make_index(store.database.dialect, table, table.parent)


def _unfenced(what: str, side: Side, database: UnfencedDatabase) -> list[Finding]:
    """A store that cannot refuse a late copy: what that means, and what is missing."""
    findings = [
        warning(
            what,
            f"{database.name} cannot refuse a copy from the past: level L3, nobody writes a key "
            f"for {database.answers_within_seconds:g} s after a copy without an answer",
        )
    ]
    if not database.plain.enumerable:
        whats = (
            "nothing can be copied from there"
            if side is Side.LEGACY
            else (
                "records that only it has are not found, and nothing can be swept from it once it "
                "has authority"
            )
        )
        report = problem if side is Side.LEGACY else warning
        findings.append(
            report(what, f"its keys cannot be listed: {whats}; give list=, or keys= of Functions")
        )
    return findings


async def look_at_retired(database: FencedDatabase) -> list[Finding]:
    """After `retire` our two tables are gone; where they are left, `retire` was cut off."""
    what = f"tables in {database.name}"
    if isinstance(database, UnfencedDatabase):
        return []
    try:
        await database.epoch()
    except RightMissingError as error:
        return [problem(what, str(error))]
    except ConfigurationError:
        return [fine(what, "taken out by `crossfade retire`")]
    except CrossfadeError as error:
        return [problem(what, str(error), error.exit_code)]
    return [warning(what, "still there: run `crossfade retire` again, it takes them out")]


async def look_at_fences(database: FencedDatabase, *, apply: bool) -> list[Finding]:
    """Whether our two tables are there; with `apply` they are made."""
    what = f"tables in {database.name}"
    if isinstance(database, UnfencedDatabase):
        return []
    try:
        await database.epoch()
    except RightMissingError as error:
        return [problem(what, str(error))]
    except ConfigurationError as error:
        if apply:
            return await _make_fences(what, database)
        return [problem(what, str(error), ddl=database.ddl())]
    except CrossfadeError as error:
        return [problem(what, str(error), error.exit_code)]
    missing = await look_at_own_rights(database)
    return missing or [fine(what, "crossfade_fence and crossfade_epoch are there")]


async def _make_fences(what: str, database: FencedDatabase) -> list[Finding]:
    try:
        await database.prepare()
    except CrossfadeError as error:
        return [problem(what, str(error), error.exit_code, ddl=database.ddl())]
    return [fine(what, "crossfade_fence and crossfade_epoch were made")]


@dataclass(frozen=True, slots=True)
class LedgerSeen:
    """What the ledger says of itself."""

    ledger_id: str
    incarnation: int
    sequence: int
    retired: bool = False


async def look_at_owner(database: FencedDatabase, ledger: LedgerSeen | None) -> list[Finding]:
    """Whether a database obeys this ledger, and knows nothing that it does not."""
    what = f"ledger of {database.name}"
    if isinstance(database, UnfencedDatabase):
        return []
    try:
        epoch = await database.epoch()
        token = await database.highest_token() if epoch is not None else 0
    except CrossfadeError:
        return []
    reason = _foreign(epoch, token, ledger)
    if reason is None:
        return [fine(what, "obeys this ledger" if epoch is not None else "obeys no ledger yet")]
    return [
        problem(
            what,
            f"{reason}. Bring the right ledger back, or let the stores obey this one: "
            "`crossfade ledger show`, then `crossfade ledger adopt`",
        )
    ]


def _foreign(epoch: StoreEpoch | None, token: int, ledger: LedgerSeen | None) -> str | None:
    """Why the database does not obey this ledger, or None where it does, or obeys nobody."""
    if epoch is None:
        return None
    if ledger is None:
        return f"it obeys the ledger {epoch.ledger_id}, and there is no ledger here"
    if epoch.ledger_id != ledger.ledger_id:
        return f"it obeys another ledger ({epoch.ledger_id}, this one is {ledger.ledger_id})"
    if epoch.incarnation > ledger.incarnation:
        return "it obeys a later incarnation of this ledger: an older copy was restored"
    if token > ledger.sequence:
        return (
            f"it has seen token {token} and this ledger has only given out {ledger.sequence}: "
            "an older copy was restored"
        )
    return None
