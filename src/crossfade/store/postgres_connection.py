"""Connections to PostgreSQL: how a session is set, and how its values are read and written."""

import select
from collections.abc import Callable, Sequence
from datetime import date, time
from typing import Any

import psycopg
from psycopg import adapters, errors, pq
from psycopg.abc import AdaptContext, Buffer, Loader
from psycopg.adapt import Dumper
from psycopg.adapt import Loader as BaseLoader
from psycopg.types import TypeInfo
from psycopg.types.array import register_array
from psycopg.types.numeric import Int8Dumper

from crossfade.store.sql_options import SqlOptions

PostgresConnection = psycopg.Connection[tuple[Any, ...]]

READ_AS_TEXT = (
    *("json", "jsonb", "uuid", "inet", "cidr", "interval", "timetz"),
    *("int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange"),
    *("int4multirange", "int8multirange", "nummultirange"),
    *("datemultirange", "tsmultirange", "tstzmultirange"),
)
"""Types whose values come as the server writes them: exactly, and equal only if equal as text."""

_MOMENTS = ("date", "time", "timestamp", "timestamptz")
"""Types whose values may lie beyond what Python's types hold."""

# A copy that the ledger calls clean must survive a power failure.
_DURABLE = """set_config('synchronous_commit',
  replace(current_setting('synchronous_commit'), 'off', 'on'), false)"""

_OWN_TYPES = """
SELECT t.typname, t.oid, t.typbasetype, t.typarray
FROM pg_catalog.pg_type t
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype IN ('b', 'd', 'e', 'r') AND t.typarray <> 0
  AND n.nspname <> 'information_schema' AND left(n.nspname, 3) <> 'pg_'
"""

_SETTINGS = {
    "client_encoding": "UTF8",
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "iso_8601",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    # Rows that a policy hides would look deleted: an error is better.
    "row_security": "off",
}
"""What makes the text form of a value exact, and every row seen, whatever a role has set."""


class PostgresCursor(psycopg.Cursor[tuple[Any, ...]]):
    """A cursor to whom a statement without parameters is one with none: `%%` is a `%` always."""

    def execute(
        self,
        query: Any,  # noqa: ANN401 - what psycopg takes
        params: Any = (),  # noqa: ANN401 - the same
        **how: Any,  # noqa: ANN401 - the same
    ) -> "PostgresCursor":
        """Run one statement."""
        try:
            super().execute(query, params, **how)
        except errors.InsufficientPrivilege as error:
            raise _with_right(error, query) from None
        return self

    def executemany(
        self,
        query: Any,  # noqa: ANN401 - what psycopg takes
        params_seq: Any,  # noqa: ANN401 - the same
        **how: Any,  # noqa: ANN401 - the same
    ) -> None:
        """Run one statement for each of many rows."""
        try:
            super().executemany(query, params_seq, **how)
        except errors.InsufficientPrivilege as error:
            raise _with_right(error, query) from None


def open_connection(
    place: dict[str, Any], options: SqlOptions, *, for_puts: bool
) -> PostgresConnection:
    """A connection whose session is set; raises what psycopg raises."""
    limits = {
        "connect_timeout": max(2, round(options.connect_seconds_max)),
        "application_name": "crossfade",
        "keepalives": 1,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        # What was sent and is not received in that time will not be answered.
        "tcp_user_timeout": round(options.call_seconds_max * 1000),
    }
    connection = psycopg.connect(
        **{**limits, **place, "client_encoding": "UTF8"},
        autocommit=True,
        cursor_factory=PostgresCursor,
    )
    try:
        _set_session(connection, options, for_puts=for_puts)
        _set_adapters(connection)
        _read_own_arrays(connection)
        if for_puts or connection.info.parameter_status("server_encoding") == "SQL_ASCII":
            read_tolerantly(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def is_alive(connection: PostgresConnection) -> bool:
    """Whether nobody has cut an idle connection; asks the kernel, not the server."""
    if connection.closed or connection.broken:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if not poll.poll(0):
        return True
    try:
        # Nothing was asked: the server reports a changed setting, or its farewell.
        connection.pgconn.consume_input()
    except psycopg.Error:
        return False
    return connection.pgconn.status == pq.ConnStatus.OK and not _has_ended(connection)


def read_tolerantly(connection: PostgresConnection) -> None:
    """Give values that Python's types cannot hold as text, and what is no UTF-8 as surrogates."""
    for name in _MOMENTS:
        oid = adapters.types[name].oid
        inner = adapters.get_loader(oid, pq.Format.TEXT)
        if inner is not None:
            connection.adapters.register_loader(oid, _tolerant(inner))
    for name in ("text", "varchar", "name"):
        connection.adapters.register_loader(name, TolerantTextLoader)


class ExactTextLoader(BaseLoader):
    """A value as the server writes it."""

    def load(self, data: Buffer) -> str:
        """The text."""
        return str(data, "utf-8")


class PaddedTextLoader(BaseLoader):
    """Text of a `char(n)`: the spaces that fill it up mean nothing to the database."""

    def load(self, data: Buffer) -> str:
        """The text without them."""
        return str(data, "utf-8", "surrogateescape").rstrip(" ")


class TolerantTextLoader(BaseLoader):
    """Text, or what should have been one, as lone surrogates; no store takes those."""

    def load(self, data: Buffer) -> str:
        """The text."""
        return str(data, "utf-8", "surrogateescape")


class ArrayDumper(Dumper):
    """A list as the text of an array, whose type the server takes from the column."""

    def dump(self, value: Sequence[Any]) -> bytes:
        """The text."""
        return array_text(value).encode()


def array_text(value: Sequence[Any]) -> str:
    """A list as the text of an array; raises psycopg.DataError for NUL."""
    return f"{{{','.join(map(_element_text, value))}}}"


def _element_text(value: Any) -> str:  # noqa: ANN401 - whatever a column holds
    if value is None:
        return "NULL"
    for kind, written in _ELEMENTS:
        if isinstance(value, kind):
            return written(value)
    return str(value)


def _quoted_element(text: str) -> str:
    if "\0" in text:
        raise psycopg.DataError("an array cannot hold NUL")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_ELEMENTS: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (str, _quoted_element),
    (list, array_text),
    (bool, lambda value: "t" if value else "f"),
    (bytes, lambda value: _quoted_element(f"\\x{value.hex()}")),
    (date, lambda value: _quoted_element(value.isoformat())),
    (time, lambda value: _quoted_element(value.isoformat())),
)
"""The first that fits; numbers are written as Python does."""


def _set_session(connection: PostgresConnection, options: SqlOptions, *, for_puts: bool) -> None:
    # Opening a store may read all keys once, on a connection for reads.
    longest = options.call_seconds_max if for_puts else options.check_seconds_max
    settings = {
        **_SETTINGS,
        "lock_timeout": f"{_milliseconds(options.busy_seconds_max)}",
        "statement_timeout": f"{_milliseconds(max(longest, options.call_seconds_max))}",
        "idle_in_transaction_session_timeout": f"{_milliseconds(options.call_seconds_max)}",
    }
    calls = ", ".join("set_config(%s, %s, false)" for _ in settings)
    flat = [part for pair in settings.items() for part in pair]
    connection.cursor().execute(f"SELECT {calls}, {_DURABLE}", flat)


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _set_adapters(connection: PostgresConnection) -> None:
    for name in READ_AS_TEXT:
        connection.adapters.register_loader(name, ExactTextLoader)
    connection.adapters.register_loader("bpchar", PaddedTextLoader)
    # One type for every number: one plan for every statement.
    connection.adapters.register_dumper(int, Int8Dumper)
    connection.adapters.register_dumper(list, ArrayDumper)


def _read_own_arrays(connection: PostgresConnection) -> None:
    """Read arrays of the service's own types as lists; psycopg knows the server's only."""
    cursor = connection.cursor()
    cursor.execute(_OWN_TYPES)
    rows = cursor.fetchall()
    bases = {oid: base for _, oid, base, _ in rows if base}
    for name, oid, _, array in rows:
        element = oid
        while element in bases:
            element = bases[element]
        register_array(TypeInfo(name, element, array), connection)


def _tolerant(inner: type[Loader]) -> type[BaseLoader]:
    class TolerantLoader(BaseLoader):
        def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
            super().__init__(oid, context)
            self._inner = inner(oid, context)

        def load(self, data: Buffer) -> object:
            try:
                return self._inner.load(data)
            except psycopg.DataError:
                return str(data, "utf-8")

    return TolerantLoader


def _has_ended(connection: PostgresConnection) -> bool:
    # After the server's last words comes the end of the stream.
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if not poll.poll(0):
        return False
    try:
        connection.pgconn.consume_input()
    except psycopg.Error:
        return True
    return connection.pgconn.status != pq.ConnStatus.OK


def _with_right(error: errors.InsufficientPrivilege, query: object) -> Exception:
    """The error, with the kind of statement that was denied: the server does not say it."""
    error.right = str(query).split(maxsplit=1)[0].upper()  # type: ignore[attr-defined] # an attribute of our own
    return error
