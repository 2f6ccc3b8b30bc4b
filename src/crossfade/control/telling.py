"""How documents are made from committed rows: of which migration, read from where."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from crossfade.control.documents import Document, document
from crossfade.control.outline import Outline
from crossfade.errors import ConfigurationError
from crossfade.ledger.rows import RowsQueries

Result = TypeVar("Result")

LIST_ROWS_MAX = 1000
"""Rows of one list; a longer one is asked for again with a filter."""


class Committed(Protocol):
    """A ledger, or a reader of one, as far as committed rows go."""

    def look(self, query: Callable[[RowsQueries], Result]) -> Result:
        """Run a query on one snapshot of the committed rows."""


class Telling:
    """One ledger and the outline of its migration; every document says where it was read."""

    def __init__(self, ledger: Committed, outline: Outline, *, read_from: str) -> None:
        """Begin to tell.

        Args:
            ledger: where the committed rows are.
            outline: the migration's entities.
            read_from: "node" or "ledger".

        """
        self._ledger = ledger
        self.outline = outline
        self._read_from = read_from

    def look(self, query: Callable[[RowsQueries], Result]) -> Result:
        """Run a query on one snapshot of the committed rows."""
        return self._ledger.look(query)

    def document(self, name: str, **content: object) -> Document:
        """A document about this migration."""
        return document(
            name, migration=self.outline.migration, read_from=self._read_from, **content
        )

    def check_entity(self, name: str | None) -> None:
        """Refuse a name that is no entity. Raises ConfigurationError."""
        names = [one.name for one in self.outline.entities]
        if name is not None and name not in names:
            raise ConfigurationError(
                f'there is no entity "{name}". Entities are: {", ".join(names)}.'
            )


def bounded(limit: int) -> int:
    """A limit that was asked for, within what one list may have."""
    return max(1, min(limit, LIST_ROWS_MAX))
