"""How users type against crossfade: checked by mypy, never run.

A line that stops type-checking here is a change that breaks users.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, assert_type

import crossfade
from crossfade import errors
from crossfade.model.entity import Entity


def exit_code_is_a_number(error: errors.CrossfadeError) -> int:
    """Every error of ours says what a command exits with."""
    return assert_type(error.exit_code, int)


def reasons_are_plain_texts(error: errors.MoveRefusedError) -> tuple[str, ...]:
    """What a gate said can be shown as it is."""
    return assert_type(error.reasons, tuple[str, ...])


@dataclass
class Profile:
    """What a program's functions return."""

    name: str


def legacy_get(user_id: str) -> Profile:
    """Legacy's function."""
    return Profile(user_id)


async def legacy_get_async(user_id: str) -> Profile:
    """The same, awaited."""
    return Profile(user_id)


def operations_keep_their_types(shop: crossfade.Migration, profiles: Entity) -> None:
    """A decorated function is typed as it was, and wrong calls of it are wrong."""

    @shop.operation(reads=profiles, key="user_id", legacy=legacy_get)
    def get(user_id: str) -> Profile:
        return Profile(user_id)

    @shop.operation(reads=profiles, key=lambda user_id: user_id, new=legacy_get_async)
    async def get_async(user_id: str) -> Profile:
        return Profile(user_id)

    assert_type(get("17"), Profile)
    assert_type(get(user_id="17"), Profile)
    asked: Callable[[str], Coroutine[Any, Any, Profile]] = get_async
    assert_type(asked("17").close(), None)
    get(17)  # type: ignore[arg-type] # must be refused
    get("17", "18")  # type: ignore[call-arg] # must be refused
    get(name="17")  # type: ignore[call-arg] # must be refused


def operations_are_methods(shop: crossfade.Migration, profiles: Entity) -> None:
    """`self` is bound as ever."""

    def legacy(self: "Profiles", user_id: str) -> Profile:
        return self.get(user_id)

    class Profiles:
        @shop.operation(reads=profiles, key="user_id", legacy=legacy)
        def get(self, user_id: str) -> Profile:
            return Profile(user_id)

    assert_type(Profiles().get("17"), Profile)


def wrong_declarations_do_not_type_check(shop: crossfade.Migration, profiles: Entity) -> None:
    """What would be refused at definition time is refused by mypy, too."""

    def put(user_id: str, data: Profile) -> None: ...

    async def put_async(user_id: str, data: Profile) -> None: ...

    shop.operation(writes=profiles, key="user_id", new=put, replay=True)(put)
    shop.operation(writes=profiles, new=put, created="id", refused=ValueError)(put)
    shop.operation(writes=profiles, key="user_id", new=put)(put_async)  # type: ignore[arg-type] # must be refused
    shop.operation(writes=profiles, key="user_id", new=legacy_get)(put)  # type: ignore[arg-type] # must be refused
    shop.operation(writes=profiles, key="user_id")(put)  # type: ignore[call-overload] # must be refused
    shop.operation(key="user_id", new=put)(put)  # type: ignore[call-overload] # must be refused
    shop.operation(writes=profiles, key=17, new=put)(put)  # type: ignore[call-overload] # must be refused
    shop.operation(reads=profiles, key="user_id", new=put, replay=True)  # type: ignore[call-overload] # must be refused
    shop.operation(reads=profiles, key="user_id", legacy=put, new=put)  # type: ignore[call-overload] # must be refused
    shop.operation(writes=profiles, key="user_id", new=put, retries=3)  # type: ignore[call-overload] # must be refused


def a_runtime_is_a_context_manager(shop: crossfade.Migration) -> None:
    """Plain; its value is itself."""
    with crossfade.running(shop, ledger="sqlite:///ledger.db") as running:
        assert_type(running.stop(), None)


async def a_runtime_is_an_async_context_manager(shop: crossfade.Migration) -> None:
    """And for programs with an event loop."""
    async with crossfade.running(shop) as running:
        await running.stop_async()


def adapters_are_plain_functions(
    shop: crossfade.Migration, profiles: Entity, adapter: Callable[[str], Profile]
) -> None:
    """A callable without names of parameters fits a body that takes them by position."""

    @shop.operation(reads=profiles, legacy=adapter)
    def get(user_id: str, /) -> Profile:
        return Profile(user_id)

    assert_type(get("17"), Profile)
