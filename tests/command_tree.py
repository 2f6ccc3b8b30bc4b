"""The commands of our command line, as the documentation has to name them."""

import importlib
import importlib.util
from collections.abc import Iterator

from cyclopts import App

PLACES = ("crossfade.control.cli", "crossfade.control.cli.app", "crossfade.__main__")
"""Where the command line may be put together; the first that holds an `App` is taken."""


def command_line() -> App | None:
    """The command line, or None while there is none."""
    for place in PLACES:
        if not _exists(place):
            continue
        for value in vars(importlib.import_module(place)).values():
            if isinstance(value, App):
                return value
    return None


def command_names(app: App, before: str = "crossfade") -> Iterator[str]:
    """Every command with its parents: `crossfade stage promote`."""
    for name in app:
        if name.startswith("-"):
            continue
        full_name = f"{before} {name}"
        yield full_name
        yield from command_names(app[name], full_name)


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
