"""Ledger transitions inside a user's own transaction, where the ledger is in its database.

The intent of a write, or the mark that its key is dirty, is committed with the write itself, or
not at all. No group commit is waited for: the transaction locks the rows of its keys alone, and
shares a lock that keeps the migration's row as it is until it ends.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Any, NoReturn, TypeVar

import psycopg
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import tuple_row

from crossfade.errors import ConfigurationError, LedgerError
from crossfade.ledger.postgres import PostgresLedger
from crossfade.ledger.postgres_session import Row, load_queries
from crossfade.ledger.row_text import (
    entity_of_row,
    intent_row,
    key_of_row,
    key_row,
    key_text,
    migration_of_row,
)
from crossfade.ledger.rows import LedgerIdentity, Rows
from crossfade.model.entity_state import EntityState
from crossfade.model.intent import Intent
from crossfade.model.key import Key
from crossfade.model.key_state import KeyState
from crossfade.model.migration_state import MigrationState

Result = TypeVar("Result")

Asking = Generator[tuple[str, Sequence[Any]], list[Row], Result]
"""Yields named statements with their values, is sent their rows, returns its result."""

_COMMITTED_READS = "read committed"


def look_within(ledger: PostgresLedger, connection: "psycopg.Connection[Any]") -> MigrationState:
    """The migration's row, which stays as it is until the user's transaction ends.

    Raises:
        ConfigurationError: no transaction is open on the connection.
        psycopg.Error: the user's transaction has failed.

    """
    return _drive(ledger, connection, _lock_route(ledger))


def transact_within(
    ledger: PostgresLedger,
    connection: "psycopg.Connection[Any]",
    transition: Callable[[Rows], Result],
) -> Result:
    """Run a transition inside the transaction that is open on a user's connection.

    Its writes are committed with that transaction, or never take place. What it raises leaves the
    transaction as usable as it was.

    Args:
        ledger: the ledger, which lives in the connection's database (`PostgresLedger.lives_in`).
        connection: the user's; it is neither committed nor rolled back here.
        transition: may read the migration, entities and keys, and write keys and new intents.

    Raises:
        ConfigurationError: no transaction is open on the connection.
        LedgerError: the transition does what only a transaction of the ledger's own may.
        psycopg.Error: the user's transaction has failed.

    """
    return _drive(ledger, connection, _transact(ledger, transition))


def run_within(ledger: PostgresLedger, connection: "psycopg.Connection[Any]", query: str) -> None:
    """Run a statement that changes no row, unless the user's transaction has failed or ended."""
    if connection.info.transaction_status == TransactionStatus.INTRANS:
        _drive(ledger, connection, _only(query))


async def run_within_async(
    ledger: PostgresLedger, connection: "psycopg.AsyncConnection[Any]", query: str
) -> None:
    """See `run_within`."""
    if connection.info.transaction_status == TransactionStatus.INTRANS:
        await _drive_async(ledger, connection, _only(query))


async def look_within_async(
    ledger: PostgresLedger, connection: "psycopg.AsyncConnection[Any]"
) -> MigrationState:
    """See `look_within`."""
    return await _drive_async(ledger, connection, _lock_route(ledger))


async def transact_within_async(
    ledger: PostgresLedger,
    connection: "psycopg.AsyncConnection[Any]",
    transition: Callable[[Rows], Result],
) -> Result:
    """See `transact_within`."""
    return await _drive_async(ledger, connection, _transact(ledger, transition))


async def lives_in_async(
    ledger: PostgresLedger, connection: "psycopg.AsyncConnection[Any]"
) -> bool:
    """Whether a user's connection is to the ledger's database (`PostgresLedger.lives_in`)."""
    queries = load_queries(ledger.schema)
    async with psycopg.AsyncCursor(connection, row_factory=tuple_row) as cursor:
        await cursor.execute(queries["place"])
        return await cursor.fetchone() == ledger.server


class _MissedError(Exception):
    """A row is needed that was not read yet."""


class WithinRows:
    """What a transition may read and write inside a user's transaction (part of `Rows`)."""

    def __init__(self, identity: LedgerIdentity, migration: MigrationState) -> None:
        self._identity = identity
        self._migration = migration
        self.entities: dict[str, EntityState] = {}
        self.claimed: dict[tuple[str, Key], KeyState] = {}
        """Keys whose rows are locked, as they were."""
        self.numbers: list[int] = []
        self.keys: dict[tuple[str, Key], KeyState] = {}
        self.intents: dict[int, Intent | None] = {}
        self.taken = 0
        self.missed_entity: str | None = None
        self.missed_key: tuple[str, Key] | None = None

    def begin(self) -> None:
        """The transition runs anew."""
        self.keys, self.intents, self.taken = {}, {}, 0
        self.missed_entity = self.missed_key = None

    def identity(self) -> LedgerIdentity:
        """See `RowsView.identity`."""
        return self._identity

    def migration(self) -> MigrationState:
        """See `RowsView.migration`."""
        return self._migration

    def entity(self, name: str) -> EntityState:
        """See `RowsView.entity`."""
        state = self.entities.get(name)
        if state is None:
            self.missed_entity = name
            raise _MissedError
        return state

    def key(self, entity: str, key: Key) -> KeyState:
        """See `RowsView.key`; its row is locked until the user's transaction ends."""
        state = self.keys.get((entity, key)) or self.claimed.get((entity, key))
        if state is None:
            self.entity(entity)
            self.missed_key = (entity, key)
            raise _MissedError
        return state

    def intent(self, intent_id: int) -> Intent | None:
        """See `RowsView.intent`; only those of this transition."""
        return self.intents.get(intent_id)

    def next_sequence(self) -> int:
        """See `Rows.next_sequence`; taken when the keys are locked, until then made up."""
        self.taken += 1
        if self.taken <= len(self.numbers):
            return self.numbers[self.taken - 1]
        return -self.taken

    def set_key(self, state: KeyState) -> None:
        """See `Rows.set_key`."""
        self.key(state.entity, state.key)
        self.keys[state.entity, state.key] = state

    def set_intent(self, intent: Intent) -> None:
        """See `Rows.set_intent`."""
        self.intents[intent.id] = intent

    def delete_intent(self, intent_id: int) -> None:
        """See `Rows.delete_intent`."""
        self.intents[intent_id] = None

    def __getattr__(self, name: str) -> NoReturn:
        """Anything else needs the whole ledger."""
        raise LedgerError(
            f"{name} is not possible inside a user's transaction. A create whose id is not known "
            "yet is noted when it is; everything else is a transaction of the ledger's own."
        )


def _only(query: str) -> Asking[None]:
    yield (query, ())


def _lock_route(ledger: PostgresLedger) -> Asking[MigrationState]:
    ((_, isolation),) = yield ("lock_shared", (ledger.route_lock,))
    # A transaction with one snapshot would read the row as it was when it began: locking the row
    # fails there if it has changed since.
    query = "get_migration" if isolation == _COMMITTED_READS else "share_migration"
    (row,) = yield (query, ())
    return migration_of_row(row)


def _transact(ledger: PostgresLedger, transition: Callable[[Rows], Result]) -> Asking[Result]:
    migration = yield from _lock_route(ledger)
    rows = WithinRows(ledger.identity, migration)
    while True:
        rows.begin()
        try:
            result = transition(rows)  # type: ignore[arg-type] # the part of `Rows` that users' transactions may use
        except _MissedError:
            yield from _fetch(rows)
            continue
        if rows.taken <= len(rows.numbers):
            break
        taken = yield ("take_numbers", (rows.taken,))
        rows.numbers = [number for (number,) in taken]
    yield from _write(rows)
    return result


def _fetch(rows: WithinRows) -> Asking[None]:
    """Read what was missed; a key's row is locked, and made where there is none."""
    if rows.missed_entity is not None:
        name = rows.missed_entity
        found = yield ("get_entity", (name,))
        rows.entities[name] = entity_of_row(found[0]) if found else EntityState(name)
    if rows.missed_key is not None:
        entity, key = rows.missed_key
        floor = rows.entities[entity].floor
        (row,) = yield ("claim_keys", ([entity], [key_text(key)], [floor]))
        rows.claimed[entity, key] = key_of_row(row)
        # Numbers count from when all rows are locked: only then are they above what these hold.
        rows.numbers = []


def _write(rows: WithinRows) -> Asking[None]:
    keys = [(*key_row(state), rows.claimed[name].seq) for name, state in rows.keys.items()]
    if keys:
        yield ("update_keys", _columns(keys))
    intents = [intent_row(intent) for intent in rows.intents.values() if intent is not None]
    if intents:
        yield ("put_intents", _columns(intents))


def _columns(rows: Sequence[Row]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _drive(
    ledger: PostgresLedger, connection: "psycopg.Connection[Any]", asking: Asking[Result]
) -> Result:
    _check_open(connection)
    queries = load_queries(ledger.schema)
    found: list[Row] | None = None
    with psycopg.Cursor(connection, row_factory=tuple_row) as cursor:
        while True:
            try:
                query, values = next(asking) if found is None else asking.send(found)
            except StopIteration as done:
                result: Result = done.value
                return result
            cursor.execute(queries[query], values or None)
            found = cursor.fetchall() if cursor.description else []


async def _drive_async(
    ledger: PostgresLedger, connection: "psycopg.AsyncConnection[Any]", asking: Asking[Result]
) -> Result:
    _check_open(connection)
    queries = load_queries(ledger.schema)
    found: list[Row] | None = None
    async with psycopg.AsyncCursor(connection, row_factory=tuple_row) as cursor:
        while True:
            try:
                query, values = next(asking) if found is None else asking.send(found)
            except StopIteration as done:
                result: Result = done.value
                return result
            await cursor.execute(queries[query], values or None)
            found = await cursor.fetchall() if cursor.description else []


def _check_open(connection: "psycopg.Connection[Any] | psycopg.AsyncConnection[Any]") -> None:
    if connection.info.pipeline_status != PipelineStatus.OFF:
        raise ConfigurationError(
            "the connection is in pipeline mode, in which nobody can tell what is one "
            "transaction. Call the function outside of `connection.pipeline()`."
        )
    idle = connection.info.transaction_status == TransactionStatus.IDLE
    if idle and connection.autocommit:
        raise ConfigurationError(
            "the connection commits each statement by itself: the write and its intent would be "
            "two transactions. Open one around the call: `with connection.transaction(): ...`."
        )
