"""One table as a transition sees it: its own writes over those of its batch over the database."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

RowId = TypeVar("RowId")
Value = TypeVar("Value")


class Overlay(Generic[RowId, Value]):
    """Three layers of rows; None is a row that does not exist.

    `staged` is written by the transition that runs now, `unwritten` by the accepted ones of this
    batch and not yet by SQL, `known` is what a read of the database would find after it.
    """

    def __init__(
        self, load: Callable[[RowId], Value | None], written: "list[Overlay[Any, Any]]"
    ) -> None:
        self._load = load
        self._written = written
        self._known: dict[RowId, Value | None] = {}
        self._unwritten: dict[RowId, Value | None] = {}
        self._staged: dict[RowId, Value | None] = {}

    def get(self, row_id: RowId) -> Value | None:
        """The row as the running transition sees it."""
        if row_id in self._staged:
            return self._staged[row_id]
        if row_id in self._known:
            return self._known[row_id]
        value = self._load(row_id)
        self._known[row_id] = value
        return value

    def put(self, row_id: RowId, value: Value | None) -> None:
        """Write the row for the running transition; None removes it.

        The overlay adds itself to `written`, so that only overlays with writes are accepted.
        """
        if not self._staged:
            self._written.append(self)
        self._staged[row_id] = value

    def accept(self) -> None:
        """The transition succeeded: its writes belong to the batch."""
        self._known.update(self._staged)
        self._unwritten.update(self._staged)
        self._staged = {}

    def discard(self) -> None:
        """The transition failed: as if it had never run."""
        self._staged = {}

    def take_unwritten(self) -> dict[RowId, Value | None]:
        """The batch's writes, which the caller now gives to SQL."""
        taken, self._unwritten = self._unwritten, {}
        return taken

    def take_staged(self) -> dict[RowId, Value | None]:
        """The transition's writes, which the caller now gives to SQL inside a savepoint."""
        taken, self._staged = self._staged, {}
        for row_id in taken:
            self._known.pop(row_id, None)
        return taken

    def forget(self) -> None:
        """Read everything anew: the batch was rolled back, or somebody else wrote."""
        self._known = {}
        self._unwritten = {}
        self._staged = {}

    @property
    def size(self) -> int:
        """How many rows are remembered."""
        return len(self._known)
