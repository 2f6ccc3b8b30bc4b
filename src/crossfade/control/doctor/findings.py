"""What `doctor` found: one line each, with what to do."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from crossfade.control.exit_codes import ExitCode


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """Works, and somebody should know."""
    PROBLEM = "problem"
    """Does not work, or loses data."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    verdict: Verdict
    message: str
    exit_code: int = ExitCode.OK
    """What the command ends with because of this."""
    ddl: str = ""
    """Statements that would mend it."""

    def as_document(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "verdict": str(self.verdict)}


def fine(what: str, message: str) -> Finding:
    """As it must be."""
    return Finding(what, Verdict.OK, message)


def warning(what: str, message: str) -> Finding:
    """Works, and somebody should know."""
    return Finding(what, Verdict.WARNING, message)


def problem(
    what: str, message: str, exit_code: int = ExitCode.CONFIGURATION, *, ddl: str = ""
) -> Finding:
    """Does not work, or loses data."""
    return Finding(what, Verdict.PROBLEM, message, exit_code, ddl)
