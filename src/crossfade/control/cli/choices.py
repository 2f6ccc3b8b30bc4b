"""Values that are typed by name: a stage, keys; a wrong one is answered with what was meant."""

import difflib
import getpass
import json
from collections.abc import Sequence

from crossfade.errors import CrossfadeError
from crossfade.model.key import Key
from crossfade.model.stage import Stage

CLI_ACTOR = "cli"


class UsageError(CrossfadeError):
    """The command line says something that cannot be meant; nothing was tried."""

    exit_code = 2


def stage_of(text: str) -> Stage:
    """The stage of that name. Raises UsageError with the nearest name."""
    try:
        return Stage(text.replace("-", "_"))
    except ValueError as error:
        close = difflib.get_close_matches(text, list(Stage), n=1)
        meant = f' Did you mean "{close[0]}"?' if close else ""
        raise UsageError(
            f'there is no stage "{text}".{meant} Stages are: {", ".join(Stage)}.'
        ) from error


def keys_of(texts: Sequence[str]) -> tuple[Key, ...]:
    """Keys as they are typed: `17`, `de-17`, or `["de",17]` for one of several columns.

    Whether `17` is a number is for the entity to say.
    """
    return tuple(_key_of(text) for text in texts)


def actor() -> str:
    """Who types: kept in the history."""
    try:
        return f"{CLI_ACTOR}:{getpass.getuser()}"
    except (KeyError, OSError):
        return CLI_ACTOR


def _key_of(text: str) -> Key:
    if not text.startswith("["):
        return (text,)
    try:
        parts = json.loads(text)
    except ValueError as error:
        raise UsageError(
            f'"{text}" is no key. Write 17, or ["de",17] for several columns.'
        ) from error
    if not parts or not all(isinstance(part, int | str) for part in parts):
        raise UsageError(f'"{text}" is no key: its parts are whole numbers or texts.')
    return tuple(parts)
