"""PostgreSQL ledgers as the tests open them: several at once, each as a process of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from crossfade.ledger.postgres import PostgresLedger, open_postgres_ledger
from crossfade.ledger.postgres_options import PostgresLedgerOptions
from crossfade.ledger.postgres_place import place_of
from crossfade.ledger.transitions.moves import Decision, move_stage
from crossfade.model.stage import Stage
from crossfade.seams.clock import SystemClock
from crossfade.seams.randomness import SystemRandomness

ENTITY = "order"
DECISION = Decision("anna", "a test", 1.0)


def open_one(url: str, node: str = "node", **options: Any) -> PostgresLedger:  # noqa: ANN401 - limits
    """Open a ledger as one more process."""
    return open_postgres_ledger(
        place_of(url),
        clock=SystemClock(),
        randomness=SystemRandomness(),
        node=node,
        options=PostgresLedgerOptions(**options),
    )


@asynccontextmanager
async def opened(url: str, *nodes: str, **options: Any) -> AsyncIterator[list[PostgresLedger]]:  # noqa: ANN401 - limits
    """Ledgers of several processes, in stage shadow."""
    ledgers = [open_one(url, nodes[0], **options)]
    try:
        await ledgers[0].transact(
            lambda rows: move_stage(rows, wanted=Stage.SHADOW, decision=DECISION)
        )
        ledgers += [open_one(url, node, **options) for node in nodes[1:]]
        yield ledgers
    finally:
        for ledger in ledgers:
            await ledger.close()


def end_connections(url: str, purpose: str) -> int:
    """Let the server end every connection of a ledger that is there for a purpose."""
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = %s AND datname = current_database()",
            (f"crossfade ledger {purpose}",),
        ).fetchall()
    return len(rows)
