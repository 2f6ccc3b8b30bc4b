"""Failpoints: named places where a drill stops the process."""

import pytest

from crossfade.errors import ConfigurationError
from crossfade.seams.failpoint import ArmedFailpoint, failpoint_from_text, unarmed


async def test_an_armed_failpoint_dies_at_its_count_and_only_there() -> None:
    """Other names, and the same name before and after, go on."""
    deaths: list[str] = []
    failpoint = ArmedFailpoint({"chunk.put": 2}, die=lambda: deaths.append("died"))

    for name in ("chunk.put", "chunk.read", "chunk.put", "chunk.put"):
        await failpoint(name)

    assert deaths == ["died"]


def test_no_text_arms_nothing() -> None:
    """The failpoint of everyday."""
    assert failpoint_from_text("") is unarmed


@pytest.mark.parametrize("text", ["chunk.put", "chunk.put=1", " chunk.put = 1 ,"])
async def test_a_text_names_places_and_counts(text: str) -> None:
    """The first time, if no count is given."""
    failpoint = failpoint_from_text(text)
    deaths: list[str] = []
    assert isinstance(failpoint, ArmedFailpoint)
    failpoint._die = lambda: deaths.append("died")  # noqa: SLF001 - the test wants to live on

    await failpoint("chunk.put")

    assert deaths == ["died"]


def test_a_count_that_is_none_is_told() -> None:
    """One line, not a trace."""
    with pytest.raises(ConfigurationError, match=r"chunk\.put=2"):
        failpoint_from_text("chunk.put=often")
