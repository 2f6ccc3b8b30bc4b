"""Three services that keep Chinook, over SQLite, PostgreSQL and MariaDB; none knows crossfade."""

import contextlib
import json
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import urlsplit

import psycopg
import pymysql
from psycopg.types.json import Jsonb
from pymysql.constants import CLIENT

from tests.acceptance.chinook.neutral import COLUMNS, KEYS, LINES, Key, Row

BUSY_SECONDS_MAX = 20.0


@dataclass(frozen=True, slots=True)
class Written:
    """What a service tells of a write: the ids that its database made."""

    id: int | None
    line_ids: tuple[int, ...] = ()


class Service(ABC):
    """The business of a shop for records; a connection for each thread."""

    mark = "%s"
    """What stands for a value in a statement."""

    def __init__(self) -> None:
        self._local = threading.local()

    def create(self, table: str, row: Row) -> Written:
        """Make a record, an invoice with its lines in one transaction; the database gives ids."""
        with self._transaction() as cursor:
            made = self._insert(cursor, table, row)
            lines = [self._insert_line(cursor, made, line) for line in row.get(LINES, ())]
        return Written(made, tuple(lines))

    def add(self, table: str, row: Row) -> Written:
        """Make a record whose key is known."""
        with self._transaction() as cursor:
            self._insert(cursor, table, row, keyed=True)
        return Written(None)

    def change(self, table: str, key: Key, fields: Row) -> Written:
        """Change columns of a record; raises LookupError where there is none."""
        with self._transaction() as cursor:
            self._update(cursor, table, key, fields)
        return Written(None)

    def change_lines(self, key: Key, total: str, added: list[Row], taken: list[int]) -> Written:
        """Give an invoice further lines, take others out, and put down its new total."""
        with self._transaction() as cursor:
            for line in taken:
                self._delete(cursor, "invoice_line", (line,))
            lines = [self._insert_line(cursor, key[0], line) for line in added]
            self._update(cursor, "invoice", key, {"total": total})
        return Written(None, tuple(lines))

    def remove(self, table: str, key: Key) -> Written:
        """Delete a record, an invoice's lines before it."""
        with self._transaction() as cursor:
            if table == "invoice":
                statement = f"DELETE FROM {self._table('invoice_line')} WHERE {self._is('invoice_line', 'invoice_id')}"  # noqa: E501, S608 - names of our own
                cursor.execute(statement, (key[0],))
            self._delete(cursor, table, key)
        return Written(None)

    def find(self, table: str, key: Key) -> Row | None:
        """A record in neutral terms, or None."""
        with self._transaction() as cursor:
            found = self._select(cursor, table, KEYS[table], key)
            if not found:
                return None
            if table == "invoice":
                lines = self._select(cursor, "invoice_line", ("invoice_id",), key)
                found[0][LINES] = sorted(lines, key=lambda line: int(line["invoice_line_id"]))
        return found[0]

    def rows(self, table: str) -> list[Row]:
        """All records of a table, in order of their keys."""
        with self._transaction() as cursor:
            found = self._select(cursor, table, (), ())
        return sorted(found, key=lambda row: [row[column] for column in KEYS[table]])

    # Statements.

    def _insert(self, cursor: Any, table: str, row: Row, *, keyed: bool = False) -> int | None:  # noqa: ANN401 - of any driver
        given = {name: row[name] for name in COLUMNS[table] if keyed or name not in KEYS[table]}
        values = self._encoded(table, given)
        names = ", ".join(values)
        marks = ", ".join([self.mark] * len(values))
        statement = f"INSERT INTO {self._table(table)} ({names}) VALUES ({marks})"  # noqa: S608 - names of our own
        if keyed:
            cursor.execute(statement, tuple(values.values()))
            return None
        return self._inserted(cursor, table, statement, tuple(values.values()))

    def _insert_line(self, cursor: Any, invoice: int | None, line: Row) -> int:  # noqa: ANN401 - a cursor of any driver
        made = self._insert(cursor, "invoice_line", {**line, "invoice_id": invoice})
        assert made is not None
        return made

    def _update(self, cursor: Any, table: str, key: Key, fields: Row) -> None:  # noqa: ANN401 - a cursor of any driver
        values = self._encoded(table, fields)
        changes = ", ".join(self._assignment(name) for name in values)
        where = self._where(table, KEYS[table])
        statement = f"UPDATE {self._table(table)} SET {changes} WHERE {where}"  # noqa: S608 - names of our own
        cursor.execute(statement, (*values.values(), *key))
        if cursor.rowcount != 1:
            raise LookupError(f"{table}: {cursor.rowcount} records have the key {key}")

    def _delete(self, cursor: Any, table: str, key: Key) -> None:  # noqa: ANN401 - a cursor of any driver
        where = self._where(table, KEYS[table])
        cursor.execute(f"DELETE FROM {self._table(table)} WHERE {where}", key)  # noqa: S608 - made up here
        if cursor.rowcount != 1:
            raise LookupError(f"{table}: {cursor.rowcount} records have the key {key}")

    def _select(self, cursor: Any, table: str, by: tuple[str, ...], key: Key) -> list[Row]:  # noqa: ANN401 - a cursor of any driver
        names = ", ".join(self._stored(table))
        where = f" WHERE {self._where(table, by)}" if by else ""
        cursor.execute(f"SELECT {names} FROM {self._table(table)}{where}", key)  # noqa: S608 - made up here
        return [self._decoded(table, row) for row in cursor.fetchall()]

    def _where(self, table: str, columns: tuple[str, ...]) -> str:
        return " AND ".join(self._is(table, column) for column in columns)

    def _is(self, table: str, column: str) -> str:
        return f"{self._column(table, column)} = {self.mark}"

    # What differs between the three.

    @abstractmethod
    def _connect(self) -> Any: ...  # noqa: ANN401 - of any driver

    @abstractmethod
    def _table(self, table: str) -> str: ...

    @abstractmethod
    def _column(self, table: str, column: str) -> str: ...

    def _assignment(self, stored: str) -> str:
        return f"{stored} = {self.mark}"

    def _stored(self, table: str) -> list[str]:
        """The columns as they are read; `_decoded` gets their values."""
        return [self._column(table, column) for column in COLUMNS[table]]

    def _encoded(self, table: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {self._column(table, name): value for name, value in fields.items()}

    def _decoded(self, table: str, values: tuple[Any, ...]) -> Row:
        pairs = zip(COLUMNS[table], values, strict=True)
        return {name: _neutral(name, value) for name, value in pairs}

    def _inserted(self, cursor: Any, table: str, statement: str, values: tuple[Any, ...]) -> int:  # noqa: ANN401, ARG002 - a cursor of any driver
        cursor.execute(statement, values)
        made: int = cursor.lastrowid
        return made

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Any]:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
        try:
            with contextlib.closing(connection.cursor()) as cursor:
                self._begin(cursor)
                yield cursor
            connection.commit()
        except BaseException:
            connection.rollback()
            raise

    def _begin(self, cursor: Any) -> None:  # noqa: ANN401, B027 - most drivers do it
        """Begin a transaction where the driver does not."""


class SqliteService(Service):
    """The old one: SQLite, as Chinook has it."""

    mark = "?"

    def __init__(self, url: str) -> None:
        super().__init__()
        self._file = url.removeprefix("sqlite:///")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._file, timeout=BUSY_SECONDS_MAX, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def _begin(self, cursor: Any) -> None:  # noqa: ANN401 - a cursor of any driver
        cursor.execute("BEGIN IMMEDIATE")

    def _table(self, table: str) -> str:
        return f'"{_camel(table)}"'

    def _column(self, table: str, column: str) -> str:  # noqa: ARG002 - alike in all tables
        return f'"{_camel(column)}"'


class MariaDbService(Service):
    """The last one: MariaDB, whose names need care."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def _connect(self) -> Any:  # noqa: ANN401 - its cursor is untyped
        place = urlsplit(self._url)
        return pymysql.connect(
            host=place.hostname,
            port=place.port or 3306,
            user=place.username,
            password=place.password or "",
            database=place.path[1:],
            charset="utf8mb4",
            # An update that changes nothing has found its record all the same.
            client_flag=CLIENT.FOUND_ROWS,
        )

    def _table(self, table: str) -> str:
        return "`Media Type`" if table == "media_type" else f"`{_camel(table)}`"

    def _column(self, table: str, column: str) -> str:
        if (table, column) == ("track", "unit_price"):
            return "`Unit%%Price`"
        return f"`{_camel(column)}`"

    def _select(self, cursor: Any, table: str, by: tuple[str, ...], key: Key) -> list[Row]:  # noqa: ANN401 - a cursor of any driver
        # Without values the driver leaves a doubled % as it is.
        return super()._select(cursor, table, by or ("1",), key if by else (1,))

    def _is(self, table: str, column: str) -> str:
        return "1 = %s" if column == "1" else super()._is(table, column)


class PostgresService(Service):
    """The new one: PostgreSQL, with other names, an employee's contact in one document."""

    _TABLES: ClassVar = {
        "artist": "artists", "album": "records", "genre": "styles", "media_type": "formats",
        "track": "songs", "playlist": "mixes", "playlist_track": "mix_songs", "employee": "staff",
        "customer": "customers", "invoice": "bills", "invoice_line": "bill_positions",
    }  # fmt: skip
    _OWN: ClassVar[dict[str, dict[str, str]]] = {
        "artist": {"name": "full_name"},
        "album": {"artist_id": "made_by"},
        "genre": {"name": "label"},
        "media_type": {"name": "label"},
        "playlist": {"name": "label"},
        "track": {
            "name": "title", "album_id": "record_id", "media_type_id": "format_id",
            "genre_id": "style_id", "composer": "written_by", "milliseconds": "length_ms",
            "bytes": "size_bytes", "unit_price": "price",
        },
        "playlist_track": {"playlist_id": "mix_id", "track_id": "song_id"},
        "employee": {
            "title": "job", "reports_to": "boss_id", "birth_date": "born_on",
            "hire_date": "hired_on",
        },
        "customer": {"address": "street", "support_rep_id": "cared_for_by"},
        "invoice": {
            "invoice_date": "issued_at", "billing_address": "street", "billing_city": "city",
            "billing_state": "state", "billing_country": "country",
            "billing_postal_code": "postal_code",
        },
        "invoice_line": {"invoice_id": "bill_id", "track_id": "song_id", "unit_price": "price"},
    }  # fmt: skip
    _CONTACT = COLUMNS["employee"][-8:]
    _DOCUMENT: ClassVar = {
        "address": "address", "city": "city", "state": "state", "country": "country",
        "postal_code": "postalcode", "phone": "phone", "fax": "fax", "email": "email",
    }  # fmt: skip
    """Neutral name -> name in the document `contact`."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def _connect(self) -> Any:  # noqa: ANN401 - its cursor takes no plain text for a type checker
        return psycopg.connect(self._url)

    def _table(self, table: str) -> str:
        return self._TABLES[table]

    def _column(self, table: str, column: str) -> str:
        if KEYS[table] == (column,):
            return "id"
        return self._OWN[table].get(column, column)

    def _stored(self, table: str) -> list[str]:
        if table != "employee":
            return super()._stored(table)
        plain = [one for one in COLUMNS[table] if one not in self._CONTACT]
        parts = [f"contact ->> '{self._DOCUMENT[one]}'" for one in self._CONTACT]
        return [self._column(table, one) for one in plain] + parts

    def _encoded(self, table: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        values = super()._encoded(
            table,
            {name: value for name, value in fields.items() if name not in self._contact(table)},
        )
        contact = {
            self._DOCUMENT[one]: fields[one] for one in self._contact(table) if one in fields
        }
        return values | ({"contact": Jsonb(contact, dumps=json.dumps)} if contact else {})

    def _assignment(self, stored: str) -> str:
        if stored == "contact":
            return "contact = contact || %s"
        return super()._assignment(stored)

    def _contact(self, table: str) -> tuple[str, ...]:
        return self._CONTACT if table == "employee" else ()

    def _inserted(self, cursor: Any, table: str, statement: str, values: tuple[Any, ...]) -> int:  # noqa: ANN401 - a cursor of any driver
        cursor.execute(f"{statement} RETURNING {self._column(table, KEYS[table][0])}", values)
        made: int = cursor.fetchone()[0]
        return made


_KINDS = {"sqlite": SqliteService, "postgresql": PostgresService, "mariadb": MariaDbService}


def service_at(url: str) -> Service:
    """The service whose database that is."""
    kind: Any = _KINDS[url.partition(":")[0]]
    service: Service = kind(url)
    return service


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _neutral(name: str, value: Any) -> Any:  # noqa: ANN401 - any value of a column
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return f"{value.isoformat()} 00:00:00"
    if value is not None and name in ("unit_price", "total"):
        return f"{Decimal(str(value)):.2f}"
    return value
