"""A call's key is found wherever the user said, however the function is called."""

import inspect
import uuid
from collections.abc import Callable
from enum import IntEnum, StrEnum
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.errors import DefinitionError, KeyArgumentError
from crossfade.model.function_key import KeyOf, read_key

INT = (int,)
ORDER = SimpleNamespace(id=5, shop={"tenant": "de", "empty": None})


class Number(IntEnum):
    """A number with a name."""

    SEVEN = 7


class Word(StrEnum):
    """A word with a name."""

    DE = "de"


def _plain(user_id: int, name: str = "") -> None: ...


def _by_keyword(name: str, *, user_id: int = 3) -> None: ...


def _by_position(user_id: int, /, name: str = "") -> None: ...


def _rest(name: str, *user_ids: int) -> None: ...


def _order(order: object, extra: object = None) -> None: ...


@pytest.mark.parametrize(
    ("function", "key", "args", "kwargs", "expected"),
    [
        (_plain, "user_id", (7,), {}, [(7,)]),
        (_plain, "user_id", (), {"user_id": 7, "name": "x"}, [(7,)]),
        (_plain, "user_id", (Number.SEVEN,), {}, [(7,)]),
        (_plain, "user_id", ([3, 1, 3, 2],), {}, [(1,), (2,), (3,)]),
        (_plain, "user_id", ({2, 1},), {}, [(1,), (2,)]),
        (_plain, "user_id", ([],), {}, []),
        (_plain, "user_id", (None,), {}, []),
        (_by_keyword, "user_id", ("x",), {}, [(3,)]),
        (_by_keyword, "user_id", ("x",), {"user_id": 4}, [(4,)]),
        (_by_position, "user_id", (7, "x"), {}, [(7,)]),
        (_rest, "user_ids", ("x", 2, 1), {}, [(1,), (2,)]),
        (_order, "order.id", (ORDER,), {}, [(5,)]),
        (_order, "order.id", ({"id": 6},), {}, [(6,)]),
        (_order, "order.id", (None,), {}, []),
        (_plain, lambda user_id, name="": [user_id, len(name)], (7, "four"), {}, [(4,), (7,)]),
    ],
)  # fmt: skip
def test_the_key_of_a_call(
    function: Callable[..., None],
    key: KeyOf,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    expected: list[tuple[int, ...]],
) -> None:
    """By position, keyword, default, path, callable; lists and sets are several keys."""
    reader = read_key(key, inspect.signature(function), "get")

    assert list(reader.keys(args, kwargs, INT)) == expected


@pytest.mark.parametrize(
    ("args", "expected"),
    [((ORDER,), ("de", 5)), (({"id": 6, "shop": {"tenant": Word.DE}},), ("de", 6))],
)
def test_composite_keys(args: tuple[Any, ...], expected: tuple[str, int]) -> None:
    """A tuple of names is one key of several columns, in that order."""
    reader = read_key(("order.shop.tenant", "order.id"), inspect.signature(_order), "get")
    (key,) = reader.keys(args, {}, (str, int))

    assert key == expected
    assert [type(part) for part in key] == [str, int]


@pytest.mark.parametrize(
    "value", [1.0, True, "7", b"7", uuid.UUID(int=7), (1, 2), (), [1, None], object()]
)
def test_what_is_no_key_is_refused(value: object) -> None:
    """By its type, and without showing the value."""
    reader = read_key("user_id", inspect.signature(_plain), "get")
    with pytest.raises(KeyArgumentError) as caught:
        reader.keys((value,), {}, INT)

    assert repr(value) not in str(caught.value) or value == ()


def test_a_path_that_leads_nowhere_is_refused() -> None:
    """With the name that is missing."""
    reader = read_key("order.number", inspect.signature(_order), "get")
    with pytest.raises(KeyArgumentError, match="number"):
        reader.keys((ORDER,), {}, INT)


def test_a_missing_argument_is_the_callers_mistake() -> None:
    """Told as Python tells it."""
    reader = read_key("user_id", inspect.signature(_plain), "get")
    with pytest.raises(TypeError, match="missing a required argument: 'user_id'"):
        reader.keys((), {"name": "x"}, INT)


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("nobody", "nobody"),
        ("nobody.id", "nobody"),
        (("user_id", "nobody"), "nobody"),
        ("user_id.", "user_id."),
        ("", "no name"),
        ((), "no name"),
        (lambda other: other, "same parameters"),
        (lambda: 1, "same parameters"),
    ],
)
def test_keys_that_do_not_exist_are_found_at_once(key: KeyOf, told: str) -> None:
    """When the function is defined, not at three in the morning."""
    with pytest.raises(DefinitionError, match=told):
        read_key(key, inspect.signature(_plain), "get")


class _Broken:
    """Its id cannot be told."""

    @property
    def id(self) -> int:
        """Always fails, as a look-up of the user's own may."""
        raise LookupError("of the user's own")


def test_what_the_users_own_code_raises_is_raised() -> None:
    """An argument that is there, and whose key cannot be found."""
    with pytest.raises(LookupError, match="user's own"):
        read_key("order.id", inspect.signature(_order), "get").keys((_Broken(),), {}, INT)


def test_an_item_that_is_not_there_is_told() -> None:
    """By its name, and never with a value."""
    with pytest.raises(KeyArgumentError, match='no "id" in dict'):
        read_key("order.id", inspect.signature(_order), "get").keys(({"number": 5},), {}, INT)


@given(st.integers(), st.text(), st.booleans(), st.booleans())
def test_every_way_to_call_gives_the_same_key(
    user_id: int,
    name: str,
    by_keyword: bool,  # noqa: FBT001 - chosen by hypothesis
    with_name: bool,  # noqa: FBT001 - chosen by hypothesis
) -> None:
    """The reader and Python's own binding agree."""
    args = () if by_keyword else (user_id,)
    kwargs: dict[str, Any] = {"user_id": user_id} if by_keyword else {}
    kwargs |= {"name": name} if with_name else {}
    signature = inspect.signature(_plain)
    bound = signature.bind(*args, **kwargs)

    assert read_key("user_id", signature, "get").keys(args, kwargs, INT) == (
        (bound.arguments["user_id"],),
    )
