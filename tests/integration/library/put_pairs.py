"""Writes named `put` in either colour, for tests: declared, called, and how they ended."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from crossfade.assembly import Node
from crossfade.ledger.rows import Counts
from tests.integration.library.profile_shop import ProfileShop


def declare(
    shop: ProfileShop, *, legacy: Callable[..., Any] | None = None, awaited: bool = False
) -> Any:  # noqa: ANN401 - either colour
    """A write of a profile, legacy's body or another one."""
    return paired(shop, legacy or shop.legacy_put, shop.new_put, awaited=awaited)


def paired(
    shop: ProfileShop,
    legacy: Callable[..., Any],
    new: Callable[..., Any] | None = None,
    *,
    awaited: bool = False,
    **options: Any,  # noqa: ANN401 - as `operation` takes them
) -> Any:  # noqa: ANN401 - either colour
    """An operation called `put` whose body is legacy."""
    both = (legacy, new or _like(legacy))
    if awaited:
        both = (_awaited(both[0]), _awaited(both[1]))
    given = {"key": "user_id", "name": "put", **options}
    return shop.migration.operation(writes=shop.profiles, new=both[1], **given)(both[0])


def _like(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the same parameters and colour that must not be called."""
    if asyncio.iscoroutinefunction(function):

        @functools.wraps(function)
        async def unused_async(*_: object, **__: object) -> None:
            raise AssertionError

        return unused_async

    @functools.wraps(function)
    def unused(*_: object, **__: object) -> None:
        raise AssertionError

    return unused


def _awaited(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def awaited(*args: object, **kwargs: object) -> object:
        await asyncio.sleep(0)
        return function(*args, **kwargs)

    return awaited


def call(function: Any, *args: object) -> object:  # noqa: ANN401 - either colour
    """Call it, and wait for it where it is awaited."""
    result = function(*args)
    return asyncio.run(_finished(result)) if asyncio.iscoroutine(result) else result


async def _finished(work: Any) -> object:  # noqa: ANN401 - a coroutine
    return await work


def caught(function: Any, *args: object) -> BaseException | None:  # noqa: ANN401 - either colour
    """What it raised."""
    try:
        call(function, *args)
    except BaseException as error:  # noqa: BLE001 - compared by whoever asks
        return error
    return None


def counts_of(node: Node) -> Counts:
    """What is dirty, open, in doubt."""
    return node.ledger.look(lambda rows: rows.counts())
