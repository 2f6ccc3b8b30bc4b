"""Everybody who takes part in the demo, and what all its acts do: wait, move, stay, be killed."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from crossfade.control.client import NodeRefusedError
from crossfade.control.documents import Document
from crossfade.control.exit_codes import ExitCode
from crossfade.demo.chaos import ChaosPlan, Moment
from crossfade.demo.node import Node
from crossfade.demo.pace import Pace
from crossfade.demo.processes import DemoError
from crossfade.demo.report import Record, StageVisit, Step
from crossfade.demo.services import Callers, Services
from crossfade.demo.story import Story

LOOK_SECONDS = 0.1
"""Pause between two looks at something that is waited for."""
READY_SECONDS_MAX = 45.0
"""Longest wait for the gates of a move. After a crash, writes in doubt take `answers_within`."""
MOVES_TRIED_MAX = 20
"""A change of authority that would take too long under load is undone, and tried again."""

ENTITIES = ("customer", "order")


@dataclass(slots=True, kw_only=True)
class Cast:
    """The processes, the pace, the chaos, and what they leave behind."""

    node: Node
    services: Services
    callers: Callers
    pace: Pace
    chaos: ChaosPlan
    story: Story
    record: Record

    @asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[None]:
        """Measure one thing that is done."""
        began = time.monotonic()
        yield
        self.record.steps.append(Step(name, round(time.monotonic() - began, 2)))

    def enter_stage(self, stage: str, pause_ms: float | None = None) -> None:
        """A stage has begun; the one before it has ended."""
        self.leave_stage()
        self.record.stages.append(StageVisit(stage, -time.monotonic(), pause_ms))
        self.story.board.stage = stage

    def leave_stage(self) -> None:
        """The present stage has ended; may be repeated."""
        if self.record.stages and self.record.stages[-1].seconds < 0:
            # While it lasts, a visit holds the negative of when it began.
            self.record.stages[-1].seconds += time.monotonic()

    async def look_around(self, seconds: float | None = None) -> None:
        """Stay for a while, so that traffic meets what has changed."""
        await asyncio.sleep(self.pace.look_around_seconds if seconds is None else seconds)

    async def wait_for(
        self,
        what: str,
        seconds_max: float,
        look: Callable[[], Awaitable[Document | None]],
    ) -> Document:
        """Look again and again until something is found.

        Args:
            what: what is waited for, for the error.
            seconds_max: how long.
            look: the document that was waited for, or None while it is not there.

        Raises:
            DemoError: it did not come.

        """
        until = time.monotonic() + seconds_max
        while time.monotonic() < until:
            found = await look()
            if found is not None:
                return found
            await asyncio.sleep(LOOK_SECONDS)
        raise DemoError(f"waited {seconds_max:.0f} s in vain for {what}.")

    async def ready_for(self, wanted: str) -> None:
        """Wait until no gate is against a move forward. Raises DemoError with the reasons."""
        plan: Document = {}

        async def look() -> Document | None:
            nonlocal plan
            plan = await self.node.look("plan", wanted=wanted)
            return plan if plan["allowed"] else None

        try:
            await self.wait_for(f"the gates of {wanted}", READY_SECONDS_MAX, look)
        except DemoError as error:
            raise DemoError(f"{error} In the way: {'; '.join(blocking(plan))}.") from error

    async def move(
        self, wanted: str, reason: str, *, back: bool = False, moment: Moment | None = None
    ) -> None:
        """Move to a stage, forward once the gates allow it; tries again what was undone.

        Args:
            wanted: the stage.
            reason: for the history.
            back: whether it is a roll-back, which no gate is asked about.
            moment: with chaos, the gateway is killed while it works on the first attempt.

        Raises:
            DemoError: it is refused again and again.

        """
        self.story.typed(f'stage {"rollback" if back else "promote"} {wanted} --reason "{reason}"')
        for attempt in range(MOVES_TRIED_MAX):
            if not back:
                await self.ready_for(wanted)
            try:
                async with self.trouble(None if attempt else moment):
                    moved = await self.node.move(wanted, reason, back=back)
            except NodeRefusedError as error:
                if error.exit_code != ExitCode.REFUSED or attempt == MOVES_TRIED_MAX - 1:
                    raise DemoError(f"the move to {wanted} is refused: {error}") from error
                self.story.tell(f"not yet, and nothing changed: {error}")
                await asyncio.sleep(LOOK_SECONDS)
                continue
            self._told(wanted, moved)
            return

    def _told(self, wanted: str, moved: Document) -> None:
        pause = moved.get("pause_ms") or None
        self.enter_stage(wanted, pause)
        if pause is not None:
            self.story.tell(f"the stage is {wanted}; writers waited {pause:.0f} ms")
        else:
            self.story.tell(f"the stage is {wanted}")

    @asynccontextmanager
    async def trouble(self, moment: Moment | None) -> AsyncIterator[None]:
        """With chaos, kill the gateway while the block runs, or just after it."""
        delay = None if moment is None else self.chaos.delays_seconds.get(moment)
        if moment is None or delay is None:
            yield
            return
        strike = asyncio.create_task(self._strike(moment, delay))
        try:
            yield
        except asyncio.CancelledError:
            strike.cancel()
            raise
        finally:
            # Whatever the block came to, what follows finds a gateway.
            await strike

    async def _strike(self, moment: Moment, delay_seconds: float) -> None:
        await asyncio.sleep(delay_seconds)
        self.story.tell(f"kill -9 of the gateway {moment}")
        self.story.board.kills += 1
        began = time.monotonic()
        await self.node.kill()
        self.story.tell(f"the gateway is back after {time.monotonic() - began:.1f} s")


def blocking(plan: dict[str, Any]) -> list[str]:
    """Why a plan is not allowed yet, gate by gate."""
    return [
        f"{gate['name']}: {gate['reason']}"
        for gate in plan.get("gates", ())
        if not gate["passed"] and not gate["waived"]
    ]
