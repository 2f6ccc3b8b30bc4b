"""The acts that copy what was there before, and prove that both sides hold the same."""

from crossfade.control.documents import Document
from crossfade.control.requests import BackfillAsked, VerifyAsked
from crossfade.demo.cast import ENTITIES, Cast
from crossfade.demo.chaos import Moment
from crossfade.demo.node import ACTOR
from crossfade.demo.processes import DemoError

COPIED_SECONDS_MAX = 60.0
VERIFIED_SECONDS_MAX = 45.0


async def copy_everything(cast: Cast) -> None:
    """Backfill both entities while callers go on."""
    cast.story.typed("backfill start")
    async with cast.trouble(Moment.BACKFILL):
        asked = BackfillAsked(actor=ACTOR, reason="copy the history", entities=ENTITIES)
        await cast.node.change("start_backfill", asked)

        async def look() -> Document | None:
            told = await cast.node.look("backfill")
            done = all(entity["covered"] for entity in told["entities"])
            return told if done else None

        told = await cast.wait_for("the backfill", COPIED_SECONDS_MAX, look)
    rows = sum(entity["sweep"]["rows"] for entity in told["entities"])
    cast.story.tell(f"{rows:,} records copied under traffic")


async def verify_everything(cast: Cast) -> None:
    """Compare every key on both sides.

    Raises:
        DemoError: a key that was known to agree differs.

    """
    cast.story.typed("verify")
    asked = VerifyAsked(actor=ACTOR, reason="before live", entities=ENTITIES)
    await cast.node.change("start_verification", asked)

    async def look() -> Document | None:
        told = await cast.node.look("verification")
        job = told["job"]
        if job is None:
            # A crash took the job with it.
            await cast.node.change("start_verification", asked)
            return None
        if job["state"] == "running":
            return None
        if job["state"] != "finished":
            raise DemoError(f"the verification {job['state']}: {job['error']}")
        return told

    told = await cast.wait_for("the verification", VERIFIED_SECONDS_MAX, look)
    verdicts = [entity["verdict"] for entity in told["entities"]]
    compared = sum(verdict["compared"] for verdict in verdicts)
    different = sum(verdict["different"] for verdict in verdicts)
    lagging = sum(verdict["lagging"] for verdict in verdicts)
    cast.story.tell(
        f"{compared:,} keys compared on both sides: {different:,} differ "
        f"({lagging:,} were being written just then)"
    )
