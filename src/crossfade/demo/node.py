"""The demo's crossfade node: `crossfade up` as a process, driven over its control API."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from crossfade.control.client import Client, NodeRefusedError
from crossfade.control.documents import Document
from crossfade.control.exit_codes import ExitCode
from crossfade.control.node_files import NodeFiles
from crossfade.control.requests import Asked, MoveAsked
from crossfade.demo.processes import Child, Children, DemoError, Down
from crossfade.demo.workplace import Workplace
from crossfade.errors import ConfigurationError, UnreachableError

Result = TypeVar("Result")

ACTOR = "demo"
START_SECONDS_MAX = 30.0
"""Longest wait for a node to answer after it was started."""
POLL_SECONDS = 0.05
REPEATS_MAX = 10
"""How often a command is repeated that a kill cut off, or that came at a bad moment."""
REPEAT_SECONDS = 0.2


class Node:
    """One gateway process after the other, on the same ledger and port."""

    def __init__(
        self, children: Children, workplace: Workplace, addresses: dict[str, str]
    ) -> None:
        self._children = children
        self._workplace = workplace
        self._addresses = addresses
        self._files = NodeFiles(workplace.config)
        self._client: Client | None = None
        self._up = asyncio.Event()
        self.child: Child | None = None
        self.kills: list[Down] = []

    async def doctor(self) -> None:
        """Let `crossfade doctor --apply` make the tables that guard the rows.

        Raises:
            DemoError: it found something wrong.

        """
        words = ("crossfade", "doctor", "--apply")
        child = await self._children.start("doctor", words, reads=False, extra=self._addresses)
        child.forget()
        if await child.ended() != ExitCode.OK:
            raise DemoError(f"`crossfade doctor --apply` failed: {child.last_words()}")

    async def start(self) -> None:
        """Start `crossfade up` and wait until it answers. Raises DemoError where it does not."""
        child = await self._children.start(
            "gateway", ("crossfade", "up"), reads=False, extra=self._addresses
        )
        self.child = child
        until = time.monotonic() + START_SECONDS_MAX
        while not await asyncio.to_thread(self._finds, child.pid):
            if child.has_ended or time.monotonic() > until:
                raise DemoError(f"`crossfade up` did not start. {child.last_words()}")
            await asyncio.sleep(POLL_SECONDS)
        self._up.set()

    async def kill(self) -> None:
        """Kill it as a crash would, and start the next one."""
        if self.child is None:
            raise DemoError("there is no gateway to kill.")
        self._up.clear()
        self.kills.append(await self.child.kill())
        await self.start()

    @property
    def control_url(self) -> str:
        """Where the running node's control API is."""
        running = self._files.running()
        return "" if running is None else running.control_url

    async def glance(self) -> Document:
        """The status as of now. Raises UnreachableError while there is no node."""
        return await asyncio.to_thread(self._now.look, "status")

    async def look(self, use_case: str, **asked: object) -> Document:
        """Ask for a document; asks again where a kill cut the answer off."""
        return await self._surely(lambda client: client.look(use_case, **asked))

    async def change(self, use_case: str, asked: Asked) -> Document:
        """Change something that may be repeated: a kill in between is no harm.

        Raises:
            NodeRefusedError: the node says no.

        """
        return await self._surely(lambda client: client.change(use_case, asked))

    async def move(self, wanted: str, reason: str, *, back: bool = False) -> Document:
        """Move to a stage; looked at again, and repeated, where a kill cut it off.

        Returns:
            The node's `move` document; only `wanted` where its answer was cut off and the move
            had been made.

        Raises:
            NodeRefusedError: the node says no.

        """
        use_case = "rollback" if back else "promote"
        asked = MoveAsked(actor=ACTOR, reason=reason, wanted=wanted)
        for _ in range(REPEATS_MAX):
            try:
                return await asyncio.to_thread(self._now.change, use_case, asked)
            except UnreachableError:
                await self._is_up()
                standing = await self.look("stage")
                if standing["stage"] == wanted:
                    return {"wanted": wanted}
        raise DemoError(f"the move to {wanted} was cut off {REPEATS_MAX} times.")

    async def _surely(self, ask: Callable[[Client], Result]) -> Result:
        for _ in range(REPEATS_MAX):
            try:
                return await asyncio.to_thread(ask, self._now)
            except UnreachableError:
                await asyncio.sleep(REPEAT_SECONDS)
                await self._is_up()
        raise DemoError(f"the node does not answer. {self._last_words()}")

    async def _is_up(self) -> None:
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                await self._up.wait()
        except TimeoutError as error:
            raise DemoError(f"the node does not come back. {self._last_words()}") from error

    @property
    def _now(self) -> Client:
        if self._client is None:
            raise DemoError("no node was started.")
        return self._client

    def _finds(self, pid: int) -> bool:
        """Whether the process has said where it is, and answers there."""
        running = self._files.running()
        if running is None or running.pid != pid:
            return False
        try:
            client = Client(running.control_url, self._files.read_token())
            client.look("stage")
        except (UnreachableError, ConfigurationError, NodeRefusedError):
            return False
        self._client = client
        return True

    def _last_words(self) -> str:
        return "" if self.child is None else self.child.last_words()
