"""Writes that are cut off: by an exception, a cancellation, Ctrl-C or a forced roll-back."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable

import pytest

from crossfade.assembly import Node
from crossfade.errors import OutcomeUnknownError
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.flips import begin_flip, commit_flip, force
from crossfade.ledger.transitions.moves import Decision
from crossfade.model.stage import Stage
from tests.integration.library.profile_shop import ProfileShop
from tests.integration.library.put_pairs import caught, counts_of, declare, paired

TRACKED = [Stage.SHADOW, Stage.LIVE, Stage.COMPLETED]


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize(
    "kind",
    [TimeoutError, ConnectionResetError, KeyboardInterrupt, SystemExit, asyncio.CancelledError],
)
def test_an_interrupted_authority_is_in_doubt(
    shop: ProfileShop,
    kind: type[BaseException],
    awaited: bool,  # noqa: FBT001 - a table of cases
) -> None:
    """Nobody knows what a cut call did: the intent stays until `answers_within` has passed."""
    error = kind()

    def legacy(user_id: int, name: str) -> None:
        shop.legacy_put(user_id, name)
        raise error

    put = declare(shop, legacy=legacy, awaited=awaited)
    with shop.running() as running:
        shop.walk(running, Stage.SHADOW)
        ended_by = caught(put, 1, "ann")
        shop.wait(running, lambda node: counts_of(node).doubtful_intents == 1)
        shop.settle(running)

    assert ended_by is error
    assert shop.both(1) == ("ann", "ann")


def test_a_cancelled_writer_leaves_nothing_half(shop: ProfileShop) -> None:
    """Cancelled in the middle of its work: in doubt, then settled, and both sides agree."""
    begun = asyncio.Event()

    async def legacy(user_id: int, name: str) -> None:
        shop.legacy_put(user_id, name)
        begun.set()
        await asyncio.sleep(3600)

    put = paired(shop, legacy)

    async def call() -> None:
        task = asyncio.create_task(put(1, "ann"))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with shop.running() as running:
        shop.walk(running, Stage.SHADOW)
        asyncio.run(call())
        shop.settle(running)

    assert shop.both(1) == ("ann", "ann")


def test_a_writer_that_is_cancelled_while_it_waits_wrote_nothing(shop: ProfileShop) -> None:
    """The intent, if there is one already, is closed at once: nothing was sent."""
    asked: list[int] = []

    async def legacy(user_id: int, name: str) -> None:  # noqa: ARG001 - must not be called
        asked.append(user_id)

    put = paired(shop, legacy)

    async def call() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await put(1, "ann")

    with shop.running() as running:
        shop.walk(running, Stage.SHADOW)
        shop.freeze(running)
        asyncio.run(call())
        shop.freeze(running, off=True)
        shop.settle(running)

    assert asked == []


def test_ctrl_c_ends_a_writer_that_waits(shop: ProfileShop) -> None:
    """A blocked call is interruptible, and nothing was written."""
    put = declare(shop)
    with shop.running() as running:
        shop.walk(running, Stage.SHADOW)
        shop.freeze(running)
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            put(1, "ann")
        timer.join()
        shop.freeze(running, off=True)
        shop.settle(running)

    assert shop.both(1) == (None, None)


def test_a_write_over_a_change_of_authority_is_of_unknown_outcome(shop: ProfileShop) -> None:
    """Only a forced roll-back passes an open intent; its caller is not told "done" (rule 2)."""
    flips: list[Callable[[], None]] = []

    def new(user_id: int, name: str) -> None:
        shop.new_put(user_id, name)
        for flip in flips:
            flip()

    put = paired(shop, shop.legacy_put, new)
    with shop.running() as running:
        shop.walk(running, Stage.LIVE)
        flips.append(lambda: running.on_node(_force))
        with pytest.raises(OutcomeUnknownError):
            put(1, "ann")


async def _force(node: Node) -> None:
    """What the ledger commits where new is dead: legacy has authority, keys at risk are held."""

    def forced(rows: Rows) -> None:
        decision = Decision(actor="test", reason="new is dead", at=0.0)
        flip = begin_flip(rows, Stage.SHADOW, decision, forced=True)
        force(rows, flip)
        commit_flip(rows, flip, decision)

    await node.ledger.transact(forced)
