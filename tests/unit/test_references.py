"""References put in what they name, and never tell a value."""

from pathlib import Path

import pytest

from crossfade.errors import ConfigurationError
from crossfade.references import FILE_BYTES_MAX, has_reference, resolve_reference


def test_text_without_a_reference_stays_as_it_is() -> None:
    """A plain address, and one that only looks similar, is not touched."""
    for text in ("sqlite:///a.db", "${HOME}", "$env:A", ""):
        assert (resolve_reference(text, {}), has_reference(text)) == (text, False)


def test_variables_and_files_are_put_in(tmp_path: Path) -> None:
    """Several references in one text are all replaced, once."""
    secret = tmp_path / "secret"
    secret.write_text("p${env:A}w\r\n")

    resolved = resolve_reference(f"db://${{env:U}}:${{file:{secret}}}@h", {"U": "me"})

    assert resolved == "db://me:p${env:A}w@h"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("${env:NOT_THERE}", "NOT_THERE"),
        ("${file:/no/such/file}", "/no/such/file"),
        ("${vault:x}", "vault"),
    ],
)
def test_what_cannot_be_put_in_is_named(text: str, words: str) -> None:
    """The message names the variable, the file or the kind."""
    with pytest.raises(ConfigurationError, match=words):
        resolve_reference(text, {"OTHER": "hidden"})


def test_a_secret_is_never_told(tmp_path: Path) -> None:
    """A file that is too large or no text is refused without a byte of it."""
    large, binary = tmp_path / "large", tmp_path / "binary"
    large.write_text("hidden" * FILE_BYTES_MAX)
    binary.write_bytes(b"hidden\xff")

    for file in (large, binary):
        with pytest.raises(ConfigurationError) as caught:
            resolve_reference(f"${{file:{file}}}", {})

        assert "hidden" not in str(caught.value)
