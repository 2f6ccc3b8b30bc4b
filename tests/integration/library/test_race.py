"""Many threads read and write while the authority changes there and back; judged by databases."""

import asyncio
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from crossfade.errors import GateError, KeyHeldError, OutcomeUnknownError, WritesHeldError
from crossfade.library.running import Running
from crossfade.model.stage import Stage
from tests.integration.library.profile_shop import SECONDS_MAX, ProfileShop

WRITERS = 4
READERS = 3
KEYS_EACH = 3
FLIPS = 3


@dataclass
class Log:
    """What callers were told; each key has one writer, so that its last word is known."""

    acknowledged: dict[int, str] = field(default_factory=dict)
    in_doubt: dict[int, set[str]] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)
    written: int = 0


@pytest.mark.parametrize("awaited", [False, True])
def test_nothing_is_lost_over_flips(shop: ProfileShop, awaited: bool) -> None:  # noqa: FBT001 - a table of cases
    """Every acknowledged write is on both sides in the end, and no read went back in time."""
    put, get = _operations(shop, awaited=awaited)
    log = Log()
    over = threading.Event()
    with shop.running(execution={"held_seconds_max": 10.0}) as running:
        shop.walk(running, Stage.SHADOW)
        shop.copy_all(running)
        threads = [
            threading.Thread(target=_write, args=(number, put, get, log, over))
            for number in range(WRITERS)
        ]
        threads += [
            threading.Thread(target=_read, args=(number, get, log, over))
            for number in range(READERS)
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in range(FLIPS):
                _move(shop, running, Stage.LIVE)
                _move(shop, running, Stage.SHADOW)
        finally:
            over.set()
            for thread in threads:
                thread.join()
        shop.settle(running)

    assert log.written > WRITERS * KEYS_EACH
    assert log.stale == []
    for key, name in log.acknowledged.items():
        legacy, new = shop.both(key)
        assert legacy == new
        assert new in {name, *log.in_doubt.get(key, set())}, key


def _move(shop: ProfileShop, running: Running, stage: Stage) -> None:
    """As an operator does under load: a gate that is red for a moment is asked again."""
    until = time.monotonic() + SECONDS_MAX
    while True:
        try:
            shop.move(running, stage)
        except GateError:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return


def _operations(
    shop: ProfileShop, *, awaited: bool
) -> tuple[Callable[[int, str], object], Callable[[int], str | None]]:
    """A write and a read, called from threads in either colour."""
    operation = shop.migration.operation
    if not awaited:
        put = operation(writes=shop.profiles, key="user_id", legacy=shop.legacy_put)(shop.new_put)
        get = operation(reads=shop.profiles, key="user_id", legacy=shop.legacy_get)(shop.new_get)
        return put, get

    async def legacy_put(user_id: int, name: str) -> None:
        await asyncio.to_thread(shop.legacy_put, user_id, name)

    async def new_put(user_id: int, name: str) -> None:
        await asyncio.to_thread(shop.new_put, user_id, name)

    async def legacy_get(user_id: int) -> str | None:
        return await asyncio.to_thread(shop.legacy_get, user_id)

    async def new_get(user_id: int) -> str | None:
        return await asyncio.to_thread(shop.new_get, user_id)

    put_async = operation(writes=shop.profiles, key="user_id", legacy=legacy_put)(new_put)
    get_async = operation(reads=shop.profiles, key="user_id", legacy=legacy_get)(new_get)
    return (
        lambda user_id, name: asyncio.run(put_async(user_id, name)),
        lambda user_id: asyncio.run(get_async(user_id)),
    )


def _write(
    number: int,
    put: Callable[[int, str], object],
    get: Callable[[int], str | None],
    log: Log,
    over: threading.Event,
) -> None:
    chance = random.Random(number)
    version = 0
    while not over.is_set():
        version += 1
        key = 1 + number * KEYS_EACH + chance.randrange(KEYS_EACH)
        name = f"{version:06}"
        try:
            put(key, name)
        except WritesHeldError:
            continue
        except (OutcomeUnknownError, KeyHeldError):
            log.in_doubt.setdefault(key, set()).add(name)
            continue
        log.acknowledged[key] = name
        log.in_doubt.pop(key, None)
        log.written += 1
        seen = get(key)
        if seen != name:
            log.stale.append(f"{key}: wrote {name}, then read {seen}")


def _read(number: int, get: Callable[[int], str | None], log: Log, over: threading.Event) -> None:
    chance = random.Random(number + 100)
    newest: dict[int, str] = {}
    while not over.is_set():
        key = 1 + chance.randrange(WRITERS * KEYS_EACH)
        seen = get(key)
        if seen is not None and seen < newest.get(key, ""):
            log.stale.append(f"{key}: read {newest[key]}, then {seen}")
        newest[key] = max(newest.get(key, ""), seen or "")
