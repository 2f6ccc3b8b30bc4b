"""Reads of decorated functions: who serves them, where, and what callers see of it."""

import asyncio
import contextvars
import threading
import traceback
from collections.abc import Callable
from contextlib import closing

import pytest

from crossfade.errors import NotRunningError
from crossfade.model.stage import Stage
from tests.integration.library.profile_shop import ProfileShop

REQUEST: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="<lost>")

SERVED_BY = {
    Stage.OFF: "legacy",
    Stage.READ_ONLY: "legacy",
    Stage.SHADOW: "legacy",
    Stage.LIVE: "new",
    Stage.COMPLETED: "new",
}

MOST_FRAMES = 7
"""Of a traceback, the test's own among them: who looks for a bug must find the function."""


class NotFoundError(Exception):
    """What a function of a program raises."""


@pytest.mark.parametrize("stage", list(Stage))
def test_the_authority_serves(shop: ProfileShop, stage: Stage) -> None:
    """Legacy until the flip, new after it; the same for plain and awaited functions."""

    def legacy(user_id: int) -> str:  # noqa: ARG001 - a side that only says who it is
        return "legacy"

    async def legacy_async(user_id: int) -> str:
        return legacy(user_id)

    @shop.migration.operation(reads=shop.profiles, key="user_id", legacy=legacy)
    def get(user_id: int) -> str:  # noqa: ARG001 - see above
        return "new"

    @shop.migration.operation(reads=shop.profiles, key="user_id", legacy=legacy_async)
    async def get_async(user_id: int) -> str:  # noqa: ARG001 - see above
        return "new"

    with shop.running(comparison={"sample_fraction": 0.0}) as running:
        shop.walk(running, stage)

        assert (get(1), asyncio.run(get_async(1))) == (SERVED_BY[stage], SERVED_BY[stage])


@pytest.mark.parametrize("fraction", [0.0, 1.0])
@pytest.mark.parametrize(
    "kind", [NotFoundError, KeyboardInterrupt, SystemExit, StopIteration, OSError]
)
def test_exceptions_pass_unchanged(
    shop: ProfileShop, kind: type[BaseException], fraction: float
) -> None:
    """The very object, whether or not the read is compared."""
    error = kind("17")
    errors = [error]

    def legacy(user_id: int) -> str:
        # Once: a comparison asks again, and raising it there would change its traceback.
        if errors:
            raise errors.pop()
        return str(user_id)

    @shop.migration.operation(reads=shop.profiles, key="user_id", legacy=legacy)
    def get(user_id: int) -> str:
        return str(user_id)

    with shop.running(comparison={"sample_fraction": fraction}):
        with pytest.raises(kind) as caught:
            get(1)

        assert caught.value is error
        frames = [frame.name for frame in traceback.extract_tb(caught.tb)]
        assert frames[-1] == "legacy"
        assert not isinstance(error, Exception) or len(frames) <= MOST_FRAMES


@pytest.mark.parametrize("error", [NotFoundError("17"), asyncio.CancelledError(), TimeoutError()])
@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_exceptions_of_awaited_functions_pass_unchanged(
    shop: ProfileShop, error: BaseException, fraction: float
) -> None:
    """A cancellation that the function raises on its own, too."""

    async def legacy(user_id: int) -> str:  # noqa: ARG001 - raises whatever it is asked
        raise error

    @shop.migration.operation(reads=shop.profiles, key="user_id", legacy=legacy)
    async def get(user_id: int) -> str:
        return str(user_id)

    async def call() -> BaseException | None:
        try:
            await get(1)
        except BaseException as caught:  # noqa: BLE001 - compared below
            return caught
        return None

    with shop.running(comparison={"sample_fraction": fraction}):
        assert asyncio.run(call()) is error


def test_without_a_runtime_a_call_says_so(shop: ProfileShop) -> None:
    """Never a silent fall back to one of the sides."""
    asked: list[int] = []

    def legacy(user_id: int) -> None:
        asked.append(user_id)

    @shop.migration.operation(reads=shop.profiles, key="user_id", legacy=legacy)
    def get(user_id: int) -> None:
        legacy(user_id)

    with pytest.raises(NotRunningError, match=r"crossfade\.running"):
        get(1)
    with shop.running(comparison={"sample_fraction": 0.0}):
        get(2)
    with pytest.raises(NotRunningError):
        get(3)

    assert asked == [2]


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_the_authority_runs_in_its_callers_thread_and_context(
    shop: ProfileShop, fraction: float
) -> None:
    """Thread-locals, sessions and context variables are the caller's own."""

    def legacy(user_id: int) -> tuple[int, str, int]:
        seen = threading.get_ident(), REQUEST.get(), user_id
        REQUEST.set("set by legacy")
        return seen

    @shop.migration.operation(reads=shop.profiles, key="user_id", legacy=legacy)
    def get(user_id: int) -> tuple[int, str, int]:
        return 0, "", user_id

    def call() -> tuple[tuple[int, str, int], str]:
        REQUEST.set("req-42")
        return get(7), REQUEST.get()

    with shop.running(comparison={"sample_fraction": fraction}):
        answer, after = contextvars.copy_context().run(call)

    assert (answer, after) == ((threading.get_ident(), "req-42", 7), "set by legacy")


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_the_authority_runs_in_its_callers_task(shop: ProfileShop, fraction: float) -> None:
    """So that connections, locks and cancellations are the caller's own."""
    tasks = []

    async def legacy(user_id: int) -> int:
        tasks.append((asyncio.get_running_loop(), asyncio.current_task(), REQUEST.get()))
        return user_id

    @shop.migration.operation(reads=shop.profiles, key="user_id", legacy=legacy)
    async def get(user_id: int) -> int:
        return user_id

    async def call() -> None:
        REQUEST.set("req-43")
        await get(7)
        assert tasks[0] == (asyncio.get_running_loop(), asyncio.current_task(), "req-43")

    with shop.running(comparison={"sample_fraction": fraction}):
        asyncio.run(call())


@pytest.mark.parametrize("outcome", ["returns", "raises"])
def test_a_read_during_a_flip_is_answered_by_the_new_authority(
    shop: ProfileShop, outcome: str
) -> None:
    """What legacy said of it counts for nothing (rule 11)."""
    flips: list[Callable[[], None]] = []

    def legacy(user_id: int) -> str:
        for flip in flips:
            flip()
        flips.clear()
        if outcome == "raises":
            raise NotFoundError(user_id)
        return "legacy"

    @shop.migration.operation(reads=shop.profiles, key="user_id", legacy=legacy)
    def get(user_id: int) -> str:  # noqa: ARG001 - a side that only says who it is
        return "new"

    with shop.running(comparison={"sample_fraction": 0.0}) as running:
        shop.walk(running, Stage.SHADOW)
        shop.copy_all(running)
        flips.append(lambda: shop.move(running, Stage.LIVE))

        assert get(1) == "new"


def test_a_canary_serves_keys_that_agree(shop: ProfileShop) -> None:
    """A key that was never copied is legacy's; one that agrees is new's, and is compared."""
    shop.legacy_put(1, "ann")

    @shop.migration.operation(reads=shop.profiles, key="user_id", legacy=shop.legacy_get)
    def get(user_id: int) -> str | None:
        found = shop.new_get(user_id)
        return found and f"{found}, says new"

    with shop.running() as running:
        shop.walk(running, Stage.SHADOW)
        shop.set_canary(running, 100.0)
        before = get(1)
        shop.copy_all(running)
        after = get(1)
        found = shop.found(running, "get", at_least=2)

    assert (before, after) == ("ann", "ann, says new")
    assert (found["canary_served"], found["mismatched"]) == (1, 1)


def test_a_program_with_many_threads(shop: ProfileShop) -> None:
    """Callers in many threads and tasks at once get their own answers."""

    @shop.migration.operation(reads=shop.profiles, key="user_id", legacy=lambda user_id: user_id)
    def get(user_id: int) -> int:
        return user_id

    async def legacy_async(user_id: int) -> int:
        await asyncio.sleep(0)
        return user_id

    @shop.migration.operation(
        reads=shop.profiles, key="user_id", legacy=legacy_async, name="get async"
    )
    async def get_async(user_id: int) -> int:
        return user_id

    wrong: list[int] = []

    def call(number: int) -> None:
        wrong.extend(one for one in range(number, number + 50) if get(one) != one)

        async def many() -> None:
            answers = await asyncio.gather(*(get_async(one) for one in range(20)))
            wrong.extend(set(answers) ^ set(range(20)))

        asyncio.run(many())

    with shop.running():
        threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert wrong == []


def test_methods_are_operations(shop: ProfileShop) -> None:
    """Instance, class and static methods, in either order of decorators; keys of `self`."""
    operation = shop.migration.operation

    class Legacy:
        user_id = 5

        def of(self) -> str:
            return f"legacy {self.user_id}"

        @staticmethod
        def one(user_id: int) -> str:
            return f"legacy {user_id}"

        @classmethod
        def named(cls, user_id: int) -> str:
            return f"{cls.__name__} {user_id}"

    class Profiles(Legacy):
        @operation(reads=shop.profiles, key="self.user_id", legacy=Legacy.of)  # type: ignore[arg-type] # a sister's method
        def of(self) -> str:
            return "new"

        @staticmethod
        @operation(reads=shop.profiles, key="user_id", legacy=Legacy.one)
        def one(user_id: int) -> str:
            return f"new {user_id}"

        @operation(reads=shop.profiles, key="user_id", legacy=Legacy.one, name="outside")
        @staticmethod
        def outside(user_id: int) -> str:
            return f"new {user_id}"

        @classmethod
        @operation(reads=shop.profiles, key="user_id", legacy=Legacy.named.__func__)  # type: ignore[attr-defined] # it has it, its type does not
        def named(cls, user_id: int) -> str:
            return f"new {user_id}"

    with shop.running():
        answers = [Profiles().of(), Profiles.one(6), Profiles.outside(8), Profiles.named(7)]

    assert answers == ["legacy 5", "legacy 6", "legacy 8", "Profiles 7"]
    assert list(shop.migration.functions) == [
        "Profiles.of", "Profiles.one", "outside", "Profiles.named",
    ]  # fmt: skip


def test_reads_of_lists_go_to_the_authority(shop: ProfileShop) -> None:
    """A read without a key, or with several, is compared while its whole entity agrees."""

    @shop.migration.operation(reads=shop.profiles, legacy=lambda: [1, 2])
    def everybody() -> list[int]:
        return [1, 2]

    @shop.migration.operation(reads=shop.profiles, key="ids", legacy=lambda ids: ids)
    def some(ids: list[int]) -> list[int]:
        return ids

    with shop.running() as running, closing(asyncio.new_event_loop()):
        assert (everybody(), some([1, 2]), some([])) == ([1, 2], [1, 2], [])
        assert shop.found(running, "everybody")["matched"] == 1
        assert shop.found(running, "some", at_least=2)["matched"] == 2
