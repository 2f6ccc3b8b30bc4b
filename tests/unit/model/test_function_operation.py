"""The key of a record that the authority made is found in what it returned."""

from typing import Any

import pytest

from crossfade.errors import KeyArgumentError
from crossfade.model.function_operation import Declared, function_operation
from crossfade.model.operation import Operation
from crossfade.model.plan import OperationKind
from crossfade.model.side import Side


def _create(name: str) -> Any:  # noqa: ANN401 - whatever the test returns
    return name


def _made(created: Any) -> Any:  # noqa: ANN401 - both are short-lived
    operation = Operation("create", OperationKind.WRITE, "customer", "", "")
    return function_operation(
        Declared(operation=operation, side=Side.LEGACY, other=_create, created=created),
        operation,
        _create,
    )


@pytest.mark.parametrize(
    ("created", "value", "key"),
    [
        ("id", {"id": 5}, (5,)),
        ("order.id", {"order": {"id": 5}}, (5,)),
        ("id", {"id": None}, None),
        (lambda value: value + 1, 5, (6,)),
        (lambda _: None, 5, None),
    ],
)
def test_it_is_wherever_the_user_said(created: Any, value: object, key: object) -> None:  # noqa: ANN401 - any kind of value
    """A name, a dotted path, or a function of what was returned."""
    assert _made(created).created_key(value, (int,)) == key


def test_a_write_that_creates_nothing_has_no_such_key() -> None:
    """Its key is among the arguments."""
    operation = Operation("put", OperationKind.WRITE, "customer", "", "")
    declared = Declared(operation=operation, side=Side.LEGACY, other=_create, key="name")

    found = function_operation(declared, operation, _create)

    assert found.created_key({"id": 5}, (str,)) is None
    assert found.keys(("a",), {}, (str,)) == (("a",),)


def test_another_kind_of_value_is_no_key() -> None:
    """Told without the value."""
    with pytest.raises(KeyArgumentError):
        _made("id").created_key({"id": "five"}, (int,))
