"""The judge: Chinook's PostgreSQL script, loaded beside everything, and SQL of its own."""

import contextlib
import re
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.acceptance.chinook.neutral import COLUMNS, KEYS, LINES, Key, Row
from tests.acceptance.chinook.settled import Rows, Settled
from tests.servers import mariadb_connection

FOLDER = Path(__file__).parent
SHOWN_MAX = 20
VIEWS = {"sqlite": "legacy", "postgresql": "new", "mariadb": "last"}
_OTHER_DATABASE = re.compile(r"^(DROP|CREATE) DATABASE .*$|^\\c .*$", re.MULTILINE)
_DEFERRED = """
DO $$
DECLARE one record;
BEGIN
    FOR one IN SELECT conrelid::regclass AS place, conname FROM pg_constraint WHERE contype = 'f'
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER CONSTRAINT %I DEFERRABLE INITIALLY DEFERRED',
                       one.place, one.conname);
    END LOOP;
END $$
"""
"""Foreign keys are looked at when the judge has done everything."""


_AS_PUBLISHED = """
UPDATE customer SET city = 'Edinburgh ' WHERE city = 'Edinburgh';
UPDATE invoice SET billing_city = 'Edinburgh ' WHERE billing_city = 'Edinburgh';
"""
"""The one value in which the script differs from the SQLite file: a space at its end."""


class Judge:
    """What must be there, in a database that crossfade has never heard of."""

    def __init__(self, url: str, script: Path) -> None:
        self._url = url
        with psycopg.connect(url) as connection:
            connection.execute(_OTHER_DATABASE.sub("", script.read_text()).encode())
            connection.execute(_DEFERRED)
            connection.execute(_AS_PUBLISHED)

    def apply(self, settled: Settled) -> None:
        """Do to it what was acknowledged; the script's constraints hold at the end."""
        with psycopg.connect(self._url) as connection:
            for table in COLUMNS:
                for (_, key), row in _of(table, settled.made):
                    if (table, key) in settled.deleted:
                        _update(connection, table, key, row)
                    else:
                        _insert(connection, table, row)
                for (_, key), fields in _of(table, settled.changed):
                    _update(connection, table, key, fields)
            for table, key in settled.deleted - settled.made.keys():
                _delete(connection, table, key)

    def rows(self) -> Rows:
        """What must be there."""
        return _rows(self._url, "reference")

    def differences(self, url: str) -> list[str]:
        """What is missing, too much or different in a database, the first few of each table."""
        expected, found = self.rows(), rows_at(url)
        told: list[str] = []
        for table in COLUMNS:
            here = list(_differences(table, expected[table], found[table]))
            told += [f"{VIEWS[url.partition(':')[0]]}: {one}" for one in here[:SHOWN_MAX]]
        return told


def rows_at(url: str) -> Rows:
    """What one of the three databases has, by SQL that names every column."""
    return _rows(url, VIEWS[url.partition(":")[0]])


def _differences(
    table: str, expected: Mapping[Key, Row], found: Mapping[Key, Row]
) -> Iterator[str]:
    for key in sorted(expected.keys() | found.keys()):
        if key not in found:
            yield f"{table} {key} is missing; it should be {expected[key]}"
        elif key not in expected:
            yield f"{table} {key} should not be there: {found[key]}"
        else:
            for column, value in expected[key].items():
                if found[key][column] != value:
                    yield f"{table} {key}.{column} is {found[key][column]!r}, not {value!r}"


def _rows(url: str, view: str) -> dict[str, dict[Key, Row]]:
    rows: dict[str, dict[Key, Row]] = {}
    with _cursor(url) as cursor:
        for table, statement in _statements(view).items():
            cursor.execute(statement)
            found = [dict(zip(COLUMNS[table], row, strict=True)) for row in cursor.fetchall()]
            keys = KEYS[table]
            rows[table] = {tuple(row[column] for column in keys): row for row in found}
            assert len(rows[table]) == len(found)
    return rows


def _statements(view: str) -> dict[str, str]:
    parts = (FOLDER / f"judged_{view}.sql").read_text().split("\n\n-- ")[1:]
    statements = {name: text for name, _, text in (part.partition("\n") for part in parts)}
    assert statements.keys() == COLUMNS.keys()
    return statements


@contextlib.contextmanager
def _cursor(url: str) -> Iterator[Any]:
    """A cursor of whichever driver."""
    kind = url.partition(":")[0]
    connection: Any
    if kind == "sqlite":
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    elif kind == "mariadb":
        connection = mariadb_connection(url)
    else:
        connection = psycopg.connect(url)
    with contextlib.closing(connection), contextlib.closing(connection.cursor()) as cursor:
        yield cursor


def _of(table: str, places: dict[tuple[str, Key], Row]) -> list[tuple[tuple[str, Key], Row]]:
    return sorted((one for one in places.items() if one[0][0] == table), key=lambda one: one[0][1])


def _insert(connection: psycopg.Connection[Any], table: str, row: Row) -> None:
    names = [name for name in row if name != LINES]
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL(", ").join([sql.Placeholder()] * len(names)),
    )
    connection.execute(statement, [row[name] for name in names])


def _update(connection: psycopg.Connection[Any], table: str, key: Key, fields: Row) -> None:
    changes = [sql.SQL("{} = %s").format(sql.Identifier(name)) for name in fields]
    statement = sql.SQL("UPDATE {} SET {} WHERE {}").format(
        sql.Identifier(table), sql.SQL(", ").join(changes), _where(table)
    )
    assert connection.execute(statement, [*fields.values(), *key]).rowcount == 1, (table, key)


def _delete(connection: psycopg.Connection[Any], table: str, key: Key) -> None:
    statement = sql.SQL("DELETE FROM {} WHERE {}").format(sql.Identifier(table), _where(table))
    assert connection.execute(statement, key).rowcount == 1, (table, key)


def _where(table: str) -> sql.Composed:
    parts = [sql.SQL("{} = %s").format(sql.Identifier(name)) for name in KEYS[table]]
    return sql.SQL(" AND ").join(parts)
