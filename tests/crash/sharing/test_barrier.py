"""Leaving `off` while another process has writes without intent under way, or dies with one."""

import asyncio
from functools import partial
from pathlib import Path

import psycopg
import pytest

from crossfade.assembly import Node
from crossfade.errors import OutcomeUnknownError
from crossfade.execution.calls import CallFailedError, CallTag, Request
from crossfade.ledger.transitions.moves import Decision, move_stage
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from tests.crash.sharing.counting import (
    ANSWERS_WITHIN_SECONDS,
    WRITE,
    Counted,
    make_stores,
    open_counting,
)

pytestmark = pytest.mark.timeout(120)

DECISION = Decision("anna", "a test", 1.0)


async def _leave_off(node: Node) -> None:
    move = partial(move_stage, wanted=Stage.SHADOW, decision=DECISION)
    await node.ledger.transact(move)


async def _passed(node: Node, seconds_max: float) -> bool:
    """Whether the barrier passes within so long."""
    try:
        async with asyncio.timeout(seconds_max):
            look = node.ledger.look
            while not look(lambda rows: rows.migration()).barrier_passed:  # noqa: ASYNC110 - another process does it
                await asyncio.sleep(0.02)
    except TimeoutError:
        return False
    return True


async def test_a_write_under_way_elsewhere_is_waited_for(
    tmp_path: Path, postgres_url: str
) -> None:
    """It was planned in `off`, by a process that knows of the move by now; its call is open."""
    await make_stores(tmp_path)
    mover = await open_counting(tmp_path, postgres_url, serving=False)
    other = await open_counting(tmp_path, postgres_url)
    answered, called = asyncio.Event(), asyncio.Event()

    async def slow(side: Side, tag: CallTag) -> Counted:  # noqa: ARG001 - every call has them
        called.set()
        await answered.wait()
        return Counted(1)

    await mover.start()
    await other.start()
    # Whatever earlier processes may have had under way has certainly ended.
    await asyncio.sleep(ANSWERS_WITHIN_SECONDS)
    writing = asyncio.ensure_future(
        other.writer.write(Request(WRITE, ((1,),), slow))  # type: ignore[arg-type] # another kind of answer
    )
    await called.wait()
    await _leave_off(mover)

    assert not await _passed(mover, 2 * ANSWERS_WITHIN_SECONDS)
    answered.set()
    await writing
    assert await _passed(mover, 10.0)
    await other.stop()
    await mover.stop()


async def test_the_writes_of_a_process_that_was_found_dead_are_waited_for(
    tmp_path: Path, postgres_url: str
) -> None:
    """As long as a call may take, from when its death was found."""
    await make_stores(tmp_path)
    mover = await open_counting(tmp_path, postgres_url, serving=False)
    other = await open_counting(tmp_path, postgres_url)
    await mover.start()

    async def lost(side: Side, tag: CallTag) -> Counted:  # noqa: ARG001 - every call has them
        raise CallFailedError("cut", sent=True)

    await asyncio.sleep(ANSWERS_WITHIN_SECONDS)
    with pytest.raises(OutcomeUnknownError):
        await other.writer.write(Request(WRITE, ((1,),), lost))  # type: ignore[arg-type] # another kind of answer
    await other.stop()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await _leave_off(mover)

    assert mover.ledger.nodes.dead() == 1
    assert await _passed(mover, 20.0)
    assert loop.time() - began >= ANSWERS_WITHIN_SECONDS * 0.9
    await mover.stop()


async def test_a_process_that_does_not_follow_holds_the_barrier_up(
    tmp_path: Path, postgres_url: str
) -> None:
    """Until it says that it routes by the new stage, or is found dead."""
    await make_stores(tmp_path)
    mover = await open_counting(tmp_path, postgres_url, serving=False)
    await mover.start()
    await asyncio.sleep(ANSWERS_WITHIN_SECONDS)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO crossfade_nodes (node, registration, started, beat, seen, untracked, "
            "serving, route_seconds) VALUES ('stuck', 'x', 0, 1, 1, 0, 1, 0.5)"
        )
        await _leave_off(mover)

        assert not await _passed(mover, 1.0)
        assert "stuck" in str(mover.barrier.waits_for())
        # It shows nothing, so it is found dead, and what it may have sent is waited for.
        assert await _passed(mover, 30.0)
        assert mover.ledger.nodes.dead() == 1
    await mover.stop()
