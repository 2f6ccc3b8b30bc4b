"""MariaDB and MySQL for `doctor`: triggers, foreign keys, sequences, rights, how many rows."""

from collections.abc import Callable, Iterator, Sequence

from crossfade.store.mariadb_catalogue import foreign_key_names, sequences_of
from crossfade.store.mariadb_errors import ERRORS, denied
from crossfade.store.sql_dialect import Cursor
from crossfade.store.sql_survey import OURS, OWN_RIGHTS, RIGHTS, LinkSurvey, TableSurvey

COUNTED_ROWS_MAX = 50_000
"""Rows that are rather counted than estimated."""

_TRIES = {
    "SELECT": "EXPLAIN SELECT * FROM {0} WHERE FALSE",
    "INSERT": "EXPLAIN INSERT INTO {0} () VALUES ()",
    "UPDATE": "EXPLAIN UPDATE {0} SET {1} = {1} WHERE FALSE",
    "DELETE": "EXPLAIN DELETE FROM {0} WHERE FALSE",
}
"""Right to a statement that needs it and does nothing; INSERT alone is tried without a SELECT."""


_SEQUENCE_TRIES = {
    "SELECT": "EXPLAIN SELECT increment FROM {0}",
    "INSERT": "EXPLAIN SELECT NEXTVAL({0})",
}
"""The same for a sequence; what is explained is not run."""


class MariaDbSurvey:
    """Everything that is asked of one database."""

    def __init__(self, quote: Callable[[str], str]) -> None:
        self._quote = quote

    def table(self, cursor: Cursor, table: str) -> TableSurvey:
        """See `Surveying.survey`."""
        cursor.execute(
            "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS"
            " WHERE TRIGGER_SCHEMA = DATABASE() ORDER BY 1"
        )
        triggers = tuple(name for name, owner in cursor.fetchall() if owner == table)
        links = {
            columns: LinkSurvey(name, deferrable=False)
            for name, columns in foreign_key_names(cursor, table).items()
        }
        sequences = tuple(sequence for _, sequence in sequences_of(cursor, table))
        return TableSurvey(triggers, links, sequences)

    def missing(self, cursor: Cursor, table: str) -> Iterator[str]:
        """See `Surveying.missing_rights`."""
        database, user = self._here(cursor)
        rights = OWN_RIGHTS if table in OURS else RIGHTS
        lacks = [right for right in rights if not self._may(cursor, table, right)]
        if lacks:
            place = f"{self._shown(database)}.{self._shown(table)}"
            yield f"GRANT {', '.join(lacks)} ON {place} TO {user};"
        for _, sequence in sequences_of(cursor, table):
            lacks = [
                right
                for right, statement in _SEQUENCE_TRIES.items()
                if not self._runs(cursor, statement.format(sequence), sequence)
            ]
            if lacks:
                yield f"GRANT {', '.join(lacks)} ON {sequence} TO {user};"

    def grants(self, cursor: Cursor, tables: Sequence[str], role: str) -> Iterator[str]:
        """See `Surveying.grants`."""
        database, _ = self._here(cursor)
        name, _, host = role.rpartition("@") if "@" in role else (role, "", "%")
        account = f"{_text(name)}@{_text(host)}"
        to = f"TO {account};"
        here = self._shown(database)
        yield f"-- The user must exist: CREATE USER {account}, with its password."
        for table in OURS:
            yield f"GRANT {', '.join(OWN_RIGHTS)} ON {here}.{self._shown(table)} {to}"
        for table in tables:
            yield f"GRANT {', '.join(RIGHTS)} ON {here}.{self._shown(table)} {to}"
        for table in tables:
            for _, sequence in sequences_of(cursor, table):
                yield f"GRANT SELECT, INSERT ON {sequence} {to}"
        yield "-- Only for `crossfade retire`, which drops our two tables:"
        yield f"-- GRANT LOCK TABLES ON {here}.* {to}"
        yield from (f"-- GRANT DELETE, DROP ON {here}.{self._shown(one)} {to}" for one in OURS)

    def rows(self, cursor: Cursor, table: str) -> int | None:
        """See `Estimating.rows_estimate`."""
        cursor.execute(
            "SELECT TABLE_NAME, TABLE_ROWS FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s",
            (table,),
        )
        found = [int(rows or 0) for name, rows in cursor.fetchall() if name == table]
        return found[0] if found and found[0] >= COUNTED_ROWS_MAX else None

    def _shown(self, name: str) -> str:
        """A name as it is typed; the driver wants its percent signs twice."""
        return self._quote(name).replace("%%", "%")

    def _may(self, cursor: Cursor, table: str, right: str) -> bool:
        column = "token" if table == "crossfade_fence" else "epoch"
        if table not in OURS:
            column = self._first_column(cursor, table)
        statement = _TRIES[right].format(self._quote(table), self._quote(column))
        return self._runs(cursor, statement, self._shown(table))

    def _runs(self, cursor: Cursor, statement: str, place: str) -> bool:
        """Whether a right on a place is there: whatever else is wrong does not count."""
        try:
            cursor.execute(statement)
            cursor.fetchall()
        except ERRORS as error:
            return not denied(error, place)
        return True

    def _first_column(self, cursor: Cursor, table: str) -> str:
        cursor.execute(
            "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS"
            " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION",
            (table,),
        )
        return next((column for name, column in cursor.fetchall() if name == table), "")

    def _here(self, cursor: Cursor) -> tuple[str, str]:
        """The database, and the account that the connection is of, as a statement names it."""
        cursor.execute("SELECT DATABASE(), CURRENT_USER()")
        database, account = cursor.fetchone()
        name, _, host = account.rpartition("@")
        return database, f"{_text(name)}@{_text(host)}"


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
