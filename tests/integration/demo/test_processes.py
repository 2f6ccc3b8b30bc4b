"""The demo's children end when they should, and are noticed when they should not."""

import asyncio
import signal
from pathlib import Path

import pytest

from crossfade.demo.processes import Child, Children, DemoError

SLEEPER = ("timeit", "-n", "1", "-r", "1", "-s", "import time", "time.sleep(60)")
"""Arguments of `python -m` for a process that does nothing for a while."""


async def _sleeper(children: Children) -> Child:
    return await children.start("sleeper", SLEEPER, reads=False, extra={})


async def test_closing_ends_every_child(tmp_path: Path) -> None:
    """Politely, and whoever does not listen with its whole group."""
    children = Children(tmp_path)
    await children.open()
    first, second = await _sleeper(children), await _sleeper(children)
    await children.close()
    await children.close()

    assert (first.has_ended, second.has_ended) == (True, True)


async def test_the_group_dies_with_the_guards_pipe(tmp_path: Path) -> None:
    """That is what is left of a demo that was killed."""
    children = Children(tmp_path)
    await children.open()
    child = await _sleeper(children)
    children.kill_now()
    async with asyncio.timeout(10):
        status = await child.ended()

    assert status == -signal.SIGKILL
    await children.close()


async def test_children_can_be_left_running(tmp_path: Path) -> None:
    """`--keep`: the guard goes, they stay."""
    children = Children(tmp_path)
    await children.open()
    child = await _sleeper(children)
    await children.let_go()
    ended = child.has_ended
    await child.stop()

    assert not ended


async def test_a_child_that_ends_by_itself_is_noticed(tmp_path: Path) -> None:
    """With the end of what it said."""
    children = Children(tmp_path)
    await children.open()
    await children.start("broken", ("no_such_module",), reads=False, extra={})
    with pytest.raises(DemoError, match=r"broken ended by itself .*no_such_module"):
        async with asyncio.timeout(20):
            await children.watch()

    await children.close()


async def test_a_child_that_never_gets_ready_is_noticed(tmp_path: Path) -> None:
    """It ended before its first line."""
    children = Children(tmp_path)
    await children.open()
    child = await children.start("silent", ("no_such_module",), reads=True, extra={})
    with pytest.raises(DemoError, match="silent did not start"):
        await child.first_line()
    child.forget()

    await children.close()


async def test_a_kill_tells_when_it_was(tmp_path: Path) -> None:
    """What was under way in that time may have been cut off; nothing else."""
    children = Children(tmp_path)
    await children.open()
    child = await _sleeper(children)
    down = await child.kill()
    child.check()

    assert down.killed <= down.gone
    assert child.has_ended
    await children.close()


async def test_settings_of_the_user_do_not_reach_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that is configured for another migration must stay alone."""
    monkeypatch.setenv("CROSSFADE_LEDGER", "sqlite:///elsewhere.db")

    assert "CROSSFADE_LEDGER" not in Children(tmp_path).environment
