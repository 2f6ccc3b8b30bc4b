"""The demo's child processes: one group, ended together whatever happens to the demo."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossfade.demo import guard
from crossfade.errors import CrossfadeError

READY_SECONDS_MAX = 20.0
"""Longest wait for a child's first line; importing takes seconds on a busy machine."""
STOP_SECONDS_MAX = 15.0
"""Longest wait after SIGTERM before a child is killed: services finish what is under way."""
WATCH_SECONDS = 0.25
"""How often somebody looks whether a child has ended."""
LINE_BYTES_MAX = 1024 * 1024
LOG_LINES_SHOWN = 8

OWN_PREFIX = "CROSSFADE_"
"""Settings of the user's own migrations have no place in the demo."""


class DemoError(CrossfadeError):
    """The demo cannot go on: a process ended, or something took too long."""


@dataclass(frozen=True, slots=True)
class Down:
    """A time in which a killed process ended; seconds of CLOCK_MONOTONIC."""

    killed: float
    """Before the signal was sent."""
    gone: float
    """The process had certainly ended."""


class Child:
    """One process of the group; its stderr, and what of its stdout nobody reads, is in a log."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process
        self._is_expected_to_end = False

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it runs no longer."""
        return self._process.returncode is not None

    def forget(self) -> None:
        """It may end by itself, with any status."""
        self._is_expected_to_end = True

    async def read_line(self) -> dict[str, Any] | None:
        """The next line of its stdout as JSON; None after the last."""
        if self._process.stdout is None:
            return None
        line = await self._process.stdout.readline()
        if not line:
            return None
        try:
            document: dict[str, Any] = json.loads(line)
        except ValueError as error:
            raise DemoError(f"{self.name} printed no JSON: {line[:200]!r}.") from error
        return document

    async def first_line(self) -> dict[str, Any]:
        """What it says once it is ready. Raises DemoError where it ends, or never says it."""
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                line = await self.read_line()
        except TimeoutError:
            line = None
        if line is None:
            raise DemoError(f"{self.name} did not start. {self.last_words()}")
        return line

    def send(self, number: signal.Signals) -> None:
        """Send a signal; a process that has ended gets none."""
        if self._process.returncode is None:
            self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait until it has ended; its exit status, negative for a signal."""
        return await self._process.wait()

    def check(self) -> None:
        """Raise DemoError where it has ended and nobody asked for that."""
        status = self._process.returncode
        if status is not None and not self._is_expected_to_end:
            raise DemoError(f"{self.name} ended by itself ({status}). {self.last_words()}")

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL where that does not help; may be repeated."""
        self._is_expected_to_end = True
        self.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS_MAX):
                await self._process.wait()
        except TimeoutError:
            self.send(signal.SIGKILL)
            await self._process.wait()

    async def kill(self) -> Down:
        """SIGKILL, as a crash would; tells when."""
        self._is_expected_to_end = True
        killed = time.monotonic()
        self.send(signal.SIGKILL)
        await self._process.wait()
        return Down(killed, time.monotonic())

    def last_words(self) -> str:
        """The end of its log, on one line."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        return " / ".join(line.strip() for line in lines[-LOG_LINES_SHOWN:]) or "It said nothing."


class Children:
    """Every process of the demo, in one process group that a guard leads."""

    def __init__(self, folder: Path) -> None:
        """Begin without any.

        Args:
            folder: where they run and where their logs go.

        """
        self._folder = folder
        self._guard: asyncio.subprocess.Process | None = None
        self._children: list[Child] = []
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(OWN_PREFIX)
        }

    @property
    def group(self) -> int:
        """The process group: `kill -- -GROUP` ends everything."""
        return 0 if self._guard is None else self._guard.pid

    async def open(self) -> None:
        """Start the guard. From here on no child outlives the demo, even after kill -9."""
        self._guard = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", guard.__file__),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            process_group=0,
        )
        if self._guard.stdout is None or not await self._guard.stdout.readline():
            raise DemoError("the guard of the demo's processes did not start.")

    async def start(
        self, name: str, words: Sequence[str], *, reads: bool, extra: Mapping[str, str]
    ) -> Child:
        """Start ``python -m WORDS``.

        Args:
            name: what people call it; its log is NAME.log.
            words: module and arguments.
            reads: whether its stdout is read here; else it goes to the log.
            extra: variables of its environment.

        """
        log = self._folder / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as stream:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", *words),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if reads else stream,
                stderr=stream,
                cwd=self._folder,
                env={**self.environment, **extra},
                process_group=self.group,
                limit=LINE_BYTES_MAX,
            )
        child = Child(name, process, log)
        self._children.append(child)
        return child

    async def watch(self) -> None:
        """Wait until a child ends that should not. Raises DemoError when one does."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            for child in self._children:
                child.check()

    async def close(self) -> None:
        """End every child politely, then whatever is left of the group; may be repeated."""
        await asyncio.gather(*(child.stop() for child in self._children))
        await self._release_guard(b"")

    def kill_now(self) -> None:
        """End every child at once: nobody waits for them any more."""
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()

    async def let_go(self) -> None:
        """Leave the children running when the demo ends."""
        await self._release_guard(f"{guard.KEEP}\n".encode())

    async def _release_guard(self, word: bytes) -> None:
        if self._guard is None or self._guard.stdin is None:
            return
        if not self._guard.stdin.is_closing():
            self._guard.stdin.write(word)
            self._guard.stdin.close()
        await self._guard.wait()
