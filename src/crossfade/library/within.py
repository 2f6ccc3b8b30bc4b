"""Writes in their caller's own transaction, where the ledger is in the authority's database."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from crossfade.errors import ConfigurationError, KeyArgumentError, WritesHeldError
from crossfade.ledger.from_url import is_shared
from crossfade.ledger.transitions.intents import WriteRequest, note_written
from crossfade.library.call import Call
from crossfade.library.call_answer import CallAnswer
from crossfade.model.key import Key
from crossfade.model.migration_state import MigrationState
from crossfade.model.plan import KeyStanding, WritePlan, plan_write
from crossfade.model.side import Side
from crossfade.model.store_description import SqlTable

if TYPE_CHECKING:
    from crossfade.assembly import Node
    from crossfade.ledger.postgres import PostgresLedger

SCHEMES = ("postgresql", "postgres")
CONNECT_SECONDS_MAX = 5
"""Longest wait, once a side, to find out whether its database is the ledger's."""


class Within:
    """What makes a write and the record of it one transaction: both happen, or neither.

    No intent stays open: the keys are dirty as soon as the caller commits, and whoever is the
    worker converges them. A lock that the caller's transaction shares keeps stage and authority as
    they are until it ends, so that a flip waits for it.
    """

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._homes: dict[tuple[str, Side], bool] = {}
        """Whether an entity's side has its store in the ledger's own database."""

    def write(self, call: Call) -> CallAnswer | None:
        """Carry out one write; None where the authority is elsewhere, so that it is written apart.

        Raises:
            ConfigurationError: the ledger is not in the connection's database, or no transaction
                is open.
            WritesHeldError, KeyHeldError: roll back, then try again in a new transaction.
            psycopg.Error: the caller's transaction has failed.

        """
        # Loaded only here: the driver is an extra.
        from crossfade.ledger.postgres_within import (  # noqa: PLC0415 - see above
            look_within,
            run_within,
            transact_within,
        )

        ledger, connection = self._ledger(call), connection_of(call)
        if not ledger.lives_in(connection):
            raise _elsewhere(call)
        state = look_within(ledger, connection)
        if not self._is_at_home(call, state.authority, ledger):
            return None
        plan = _planned(state, call)
        for keys in _before(plan, call):
            transact_within(ledger, connection, self._noting(call, keys))
        call.connection = connection
        if call.keys:
            answer = call.run(state.authority)
        else:
            run_within(ledger, connection, "begin_create")
            try:
                answer = call.run(state.authority)
            except BaseException:
                run_within(ledger, connection, "undo_create")
                raise
            if answer.error is not None:
                run_within(ledger, connection, "undo_create")
        for keys in _after(plan, call, answer):
            transact_within(ledger, connection, self._noting(call, keys))
        return answer

    async def write_async(self, call: Call) -> CallAnswer | None:
        """See `write`; with an asynchronous connection."""
        from crossfade.ledger.postgres_within import (  # noqa: PLC0415 - the driver is an extra
            lives_in_async,
            look_within_async,
            run_within_async,
            transact_within_async,
        )

        ledger, connection = self._ledger(call), connection_of(call)
        if not await lives_in_async(ledger, connection):
            raise _elsewhere(call)
        state = await look_within_async(ledger, connection)
        if not self._is_at_home(call, state.authority, ledger):
            return None
        plan = _planned(state, call)
        for keys in _before(plan, call):
            await transact_within_async(ledger, connection, self._noting(call, keys))
        call.connection = connection
        if call.keys:
            answer = await call.run_async(state.authority)
        else:
            await run_within_async(ledger, connection, "begin_create")
            try:
                answer = await call.run_async(state.authority)
            except BaseException:
                await run_within_async(ledger, connection, "undo_create")
                raise
            if answer.error is not None:
                await run_within_async(ledger, connection, "undo_create")
        for keys in _after(plan, call, answer):
            await transact_within_async(ledger, connection, self._noting(call, keys))
        return answer

    def _noting(self, call: Call, keys: tuple[Key, ...]) -> Any:  # noqa: ANN401 - a transition
        operation = call.called.operation
        request = WriteRequest(operation.entity, keys, operation.name, self._node.name)
        at = self._node.seams.clock.now().timestamp()
        return partial(note_written, request=request, at=at)

    def _ledger(self, call: Call) -> "PostgresLedger":
        if not is_shared(self._node.config.ledger):
            raise ConfigurationError(
                f"{call.called.name} writes in its caller's transaction, which needs a ledger in "
                "that database. Use a PostgreSQL ledger there, or remove transaction= and commit "
                "before the function returns."
            )
        ledger: Any = self._node.ledger
        found: PostgresLedger = ledger
        return found

    def _is_at_home(self, call: Call, authority: Side, ledger: "PostgresLedger") -> bool:
        """Whether the authority's rows are in the ledger's database; else the other's must be.

        The other side is asked only then: it need not answer for a write on this one.
        """
        entity = call.called.operation.entity
        if self._is_home(entity, authority, ledger):
            return True
        if not self._is_home(entity, authority.other, ledger):
            raise _elsewhere(call)
        return False

    def _is_home(self, entity: str, side: Side, ledger: "PostgresLedger") -> bool:
        known = self._homes.get((entity, side))
        if known is None:
            store = self._node.definition.entities[entity].store(side)
            known = False
            if isinstance(store, SqlTable):
                url = self._node.definition.database_url(store.url, os.environ)
                scheme, _, rest = url.partition("://")
                if scheme.partition("+")[0] in SCHEMES:
                    with _connected(f"postgresql://{rest}") as connection:
                        known = ledger.lives_in(connection)
            self._homes[entity, side] = known
        return known


def connection_of(call: Call) -> Any:  # noqa: ANN401 - of a driver that is an extra
    """The connection whose transaction the write belongs to; raises as the function would."""
    place = call.called.transaction
    if place is None:
        raise _elsewhere(call)
    try:
        return place.value(call.args, call.kwargs)
    except LookupError:
        call.called.signature.bind(*call.args, **call.kwargs)
        raise


def _planned(state: MigrationState, call: Call) -> WritePlan:
    reason = state.hold_for(call.called.operation.entity, call.keys)
    plan = plan_write(state.stage, KeyStanding.UNSURE, retired=state.retired)
    if reason is None and plan.authority is None:
        reason = f"the stage is {state.stage}"
    if reason is not None:
        raise WritesHeldError(f"{reason} (roll back first)", retry_after_seconds=1.0)
    return plan


def _before(plan: WritePlan, call: Call) -> Iterator[tuple[Key, ...]]:
    """The keys to note before the function runs."""
    if plan.tracked and call.keys:
        yield call.keys


def _after(plan: WritePlan, call: Call, answer: CallAnswer) -> Iterator[tuple[Key, ...]]:
    """The keys to note after it: those that only its result tells."""
    if not plan.tracked or call.keys or answer.error is not None:
        return
    created = answer.created_key()
    if created is None:
        raise KeyArgumentError(call.called.name, "created= finds none in the result: roll back")
    yield (created,)


def _elsewhere(call: Call) -> ConfigurationError:
    return ConfigurationError(
        f"{call.called.name}: the ledger is not in the database of its connection, so that the "
        "write and the record of it cannot be one transaction. Put the ledger there, or pass a "
        "connection to where it is."
    )


@contextmanager
def _connected(url: str) -> Iterator[Any]:
    import psycopg  # noqa: PLC0415 - an extra

    connection = psycopg.connect(url, connect_timeout=CONNECT_SECONDS_MAX)
    try:
        yield connection
    finally:
        connection.close()
