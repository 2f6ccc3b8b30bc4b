"""One production of the demo: everything is put up, played, judged and taken down."""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from crossfade.demo.cast import Cast
from crossfade.demo.chaos import ChaosPlan, count_cut_off
from crossfade.demo.history import read_history
from crossfade.demo.node import Node
from crossfade.demo.pace import FAST, FULL, Pace
from crossfade.demo.processes import Children, DemoError
from crossfade.demo.report import Record, Step
from crossfade.demo.services import Callers, Services
from crossfade.demo.stage_play import play, settle
from crossfade.demo.story import Board, Story
from crossfade.demo.workplace import Workplace
from crossfade.errors import CrossfadeError

BOARD_SECONDS = 0.5
"""How often the board is brought up to date."""
JUDGE_SECONDS_MAX = 60.0
LEFT_RUNNING_SHARE = 0.1
"""Share of the demo's traffic that goes on when everything is left running."""


class Production:
    """All processes of one run, and the record of what they did."""

    def __init__(
        self, workplace: Workplace, pace: Pace, chaos: ChaosPlan, story: Story, record: Record
    ) -> None:
        self._workplace = workplace
        self._pace = pace
        self._story = story
        self._record = record
        self.children = Children(workplace.folder)
        self.services = Services(self.children, workplace)
        self.callers = Callers(self.children)
        self._chaos = chaos
        self._cast: Cast | None = None
        self._watches: list[asyncio.Task[None]] = []
        self._listening: asyncio.Task[None] | None = None

    async def perform(self) -> None:
        """Put up, play, settle and judge; the processes run on.

        Raises:
            CrossfadeError: something did not work; what the record holds is all that is known.

        """
        cast = await self._put_up()
        self._record.steps.append(Step("put up", round(self._story.seconds, 2)))
        self._cast = cast
        # Neither ends but with an error; the callers' words end with the callers.
        self._watches = [
            asyncio.create_task(self.children.watch()),
            asyncio.create_task(_keep_board(cast)),
        ]
        self._listening = asyncio.create_task(self.callers.listen())
        await self._watched(play(cast))
        self._story.chapter("The callers stop; what is under way converges")
        async with cast.step("settle"):
            await self._watched(settle(cast))
        self._story.chapter(
            "An oracle that knows only what callers were told reads both databases"
        )
        async with cast.step("judge"):
            await self._watched(self._judge(cast))

    async def take_down(self) -> None:
        """End every process politely; may be repeated."""
        self._look_away()
        if self._cast is not None:
            self._cast.leave_stage()
        if self.callers.child is not None:
            # First, so that no caller meets a gateway that has gone.
            await self.callers.child.stop()
        await self.children.close()

    async def leave_running(self) -> dict[str, str]:
        """Let everything outlive the demo, with callers; returns what a person needs to know."""
        self._look_away()
        # Other callers: these ones would tell a process that is no longer there.
        history = self._workplace.folder / "history-afterwards.jsonl"
        await self.callers.replace(
            self._traffic_words(history, self._record.seed + 1, LEFT_RUNNING_SHARE)
        )
        control_url = "" if self._cast is None else self._cast.node.control_url
        await self.children.let_go()
        return {
            "gateway": self._workplace.gateway_url,
            "control": control_url,
            "legacy": self.services.legacy_url,
            "new": self.services.new_url,
            "folder": str(self._workplace.folder),
            "stop": f"kill -- -{self.children.group}",
        }

    async def _put_up(self) -> Cast:
        data = self._record.data
        self._story.chapter(
            f"{data['customers']:,} customers and {data['orders']:,} orders, two services, "
            "the gateway, callers"
        )
        if self._pace is FAST:
            self._story.tell(
                f"--fast: fewer records and shorter stays than without it "
                f"({FULL.customers:,} and {FULL.orders:,})"
            )
        await self.children.open()
        await asyncio.to_thread(self._workplace.fill, self._pace, self._record.seed)
        await self.services.start()
        addresses = self._workplace.addresses(self.services.legacy_url, self.services.new_url)
        self._workplace.keep_addresses(addresses)
        node = Node(self.children, self._workplace, addresses)
        self._story.typed("doctor --apply")
        await node.doctor()
        self._story.typed("up")
        await node.start()
        self._story.tell(f"callers go to {self._workplace.gateway_url}")
        words = self._traffic_words(self._workplace.history, self._record.seed)
        await self.callers.start(words)
        return Cast(
            node=node,
            services=self.services,
            callers=self.callers,
            pace=self._pace,
            chaos=self._chaos,
            story=self._story,
            record=self._record,
        )

    def _traffic_words(self, history: Path, seed: int, share: float = 1.0) -> tuple[str, ...]:
        pace = self._pace
        return (
            *("--gateway", self._workplace.gateway_url),
            *("--history", str(history)),
            *("--seed", str(seed)),
            *("--customers", str(pace.customers)),
            *("--orders", str(pace.orders)),
            *("--reads-per-second", str(share * pace.reads_per_second)),
            *("--writes-per-second", str(share * pace.writes_per_second)),
        )

    def _look_away(self) -> None:
        """Whoever ends from now on is meant to."""
        for task in self._watches:
            task.cancel()
        if self._listening is not None:
            self._listening.cancel()

    async def _watched(self, work: Coroutine[Any, Any, None]) -> None:
        """Do one thing; a process that ends meanwhile ends it too."""
        task = asyncio.create_task(work)
        try:
            await asyncio.wait({task, *self._watches}, return_when=asyncio.FIRST_COMPLETED)
            for ended in (*self._watches, task):
                if ended.done():
                    ended.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _judge(self, cast: Cast) -> None:
        record, workplace = self._record, self._workplace
        record.tally = dict(self.callers.tally)
        record.kills = len(cast.node.kills)
        words = (
            *("crossfade.demo.oracle", "--history", str(workplace.history)),
            *("--initial", str(workplace.initial), "--legacy-db", str(workplace.legacy_database)),
            *("--new-db", str(workplace.new_database), "--authority", "new"),
        )
        oracle = await self.children.start("oracle", words, reads=True, extra={})
        oracle.forget()
        try:
            async with asyncio.timeout(JUDGE_SECONDS_MAX):
                record.verdict = await oracle.read_line()
                await oracle.ended()
        except TimeoutError as error:
            raise DemoError("the oracle takes too long.") from error
        if record.verdict is None:
            raise DemoError(f"the oracle did not judge. {oracle.last_words()}")
        operations = await asyncio.to_thread(read_history, workplace.history)
        record.cut_off = count_cut_off(operations, cast.node.kills)


async def _keep_board(cast: Cast) -> None:
    """Bring the board up to date until cancelled."""
    board = cast.story.board
    requests, measured = 0, time.monotonic()
    while True:
        await asyncio.sleep(BOARD_SECONDS)
        board.tally = cast.callers.tally
        now, sent = time.monotonic(), int(board.tally.get("requests", 0))
        board.requests_per_second = (sent - requests) / (now - measured)
        requests, measured = sent, now
        with suppress(CrossfadeError):
            _note_status(board, await cast.node.glance())
        cast.story.refresh()


def _note_status(board: Board, status: dict[str, Any]) -> None:
    board.stage = status["stage"]
    board.dirty_keys = status["totals"]["dirty"]
    board.open_intents = status["totals"]["open_intents"]
    board.copied = {
        entity["name"]: entity["backfill"]["share"] or 0.0
        for entity in status["entities"]
        if entity["backfill"] is not None
    }
