"""Run one typed command: parse, call, and turn every end into an exit code and one line."""

import os
import signal
import sys
import traceback
from collections.abc import Sequence

from cyclopts import CycloptsError

from crossfade.control.cli.app import app
from crossfade.control.cli.output import complain
from crossfade.control.exit_codes import ExitCode
from crossfade.errors import CrossfadeError

DEBUG = "--debug"


class TerminatedError(BaseException):
    """SIGTERM came while a command was at work."""


def run(words: Sequence[str]) -> int:
    """Run a command line; never raises for what a user can do wrong."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        command, bound, _ = app.parse_args(list(words), exit_on_error=False, print_error=False)
        result = command(*bound.args, **bound.kwargs)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - every end has its exit code
        return _ended(error, words)
    return int(result) if isinstance(result, int) else ExitCode.OK


def _ended(error: BaseException, words: Sequence[str]) -> int:
    """Say in one line how a command ended; a developer asks for more with --debug."""
    if DEBUG in words:
        traceback.print_exception(error)
    match error:
        case CycloptsError():
            complain(f"{_one_line(error)} See `{_help_command(words)}`.")
            return ExitCode.USAGE
        case CrossfadeError():
            complain(str(error))
            return error.exit_code
        case KeyboardInterrupt() | TerminatedError():
            return _interrupted(error)
        case BrokenPipeError():
            return _reader_gone()
        case SystemExit(code=int() as code):
            return code
    name = type(error).__name__
    complain(f"{name}: {error}. This is a bug of crossfade; --debug shows where.")
    return ExitCode.ERROR


def _interrupted(error: KeyboardInterrupt | TerminatedError) -> int:
    terminated = isinstance(error, TerminatedError)
    word = "terminated" if terminated else "interrupted"
    complain(f"{word}. The same command goes on where this one stopped.")
    return ExitCode.TERMINATED if terminated else ExitCode.INTERRUPTED


def _terminate(*_signal: object) -> None:
    raise TerminatedError


def _reader_gone() -> int:
    """Whoever read our output has seen enough; nothing may be written at the end either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.OK


def _one_line(error: CycloptsError) -> str:
    text = " ".join(str(error).split())
    return text if text.endswith((".", "?")) else f"{text}."


def _help_command(words: Sequence[str]) -> str:
    """The help of the deepest command that the words name."""
    names = ["crossfade"]
    place = app
    for word in words:
        if word.startswith("-") or word not in place:
            break
        place = place[word]
        names.append(word)
    return " ".join([*names, "--help"])
