"""What the other side gets: copies of arguments and context, and nothing of the caller's own."""

import contextvars
import threading
from types import SimpleNamespace
from typing import Any

from tests.integration.library.profile_shop import ProfileShop

REQUEST: contextvars.ContextVar[str] = contextvars.ContextVar("compared request", default="<lost>")
SECONDS_MAX = 1.0
"""What a caller may wait; what is slow here is slower."""


def test_arguments_are_never_shared(shop: ProfileShop) -> None:
    """What legacy does to them is not what new sees, and new's changes reach nobody."""
    seen: dict[str, object] = {}
    called = threading.Event()

    def legacy(order: dict[str, Any]) -> str:
        seen["legacy"] = {**order, "lines": list(order["lines"])}
        order["lines"].append("by legacy")
        return "done"

    def new(order: dict[str, Any]) -> str:
        seen["new"] = {**order, "lines": list(order["lines"])}
        order["lines"].append("by new")
        called.set()
        return "done"

    @shop.migration.operation(reads=shop.profiles, key="order.id", legacy=legacy)
    def check(order: dict[str, Any]) -> str:
        return new(order)

    order = {"id": 1, "lines": ["one"]}
    with shop.running():
        check(order)
        assert called.wait(SECONDS_MAX * 10)

    assert seen == {"legacy": {"id": 1, "lines": ["one"]}, "new": {"id": 1, "lines": ["one"]}}
    assert order == {"id": 1, "lines": ["one", "by legacy"]}


def test_an_answer_that_the_caller_changes_is_compared_as_it_was(shop: ProfileShop) -> None:
    """The value belongs to the caller as soon as it has it."""

    @shop.migration.operation(reads=shop.profiles, key="user_id", legacy=lambda user_id: [user_id])
    def get(user_id: int) -> list[int]:
        return [user_id]

    with shop.running() as running:
        get(1).append(99)
        assert shop.found(running, "get")["matched"] == 1


def test_arguments_that_cannot_be_copied_are_not_compared(shop: ProfileShop) -> None:
    """The call goes on as ever, and the comparison is counted as skipped."""

    def legacy(user_id: int, lock: object) -> int:
        return user_id if lock else 0

    @shop.migration.operation(reads=shop.profiles, key="user_id", legacy=legacy)
    def get(user_id: int, lock: object) -> int:
        return legacy(user_id, lock)

    with shop.running() as running:
        assert get(1, threading.Lock()) == 1
        assert shop.found(running, "get")["skipped"] == 1


def test_shared_parameters_are_passed_on_as_they_are(shop: ProfileShop) -> None:
    """A session cannot be copied; whoever says so gets it on both sides."""
    session = SimpleNamespace(lock=threading.Lock())
    seen: list[object] = []

    def legacy(user_id: int, session: object) -> int:
        seen.append(session)
        return user_id

    @shop.migration.operation(
        reads=shop.profiles, key="user_id", legacy=legacy, shared=("session",)
    )
    def get(user_id: int, session: object) -> int:
        seen.append(session)
        return user_id

    with shop.running() as running:
        get(1, session)
        get(user_id=1, session=session)
        assert shop.found(running, "get", at_least=2)["matched"] == 2

    assert [one is session for one in seen] == [True] * 4


def test_the_comparison_runs_in_a_copy_of_the_context(shop: ProfileShop) -> None:
    """It has the caller's trace and request ids; what it sets stays its own."""
    seen: dict[str, object] = {}

    def new(user_id: int) -> int:
        seen.update(request=REQUEST.get(), thread=threading.get_ident())
        REQUEST.set("set by new")
        return user_id

    @shop.migration.operation(reads=shop.profiles, key="user_id", new=new)
    def get(user_id: int) -> int:
        return user_id

    with shop.running() as running:
        REQUEST.set("req-44")
        get(1)
        shop.found(running, "get")

    assert (seen["request"], REQUEST.get()) == ("req-44", "req-44")
    assert seen["thread"] != threading.get_ident()
