"""The play: off, shadow, backfill, verification, a bug, canary, live, back, live, completed."""

import asyncio

from crossfade.control.documents import Document
from crossfade.control.requests import CanaryAsked
from crossfade.demo.bug_play import (
    be_refused,
    canary_reads,
    close_what_was_not_copied,
    count_findings,
    find_bug,
    fix_bug,
    show_no_harm,
)
from crossfade.demo.cast import ENTITIES, Cast
from crossfade.demo.chaos import Moment
from crossfade.demo.copy_play import copy_everything, verify_everything
from crossfade.demo.node import ACTOR

BARRIER_SECONDS_MAX = 30.0
DRAINED_SECONDS_MAX = 45.0
CANARY_PERCENTS = (10.0, 50.0)
COUNTED_SECONDS = 0.5
"""After a while in which counts reach the ledger."""


async def play(cast: Cast) -> None:
    """Walk all stages while callers go on; raises DemoError where it cannot.

    Raises:
        DemoError: something did not happen in time, or a move was refused for good.
        NodeRefusedError: the node said no where it should not have.

    """
    await _shadow(cast)
    async with cast.step("backfill"):
        cast.story.chapter("Copy what was there before")
        await copy_everything(cast)
        await close_what_was_not_copied(cast)
    async with cast.step("verify"):
        cast.story.chapter("Compare every key on both sides")
        await verify_everything(cast)
    async with cast.step("bug"):
        await _bug(cast)
    async with cast.step("canary"):
        await _canary(cast)
    await _live_and_back(cast)
    await _completed(cast)


async def settle(cast: Cast) -> None:
    """Stop the callers, and wait until nothing is in doubt or dirty any more.

    Raises:
        DemoError: something stays open.

    """
    await cast.callers.pause()

    async def look() -> Document | None:
        status = await cast.node.look("status")
        totals = status["totals"]
        is_open = any(totals[name] for name in ("dirty", "open_intents", "held", "leases"))
        return None if is_open else status

    status = await cast.wait_for("everything to converge", DRAINED_SECONDS_MAX, look)
    cast.leave_stage()
    cast.record.quarantined = status["totals"]["quarantined"]
    await asyncio.sleep(COUNTED_SECONDS)
    await count_findings(cast)


async def _shadow(cast: Cast) -> None:
    cast.enter_stage("off")
    cast.story.chapter("off: legacy answers everything, new is only compared")
    await cast.look_around()
    cast.story.chapter("shadow: new gets every write from now on")
    await cast.move("shadow", "start copying")
    async with cast.trouble(Moment.SHADOW):
        await cast.look_around()

    async def look() -> Document | None:
        status = await cast.node.look("status")
        return status if status["barrier_passed"] else None

    await cast.wait_for("the barrier behind off", BARRIER_SECONDS_MAX, look)


async def _bug(cast: Cast) -> None:
    cast.story.chapter("A bug in new: found before anybody depends on it")
    await find_bug(cast)
    await be_refused(cast)
    await show_no_harm(cast)
    await fix_bug(cast)


async def _canary(cast: Cast) -> None:
    cast.story.chapter("canary: new answers a share of the reads")
    before = 0
    for percent in CANARY_PERCENTS:
        for entity in ENTITIES:
            cast.story.typed(f"canary set {entity} {percent:g}")
            asked = CanaryAsked(actor=ACTOR, reason="demo", entity=entity, percent=percent)
            await cast.node.change("set_canary", asked)
        cast.story.board.canary_percent = percent
        await cast.look_around(cast.pace.canary_seconds + COUNTED_SECONDS)
        served = canary_reads(await cast.node.look("diffs"))
        cast.story.tell(f"at {percent:g} % of the keys new served {served - before:,} reads")
        before = served


async def _live_and_back(cast: Cast) -> None:
    cast.story.chapter("live: new answers, legacy follows every write")
    await cast.move("live", "new is ready", moment=Moment.PROMOTE_LIVE)
    async with cast.trouble(Moment.LIVE):
        await cast.look_around()
    cast.story.chapter("Back to shadow, as if checkout were slow: nothing is lost")
    await cast.move("shadow", "checkout is slow", back=True, moment=Moment.ROLLBACK)
    await cast.look_around()
    cast.story.chapter("live again")
    await cast.move("live", "checkout is fast again")


async def _completed(cast: Cast) -> None:
    await cast.look_around(cast.pace.soak_seconds)
    cast.story.chapter("completed: new answers for good; legacy still follows, for the way back")
    await cast.move("completed", "the move is done")
    await cast.look_around()
