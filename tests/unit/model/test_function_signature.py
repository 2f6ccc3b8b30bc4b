"""Whether one function can be called in every way in which another can."""

import inspect
from typing import Any

import pytest

from crossfade.errors import DefinitionError
from crossfade.model.function_signature import misfit, signature_of


def _many(*names: str) -> None: ...


def _named(**values: str) -> None: ...


def _two(one: str, two: str) -> None: ...


def _anything(*args: Any, **kwargs: Any) -> None: ...  # noqa: ANN401 - takes anything


@pytest.mark.parametrize(
    ("body", "other", "fits"),
    [
        (_many, _anything, True),
        (_many, _two, False),
        (_named, _anything, True),
        (_named, _two, False),
        (_named, _many, False),
        (_two, _two, True),
    ],
)
def test_whatever_the_body_takes_the_other_must_take(body: Any, other: Any, *, fits: bool) -> None:  # noqa: ANN401 - functions
    """Any number of arguments, and any name, included."""
    problem = misfit(inspect.signature(body), inspect.signature(other))

    assert (problem is None) == fits


def test_a_function_that_does_not_tell_its_parameters_is_refused() -> None:
    """Some of those that are written in C."""
    with pytest.raises(DefinitionError, match="cannot be read"):
        signature_of(dict, "get_profile")
