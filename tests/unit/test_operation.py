"""`Migration.operation`: mistakes are found at definition time, and the function stays itself."""

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import crossfade
from crossfade.errors import DefinitionError, NotRunningError
from crossfade.model.entity import Entity
from crossfade.model.operation import KeyPlace, MirrorWhen
from crossfade.model.plan import OperationKind
from crossfade.model.side import Side


def _shop() -> tuple[crossfade.Migration, Entity]:
    shop = crossfade.Migration("shop")
    profiles = shop.entity("profile", legacy=0, new=0, to_new=dict, to_legacy=dict)
    return shop, profiles


def plain(user_id: int, name: str = "") -> str:
    """Say what it does."""
    return f"{user_id} {name}"


async def awaited(user_id: int, name: str = "") -> str:
    """Say what it does, later."""
    return plain(user_id, name)


def generating(user_id: int, name: str = "") -> Iterator[str]:
    """Do nothing yet."""
    yield plain(user_id, name)


async def generating_later(user_id: int, name: str = "") -> AsyncIterator[str]:
    """Do nothing yet."""
    yield plain(user_id, name)


class Callables:
    """Objects that are called."""

    async def __call__(self, user_id: int, name: str = "") -> str:
        """Like `awaited`."""
        return plain(user_id, name)


def other_name(profile: int, name: str = "") -> str:
    """Another name for the key."""
    return plain(profile, name)


def one_less(user_id: int) -> str:
    """One parameter is missing."""
    return plain(user_id)


def one_more(user_id: int, name: str = "", extra: str = "") -> str:
    """One more that need not be given."""
    return plain(user_id, name + extra)


@pytest.mark.parametrize("function", [plain, awaited])
def test_the_function_stays_itself(function: Callable[..., Any]) -> None:
    """Name, documentation, annotations, signature and colour."""
    shop, profiles = _shop()
    operation = shop.operation(reads=profiles, key="user_id", legacy=function)(function)

    assert operation.__name__ == function.__name__
    assert operation.__doc__ == function.__doc__
    assert operation.__annotations__ == function.__annotations__
    assert operation.__wrapped__ is function  # type: ignore[attr-defined] # it has it, its type does not
    assert inspect.signature(operation) == inspect.signature(function)
    assert inspect.iscoroutinefunction(operation) is inspect.iscoroutinefunction(function)


def test_what_was_declared_is_in_the_definition() -> None:
    """The operation is listed beside routes, with its kind, key and choices."""
    shop, profiles = _shop()
    shop.operation(
        writes=profiles, key="user_id", new=plain, name="save", replay=True,
        mirror_when="before_answer", compare=crossfade.Compare(ignore=["$.at"]),
    )(plain)  # fmt: skip
    operation = shop.operations["save"]
    function = shop.functions["save"]

    assert (operation.kind, operation.is_route) == (OperationKind.WRITE, False)
    assert operation.key is not None
    assert (operation.key.place, operation.key.names) == (KeyPlace.ARGUMENT, ("user_id",))
    assert (operation.replay, operation.mirror_when) == (True, MirrorWhen.BEFORE_ANSWER)
    assert (function.body, function.asynchronous) == (Side.LEGACY, False)


@pytest.mark.parametrize(
    ("body", "options", "told"),
    [
        (plain, {"key": "user_id"}, "exactly one of legacy= and new="),
        (plain, {"key": "user_id", "legacy": plain, "new": plain}, "exactly one of legacy="),
        (plain, {"key": "user_id", "legacy": awaited}, "not async"),
        (awaited, {"key": "user_id", "legacy": plain}, "is async"),
        (plain, {"key": "user_id", "legacy": Callables()}, "not async"),
        (generating, {"key": "user_id", "legacy": generating}, "generator"),
        (generating_later, {"key": "user_id", "legacy": generating_later}, "generator"),
        (plain, {"key": "user_id", "legacy": generating}, "generator"),
        (plain, {"key": "user_id", "legacy": other_name}, "same parameters"),
        (plain, {"key": "user_id", "legacy": one_less}, "same parameters"),
        (plain, {"key": "user_id", "legacy": 7}, "is no function"),
        (plain, {"key": "nobody", "legacy": plain}, "nobody"),
        (plain, {"legacy": plain}, "writes and has no key"),
        (plain, {"created": "id", "replay": True, "legacy": plain}, "Remove replay"),
        (plain, {"key": "name", "replay": True, "transaction": "name", "legacy": plain}, "replay"),
        (plain, {"key": "user_id", "legacy": plain, "shared": ("nobody",)}, "nobody"),
        (plain, {"key": "user_id", "legacy": plain, "transaction": "nobody"}, "nobody"),
        (plain, {"key": "user_id", "legacy": plain, "unknown": (7,)}, "exception types"),
        (plain, {"key": "user_id", "legacy": plain, "retries": 3}, "takes no retries="),
        (property(plain), {"key": "user_id", "legacy": plain}, "only functions"),
        (int, {"key": "user_id", "legacy": plain}, "only functions"),
    ],
)
def test_mistakes_are_found_at_once(body: Any, options: dict[str, Any], told: str) -> None:  # noqa: ANN401 - any kind of value
    """Each with what to do about it."""
    shop, profiles = _shop()
    with pytest.raises(DefinitionError, match=told):
        shop.operation(writes=profiles, **options)(body)

    assert shop.operations == {}


def test_what_only_writes_have_is_refused_for_reads() -> None:
    """A read creates, replays and refuses nothing."""
    shop, profiles = _shop()
    for option in ("created", "replay", "mirror_when", "refused", "transaction"):
        with pytest.raises(DefinitionError, match=f"takes no {option}="):
            shop.operation(reads=profiles, legacy=plain, **{option: "id"})  # type: ignore[call-overload] # must be refused


def test_a_name_is_taken_once() -> None:
    """Two functions of one name in two modules need a `name=`."""
    shop, profiles = _shop()
    shop.operation(reads=profiles, legacy=plain)(plain)
    with pytest.raises(DefinitionError, match="name="):
        shop.operation(reads=profiles, legacy=plain)(plain)
    shop.operation(reads=profiles, legacy=plain, name="another")(plain)


def test_an_entity_of_another_migration_is_refused() -> None:
    """A definition names its own."""
    shop, _ = _shop()
    _, others = _shop()
    with pytest.raises(DefinitionError, match="another migration"):
        shop.operation(reads=others, legacy=plain)(plain)


@pytest.mark.parametrize(
    "other", [one_more, functools.partial(one_more, extra="x"), lambda *_, **__: ""]
)
def test_adapters_may_take_more(other: Callable[..., str]) -> None:
    """The other side must be callable as the body is; what it takes besides is its own."""
    shop, profiles = _shop()
    shop.operation(reads=profiles, key="user_id", legacy=other)(plain)


def test_routes_need_services() -> None:
    """A migration without them has functions only; with one service it is half a mistake."""
    shop, profiles = _shop()
    with pytest.raises(DefinitionError, match="no services"):
        shop.resource("/profiles", "/profiles/{id}", profiles)
    with pytest.raises(DefinitionError, match="both services"):
        crossfade.Migration("shop", new=crossfade.HttpService("http://127.0.0.1:1"))


async def test_without_a_runtime_nothing_is_asked() -> None:
    """Neither side: a silent fall back would be a lost write."""
    shop, profiles = _shop()
    asked: list[int] = []

    def put(user_id: int) -> None:
        asked.append(user_id)

    async def put_later(user_id: int) -> None:
        asked.append(user_id)

    operations = [
        shop.operation(writes=profiles, key="user_id", legacy=put)(put),
        shop.operation(reads=profiles, key="user_id", legacy=put, name="read")(put),
    ]
    later = [
        shop.operation(writes=profiles, key="user_id", legacy=put_later)(put_later),
        shop.operation(reads=profiles, key="user_id", legacy=put_later, name="later")(put_later),
    ]
    for operation in operations:
        with pytest.raises(NotRunningError, match="shop"):
            operation(1)
    for one in later:
        with pytest.raises(NotRunningError, match="shop"):
            await one(1)

    assert asked == []
