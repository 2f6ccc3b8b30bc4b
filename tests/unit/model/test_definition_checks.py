"""Mistakes in a definition are found while it is written."""

import pytest

from crossfade.errors import DefinitionError
from crossfade.model.definition_checks import checked_entity_name


@pytest.mark.parametrize(
    ("name", "writers", "told"),
    [
        ("customer", "gateway", "declared twice"),
        ("order", "nobody", "writers="),
        ("Order", "gateway", "no name"),
    ],
)
def test_an_entity_that_cannot_be_meant_is_refused(name: str, writers: str, told: str) -> None:
    """With the name that is wrong."""
    with pytest.raises(DefinitionError, match=told):
        checked_entity_name(name, {"customer": None}, writers)


def test_any_other_entity_is_taken() -> None:
    """By its name."""
    assert checked_entity_name("order", {"customer": None}, "others") == "order"
