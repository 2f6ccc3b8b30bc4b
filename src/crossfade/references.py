"""Secrets by reference: `${env:NAME}` and `${file:PATH}` in a setting or a definition."""

import re
from collections.abc import Mapping
from pathlib import Path

from crossfade.errors import ConfigurationError

REFERENCE = re.compile(r"\$\{(?P<kind>[^:{}]*):(?P<name>[^{}]*)\}")
FILE_BYTES_MAX = 64 * 1024
"""A secret's file that is larger is some other file."""


def resolve_reference(text: str, environ: Mapping[str, str]) -> str:
    """The text with every reference replaced by what it names; text without one stays as it is.

    What is put in is not looked at again, so a value may itself hold `${`. A file's last line
    break does not belong to its value.

    Raises:
        ConfigurationError: the variable or file does not exist, or it is another kind of
            reference; the message names the variable or the file and never a value.

    """
    return REFERENCE.sub(lambda found: _value(found["kind"], found["name"], environ), text)


def has_reference(text: str) -> bool:
    """Whether something would be put in."""
    return REFERENCE.search(text) is not None


def _value(kind: str, name: str, environ: Mapping[str, str]) -> str:
    if kind == "env":
        return _variable(name, environ)
    if kind == "file":
        return _content(name)
    raise ConfigurationError(
        f"unknown kind of reference ${{{kind}:…}}. Write ${{env:NAME}} or ${{file:PATH}}."
    )


def _variable(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name)
    if value is None:
        raise ConfigurationError(
            f"the environment variable {name} is not set. "
            f"Set it before you start crossfade: it is named as ${{env:{name}}}."
        )
    return value


def _content(name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
        if len(data) > FILE_BYTES_MAX:
            raise ConfigurationError(
                f"the file {name} is larger than {FILE_BYTES_MAX} bytes: no secret is. "
                f"Name the right file in ${{file:{name}}}."
            )
        return data.decode().removesuffix("\n").removesuffix("\r")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise ConfigurationError(
            f"the file {name} cannot be read: {reason}. It is named as ${{file:{name}}}."
        ) from error
