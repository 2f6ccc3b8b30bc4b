"""A connection to MariaDB or MySQL that sends values exactly, and notices what the server cut off.

PyMySQL puts values into the text of a statement. Ours are written by `literal`, so that whatever
has no exact form is refused before it is sent. What the server shortens with a mere note is an
error here.
"""

import re
import select
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pymysql.connections import Connection
from pymysql.constants import CLIENT, FIELD_TYPE
from pymysql.converters import conversions
from pymysql.cursors import Cursor
from pymysql.err import DataError, InterfaceError, MySQLError, OperationalError, ProgrammingError

from crossfade.store.sql_dialect import Raw

PACKET_TOO_LARGE = 1153
LOST = frozenset({0, 2006, 2013, 2055})
"""The connection is gone; whether the server got the last statement is not known."""

_SAID_GOODBYE = frozenset({1053, 1927, 4031})
"""The server ended an idle connection, and said so."""

STATEMENT_BYTES_MAX = 1_000_000
"""Rows of many are sent in statements of about this size, or of what the server takes."""

_CHANGED = frozenset({1264, 1265, 1292, 1366, 1406})
"""Notes of a value that was shortened, rounded or replaced."""

_MANY = re.compile(
    r"(INSERT\b.+\bVALUES\s*)(\((?:%s|NULL)(?:, (?:%s|NULL))*\))(\s*(?:ON DUPLICATE.*)?)",
    re.DOTALL,
)
"""An insert whose rows may be sent together: what precedes them, one row, what follows."""

_TABLE = re.compile(rb"(?:INSERT INTO|UPDATE|DELETE FROM) `((?:[^`]|``)+)`")
_INFORMATION = re.compile(rb"Records: (\d+)  Duplicates: (\d+)")


class StatementError(MySQLError):
    """A value has no exact form in a statement; nothing was sent."""


class ExactCursor(Cursor):
    """Runs statements; `%s` stands for a value whether or not there are any."""

    duplicates = 0
    """Rows of the last statements that met one with the same key, or may have."""

    def execute(self, query: Any, args: Any = ()) -> int:  # noqa: ANN401 - as PyMySQL has it
        """Run one statement; raises what PyMySQL raises, and `StatementError`."""
        changed = self._run((query % literals(args or ())).encode())
        self.duplicates = self._duplicates()
        return changed

    def executemany(self, query: str, args: Iterable[Any]) -> int:
        """Run one statement for many rows; inserts are sent many rows at a time."""
        rows = list(args)
        changed = duplicates = 0
        for statement in _statements(query, rows, self._bytes_max()):
            changed += self._run(statement)
            duplicates += self._duplicates()
        self.rowcount, self.duplicates = changed, duplicates
        return changed

    def _run(self, statement: bytes) -> int:
        connection: MariaDbConnection = self.connection  # type: ignore[assignment] # it is always ours
        if len(statement) >= connection.packet_bytes_max:
            raise DataError(PACKET_TOO_LARGE, "a packet is larger than max_allowed_packet")
        try:
            self._query(statement)  # type: ignore[attr-defined] # PyMySQL has it, its types do not
        except MySQLError as error:
            found = _TABLE.match(statement)
            if found:
                error.table = found[1].decode().replace("``", "`")  # type: ignore[attr-defined] # an attribute of our own
            raise
        self._executed = statement
        if self.warning_count and not self.description:
            self._refuse_changes(connection, is_load=statement[:9].upper() == b"LOAD DATA")
        return int(self.rowcount)

    def _refuse_changes(self, connection: "MariaDbConnection", *, is_load: bool) -> None:
        # A LOAD DATA LOCAL merely warns of what it leaves out or changes, in spite of sql_mode.
        for _, code, text in connection.show_warnings():  # type: ignore[no-untyped-call] # PyMySQL has no types for it
            if is_load or code in _CHANGED:
                raise DataError(code, text)

    def _duplicates(self) -> int:
        # Of a single row the server says nothing: one that it left as it was counts as inserted.
        result = self._result  # type: ignore[attr-defined] # PyMySQL has it, its types do not
        found = _INFORMATION.search(getattr(result, "message", None) or b"")
        return int(found[2]) if found else 1

    def _bytes_max(self) -> int:
        connection: MariaDbConnection = self.connection  # type: ignore[assignment] # it is always ours
        return min(STATEMENT_BYTES_MAX, connection.packet_bytes_max - 1)


if TYPE_CHECKING:
    _Connection = Connection[ExactCursor]
else:
    # Generic to the type checker only.
    _Connection = Connection


class MariaDbConnection(_Connection):
    """A connection that knows the server's limit and can be made anew."""

    packet_bytes_max = 2**24
    has_tables_locked = False
    """Whether it keeps all others out of some tables, which no COMMIT ends."""

    def __init__(self, session: Sequence[str], **options: Any) -> None:  # noqa: ANN401 - what PyMySQL takes
        super().__init__(
            **options,
            charset="utf8mb4",
            program_name="crossfade",
            client_flag=CLIENT.FOUND_ROWS,
            conv=_CONVERSIONS,
            cursorclass=ExactCursor,
            autocommit=False,
            defer_connect=True,
        )
        self._session = session
        self.connect()

    def connect(self, sock: Any = None) -> None:  # noqa: ANN401 - as PyMySQL has it
        """Connect and make the session's settings; also after the connection was lost."""
        super().connect(sock)
        try:
            cursor = self.cursor()
            for statement in self._session:
                cursor.execute(statement)
            cursor.execute("SELECT @@max_allowed_packet")
            self.packet_bytes_max = int((cursor.fetchone() or (0,))[0])
        except BaseException:
            self.abort()
            raise

    @property
    def is_quiet(self) -> bool:
        """Whether it is open and the server has said nothing unasked, such as good-bye."""
        if not self.open:
            return False
        waiting = select.poll()
        waiting.register(self._sock, select.POLLIN)  # type: ignore[attr-defined] # PyMySQL has it, its types do not
        return not waiting.poll(0)

    def start(self, statement: str, seconds_max: float) -> None:
        """Start a transaction, on a new connection where the old one was lost meanwhile."""
        kept = self._read_timeout
        self._read_timeout: float = seconds_max
        try:
            self._start(statement)
        finally:
            self._read_timeout = kept

    def end(self, statement: str) -> None:
        """Commit or roll back, and let others into the tables again."""
        cursor = self.cursor()
        cursor.execute(statement)
        if self.has_tables_locked:
            cursor.execute("UNLOCK TABLES")
            self.has_tables_locked = False

    def lock_tables(self, statement: str) -> None:
        """Run LOCK TABLES; lasts until `end`, or until the connection does."""
        self.has_tables_locked = True
        self.cursor().execute(statement)

    def close(self) -> None:
        """Say good-bye; harmless where it is closed."""
        if self.open:
            super().close()

    def abort(self) -> None:
        """Cut the connection: the server rolls back whatever is open."""
        self._force_close()  # type: ignore[attr-defined] # PyMySQL has it, its types do not

    def _start(self, statement: str) -> None:
        try:
            self.cursor().execute(statement)
        except (OperationalError, InterfaceError) as error:
            if error.args[0] not in LOST | _SAID_GOODBYE:
                raise
            # Nothing of this transaction was sent: it may begin elsewhere.
            self.abort()
            self.connect()
            self.cursor().execute(statement)


def literals(values: Iterable[Raw]) -> tuple[str, ...]:
    """Values as they stand in a statement.

    Raises:
        StatementError: one of them has no exact form.

    """
    try:
        return tuple([_LITERALS[type(value)](value) for value in values])
    except KeyError:
        raise StatementError("a value has no form in a statement") from None


def _statements(query: str, rows: Sequence[Sequence[Raw]], bytes_max: int) -> Iterator[bytes]:
    found = _MANY.fullmatch(query)
    if found is None:
        for row in rows:
            yield (query % literals(row)).encode()
        return
    before, after = [(part % ()).encode() for part in (found[1], found[3])]
    values = found[2]
    parts: list[bytes] = []
    size = len(before) + len(after)
    for row in rows:
        part = (values % literals(row)).encode()
        if parts and size + len(part) + 1 > bytes_max:
            yield before + b",".join(parts) + after
            parts, size = [], len(before) + len(after)
        parts.append(part)
        size += len(part) + 1
    if parts:
        yield before + b",".join(parts) + after


_ESCAPES = str.maketrans({"\0": "\\0", "\\": "\\\\", "\n": "\\n", "\r": "\\r", "'": "\\'"})


def _text(value: str) -> str:
    return f"'{value.translate(_ESCAPES)}'"


def _number(value: float) -> str:
    text = repr(value)
    if text in {"nan", "inf", "-inf"}:
        raise StatementError("NaN and infinities are no values of a column")
    return text if "e" in text else f"{text}e0"


def _moment(value: datetime) -> str:
    naive = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    return f"'{naive.isoformat(' ')}'"


_LITERALS: dict[type, Callable[[Any], str]] = {
    type(None): lambda _: "NULL",
    bool: lambda value: str(int(value)),
    int: int.__repr__,
    float: _number,
    Decimal: lambda value: format(value, "f"),
    str: _text,
    bytes: lambda value: f"X'{value.hex()}'",
    date: lambda value: f"'{value.isoformat()}'",
    datetime: _moment,
    time: lambda value: f"'{value.isoformat()}'",
}


def _as_moment(text: str) -> datetime | str:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text


def _as_instant(text: str) -> datetime | str:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return text


def _as_date(text: str) -> date | str:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return text


def _as_time(text: str) -> time | str:
    """A time of day; what is longer than a day or negative stays text."""
    try:
        return text if text.startswith("24") else time.fromisoformat(text)
    except ValueError:
        return text


_CONVERSIONS: dict[Any, Any] = {
    **conversions,
    FIELD_TYPE.BIT: lambda raw: int.from_bytes(raw, "big"),
    FIELD_TYPE.DATE: _as_date,
    FIELD_TYPE.DATETIME: _as_moment,
    FIELD_TYPE.TIMESTAMP: _as_instant,
    FIELD_TYPE.TIME: _as_time,
}
"""What is read: dates that no calendar has, such as 0000-00-00, stay text."""

__all__ = ["ExactCursor", "MariaDbConnection", "ProgrammingError", "StatementError", "literals"]
