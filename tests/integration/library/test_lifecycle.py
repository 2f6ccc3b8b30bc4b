"""Starting, stopping, forking: a program always knows whether crossfade runs in it."""

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from crossfade import assembly
from crossfade.assembly import Node
from crossfade.errors import ConfigurationError, LockedError, NestedWriteError, NotRunningError
from crossfade.library import running as running_module
from crossfade.model.stage import Stage
from tests.integration.library.profile_shop import ProfileShop

CHILD_SECONDS_MAX = 30


def test_it_starts_once_and_again(shop: ProfileShop) -> None:
    """Twice at a time is a mistake; after a stop it starts anew, and a stop may be repeated."""
    first = shop.running().start()
    with pytest.raises(ConfigurationError, match="runs already"):
        shop.running().start()
    with pytest.raises(ConfigurationError, match="runs already"):
        first.start()
    first.stop()
    first.stop()
    with first:
        pass


def test_a_start_that_fails_leaves_nothing(shop: ProfileShop) -> None:
    """The error of the opening is raised, and the next start is free to work."""
    with shop.running():
        other = ProfileShopTwin(shop).running()
        with pytest.raises(LockedError, match="owns the ledger"):
            other.start()
        other.stop()
    hidden = shop.new_db.rename(shop.new_db.with_suffix(".away"))
    with pytest.raises(ConfigurationError):
        shop.running().start()
    hidden.rename(shop.new_db)
    with shop.running():
        pass


async def test_programs_with_an_event_loop_start_it_too(shop: ProfileShop) -> None:
    """The loop goes on while ledger and databases are opened and closed."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    @shop.migration.operation(reads=shop.profiles, key="user_id", legacy=_echo)
    async def get(user_id: int) -> int:
        return user_id

    ticking = asyncio.create_task(tick())
    async with shop.running():
        assert ticks > 0
        assert await get(5) == 5
    with pytest.raises(NotRunningError):
        await get(5)
    ticking.cancel()


def test_stop_lets_writes_under_way_end(shop: ProfileShop) -> None:
    """A write that has begun is carried through, the mirror included."""
    begun, go_on = threading.Event(), threading.Event()

    def legacy(user_id: int, name: str) -> None:
        begun.set()
        go_on.wait()
        shop.legacy_put(user_id, name)

    put = shop.migration.operation(writes=shop.profiles, key="user_id", new=shop.new_put)(legacy)
    running = shop.running().start()
    shop.walk(running, Stage.SHADOW)
    writer = threading.Thread(target=put, args=(1, "ann"))
    writer.start()
    begun.wait()
    stopper = threading.Thread(target=running.stop)
    stopper.start()
    while not shop.migration.calls.is_free:
        threading.Event().wait(0.01)
    with pytest.raises(NotRunningError):
        put(2, "bob")
    go_on.set()
    writer.join()
    stopper.join()

    assert shop.both(1) == ("ann", "ann")


def test_a_write_that_hangs_does_not_stop_the_end(
    shop: ProfileShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is settled by the next start; its own thread learns that nobody knows."""
    monkeypatch.setattr(running_module, "STOP_SECONDS_MAX", 0.1)
    monkeypatch.setattr(assembly, "_WORKERS_STOP_SECONDS_MAX", 0.1)
    begun, go_on = threading.Event(), threading.Event()
    ends: list[BaseException] = []

    def legacy(user_id: int, name: str) -> None:
        begun.set()
        go_on.wait()
        shop.legacy_put(user_id, name)

    put = shop.migration.operation(writes=shop.profiles, key="user_id", new=shop.new_put)(legacy)

    def call() -> None:
        try:
            put(1, "ann")
        except BaseException as error:  # noqa: BLE001 - compared below
            ends.append(error)

    running = shop.running().start()
    shop.walk(running, Stage.SHADOW)
    writer = threading.Thread(target=call)
    writer.start()
    begun.wait()
    running.stop()
    go_on.set()
    writer.join()
    with shop.running() as again:
        shop.settle(again)

    assert [type(error).__name__ for error in ends] == ["OutcomeUnknownError"]
    assert shop.both(1) == ("ann", "ann")


def test_a_forked_child_says_that_it_must_start_its_own(shop: ProfileShop) -> None:
    """Threads do not survive a fork: the child's calls are refused, the parent's go on."""

    @shop.migration.operation(reads=shop.profiles, key="user_id", legacy=lambda user_id: user_id)
    def get(user_id: int) -> int:
        return user_id

    with shop.running():
        assert get(1) == 1
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                get(2)
            except NotRunningError as error:
                os.write(writing, str(error).encode())
            finally:
                os._exit(0)
        os.close(writing)
        told = b"".join(iter(lambda: os.read(reading, 4096), b""))
        os.close(reading)
        os.waitpid(child, 0)
        assert get(3) == 3

    assert b"forked" in told
    assert b"post_fork" in told


def test_a_program_that_just_ends_stops_cleanly(shop: ProfileShop) -> None:
    """Without `stop`, at the end of the interpreter, even while the other side hangs."""
    program = textwrap.dedent(
        """
        import threading, crossfade
        from migration import shop
        profiles = shop.entities["profile"]

        def hang(user_id):
            threading.Event().wait()

        @shop.operation(reads=profiles, key="user_id", new=hang)
        def get(user_id):
            return user_id

        crossfade.running(shop, control=False).start()
        print(get(7))
        """
    )
    begun = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=shop.folder, capture_output=True, text=True, timeout=CHILD_SECONDS_MAX, check=False,
    )  # fmt: skip

    assert (ended.returncode, ended.stdout) == (0, "7\n"), ended.stderr
    assert time.monotonic() - begun < CHILD_SECONDS_MAX / 2


def test_the_command_line_talks_to_the_program(shop: ProfileShop) -> None:
    """A stage is moved while the program runs, and reports need no port of its own."""
    with shop.running(control_api=True):
        code, out = shop.command("stage", "promote", "shadow")
        assert (code, "from off to shadow" in out) == (0, True), out
        code, out = shop.command("status")
        assert code == 0, out

    assert not list(Path(shop.folder, ".crossfade").glob("node.json"))


def test_what_would_wait_for_its_own_loop_is_refused(shop: ProfileShop) -> None:
    """A hook or a mapping that writes, or stops crossfade, would never come back."""
    put = shop.migration.operation(
        writes=shop.profiles, key="user_id", legacy=shop.legacy_put, name="put"
    )(shop.new_put)

    async def write(node: Node) -> None:
        assert node.ledger is not None
        put(1, "ann")

    with shop.running() as running:

        async def stop(node: Node) -> None:
            assert node.ledger is not None
            running.stop()

        with pytest.raises(NestedWriteError):
            running.on_node(write)
        with pytest.raises(ConfigurationError, match="own thread"):
            running.on_node(stop)
        put(2, "bob")

    assert (shop.legacy_get(1), shop.legacy_get(2)) == (None, "bob")


async def _echo(user_id: int) -> int:
    return user_id


class ProfileShopTwin:
    """The same migration in another process: its own definition, the same ledger."""

    def __init__(self, shop: ProfileShop) -> None:
        self._shop = shop

    def running(self) -> "running_module.Running":
        """Crossfade over the same folder."""
        import crossfade  # noqa: PLC0415 - as a user's own program does

        twin = crossfade.Migration("shop")
        profiles = self._shop.profiles
        twin.entity(
            "profile",
            legacy=profiles.legacy,
            new=profiles.new,
            to_new=profiles.to_new,
            to_legacy=profiles.to_legacy,
        )
        return crossfade.running(twin, folder=self._shop.folder, control=False)
