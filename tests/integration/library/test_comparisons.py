"""Shadow calls: whatever the other side does, callers never feel it, and everything is counted."""

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

import pytest

from crossfade import Compare
from crossfade.model.stage import Stage
from tests.integration.library.profile_shop import ProfileShop

REQUEST: contextvars.ContextVar[str] = contextvars.ContextVar("compared request", default="<lost>")
SECONDS_MAX = 1.0
"""What a caller may wait; what is slow here is slower."""


@dataclass(frozen=True)
class Profile:
    """What functions return."""

    name: str
    credit: Decimal = Decimal("1.10")


def _raises(user_id: int) -> NoReturn:
    raise ValueError(user_id)


def _exits(user_id: int) -> NoReturn:
    raise SystemExit(user_id)


def _interrupts(user_id: int) -> NoReturn:  # noqa: ARG001 - a bug that is planted
    raise KeyboardInterrupt


def _unreachable(user_id: int) -> NoReturn:
    raise ConnectionRefusedError(user_id)


def _object(user_id: int) -> object:  # noqa: ARG001 - a bug that is planted
    return object()


def _generator(user_id: int) -> Iterator[int]:
    return iter([user_id])


def _recursive(user_id: int) -> list[Any]:
    nonsense: list[Any] = [user_id]
    nonsense.append(nonsense)
    return nonsense


class _Trap:
    def __getattribute__(self, name: str) -> NoReturn:
        raise SystemExit


def _trap(user_id: int) -> _Trap:  # noqa: ARG001 - a bug that is planted
    return _Trap()


def _coroutine(user_id: int) -> Any:  # noqa: ANN401 - a bug that is planted
    return asyncio.sleep(user_id)


@pytest.mark.parametrize(
    ("other", "counted"),
    [
        (_raises, "mismatched"),
        (_exits, "mismatched"),
        (_interrupts, "mismatched"),
        (_unreachable, "errors"),
        (_object, "mismatched"),
        (_generator, "mismatched"),
        (_recursive, "mismatched"),
        (_trap, "mismatched"),
        (_coroutine, "mismatched"),
        (lambda user_id: None, "mismatched"),  # noqa: ARG005 - returns nothing
        (lambda user_id: Profile("ann"), "matched"),  # noqa: ARG005 - as legacy does
        (lambda user_id: {"credit": 1.1, "name": "ann"}, "matched"),  # noqa: ARG005 - the same
    ],
)
def test_the_other_sides_bugs_are_counted_and_harmless(
    shop: ProfileShop, other: Callable[[int], Any], counted: str
) -> None:
    """Raising, exiting, returning nonsense: the caller gets legacy's answer, `diffs` the rest."""

    def legacy(user_id: int) -> Any:  # noqa: ANN401, ARG001 - a fixed answer
        return Profile("ann")

    @shop.migration.operation(reads=shop.profiles, key="user_id", new=other)
    def get(user_id: int) -> Any:  # noqa: ANN401 - as the other side's
        return legacy(user_id)

    with shop.running() as running:
        answers = [get(1) for _ in range(3)]
        found = shop.found(running, "get", at_least=3)

    assert answers == [Profile("ann")] * 3
    assert found[counted] == 3


@pytest.mark.parametrize("other", [_raises, _exits, _interrupts, _unreachable, _object, _trap])
def test_an_awaited_other_sides_bugs_are_counted_and_harmless(
    shop: ProfileShop, other: Callable[[int], Any]
) -> None:
    """A `SystemExit` in a task would end the caller's event loop."""

    async def new(user_id: int) -> Any:  # noqa: ANN401 - a bug that is planted
        await asyncio.sleep(0)
        return other(user_id)

    @shop.migration.operation(reads=shop.profiles, key="user_id", new=new)
    async def get(user_id: int) -> Any:  # noqa: ANN401 - as the other side's
        return user_id

    async def call() -> object:
        answer = await get(1)
        await _until(lambda: shop.found(running, "get"))
        return answer

    with shop.running() as running:
        assert asyncio.run(call()) == 1
        found = shop.found(running, "get")

    assert found["mismatched"] + found["errors"] == 1


def test_an_error_on_one_side_is_a_mismatch(shop: ProfileShop) -> None:
    """So are two types of exceptions; the same type on both sides is a match."""

    def legacy(user_id: int) -> int:
        raise KeyError(user_id)

    def new(user_id: int) -> int:
        if user_id == 1:
            return 1
        raise (KeyError if user_id == 3 else ValueError)(user_id)

    @shop.migration.operation(reads=shop.profiles, key="user_id", legacy=legacy)
    def get(user_id: int) -> int:
        return new(user_id)

    with shop.running() as running:
        for user_id in (1, 2, 3):
            with pytest.raises(KeyError):
                get(user_id)
        found = shop.found(running, "get", at_least=3)

    assert (found["mismatched"], found["matched"]) == (2, 1)
    assert sorted(found["paths"]) == [("$.raised",), ("status",)]


def test_a_hanging_side_takes_no_caller_and_no_end(shop: ProfileShop) -> None:
    """Neither reads nor the end of the program wait for it; threads are bounded."""
    ever = threading.Event()

    def new(user_id: int) -> int:
        ever.wait()
        return user_id

    @shop.migration.operation(reads=shop.profiles, key="user_id", new=new)
    def get(user_id: int) -> int:
        return user_id

    begun = time.monotonic()
    try:
        with shop.running(
            comparison={"deadline_seconds": 0.05, "concurrency_max": 2, "queue_max": 2}
        ) as running:
            for user_id in range(200):
                assert get(user_id) == user_id
            reading = time.monotonic() - begun
            found = shop.found(running, "get", at_least=200)
            threads = [one for one in threading.enumerate() if "shadow" in one.name]
    finally:
        ever.set()

    assert reading < SECONDS_MAX * 2
    assert found["errors"] + found["skipped"] == 200
    assert 0 < len(threads) <= 18


def test_a_slow_awaited_side_is_given_up(shop: ProfileShop) -> None:
    """It is cancelled at the deadline, and the caller's loop can end."""
    ended: list[str] = []

    async def new(user_id: int) -> int:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return user_id

    @shop.migration.operation(reads=shop.profiles, key="user_id", new=new)
    async def get(user_id: int) -> int:
        return user_id

    async def call() -> None:
        assert await get(1) == 1
        await _until(lambda: shop.found(running, "get")["errors"])
        await _until(lambda: ended)

    with shop.running(comparison={"deadline_seconds": 0.05}) as running:
        asyncio.run(call())

    assert ended == ["cancelled"]


def test_an_event_loop_that_ends_takes_its_comparisons_along(shop: ProfileShop) -> None:
    """A script that calls once and ends leaves nothing behind."""

    async def new(user_id: int) -> int:
        await asyncio.sleep(3600)
        return user_id

    @shop.migration.operation(reads=shop.profiles, key="user_id", new=new)
    async def get(user_id: int) -> int:
        return user_id

    with shop.running(comparison={"deadline_seconds": 0.2}) as running:
        assert asyncio.run(get(1)) == 1
        assert asyncio.run(get(2)) == 2
        shop.found(running, "get", at_least=2)


def test_values_are_compared_field_by_field(shop: ProfileShop) -> None:
    """Rules name fields as they do for JSON answers; samples are redacted."""

    def new(user_id: int) -> dict[str, Any]:
        return {"id": user_id, "seen_at": 2, "tags": ["b", "a"], "name": "Ann Other"}

    @shop.migration.operation(
        reads=shop.profiles,
        key="user_id",
        new=new,
        compare=Compare(ignore=["$.seen_at"], unordered={"$.tags": ""}),
    )
    def get(user_id: int) -> dict[str, Any]:
        return {"id": user_id, "seen_at": 1, "tags": {"a", "b"}, "name": "Ann"}

    with shop.running() as running:
        get(1)
        found = shop.found(running, "get")
    code, out = shop.command("diffs", "--json")

    assert found["paths"] == [("$.name",)]
    assert (code, "Ann" in out, "$.name" in out) == (0, False, True)


def test_a_compared_read_may_not_write(shop: ProfileShop) -> None:
    """A write inside a shadow call would be a real one: it is refused, and the read is counted."""
    written: list[str] = []

    @shop.migration.operation(
        writes=shop.profiles, key="user_id", new=lambda user_id: written.append(f"new {user_id}")
    )
    def touch(user_id: int) -> None:  # noqa: ARG001 - writes, wherever
        written.append("legacy")

    def new(user_id: int) -> int:
        touch(user_id)
        return user_id

    @shop.migration.operation(reads=shop.profiles, key="user_id", new=new)
    def get(user_id: int) -> int:
        return user_id

    with shop.running() as running:
        shop.walk(running, Stage.OFF)
        get(1)
        assert shop.found(running, "get")["errors"] == 1

    assert written == []


def test_operations_inside_a_shadow_call_stay_on_its_side(shop: ProfileShop) -> None:
    """New's function that calls another operation gets new's answer from it."""
    seen: list[str] = []

    @shop.migration.operation(
        reads=shop.profiles, key="user_id", new=lambda user_id: f"new {user_id}"
    )
    def inner(user_id: int) -> str:
        return f"legacy {user_id}"

    def outer_new(user_id: int) -> str:
        seen.append(inner(user_id))
        return "same"

    @shop.migration.operation(reads=shop.profiles, key="user_id", new=outer_new)
    def outer(user_id: int) -> str:
        seen.append(inner(user_id))
        return "same"

    with shop.running() as running:
        outer(1)
        shop.found(running, "outer")

    assert seen == ["legacy 1", "new 1"]


async def _until(true: Callable[[], object]) -> None:
    until = time.monotonic() + 20
    while not await asyncio.to_thread(true):
        assert time.monotonic() < until
        await asyncio.sleep(0.01)
