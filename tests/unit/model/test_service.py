"""Spans of time as people write them, and fields of answers."""

import pytest

from crossfade.errors import DefinitionError
from crossfade.model.operation import JsonField
from crossfade.model.service import HttpService, seconds_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10s", 10.0), ("250ms", 0.25), ("1m", 60.0), ("1.5", 1.5), (3, 3.0), (0.5, 0.5)],
)
def test_a_span_is_read_as_it_is_written(text: str | float, expected: float) -> None:
    """Seconds where no unit is given."""
    assert seconds_of(text) == expected
    assert (
        HttpService("http://127.0.0.1:1", answers_within=text).answers_within_seconds == expected
    )


@pytest.mark.parametrize("text", ["", "s", "ten seconds", "10h", "0s", "-1s", 0])
def test_what_is_no_span_is_refused(text: str | float) -> None:
    """Nothing may be unbounded, and nothing may take no time at all."""
    with pytest.raises(DefinitionError, match="span"):
        seconds_of(text)


def test_a_field_of_an_answer_is_a_way_from_the_root() -> None:
    """`$.order.id` is the field `id` of the field `order`."""
    assert JsonField("$.order.id").names == ("order", "id")
