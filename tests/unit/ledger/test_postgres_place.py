"""A ledger's URL: what it names, and what nobody is ever shown of it."""

import traceback

import pytest

from crossfade.errors import ConfigurationError
from crossfade.ledger.postgres_place import place_of


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:sec%zzret@127.0.0.1:5432/shop",
        "postgresql://u:12/secret@127.0.0.1/shop",
        "postgresql://u:se/cret@127.0.0.1/shop",
        "postgresql://u:se#cret@127.0.0.1/shop",
        "postgresql://u:se?cret@127.0.0.1/shop",
    ],
)
def test_a_password_with_a_bare_sign_is_refused_and_not_shown(url: str) -> None:
    """Whoever cuts the URL elsewhere would show a part of it, or connect to it."""
    with pytest.raises(ConfigurationError, match="%2F") as caught:
        place_of(url)

    told = "".join(traceback.format_exception_only(caught.value))
    assert "cret" not in told
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_an_encoded_password_is_not_shown() -> None:
    """Host, port, database and schema are."""
    place = place_of("postgresql://u:se%2Fcret@db:5433/shop?schema=mine&password=secret")

    assert place.shown == "postgresql://db:5433/shop?schema=mine"
