"""One table as the writer sees it: rows it remembers and has changed, over the database."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

RowId = TypeVar("RowId")
Value = TypeVar("Value")


Change = tuple["Overlay[Any, Any]", Any, Any, bool]
"""Overlay, name of the row, its value before, and whether it was as in the database then."""

Journal = list[Change]
"""The changes of the running transition, in order."""


class Overlay(Generic[RowId, Value]):
    """Rows by name; None is a row that does not exist.

    A change is seen by every later read, and noted in the journal until its transition is
    accepted. `take_unwritten` gives the changes to SQL.
    """

    def __init__(self, load: Callable[[RowId], Value | None], journal: Journal) -> None:
        self._load = load
        self._journal = journal
        self._known: dict[RowId, Value | None] = {}
        self._unwritten: dict[RowId, Value | None] = {}
        self._in_database: dict[RowId, Value | None] = {}
        """What the database holds of each row that is unwritten."""

    def get(self, row_id: RowId) -> Value | None:
        """The row as the running transition sees it."""
        known = self._known
        if row_id in known:
            return known[row_id]
        value = known[row_id] = self._load(row_id)
        return value

    def remember(self, row_id: RowId, value: Value | None) -> None:
        """The row was read from the database by somebody who reads many at once."""
        self._known[row_id] = value

    def peek(self, row_id: RowId) -> Value | None:
        """The row as it is remembered; one that is not is None."""
        return self._known.get(row_id)

    def put(self, row_id: RowId, value: Value | None) -> None:
        """Write the row; None removes it."""
        known = self._known
        before = known[row_id] if row_id in known else self._load(row_id)
        first = row_id not in self._unwritten
        if first:
            self._in_database[row_id] = before
        self._journal.append((self, row_id, before, first))
        known[row_id] = self._unwritten[row_id] = value

    def take_back(self, row_id: RowId, before: Value | None, *, first: bool) -> None:
        """Undo one change; the newest of the journal first."""
        self._known[row_id] = before
        if first:
            del self._unwritten[row_id]
            del self._in_database[row_id]
        else:
            self._unwritten[row_id] = before

    def take_unwritten(self) -> tuple[dict[RowId, Value | None], dict[RowId, Value | None]]:
        """The changed rows, which the caller now gives to SQL, and what SQL has of them."""
        taken = self._unwritten, self._in_database
        self._unwritten, self._in_database = {}, {}
        return taken

    def forget(self) -> None:
        """Read everything anew: the batch was rolled back, or somebody else wrote."""
        self._known = {}
        self._unwritten = {}
        self._in_database = {}

    def forget_unchanged(self) -> None:
        """Give back the memory of rows that are in the database as they are here."""
        self._known = dict(self._unwritten)

    @property
    def size(self) -> int:
        """How many rows are remembered."""
        return len(self._known)
