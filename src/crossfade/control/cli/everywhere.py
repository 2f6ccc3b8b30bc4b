"""The options that every command has, and the project that they lead to."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from crossfade.config import Config, load_config
from crossfade.errors import ConfigurationError
from crossfade.migration import Migration, find_migration, load_migration


@Parameter(name="*", group="On every command")
@dataclass(frozen=True, kw_only=True)
class Everywhere:
    """The options that every command has."""

    migration: Annotated[Path | None, Parameter(name=("--migration", "-m"))] = None
    """The definition's file; else the nearest migration.py at or above this folder."""
    json: Annotated[bool, Parameter(negative="")] = False
    """Print one JSON document with a versioned schema."""
    debug: Annotated[bool, Parameter(negative="")] = False
    """Show where an error comes from."""


@Parameter(name="*", group="Before it changes something")
@dataclass(frozen=True, kw_only=True)
class Changing:
    """The options of every command that changes something."""

    dry_run: Annotated[bool, Parameter(negative="")] = False
    """Say what would be done, and do nothing."""


@Parameter(name="*", group="Before it changes something")
@dataclass(frozen=True, kw_only=True)
class Deciding(Changing):
    """The options of a decision: it is written down with its reason."""

    reason: str = ""
    """Why; kept in the history."""


EVERYWHERE = Everywhere()
CHANGING = Changing()
DECIDING = Deciding()


class Project:
    """The migration that a command is about: its file, its settings, its definition."""

    def __init__(self, everywhere: Everywhere, flags: dict[str, Any] | None = None) -> None:
        self._named = everywhere.migration
        self._flags = flags

    @functools.cached_property
    def file(self) -> Path:
        """The definition's file. Raises ConfigurationError where there is none."""
        if self._named is None:
            return find_migration(Path.cwd())
        if not self._named.is_file():
            raise ConfigurationError(
                f"there is no file {self._named}. Run `crossfade init` to write one."
            )
        return self._named.absolute()

    @functools.cached_property
    def config(self) -> Config:
        """The settings. Raises ConfigurationError."""
        return load_config(self.file.parent, self._flags)

    @functools.cached_property
    def definition(self) -> Migration:
        """The definition. Raises ConfigurationError."""
        return load_migration(self.file)
