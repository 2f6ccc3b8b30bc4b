"""Processes that copy pages beside the node: they know stores and mappings, and no ledger.

Each is a Python of its own that loads the definition from its file. It may be killed, hang or
raise at any moment: the page's chunk stays open then, and is run again under a higher token.
"""

import asyncio
import pickle
import struct
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from crossfade.backfill.lost import ProcessLostError
from crossfade.backfill.options import BackfillOptions
from crossfade.backfill.page_copy import CopiedPage, PageAsked
from crossfade.convergence.sides import Sides
from crossfade.errors import CrossfadeError, StoreError
from crossfade.seams.tasks import Tasks

PAGES_AT_ONCE = 2
"""Pages that a process copies at the same time: it reads one while it puts another."""
MESSAGE_BYTES_MAX = 256_000_000
"""Keys and reasons of a page; its rows never travel."""
END_SECONDS_MAX = 5.0
"""How long a process may take to end by itself once nobody asks it for anything."""

_LENGTH = struct.Struct("!I")


class OpenedSides(Protocol):
    """The stores of a definition in a process of their own."""

    @property
    def sides(self) -> Sides:
        """Every entity's stores."""

    async def close(self) -> None:
        """Give back connections."""


OpenSides = Callable[[], Awaitable[OpenedSides]]
"""Opens the stores; travels to the process by name, with plain arguments."""


@dataclass(frozen=True, slots=True)
class Begin:
    """The first message to a process."""

    open_sides: OpenSides
    options: BackfillOptions


@dataclass(frozen=True, slots=True)
class Ask:
    """A page that the process is to copy."""

    number: int
    asked: PageAsked


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a page; number 0 tells whether the stores could be opened."""

    number: int
    copied: CopiedPage | None = None
    error: CrossfadeError | None = None


class BackfillProcesses:
    """A bounded number of processes, begun when they are first needed."""

    def __init__(self, open_sides: OpenSides, options: BackfillOptions, tasks: Tasks) -> None:
        self._begin = Begin(open_sides, options)
        self._options = options
        self._tasks = tasks
        self._processes: list[_Process] = []
        self._room = asyncio.Semaphore(options.processes * PAGES_AT_ONCE)
        self._closed = False

    async def copy(self, asked: PageAsked) -> CopiedPage:
        """See `PageProcesses.copy`."""
        async with self._room:
            process = self._least_busy()
            try:
                async with asyncio.timeout(self._options.page_seconds_max):
                    return await process.copy(asked)
            except TimeoutError:
                process.kill()
                raise ProcessLostError(
                    f"a process that copied {asked.entity} took longer than "
                    f"{self._options.page_seconds_max:g} s and was ended. The page is run again."
                ) from None
            except asyncio.CancelledError:
                # It would go on with a page that nobody waits for.
                process.kill()
                raise

    async def close(self) -> None:
        """End every process; one that does not end by itself is killed."""
        self._closed = True
        processes, self._processes = self._processes, []
        for process in processes:
            await process.close()

    def _least_busy(self) -> "_Process":
        if self._closed:
            raise ProcessLostError("the processes of the backfill were ended.")
        self._processes = [one for one in self._processes if not one.has_ended]
        alive = [one for one in self._processes if not one.gone]
        if len(alive) < self._options.processes and all(one.pages for one in alive):
            alive.append(_Process(self._begin, self._tasks))
            self._processes.append(alive[-1])
        return min(alive, key=lambda one: one.pages)


@dataclass(slots=True)
class _Process:
    """One process and what was asked of it."""

    begin: Begin
    tasks: Tasks
    gone: bool = False
    """Whether it takes no more pages."""
    has_ended: bool = False
    pages: int = 0
    _child: asyncio.subprocess.Process | None = None
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _waiting: "dict[int, asyncio.Future[CopiedPage]]" = field(default_factory=dict)
    _last: int = 0

    async def copy(self, asked: PageAsked) -> CopiedPage:
        """Send a page and wait for its end."""
        self.pages += 1
        self._last += 1
        number = self._last
        try:
            answer: asyncio.Future[CopiedPage] = asyncio.get_running_loop().create_future()
            self._waiting[number] = answer
            child = await self._started()
            await self._send(child, Ask(number, asked))
            return await answer
        finally:
            self._waiting.pop(number, None)
            self.pages -= 1

    def kill(self) -> None:
        """End it at once; whoever waits for one of its pages is told that it is lost."""
        self.gone = True
        self.has_ended = self.has_ended or self._child is None
        if self._child is not None:
            with suppress(ProcessLookupError):
                self._child.kill()

    async def close(self) -> None:
        """Let it end by itself; kill it where it does not."""
        self.gone = True
        child = self._child
        if child is None:
            return
        assert child.stdin is not None  # noqa: S101 - was asked for
        child.stdin.close()
        await self._ended(child)

    async def _started(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._child is None:
                self._child = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "crossfade.backfill.child"),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    # The terminal's Ctrl-C is the node's, which then ends its processes.
                    start_new_session=True,
                )
                self.tasks.spawn(self._listen(self._child), name="backfill process")
                await self._send(self._child, self.begin)
            return self._child

    async def _send(self, child: asyncio.subprocess.Process, message: object) -> None:
        assert child.stdin is not None  # noqa: S101 - was asked for
        try:
            child.stdin.write(framed(message))
            await child.stdin.drain()
        except (ConnectionError, RuntimeError) as error:
            self.gone = True
            raise _lost() from error

    async def _listen(self, child: asyncio.subprocess.Process) -> None:
        assert child.stdout is not None  # noqa: S101 - was asked for
        try:
            while True:
                head = await child.stdout.readexactly(_LENGTH.size)
                body = await child.stdout.readexactly(_LENGTH.unpack(head)[0])
                self._take(unframed(body))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.gone = True
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(_lost())
        # It has closed its end: it is about to be gone.
        await self._ended(child)

    async def _ended(self, child: asyncio.subprocess.Process) -> None:
        """Wait until it has ended by itself; kill it where it does not."""
        try:
            async with asyncio.timeout(END_SECONDS_MAX):
                await child.wait()
        except TimeoutError:
            self.kill()
            await child.wait()
        self.has_ended = True

    def _take(self, answer: Answer) -> None:
        waiting = self._waiting.get(answer.number)
        if answer.number == 0:
            self._fail_all(answer.error or _lost())
        elif waiting is not None and not waiting.done():
            if answer.copied is not None:
                waiting.set_result(answer.copied)
            else:
                waiting.set_exception(answer.error or _lost())

    def _fail_all(self, error: CrossfadeError) -> None:
        """The stores could not be opened: certainly no page was begun."""
        self.gone = True
        reason = StoreError(f"a process of the backfill cannot begin: {error}")
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(reason)


def framed(message: object) -> bytes:
    """A message as it travels."""
    body = pickle.dumps(message)
    return _LENGTH.pack(len(body)) + body


def unframed(body: bytes) -> Answer:
    """An answer of a process of our own."""
    answer = pickle.loads(body)  # noqa: S301 - our own process, over a pipe that only it has
    assert isinstance(answer, Answer)  # noqa: S101 - nothing else is sent
    return answer


def _lost() -> ProcessLostError:
    return ProcessLostError(
        "a process that copied a page ended in its midst. The page is copied again."
    )
