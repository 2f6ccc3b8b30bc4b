"""The demo's callers as a process: readers and writers who never stop and write down everything.

``python -m crossfade.demo.traffic --gateway URL --history FILE``. SIGUSR1 pauses, SIGUSR2 goes
on, SIGTERM stops; each is confirmed by a JSON line on stdout once no request is under way.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from crossfade.demo.history import (
    WITHOUT_EFFECT,
    Ending,
    HistoryWriter,
    Kind,
    Outcome,
    Request,
)
from crossfade.demo.traffic_answers import read_answer
from crossfade.demo.traffic_tally import WRITES, Tally
from crossfade.demo.workload import SharedKeys, Workload

REQUEST_SECONDS_MAX = 30.0
"""A request that takes longer has failed."""

PATIENCE_SECONDS_MAX = 30.0
"""So long a caller tries again after a refusal, or while nobody listens; then it has failed."""

WAIT_SECONDS_MIN, WAIT_SECONDS_MAX = 0.02, 0.5
"""First and longest wait before the next try; it doubles."""

CATCH_UP_SECONDS_MAX = 0.5
"""A client that fell further behind its rate forgets the rest instead of hurrying."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficShape:
    """Who asks how often, for what."""

    gateway: str
    """``http://127.0.0.1:PORT``."""
    history: Path
    seed: int = 1
    readers: int = 8
    writers: int = 8
    reads_per_second: float = 120.0
    """Of all readers together, as an upper bound."""
    writes_per_second: float = 60.0
    """Of all writers together, as an upper bound."""
    customers: int = 20_000
    """Customers at the start, ids from 1."""
    orders: int = 20_000
    hot_keys: int = 20
    progress_seconds: float = 0.5
    """Time between progress lines; 0 for none."""


class Gate:
    """Lets clients through, or keeps them between two requests, and knows who is under way."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._stopped = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()
        self._changed = asyncio.Event()

    def pause(self) -> None:
        """Keep whoever comes next."""
        self._open.clear()

    def resume(self) -> None:
        """Let everybody through again."""
        self._open.set()

    def stop(self) -> None:
        """Send everybody home."""
        self._stopped.set()
        self._open.set()

    @property
    def stopping(self) -> bool:
        """Whether it is time to go home."""
        return self._stopped.is_set()

    @property
    def is_paused(self) -> bool:
        """Whether clients are being kept."""
        return not self._open.is_set()

    async def enter(self) -> bool:
        """Wait until requests may be sent; False when it is time to go home."""
        await self._open.wait()
        if self.stopping:
            return False
        self.in_flight += 1
        return True

    def leave(self) -> None:
        """The request has ended."""
        self.in_flight -= 1
        self._changed.set()

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        while self.in_flight:
            self._changed.clear()
            await self._changed.wait()

    async def sleep(self, seconds: float) -> None:
        """Sleep, but wake at once when stopping."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)


@dataclass(frozen=True, slots=True)
class Line:
    """What every client shares: the connection, the book, the gate and the counts."""

    session: aiohttp.ClientSession
    gateway: str
    history: HistoryWriter
    gate: Gate
    tally: Tally
    keys: SharedKeys


class Client:
    """One caller: one request at a time, at a steady rate."""

    def __init__(self, name: str, next_request: Callable[[], Request], line: Line) -> None:
        self._name = name
        self._next_request = next_request
        self._line = line

    async def run(self, first_after_seconds: float, interval_seconds: float) -> None:
        """Ask and wait in turn until the gate says stop."""
        due = time.monotonic() + first_after_seconds
        while not self._line.gate.stopping:
            now = time.monotonic()
            if now < due:
                await self._line.gate.sleep(due - now)
            await self._carry_out(self._next_request())
            due = max(due + interval_seconds, time.monotonic() - CATCH_UP_SECONDS_MAX)

    async def _carry_out(self, request: Request) -> None:
        # Time at a closed gate is nobody's fault, so only attempts and waits are added up.
        waited, wait, attempts = 0.0, WAIT_SECONDS_MIN, 0
        while await self._line.gate.enter():
            attempts += 1
            began = time.monotonic()
            try:
                ending = await self._attempt(request, last=waited > PATIENCE_SECONDS_MAX)
            finally:
                self._line.gate.leave()
            if ending.outcome not in WITHOUT_EFFECT:
                waited += time.monotonic() - began
                self._learn(request, ending, waited, attempts)
                return
            await self._line.gate.sleep(wait)
            waited += time.monotonic() - began
            wait = min(wait * 2, WAIT_SECONDS_MAX)

    async def _attempt(self, request: Request, *, last: bool) -> Ending:
        number = self._line.history.attempt(self._name, request, time.monotonic())
        ending = await self._send(request)
        if last and ending.outcome in WITHOUT_EFFECT:
            ending = Ending(outcome=Outcome.FAILED, status=ending.status, stage=ending.stage)
        self._line.history.ended(number, ending, time.monotonic())
        self._line.tally.ended(request.kind, ending.outcome)
        return ending

    async def _send(self, request: Request) -> Ending:
        try:
            async with self._line.session.request(
                request.method, self._line.gateway + request.path, json=request.body
            ) as response:
                content = await response.read()
                return read_answer(request, response.status, response.headers, content)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return Ending(outcome=Outcome.UNSENT)
        except TimeoutError:
            return Ending(outcome=Outcome.FAILED)
        except (aiohttp.ClientError, ConnectionError):
            return Ending(outcome=Outcome.CUT)

    def _learn(self, request: Request, ending: Ending, waited: float, attempts: int) -> None:
        if ending.outcome is not Outcome.ACKNOWLEDGED:
            return
        if request.kind is Kind.CREATE and ending.key is not None:
            self._line.keys.created[request.entity].append(ending.key)
        if request.kind in WRITES:
            self._line.tally.write_acknowledged(waited, time.monotonic(), attempts)


def say(event: str, tally: Tally, gate: Gate) -> None:
    """Tell whoever started us how far we are: one JSON line on stdout."""
    line = {"event": event, "in_flight": gate.in_flight, **tally.as_json()}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def report_progress(line: Line, seconds: float) -> None:
    """Print the counts again and again."""
    while True:
        await asyncio.sleep(seconds)
        say("progress", line.tally, line.gate)


async def confirm(event: str, line: Line) -> None:
    """Say that a pause has begun, once the last request has ended; or that it is over."""
    if event == "paused":
        await line.gate.settled()
    if line.gate.is_paused == (event == "paused"):
        say(event, line.tally, line.gate)


def listen_to_signals(line: Line, tasks: asyncio.TaskGroup) -> None:
    """SIGUSR1 pauses, SIGUSR2 resumes, SIGTERM and SIGINT stop."""
    loop = asyncio.get_running_loop()

    def pause() -> None:
        line.gate.pause()
        line.tally.paused()
        tasks.create_task(confirm("paused", line))

    def resume() -> None:
        line.gate.resume()
        tasks.create_task(confirm("resumed", line))

    loop.add_signal_handler(signal.SIGUSR1, pause)
    loop.add_signal_handler(signal.SIGUSR2, resume)
    loop.add_signal_handler(signal.SIGTERM, line.gate.stop)
    loop.add_signal_handler(signal.SIGINT, line.gate.stop)


def make_clients(options: TrafficShape, line: Line) -> list[tuple[Client, float]]:
    """Every client with its interval in seconds."""
    clients: list[tuple[Client, float]] = []
    for number in range(options.readers):
        workload = Workload(f"r{number}", options.seed, line.keys)
        interval = options.readers / options.reads_per_second
        clients.append((Client(f"r{number}", workload.next_read, line), interval))
    for number in range(options.writers):
        workload = Workload(f"w{number}", options.seed, line.keys)
        interval = options.writers / options.writes_per_second
        clients.append((Client(f"w{number}", workload.next_write, line), interval))
    return clients


async def run(options: TrafficShape) -> None:
    """Send until told to stop; what is under way then is waited for.

    A crash of this process leaves attempts without outcome, which count as "may have been done".
    """
    # A connection a request: none is ever found dead, and aiohttp never repeats a PUT by itself.
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS_MAX)
    keys = SharedKeys({"customer": options.customers, "order": options.orders}, options.hot_keys)
    history, gate, tally = HistoryWriter(options.history), Gate(), Tally()
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        # aiohttp repeats a PUT or DELETE by itself when a connection breaks; the second one may
        # then be refused, and the history would say that nothing was sent.
        session._retry_connection = False  # noqa: SLF001 - there is no public switch
        line = Line(session, options.gateway.rstrip("/"), history, gate, tally, keys)
        clients = make_clients(options, line)
        async with asyncio.TaskGroup() as beside:
            listen_to_signals(line, beside)
            progress = None
            if options.progress_seconds > 0:
                progress = beside.create_task(report_progress(line, options.progress_seconds))
            say("started", tally, gate)
            async with asyncio.TaskGroup() as tasks:
                for number, (client, interval) in enumerate(clients):
                    tasks.create_task(client.run(interval * number / len(clients), interval))
            if progress is not None:
                progress.cancel()
    history.close()
    say("finished", tally, gate)


def read_options() -> TrafficShape:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Traffic for the demo shop.")
    parser.add_argument("--gateway", required=True, help="http://127.0.0.1:PORT")
    parser.add_argument("--history", type=Path, required=True, help="file to append to")
    defaults = TrafficShape(gateway="", history=Path())
    for name in ("seed", "readers", "writers", "customers", "orders", "hot_keys"):
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, type=int, default=getattr(defaults, name))
    for name in ("reads_per_second", "writes_per_second", "progress_seconds"):
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, type=float, default=getattr(defaults, name))
    return TrafficShape(**vars(parser.parse_args()))


if __name__ == "__main__":
    asyncio.run(run(read_options()))
