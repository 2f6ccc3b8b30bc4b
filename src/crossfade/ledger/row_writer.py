"""Gives changed rows to SQL, a statement a table and kind of change."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from crossfade.ledger.overlay import Overlay
from crossfade.ledger.row_text import (
    Row,
    audit_row,
    chunk_row,
    entity_row,
    has_same_age,
    intent_row,
    key_row,
    key_text,
    migration_row,
    touched_key_row,
)
from crossfade.ledger.tallies import (
    Differences,
    changed,
    chunk_differences,
    intent_differences,
    key_differences,
)
from crossfade.model.key import Key

Changes = dict[Any, Any]
"""Name of the row -> its value; None is no row."""


class UnwritableRowError(Exception):
    """A transition wrote a value that has no place in a row: no fault of the disk."""


class RowWriter:
    """The overlays of one batch and how each is written; a transaction is open meanwhile."""

    def __init__(self, connection: sqlite3.Connection, queries: Mapping[str, str]) -> None:
        self._connection = connection
        self._queries = queries
        self._tables: list[tuple[str, Overlay[Any, Any]]] = []

    def register(self, table: str, overlay: Overlay[Any, Any]) -> None:
        """Write the overlay's rows to the table from now on."""
        self._tables.append((table, overlay))

    def write(self) -> None:
        """Give SQL every changed row, and the tallies that change with them.

        Raises:
            UnwritableRowError: some value is none that SQLite can hold.
            sqlite3.Error: the database cannot be written.

        """
        try:
            differences: Differences = {}
            for table, overlay in self._tables:
                changes, in_database = overlay.take_unwritten()
                if not changes:
                    continue
                if table in _COUNTED:
                    pairs = ((in_database[name], value) for name, value in changes.items())
                    _COUNTED[table](pairs, differences)
                if table == "key":
                    changes = self._write_touched_keys(changes, in_database)
                self._write_table(table, changes)
            tallies = changed(differences)
            if tallies:
                self._connection.executemany(self._queries["put_tally"], tallies)
        except Exception as error:
            if isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError:
                raise
            raise UnwritableRowError(f"the ledger cannot hold a value: {error}.") from error

    def _write_touched_keys(self, changes: Changes, in_database: Changes) -> Changes:
        """Write the keys whose age is as it was; returns the others."""
        others: Changes = {}
        rows = []
        for name, state in changes.items():
            if state is not None and has_same_age(in_database[name], state):
                rows.append(touched_key_row(state))
            else:
                others[name] = state
        if rows:
            written = self._connection.executemany(self._queries["touch_key"], rows).rowcount
            if written != len(rows):
                raise sqlite3.DatabaseError("rows of keys are missing that were read before")
        return others

    def _write_table(self, table: str, changes: Changes) -> None:
        put_row = _PUT_ROWS[table]
        rows = [put_row(name, value) for name, value in changes.items() if value is not None]
        if rows:
            self._connection.executemany(self._queries[f"put_{table}"], rows)
        if len(rows) < len(changes):
            delete_row = _DELETE_ROWS[table]
            gone = [delete_row(name) for name, value in changes.items() if value is None]
            self._connection.executemany(self._queries[f"delete_{table}"], gone)


def _key_id(row_id: tuple[str, Key]) -> Row:
    return (row_id[0], key_text(row_id[1]))


def _pair_id(row_id: tuple[Any, Any]) -> Row:
    return row_id


def _number_id(row_id: int) -> Row:
    return (row_id,)


_COUNTED: dict[str, Callable[[Iterable[Any], Differences], None]] = {
    "key": key_differences,
    "intent": intent_differences,
    "chunk": chunk_differences,
}
"""Table -> how its rows count."""

_PUT_ROWS: dict[str, Callable[[Any, Any], Row]] = {
    "key": lambda _, state: key_row(state),
    "intent": lambda _, intent: intent_row(intent),
    "entity": lambda _, state: entity_row(state),
    "chunk": lambda _, chunk: chunk_row(chunk),
    "document": lambda name, text: (*name, text),
    "migration": lambda _, state: migration_row(state),
    "incarnation": lambda _, identity: (identity.incarnation,),
    "audit": lambda _, entry: audit_row(entry),
}
"""Table -> the columns of its `put_` query."""

_DELETE_ROWS: dict[str, Callable[[Any], Row]] = {
    "key": _key_id,
    "intent": _number_id,
    "chunk": _pair_id,
    "document": _pair_id,
}
"""Table -> the columns of its `delete_` query; the rows of other tables stay for good."""
