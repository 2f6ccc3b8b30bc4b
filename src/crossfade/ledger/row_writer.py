"""Gives changed rows to SQL, a statement a table and kind of change."""

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from crossfade.ledger.row_text import (
    Row,
    audit_row,
    chunk_row,
    entity_row,
    intent_row,
    key_row,
    key_text,
    migration_row,
)
from crossfade.model.key import Key

Changes = dict[Any, Any]
"""Name of the row -> its new value; None removes it."""


class UnwritableRowError(Exception):
    """A transition wrote a value that has no place in a row: no fault of the disk."""


class Layers(Protocol):
    """Rows that wait to be written: an overlay, or the tallies."""

    def take_unwritten(self) -> Changes:
        """What accepted transitions wrote."""

    def take_staged(self) -> Changes:
        """What the running transition wrote."""


class RowWriter:
    """The overlays of one batch and how each is written; a transaction is open meanwhile."""

    def __init__(self, connection: sqlite3.Connection, queries: Mapping[str, str]) -> None:
        self._connection = connection
        self._queries = queries
        self._tables: list[tuple[Layers, Callable[[Changes], None]]] = []

    def register(self, table: str, overlay: Layers) -> None:
        """Write the overlay's rows to the table from now on."""
        put_row = _PUT_ROWS[table]
        delete_row = _DELETE_ROWS.get(table)

        def write(changes: Changes) -> None:
            rows = [put_row(name, value) for name, value in changes.items() if value is not None]
            if rows:
                self._connection.executemany(self._queries[f"put_{table}"], rows)
            if delete_row is not None and len(rows) < len(changes):
                gone = [delete_row(name) for name, value in changes.items() if value is None]
                self._connection.executemany(self._queries[f"delete_{table}"], gone)

        self._tables.append((overlay, write))

    def write_unwritten(self) -> None:
        """Give SQL what accepted transitions wrote.

        Raises:
            UnwritableRowError: some value is none that SQLite can hold.
            sqlite3.Error: the database cannot be written.

        """
        self._write(lambda overlay: overlay.take_unwritten())

    def write_staged(self) -> None:
        """Give SQL what the running transition wrote, inside its savepoint; raises alike."""
        self._write(lambda overlay: overlay.take_staged())

    def _write(self, take: Callable[[Layers], Changes]) -> None:
        try:
            for overlay, write in self._tables:
                changes = take(overlay)
                if changes:
                    write(changes)
        except Exception as error:
            if isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError:
                raise
            raise UnwritableRowError(f"the ledger cannot hold a value: {error}.") from error


def _key_id(row_id: tuple[str, Key]) -> Row:
    return (row_id[0], key_text(row_id[1]))


def _pair_id(row_id: tuple[Any, Any]) -> Row:
    return row_id


def _number_id(row_id: int) -> Row:
    return (row_id,)


_PUT_ROWS: dict[str, Callable[[Any, Any], Row]] = {
    "key": lambda _, state: key_row(state),
    "intent": lambda _, intent: intent_row(intent),
    "entity": lambda _, state: entity_row(state),
    "chunk": lambda _, chunk: chunk_row(chunk),
    "document": lambda name, text: (*name, text),
    "tally": lambda name, number: (*name, number),
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
