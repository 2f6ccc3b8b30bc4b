"""Errors of use cases as problem+json (RFC 9457) that carry the exit code of a command."""

from typing import Any

from crossfade.errors import (
    ChangedMeanwhileError,
    ConfigurationError,
    CrossfadeError,
    GateError,
    LedgerUnavailableError,
    LockedError,
    MoveRefusedError,
    UnreachableError,
)

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:crossfade:problem:"

STATUSES: tuple[tuple[type[CrossfadeError], int, str], ...] = (
    (ChangedMeanwhileError, 412, "changed-meanwhile"),
    (MoveRefusedError, 409, "move-refused"),
    (GateError, 409, "refused"),
    (LockedError, 423, "locked"),
    (LedgerUnavailableError, 503, "ledger-unavailable"),
    (UnreachableError, 502, "unreachable"),
    (ConfigurationError, 422, "not-usable"),
    (CrossfadeError, 500, "failed"),
)
"""The first kind that fits."""


def problem(status: int, name: str, detail: str, exit_code: int = 1) -> dict[str, Any]:
    """One problem as a document."""
    return {
        "type": TYPE_PREFIX + name,
        "status": status,
        "title": name.replace("-", " ").capitalize(),
        "detail": detail,
        "exit_code": exit_code,
    }


def problem_of(error: CrossfadeError) -> dict[str, Any]:
    """The problem that an error is; its reasons, where it has any, as a list too."""
    status, name = next(
        (status, name) for kind, status, name in STATUSES if isinstance(error, kind)
    )
    content = problem(status, name, str(error), error.exit_code)
    if isinstance(error, MoveRefusedError):
        content["reasons"] = list(error.reasons)
    return content
