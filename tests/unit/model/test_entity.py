"""A mapping is the user's code: whatever it does harms one record."""

from collections.abc import Callable
from typing import Any

import pytest

from crossfade.errors import MappingError
from crossfade.model.entity import Entity
from crossfade.model.side import Side


def _raises(error: BaseException) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def mapping(_: dict[str, Any]) -> dict[str, Any]:
        raise error

    return mapping


def _entity(to_new: Any) -> Entity:  # noqa: ANN401 - mappings of the wrong type, too
    return Entity("customer", "legacy", "new", to_new, lambda record: record)


@pytest.mark.parametrize("error", [KeyError("secret"), RecursionError(), SystemExit(3)])
def test_a_mapping_that_raises_fails_for_the_record_alone(error: BaseException) -> None:
    """`SystemExit` would end the node, and with it every caller; no value is told."""
    entity = _entity(_raises(error))

    with pytest.raises(MappingError, match=type(error).__name__) as told:
        entity.map_record({"id": 1}, Side.NEW)

    assert "secret" not in str(told.value)


@pytest.mark.parametrize("returned", [None, 42, [("id", 1)]])
def test_a_mapping_must_return_a_record(returned: object) -> None:
    """Nothing at all is no record either: a mapping does not delete."""
    entity = _entity(lambda _: returned)

    with pytest.raises(MappingError, match="not a dict"):
        entity.map_record({"id": 1}, Side.NEW)


def test_no_record_stays_none() -> None:
    """The mapping is not asked."""
    assert _entity(_raises(KeyError())).map_record(None, Side.NEW) is None
