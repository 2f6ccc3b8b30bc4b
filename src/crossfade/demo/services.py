"""The demo's two services and its callers, as processes that this one starts and talks to."""

import asyncio
import json
import signal
import urllib.request
from typing import Any

from crossfade.demo.processes import Child, Children, DemoError
from crossfade.demo.workplace import Workplace

SWITCH_SECONDS_MAX = 10.0
CONFIRM_SECONDS_MAX = 45.0
"""Longest wait until the callers' last requests have ended; one may be tried for 30 s."""


class Services:
    """Legacy and new."""

    def __init__(self, children: Children, workplace: Workplace) -> None:
        self._children = children
        self._workplace = workplace
        self.legacy_url = ""
        self.new_url = ""
        self.both: tuple[Child, ...] = ()

    async def start(self) -> None:
        """Start both on free ports. Raises DemoError where one does not."""
        legacy, new = await asyncio.gather(
            self._start("legacy", str(self._workplace.legacy_database)),
            self._start("new", str(self._workplace.new_database)),
        )
        (legacy_child, self.legacy_url), (new_child, self.new_url) = legacy, new
        self.both = (legacy_child, new_child)

    async def switch_new(self, version: str) -> None:
        """Let new serve another version of its code, as a deployment would.

        Raises:
            DemoError: it did not.

        """
        body = json.dumps({"version": version}).encode()
        request = urllib.request.Request(  # noqa: S310 - our own service on loopback
            f"{self.new_url}/admin/version", data=body, method="POST"
        )

        def send() -> dict[str, Any]:
            with urllib.request.urlopen(request, timeout=SWITCH_SECONDS_MAX) as answer:  # noqa: S310
                document: dict[str, Any] = json.load(answer)
                return document

        answered = await asyncio.to_thread(send)
        if answered.get("version") != version:
            raise DemoError(f"new did not switch to its {version} version: {answered}.")

    async def _start(self, side: str, database: str) -> tuple[Child, str]:
        words = (f"crossfade.demo.{side}_service", "--database", database)
        child = await self._children.start(f"{side}-service", words, reads=True, extra={})
        ready = await child.first_line()
        return child, f"http://{ready['host']}:{ready['port']}"


class Callers:
    """The traffic process: what it counts, and how it is paused and stopped."""

    def __init__(self, children: Children) -> None:
        self._children = children
        self._said: dict[str, asyncio.Event] = {}
        self.child: Child | None = None
        self.tally: dict[str, Any] = {}
        """The counts that it printed last; see `traffic_tally`."""

    async def start(self, words: tuple[str, ...]) -> None:
        """Start the traffic with these arguments and wait for its first line."""
        words = ("crossfade.demo.traffic", *words)
        self.child = await self._children.start("traffic", words, reads=True, extra={})
        self.tally = await self.child.first_line()

    async def listen(self) -> None:
        """Keep the newest counts until the process has ended."""
        while self.child is not None and (line := await self.child.read_line()) is not None:
            self.tally = line
            self._event(line["event"]).set()

    async def pause(self) -> None:
        """Let nothing more be sent, and wait until the last request has ended."""
        await self._signal(signal.SIGUSR1, "paused")

    async def replace(self, words: tuple[str, ...]) -> None:
        """End these callers and start others whom nobody listens to; they may outlive us."""
        if self.child is not None:
            await self.child.stop()
        words = ("crossfade.demo.traffic", *words, "--progress-seconds", "0")
        self.child = await self._children.start("traffic", words, reads=False, extra={})

    async def _signal(self, number: signal.Signals, confirmed_by: str) -> None:
        if self.child is None:
            raise DemoError("no traffic was started.")
        event = self._event(confirmed_by)
        event.clear()
        self.child.send(number)
        try:
            async with asyncio.timeout(CONFIRM_SECONDS_MAX):
                await event.wait()
        except TimeoutError as error:
            raise DemoError(f"the traffic does not say {confirmed_by}.") from error

    def _event(self, name: str) -> asyncio.Event:
        return self._said.setdefault(name, asyncio.Event())
