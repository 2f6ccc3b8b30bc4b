"""SQLite's errors in our words; never the driver's text, since that may hold values of rows."""

import sqlite3

from crossfade.errors import (
    ConfigurationError,
    CrossfadeError,
    NotPreparedError,
    StoreError,
    StoreUnreachableError,
)
from crossfade.store.base import PutStatus
from crossfade.store.sql_dialect import Violation

ERRORS: tuple[type[Exception], ...] = (sqlite3.Error, OverflowError, UnicodeEncodeError)
"""What sqlite3 raises, values that it cannot send included."""

_UNDECODABLE = "Could not decode to UTF-8"

_CONSTRAINTS = {
    "SQLITE_CONSTRAINT_UNIQUE": (PutStatus.UNIQUE, "must be unique: "),
    "SQLITE_CONSTRAINT_PRIMARYKEY": (PutStatus.UNIQUE, "must be unique: "),
    "SQLITE_CONSTRAINT_ROWID": (PutStatus.UNIQUE, "must be unique: "),
    "SQLITE_CONSTRAINT_NOTNULL": (PutStatus.REFUSED, "must not be NULL: "),
    "SQLITE_CONSTRAINT_CHECK": (PutStatus.REFUSED, "a CHECK of the table fails: "),
}
"""Extended code to status and words; what follows names schema objects only."""

_WORDS_FOR_CONSTRAINTS = {
    "SQLITE_CONSTRAINT_FOREIGNKEY": (
        PutStatus.FOREIGN_KEY,
        "a foreign key: the parent is missing, or a row that points here is in the way",
    ),
    "SQLITE_CONSTRAINT_DATATYPE": (PutStatus.REFUSED, "a column of a STRICT table: wrong type"),
    "SQLITE_CONSTRAINT_TRIGGER": (PutStatus.REFUSED, "a trigger of the database refuses the row"),
    "SQLITE_MISMATCH": (PutStatus.REFUSED, "an INTEGER PRIMARY KEY must be a whole number"),
    "SQLITE_TOOBIG": (PutStatus.REFUSED, "a value is too large for the database"),
}

_REFUSED_BY_DRIVER: tuple[tuple[type[Exception], str], ...] = (
    (OverflowError, "a whole number has more than 64 bits"),
    (UnicodeEncodeError, "text with a lone surrogate is no text"),
    (sqlite3.DataError, "a value is too large for the database"),
)
"""Values that are never sent."""

_UNREACHABLE = {
    "SQLITE_BUSY": "is locked by somebody else. Try again, or end the long transaction",
    "SQLITE_LOCKED": "is locked by somebody else. Try again, or end the long transaction",
    "SQLITE_IOERR": "had an input/output error. Check the disk",
    "SQLITE_FULL": "has no room: the disk is full. Free some space",
    "SQLITE_CANTOPEN": "cannot be opened. Check the path and its permissions",
    "SQLITE_READONLY": "cannot be written: the file or its folder is read-only",
    "SQLITE_PROTOCOL": "has a locking problem. Try again",
    "SQLITE_NOMEM": "ran out of memory",
    "SQLITE_PERM": "cannot be accessed. Check the permissions of the file",
}
"""Basic code to what the operator can do; the call may be repeated."""

_BROKEN = {
    "SQLITE_CORRUPT": "is damaged. Restore it from a backup",
    "SQLITE_NOTADB": "is no SQLite database. Check the path",
}


def violation_of(error: Exception) -> Violation | None:
    """See `SqlDialect.violation`."""
    for kind, words in _REFUSED_BY_DRIVER:
        if isinstance(error, kind):
            return Violation(PutStatus.REFUSED, words)
    name = _code(error)
    if name in _CONSTRAINTS:
        status, words = _CONSTRAINTS[name]
        place = str(error).partition(" constraint failed: ")[2]
        return Violation(status, f"{words}{place}", place)
    if name in _WORDS_FOR_CONSTRAINTS:
        status, words = _WORDS_FOR_CONSTRAINTS[name]
        return Violation(status, words)
    if isinstance(error, sqlite3.IntegrityError):
        return Violation(PutStatus.REFUSED, "a constraint of the database refuses the row")
    return None


def failure_of(error: Exception, database: str) -> CrossfadeError:
    """See `SqlDialect.failure`."""
    name = _code(error)
    basic = "_".join(name.split("_")[:2])
    if str(error).startswith("no such table: crossfade_"):
        return tables_missing(database)
    if basic in _UNREACHABLE:
        return StoreUnreachableError(f"the database {database} {_UNREACHABLE[basic]}.")
    if name == "SQLITE_NOTADB":
        return ConfigurationError(f"the database {database} {_BROKEN[name]}.")
    if basic in _BROKEN:
        return StoreError(f"the database {database} {_BROKEN[basic]}.")
    if is_undecodable(error):
        return StoreError(f"the database {database} has text that is not UTF-8. Correct the row.")
    return StoreError(
        f"the database {database} cannot run a statement ({name or type(error).__name__}). "
        f"Run `crossfade doctor` to see whether a table has changed."
    )


def is_refused_commit(error: Exception) -> bool:
    """Whether a failed COMMIT certainly left nothing behind: a lock, or a deferred constraint."""
    return _code(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CONSTRAINT"))


def is_undecodable(error: Exception) -> bool:
    """Whether a row that was read holds text that is not UTF-8."""
    return isinstance(error, sqlite3.OperationalError) and str(error).startswith(_UNDECODABLE)


def tables_missing(database: str) -> NotPreparedError:
    """The error of a database without our two tables."""
    return NotPreparedError(
        f"the database {database} has no tables crossfade_fence and crossfade_epoch. "
        f"Run `crossfade doctor --apply` to create them."
    )


def _code(error: Exception) -> str:
    return getattr(error, "sqlite_errorname", None) or ""
