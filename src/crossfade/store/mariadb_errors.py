"""MariaDB's and MySQL's errors in our words; never the server's text, which holds values."""

import re
from collections.abc import Mapping

from pymysql.err import MySQLError

from crossfade.errors import (
    ConfigurationError,
    CrossfadeError,
    NoDatabaseError,
    RightMissingError,
    StoreError,
    StoreUnreachableError,
)
from crossfade.store.base import PutStatus
from crossfade.store.mariadb_connection import LOST, StatementError
from crossfade.store.sql_dialect import Violation
from crossfade.store.sqlite_errors import tables_missing

ERRORS: tuple[type[Exception], ...] = (MySQLError, UnicodeEncodeError)
"""What PyMySQL raises, values that it cannot send included."""

Keys = Mapping[tuple[str, str], tuple[str, ...]]
"""Table and name of a unique index to its columns."""

_DUPLICATE = frozenset({1062, 1586})
_FOREIGN_KEY = frozenset({1216, 1217, 1451, 1452})
_REFUSED = {
    1048: "must not be NULL",
    1138: "must not be NULL",
    1364: "has no default and is not named",
    1263: "must not be NULL",
    1264: "is out of range",
    1265: "would be changed",
    1292: "has a wrong form",
    1366: "cannot hold the value",
    1406: "is too long",
    1411: "has a wrong form",
    3140: "is no JSON",
    1906: "is computed by the database",
    3105: "is computed by the database",
    1416: "is no geometry",
}
"""What is wrong with a column, whose name is added."""

_REFUSED_ROWS = {
    4025: "a CHECK of the table fails",
    3819: "a CHECK of the table fails",
    1644: "a trigger of the database refuses the row",
    1442: "a trigger of the database refuses the row",
    1153: "the row is larger than max_allowed_packet of the server",
    1118: "the row is larger than the table allows",
    1267: "a column's character set lacks a character of the value",
    1270: "a column's character set lacks a character of the value",
    1271: "a column's character set lacks a character of the value",
    1690: "a number is out of range",
    1526: "the table has no partition for the row",
    1748: "the table has no partition for the row",
}

_UNREACHABLE = {
    1021: "has no room: the disk is full. Free some space",
    1114: "has no room: the table is full. Free some space",
    1034: "has a problem with its files. Check the disk",
    1040: "has too many connections. Raise max_connections, or take fewer",
    1203: "gives this user no more connections. Raise max_user_connections, or take fewer",
    1226: "gives this user no more connections. Raise its limits, or take fewer",
    1053: "is shutting down. Try again",
    1077: "is shutting down. Try again",
    1205: "has a lock that somebody else holds. Try again, or end the long transaction",
    1213: "had a deadlock and undid this transaction. Try again",
    1020: "had a change by somebody else meanwhile. Try again",
    1412: "has a table that was changed meanwhile. Try again",
    1615: "has a table that was changed meanwhile. Try again",
    1290: "is read-only. Point the URL at the server that takes writes",
    1836: "is read-only. Point the URL at the server that takes writes",
    1792: "is read-only. Point the URL at the server that takes writes",
    1317: "was told to end the statement. Try again",
    1927: "was told to end the connection. Try again",
    1969: "ended a statement that took too long. Try again",
    3024: "ended a statement that took too long. Try again",
    4031: "ended an idle connection. Try again",
    1047: "is no ready member of its cluster. Try again",
    1129: "blocks this host after connection errors. Run mysqladmin flush-hosts",
    2002: "cannot be reached. Check its address, and that it runs",
    2003: "cannot be reached. Check its address, and that it runs",
    2005: "cannot be reached. Check its address, and that it runs",
}
"""Number to what the operator can do; the call may be repeated."""

_DENIED = {
    1045: "refuses the user or the password of the URL. Correct the URL",
    1698: "refuses the user or the password of the URL. Correct the URL",
    1130: "takes no connection from this host. Create the user for this host",
    1862: "has a password that expired. Set a new one",
    1820: "has a password that expired. Set a new one",
}
_RIGHT_MISSING = frozenset({1142, 1143})
_TOO_LONG = 1406
_UNKNOWN_DATABASE = 1049
_DATABASE_DENIED = 1044
_NO_TABLE = 1146
_STATEMENT_LOGGED = 1665

# The last one counts: what precedes it may be a value.
_COLUMN = re.compile(r".* for column [`']?(.+?)[`']? at row \d+", re.DOTALL)
_COLUMN_NAMED = re.compile(
    r"(?:Column|Field) '(.+)' (?:cannot be null|doesn't have a default value)"
)
_OURS = re.compile(r"\.crossfade_(?:fence|epoch)'")
_KEY = re.compile(r".* for key '(.+)'", re.DOTALL)
_COMMAND_DENIED = re.compile(r"([A-Z ,]+) command denied to user .* for (?:table|routine) (.+)")
_COLUMN_DENIED = re.compile(r"([A-Z ,]+) command denied to user .* for column .+ in table '(.+)'")

_WORDS_FOR_FOREIGN_KEY = (
    "a foreign key: the parent is missing, or a row that points here is in the way"
)


def violation_of(error: Exception, keys: Keys) -> Violation | None:
    """See `SqlDialect.violation`; `keys` say which columns an index is over."""
    code = number_of(error)
    if code in _DUPLICATE:
        return _duplicate(error, keys)
    if code in _FOREIGN_KEY:
        return Violation(PutStatus.FOREIGN_KEY, _WORDS_FOR_FOREIGN_KEY)
    reason = _refusal(error, code)
    return None if reason is None else Violation(PutStatus.REFUSED, reason)


def failure_of(error: Exception, database: str) -> CrossfadeError:
    """See `SqlDialect.failure`."""
    code = number_of(error)
    if code in LOST:
        return StoreUnreachableError(f"the connection to the database {database} was lost.")
    if code in _UNREACHABLE:
        return StoreUnreachableError(f"the database {database} {_UNREACHABLE[code]}.")
    named = type(error).__name__ if code < 0 else f"error {code}"
    wrong = _misconfigured(error, code, database)
    return wrong or StoreError(
        f"the database {database} cannot run a statement ({named}). "
        f"Run `crossfade doctor` to see whether a table has changed."
    )


def is_refused_commit(error: Exception) -> bool:
    """Whether a failed COMMIT certainly left nothing behind.

    A cluster refused it (1213, 1047), or the server is read-only. A connection that was lost, or
    anything else that happened while it committed, says nothing.
    """
    return number_of(error) in {1047, 1205, 1213, 1290, 1836}


def number_of(error: Exception) -> int:
    """The server's or PyMySQL's number of the error; -1 where it has none."""
    first = error.args[0] if error.args else None
    return first if isinstance(first, int) else -1


def denied(error: Exception, place: str = "") -> bool:
    """Whether a right on a table, or on a column of it, is missing.

    Args:
        error: what PyMySQL raised.
        place: the table's quoted name where no other one is meant.

    """
    name = place.rpartition(".")[2].strip("`")
    return number_of(error) in _RIGHT_MISSING and name in _text(error)


def _refusal(error: Exception, code: int) -> str | None:
    if isinstance(error, UnicodeEncodeError):
        return "text with a lone surrogate is no text"
    if isinstance(error, StatementError):
        return str(error)
    if code == _TOO_LONG and getattr(error, "table", "") == "crossfade_fence":
        return "the key is longer than the table crossfade_fence takes"
    if code in _REFUSED:
        return f"column {_column(error)}{_REFUSED[code]}"
    return _REFUSED_ROWS.get(code)


def _duplicate(error: Exception, keys: Keys) -> Violation:
    found = _KEY.fullmatch(_text(error))
    index = found[1] if found else ""
    table = getattr(error, "table", "")
    # MySQL 8 writes `table.index`, MariaDB the index alone.
    columns = keys.get((table, index)) or keys.get((table, index.removeprefix(f"{table}.")))
    if columns is None:
        return Violation(PutStatus.UNIQUE, f"must be unique: the index of table {table!r}")
    place = ", ".join(f"{table}.{column}" for column in columns)
    return Violation(PutStatus.UNIQUE, f"must be unique: {place}", place)


def _column(error: Exception) -> str:
    """The column's name with a space behind it, where the server says it."""
    text = _text(error)
    found = _COLUMN.fullmatch(text) or _COLUMN_NAMED.fullmatch(text)
    return f"{found[1].rpartition('`.`')[2]!r} " if found else ""


def _misconfigured(error: Exception, code: int, database: str) -> ConfigurationError | None:
    if code == _UNKNOWN_DATABASE:
        return NoDatabaseError(f"there is no database {database}. Check the URL.")
    if code == _NO_TABLE and _OURS.search(_text(error)):
        return tables_missing(database)
    if code == _STATEMENT_LOGGED:
        return ConfigurationError(
            f"the database {database} logs statements, which cannot repeat what we do. "
            f"Set binlog_format to ROW or MIXED."
        )
    return _denied(error, code, database)


def _denied(error: Exception, code: int, database: str) -> ConfigurationError | None:
    if code in _DENIED:
        return ConfigurationError(f"the database {database} {_DENIED[code]}.")
    if code == _DATABASE_DENIED:
        return ConfigurationError(
            f"the database {database} is not open to the user of the URL. Run GRANT SELECT, "
            f"INSERT, UPDATE, DELETE ON its tables TO that user."
        )
    found = _COMMAND_DENIED.fullmatch(_text(error)) or _COLUMN_DENIED.fullmatch(_text(error))
    if found is not None:
        right, place = found[1].strip(), found[2]
        return RightMissingError(
            f"the user of the database {database} may not {right} on {place}. "
            f"Run GRANT {right} ON {place} TO that user."
        )
    if code in {1142, 1143, 1227, 1370}:
        return RightMissingError(
            f"the user of the database {database} lacks a privilege. Run `crossfade doctor`."
        )
    return None


def _text(error: Exception) -> str:
    return str(error.args[1]) if len(error.args) > 1 else ""
