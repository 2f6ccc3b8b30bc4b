"""PostgreSQL's errors in our words; never the server's text, which may hold values of rows."""

import re
from collections.abc import Callable

import psycopg
from psycopg import errors

from crossfade.errors import (
    ConfigurationError,
    CrossfadeError,
    NoDatabaseError,
    StoreError,
    StoreUnreachableError,
)
from crossfade.store.base import PutStatus
from crossfade.store.sql_dialect import Violation
from crossfade.store.sqlite_errors import tables_missing

ERRORS: tuple[type[Exception], ...] = (psycopg.Error, UnicodeError, OverflowError)
"""What psycopg raises, values that it cannot send or read included."""

_FOREIGN_KEY = "a foreign key: the parent is missing, or a row that points here is in the way"
_TRIGGER = "a trigger of the database refuses the row"
_TOO_LARGE = "a value is too large for the database"

_REFUSALS = {
    "23000": "a constraint of the database refuses the row",
    "23P01": "another row excludes this one",
    "22001": "text is longer than its column",
    "22003": "a number is out of its column's range",
    "22007": "text is no date or time that the database knows",
    "22008": "a date or time is out of its column's range",
    "22021": "text holds what the database's encoding cannot",
    "22P05": "text holds what the database's encoding cannot",
    "22P02": "text is no value of its column's type",
    "22P03": "bytes are no value of their column's type",
    "22023": "a value is none of its column's type",
    "2202E": "an array has parts of different lengths",
    "428C9": "a column computes its value by itself",
    "42804": "a value has not its column's type",
    "44000": "the row is outside the view that is written to",
    "P0001": _TRIGGER,
    "P0004": _TRIGGER,
}
"""SQLSTATE to words."""

_CLASSES_OF_REFUSALS = {
    "22": "a value is none that its column can hold",
    "23": "a constraint of the database refuses the row",
    "54": _TOO_LARGE,
    "P0": _TRIGGER,
}
"""The first two characters of other codes to words."""

_UNREACHABLE = {
    "0A000": "has changed a table just now. Try again",
    "25006": "is read-only, as a standby is. Use the one that takes writes",
    "25P03": "ended a transaction that was idle for too long. Try again",
    "40001": "had another transaction in the way. Try again",
    "40P01": "broke a deadlock of two transactions by ending this one. Try again",
    "53100": "has no room: the disk is full. Free some space",
    "53200": "ran out of memory. Try again",
    "53300": "has too many connections. Try again, or raise max_connections",
    "55006": "is in use by somebody else. Try again",
    "55P03": "is locked by somebody else. Try again, or end the long transaction",
    "57014": "ended a statement that took too long. Try again, or see what it waits for",
    "57P01": "was stopped or ended the connection. Try again",
    "57P02": "crashed and restarts. Try again",
    "57P03": "is starting up. Try again",
    "57P05": "ended a connection that was idle for too long. Try again",
    "58030": "had an input/output error. Check the disk",
}
"""SQLSTATE to what the operator can do; the call was not applied and may be repeated."""

_CLASSES_OF_UNREACHABLE = {
    "08": "lost the connection. Try again",
    "53": "has no resources left. Try again",
    "57": "does not take the statement now. Try again",
}

Places = dict[tuple[str, str, str], str]
"""Schema, table and unique index to `table.column, table.column`, as a definition names them."""

_UNANSWERED = ("08", "53", "57", "58", "XX")
"""Classes of errors that may meet a commit that took place all the same."""

_STALE_PLAN = "RevalidateCachedQuery"
_ROW_SECURITY = "check_enable_rls"
"""Functions of the server that tell apart what has one SQLSTATE, in every language."""

_DENIED = re.compile(r"\b(table|view|relation|sequence|schema|function|foreign table)\b (.+)$")

_GRANTS = {
    "sequence": "GRANT SELECT, UPDATE ON SEQUENCE {0} TO {1}",
    "schema": "GRANT USAGE ON SCHEMA {0} TO {1}",
    "function": "GRANT EXECUTE ON FUNCTION {0} TO {1}",
}
_GRANT_TABLE = "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE {0} TO {1}"


def violation_of(error: Exception, places: Places) -> Violation | None:
    """See `SqlDialect.violation`; `places` has the columns of each unique index that we know."""
    if isinstance(error, UnicodeEncodeError):
        return Violation(PutStatus.REFUSED, "text with a lone surrogate is no text")
    if isinstance(error, OverflowError):
        return Violation(PutStatus.REFUSED, "a number is out of every column's range")
    if not isinstance(error, psycopg.Error):
        return None
    code = error.sqlstate
    if code is None:
        # The driver itself refuses NUL; nothing else that it cannot send gets this far.
        is_value = isinstance(error, psycopg.DataError)
        return Violation(PutStatus.REFUSED, "text cannot hold NUL here") if is_value else None
    if code in _CONSTRAINTS:
        return _CONSTRAINTS[code](error, places)
    words = _REFUSALS.get(code) or _CLASSES_OF_REFUSALS.get(code[:2])
    return Violation(PutStatus.REFUSED, words) if words else None


def failure_of(error: Exception, database: str, role: str) -> CrossfadeError:
    """See `SqlDialect.failure`."""
    code = _code(error)
    if is_unreadable(error) or not isinstance(error, psycopg.Error):
        return StoreError(f"the database {database} has a value that cannot be read. Correct it.")
    if code == "42P01" and "crossfade_" in (error.diag.message_primary or ""):
        return tables_missing(database)
    if code == "42501":
        return _denied(error, database, role)
    words = _unreachable_words(error, code)
    if words is not None:
        return StoreUnreachableError(f"the database {database} {words}.")
    if code.startswith("XX"):
        return StoreError(f"the database {database} is damaged ({code}). See its log.")
    return StoreError(
        f"the database {database} cannot run a statement ({code or type(error).__name__}). "
        f"Run `crossfade doctor` to see whether a table has changed."
    )


def _unreachable_words(error: psycopg.Error, code: str) -> str | None:
    if code == "0A000" and error.diag.source_function != _STALE_PLAN:
        return None
    if not code and isinstance(error, psycopg.OperationalError):
        return _CLASSES_OF_UNREACHABLE["08"]
    return _UNREACHABLE.get(code) or _CLASSES_OF_UNREACHABLE.get(code[:2])


def connect_failure_of(error: Exception, database: str) -> CrossfadeError:
    """Why no connection was made; the server gives no code for it, only words."""
    text = str(error)
    if re.search(r'database ".*" does not exist', text):
        return NoDatabaseError(
            f"there is no database {database}. Check its name in the definition."
        )
    if re.search(r"password|authentication|pg_hba|role \".*\" does not exist|permission", text):
        return ConfigurationError(
            f"the database {database} does not let us in. Check user, password and pg_hba.conf."
        )
    if "too many" in text or "remaining connection slots" in text:
        return StoreUnreachableError(f"the database {database} {_UNREACHABLE['53300']}.")
    if "starting up" in text or "shutting down" in text or "recovery" in text:
        return StoreUnreachableError(f"the database {database} {_UNREACHABLE['57P03']}.")
    return StoreUnreachableError(
        f"the database {database} cannot be reached. Check that it runs, its host and its port."
    )


def is_refused_commit(error: Exception) -> bool:
    """Whether the server answered a COMMIT by undoing it, as a deferred constraint does."""
    code = _code(error)
    if code in {"57014", "57P03"}:
        return True
    return bool(code) and code != "40003" and not code.startswith(_UNANSWERED)


def is_unreadable(error: Exception) -> bool:
    """Whether a value was read that Python's types cannot hold."""
    return isinstance(error, psycopg.DataError | UnicodeDecodeError) and _code(error) == ""


def _unique(error: psycopg.Error, places: Places) -> Violation:
    diag = error.diag
    index = diag.constraint_name or ""
    place = places.get((diag.schema_name or "", diag.table_name or "", index), "")
    return Violation(PutStatus.UNIQUE, f"must be unique: {place or index}", place)


def _points(*_: object) -> Violation:
    return Violation(PutStatus.FOREIGN_KEY, _FOREIGN_KEY)


def _null(error: psycopg.Error, _: object) -> Violation:
    diag = error.diag
    place = f"{diag.table_name}.{diag.column_name}" if diag.column_name else "a domain"
    return Violation(PutStatus.REFUSED, f"must not be NULL: {place}", place)


def _check(error: psycopg.Error, _: object) -> Violation:
    name = error.diag.constraint_name or ""
    return Violation(PutStatus.REFUSED, f"a CHECK of the table fails: {name}")


def _made_twice(*_: object) -> Violation:
    return Violation(PutStatus.UNIQUE, "somebody else makes a table of that name")


_CONSTRAINTS: dict[str, Callable[[psycopg.Error, Places], Violation]] = {
    "23505": _unique,
    "23503": _points,
    "23001": _points,
    "23502": _null,
    "23514": _check,
    "42P07": _made_twice,
    "42710": _made_twice,
}


def _denied(error: psycopg.Error, database: str, role: str) -> StoreError:
    # Such a message names one object of the schema and no value.
    if error.diag.source_function == _ROW_SECURITY:
        return StoreError(
            f"the database {database} hides rows from the role {role!r} by row-level security. "
            f"Run ALTER ROLE {_quoted(role)} BYPASSRLS."
        )
    found = _DENIED.search(error.diag.message_primary or "")
    right = getattr(error, "right", "")
    if found is None:
        return StoreError(
            f"the database {database} denies the role {role!r} a right. Run `crossfade doctor`."
        )
    kind, name = found[1], found[2]
    grant = _GRANTS.get(kind, _GRANT_TABLE).format(_quoted(name), _quoted(role))
    denied = f"{right} on the {kind}" if right else f"its right on the {kind}"
    return StoreError(
        f"the database {database} denies the role {role!r} {denied} {name!r}. Run {grant}."
    )


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _code(error: Exception) -> str:
    return (error.sqlstate or "") if isinstance(error, errors.Error) else ""
