"""Gives the changed rows of a batch to PostgreSQL, in one trip."""

from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from crossfade.ledger.overlay import Overlay
from crossfade.ledger.postgres_session import Answered, PostgresSession
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
from crossfade.ledger.row_writer import UnwritableRowError
from crossfade.model.key_state import KeyState

Changes = dict[Any, Any]
Statement = tuple[str, Sequence[Any]]

_KEY_COLUMNS = 16
_INTENT_COLUMNS = 9


class ChangedUnderneathError(Exception):
    """A user's transaction has changed a key's row since it was read: run everything again."""


class PostgresFlush:
    """The overlays of one batch and how each is written; a transaction is open meanwhile."""

    def __init__(self) -> None:
        self._tables: list[tuple[str, Overlay[Any, Any]]] = []

    def register(self, table: str, overlay: Overlay[Any, Any]) -> None:
        """Write the overlay's rows to the table from now on."""
        self._tables.append((table, overlay))

    def write(self, session: PostgresSession, further: Sequence[Statement] = ()) -> list[Answered]:
        """Give the server every changed row, and then the further statements; returns theirs.

        Raises:
            ChangedUnderneathError: see there; nothing of the batch may be committed.
            UnwritableRowError: some value is none that PostgreSQL can hold.
            psycopg.Error: the database cannot be written.

        """
        statements, expected = self._changes()
        statements += further
        if not statements:
            return []
        try:
            answered = session.together(statements)
        except psycopg.Error as error:
            # Without a state it is the driver that does not know how to send a value.
            ours = isinstance(error, psycopg.ProgrammingError) and error.sqlstate is None
            if ours or isinstance(error, psycopg.DataError):
                raise _unwritable(error) from error
            raise
        except (UnicodeEncodeError, TypeError, ValueError) as error:
            raise _unwritable(error) from error
        if any(answered[number].rowcount != rows for number, rows in expected.items()):
            raise ChangedUnderneathError
        return answered[len(answered) - len(further) :]

    def _changes(self) -> tuple[list[Statement], dict[int, int]]:
        """The statements for what has changed; number of a statement -> rows it must change."""
        statements: list[Statement] = []
        expected: dict[int, int] = {}
        try:
            for table, overlay in self._tables:
                changes, in_database = overlay.take_unwritten()
                if not changes:
                    continue
                if table != "key":
                    statements += _STATEMENTS[table](changes)
                    continue
                for statement, rows in _key_statements(changes, in_database):
                    expected[len(statements)] = rows
                    statements.append(statement)
        except Exception as error:
            raise _unwritable(error) from error
        return statements, expected


def _unwritable(error: Exception) -> UnwritableRowError:
    return UnwritableRowError(f"the ledger cannot hold a value: {type(error).__name__}.")


def _key_statements(changes: Changes, in_database: Changes) -> list[tuple[Statement, int]]:
    """Statements, and how many rows each must change."""
    new: list[Row] = []
    changed: list[Row] = []
    gone: list[Row] = []
    for name, state in changes.items():
        before: KeyState | None = in_database[name]
        if state is None:
            if before is not None:
                gone.append((before.entity, key_text(before.key), before.seq))
        elif before is None:
            new.append(key_row(state))
        else:
            changed.append((*key_row(state), before.seq))
    statements: list[tuple[Statement, int]] = []
    if new:
        statements.append((("insert_keys", _columns(new)), len(new)))
    if changed:
        statements.append((("update_keys", _columns(changed)), len(changed)))
    if gone:
        statements.append((("delete_keys", _columns(gone)), len(gone)))
    return statements


def _intent_statements(changes: Changes) -> list[Statement]:
    rows = [intent_row(intent) for intent in changes.values() if intent is not None]
    gone = [number for number, intent in changes.items() if intent is None]
    statements: list[Statement] = []
    if rows:
        statements.append(("put_intents", _columns(rows)))
    if gone:
        statements.append(("delete_intents", (gone,)))
    return statements


def _columns(rows: Sequence[Row]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _singly(
    put: str, row: Callable[[Any, Any], Row], delete: str = ""
) -> Callable[[Changes], list[Statement]]:
    """One statement a row, for tables that change seldom."""

    def statements(changes: Changes) -> list[Statement]:
        return [
            (delete, name) if value is None else (put, row(name, value))
            for name, value in changes.items()
        ]

    return statements


_STATEMENTS: dict[str, Callable[[Changes], list[Statement]]] = {
    "intent": _intent_statements,
    "entity": _singly("put_entity", lambda _, state: entity_row(state)),
    "chunk": _singly("put_chunk", lambda _, chunk: chunk_row(chunk), "delete_chunk"),
    "document": _singly("put_document", lambda name, text: (*name, text), "delete_document"),
    "migration": _singly("put_migration", lambda _, state: migration_row(state)),
    "incarnation": _singly("put_incarnation", lambda _, one: (one.incarnation,)),
    "audit": _singly("put_audit", lambda _, entry: audit_row(entry)),
}
"""Table -> its statements; rows of tables without a `delete_` query stay for good."""
