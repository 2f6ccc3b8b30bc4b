"""Run one typed command: parse, call, and turn every end into an exit code and one line."""

import asyncio
import inspect
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
    try:
        command, bound, _ = app.parse_args(
            list(words), exit_on_error=False, print_error=False, help_on_error=False
        )
        result = command(*bound.args, **bound.kwargs)
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
    except CycloptsError as error:
        complain(f"{_one_line(error)} See `{_help_command(words)}`.")
        return ExitCode.USAGE
    except CrossfadeError as error:
        return _failed(error, words, error.exit_code)
    except KeyboardInterrupt:
        complain("interrupted. The same command goes on where this one stopped.")
        return ExitCode.INTERRUPTED
    except TerminatedError:
        complain("terminated. The same command goes on where this one stopped.")
        return ExitCode.TERMINATED
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.stderr.close()
        return ExitCode.OK
    except Exception as error:  # noqa: BLE001 - a user gets a line, a developer --debug
        message = (
            f"{type(error).__name__}: {error}. This is a bug of crossfade; --debug shows where."
        )
        return _failed(CrossfadeError(message), words, ExitCode.ERROR, cause=error)
    return ExitCode.OK if result is None else int(result)


def _failed(
    error: CrossfadeError, words: Sequence[str], code: int, cause: BaseException | None = None
) -> int:
    if DEBUG in words:
        traceback.print_exception(cause or error)
    complain(str(error))
    return code


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
