"""Counts are told with the noun that belongs to them."""

import pytest

from crossfade.model.counted import counted


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (counted(0, "key"), "0 keys"),
        (counted(1, "key"), "1 key"),
        (counted(1200, "key"), "1,200 keys"),
        (counted(1, "entity", "entities"), "1 entity"),
        (counted(2, "entity", "entities"), "2 entities"),
    ],
)
def test_one_is_singular_and_all_else_plural(told: str, words: str) -> None:
    """With separators for thousands."""
    assert told == words
