"""How many durable intents the SQLite ledger opens and closes, beside a bare group commit."""

import asyncio
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.ledger_dual_writes import dual_writes
from crossfade.ledger.query_file import load_queries
from crossfade.ledger.sqlite import SqliteLedger, open_ledger
from crossfade.ledger.sqlite_file import become_durable
from crossfade.ledger.transitions.intents import WriteRequest, close_intent, open_intent
from crossfade.ledger.transitions.moves import Decision, move_stage
from crossfade.model.stage import Stage
from crossfade.seams.clock import SystemClock
from crossfade.seams.randomness import SystemRandomness

CALLERS = 64
KEYS = 20_000
INTENTS_PER_SECOND_MIN = 5_000
RATIO_MIN = 0.3
DUAL_ROUNDS = 3

# What the ledger must change on the disk for an intent, and nothing else.
_TABLES = (
    "CREATE TABLE intents (id INTEGER PRIMARY KEY, entity TEXT, keys TEXT)",
    "CREATE TABLE keys (entity TEXT, key TEXT, seq INTEGER, PRIMARY KEY (entity, key))",
)
_PUT_INTENT = (
    "INSERT INTO intents VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET keys = excluded.keys"
)
_PUT_KEY = (
    "INSERT INTO keys VALUES (?, ?, ?) ON CONFLICT (entity, key) DO UPDATE SET seq = excluded.seq"
)
_DELETE_INTENT = "DELETE FROM intents WHERE id = ?"

DualWrites = Callable[[SqliteLedger, int], Awaitable[float]]
"""Writes that many records through convergence; returns the seconds it took."""


@dataclass(frozen=True, slots=True)
class BareChange:
    """The rows of one durable step: a key always, an intent that comes or goes."""

    key_row: tuple[str, str, int]
    intent_row: tuple[int, str, str] | None = None
    intent_gone: int | None = None


class BareGroupCommit:
    """The least that is durable: a list, a thread, executemany, COMMIT, a future a caller.

    It changes the same number of rows as the ledger does for an intent, opened and closed: three
    upserts and one delete; it reads nothing, decides nothing and keeps no list.
    """

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        become_durable(self._connection, load_queries())
        for table in _TABLES:
            self._connection.execute(table)
        self._queue: list[tuple[BareChange, asyncio.Future[None]]] = []
        self._wake = threading.Condition()
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    async def do(self, change: BareChange) -> None:
        """Make one change; returns when it is durable."""
        future: asyncio.Future[None] = self._loop.create_future()
        with self._wake:
            self._queue.append((change, future))
            self._wake.notify()
        await future

    def close(self) -> None:
        """End the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._queue and not self._closing:
                    self._wake.wait()
                batch, self._queue = self._queue, []
            if not batch:
                return
            self._write([change for change, _ in batch])
            self._loop.call_soon_threadsafe(_resolve, [future for _, future in batch])

    def _write(self, changes: Sequence[BareChange]) -> None:
        come = [change.intent_row for change in changes if change.intent_row is not None]
        gone = [(change.intent_gone,) for change in changes if change.intent_gone is not None]
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(_PUT_KEY, [change.key_row for change in changes])
        self._connection.executemany(_PUT_INTENT, come)
        self._connection.executemany(_DELETE_INTENT, gone)
        self._connection.execute("COMMIT")


def run(*, quick: bool, dual_writes: DualWrites | None = dual_writes) -> dict[str, Any]:
    """Measure the ledger and the bare loop in turns; medians of the rounds."""
    return asyncio.run(_run(quick=quick, dual_writes=dual_writes))


async def _run(*, quick: bool, dual_writes: DualWrites | None) -> dict[str, Any]:
    rounds, intents = (3, 50) if quick else (7, 200)
    ours: list[float] = []
    bare: list[float] = []
    dual: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        ledger = await _ledger_in_shadow(Path(folder) / "ledger.db")
        group_commit = BareGroupCommit(Path(folder) / "bare.db")
        for number in range(rounds + 1):
            measured = await _intents_per_second(ledger, intents, number)
            compared = await _pairs_per_second(group_commit, intents, number)
            if number > 0:  # The first round warms up.
                ours.append(measured)
                bare.append(compared)
        if dual_writes is not None:
            writes = CALLERS * intents
            dual = [writes / await dual_writes(ledger, writes) for _ in range(DUAL_ROUNDS)]
        group_commit.close()
        await ledger.close()
    return _document(ours, bare, dual)


def _document(ours: list[float], bare: list[float], dual: list[float]) -> dict[str, Any]:
    speed = statistics.median(ours)
    # Each round's pair ran within the same second, so that noise of the machine cancels out.
    ratio = statistics.median(mine / other for mine, other in zip(ours, bare, strict=True))
    figures = {
        "intents_per_second": round(speed),
        "bare_pairs_per_second": round(statistics.median(bare)),
        "ratio_to_bare": round(ratio, 3),
        "callers": CALLERS,
    }
    if dual:
        figures["dual_writes_per_second"] = round(statistics.median(dual))
    return {
        "figures": figures,
        "bars": {
            "intents_per_second": {
                "limit": INTENTS_PER_SECOND_MIN,
                "ok": speed >= INTENTS_PER_SECOND_MIN,
            },
            "ratio_to_bare": {"limit": RATIO_MIN, "ok": ratio >= RATIO_MIN},
        },
    }


async def _ledger_in_shadow(path: Path) -> SqliteLedger:
    ledger = open_ledger(path, clock=SystemClock(), randomness=SystemRandomness())
    decision = Decision(actor="bench", reason="measure", at=0.0)
    await ledger.transact(lambda rows: move_stage(rows, Stage.SHADOW, decision))
    return ledger


async def _intents_per_second(ledger: SqliteLedger, intents: int, seed: int) -> float:
    async def caller(number: int) -> None:
        for step in range(intents):
            request = WriteRequest("order", (_key(number, step, seed),), "PUT /orders", "bench")
            opened = await ledger.transact(partial(open_intent, request=request, at=1.0))
            intent_id = opened.intent.id
            await ledger.transact(partial(close_intent, intent_id=intent_id, at=2.0))

    return await _timed(caller, intents)


async def _pairs_per_second(group_commit: BareGroupCommit, intents: int, seed: int) -> float:
    async def caller(number: int) -> None:
        for step in range(intents):
            row_id = number * 1_000_000 + step
            key = f"[{_key(number, step, seed)[0]}]"
            intent_row = (row_id, "order", f"[{key}]")
            await group_commit.do(BareChange(("order", key, step), intent_row=intent_row))
            await group_commit.do(BareChange(("order", key, step), intent_gone=row_id))

    return await _timed(caller, intents)


def _key(caller: int, step: int, seed: int) -> tuple[int]:
    """The same keys for both, spread over all keys."""
    return ((caller * 7919 + step * 104_729 + seed) % KEYS,)


async def _timed(caller: Callable[[int], Awaitable[None]], intents: int) -> float:
    start = time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(CALLERS)))
    return CALLERS * intents / (time.perf_counter() - start)


def _resolve(futures: Sequence["asyncio.Future[None]"]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
