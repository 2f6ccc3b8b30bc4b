"""The rows of a SQLite ledger inside one transition, and the writing of a batch of them."""

import sqlite3
from collections.abc import Mapping

from crossfade.ledger.overlaid_rows import Loaders, OverlaidRows
from crossfade.ledger.row_writer import RowWriter
from crossfade.ledger.sqlite_view import SqliteView
from crossfade.model.intent import Intent


class SqliteRows(OverlaidRows):
    """One batch of transitions over one connection (`Rows`); used by the writer thread alone.

    Reads by name come from overlays. A list is read by SQL, so before it the batch's rows are
    written to the open transaction, and those of the running transition inside a savepoint.
    """

    def __init__(self, connection: sqlite3.Connection, queries: Mapping[str, str]) -> None:
        self._connection = connection
        self._queries = queries
        self._view = SqliteView(connection, queries)
        view = self._view
        super().__init__(
            Loaders(
                key=view.key_row,
                intent=self._stored_intent,
                entity=view.entity_row,
                chunk=view.chunk_row,
                document=view.document_text,
                newest_chunk=view.newest_chunk,
                view=lambda: view,
            )
        )
        self._writer = RowWriter(connection, queries)
        for table, overlay in self.written.items():
            self._writer.register(table, overlay)
        self._sequence = 0
        self._numbers_in_rows = 0
        self._sequence_written = 0
        self._rows_max = 0

    # ---- the batch

    def begin(self, *, changed_by_others: bool, rows_max: int) -> None:
        """Start a batch on what is committed now."""
        self._rows_max = rows_max
        if changed_by_others or self._remembered() > rows_max:
            self.forget()
        if self._sequence_written == 0 or changed_by_others:
            self._sequence_written = self._view.sequence()
            self._sequence = max(self._sequence, self._sequence_written)
        self._numbers_in_rows = self._sequence

    def accept(self) -> None:
        """The running transition succeeded."""
        self._journal.clear()
        if self._in_savepoint:
            self._run("keep_transition")
            self._in_savepoint = False

    def discard(self) -> None:
        """The running transition failed: none of its writes stays."""
        self._take_back()
        if self._in_savepoint:
            self._run("undo_transition")
            self._run("keep_transition")
            # What was read inside the savepoint may have been the transition's own writes.
            self.forget()

    def write_batch(self) -> None:
        """Give every accepted row to SQL; the caller commits."""
        self._writer.write()
        if self._sequence != self._sequence_written:
            self._connection.execute(self._queries["set_sequence"], (self._sequence,))
            self._sequence_written = self._sequence

    def forget(self) -> None:
        """Remember nothing: the batch was rolled back, or somebody else has written.

        Numbers that were handed out are not handed out again: the sequence stays where it is.
        """
        for overlay in self._overlays:
            overlay.forget()
        self._journal.clear()
        self._view.forget()
        self._sequence_written = 0
        self._in_savepoint = False

    # ---- writing

    def next_sequence(self) -> int:
        """See `Rows.next_sequence`.

        The number is stored by the commit that stores what was done with it, and nobody outside
        sees it before that commit is durable: after a crash the stored one is at least as high as
        every number that anybody ever saw. Numbers of failed transitions are skipped, not reused.
        """
        self._sequence += 1
        return self._sequence

    def raise_sequence(self, least: int) -> None:
        """See `Rows.raise_sequence`."""
        self._sequence = max(self._sequence, least)

    # ---- inside

    def _stored_intent(self, intent_id: int) -> Intent | None:
        """A number that was given after the last writing of rows is in no row yet."""
        return None if intent_id > self._numbers_in_rows else self._view.intent(intent_id)

    def _listing(self) -> SqliteView:
        """A view that sees every write so far, for a list.

        The batch's rows are written first, those of the running transition inside a savepoint:
        it may still fail. Afterwards they need no memory, however many they are.
        """
        if not self._in_savepoint:
            mine = self._written_by_transition()
            self._writer.write()
            self._run("begin_transition")
            self._in_savepoint = True
            for overlay, name, value in mine:
                overlay.put(name, value)
        self._writer.write()
        self._journal.clear()
        if self._remembered() > self._rows_max:
            for overlay in self._overlays:
                overlay.forget_unchanged()
        self._numbers_in_rows = self._sequence
        self._view.forget()
        return self._view

    def _remembered(self) -> int:
        return sum(overlay.size for overlay in self._overlays)

    def _run(self, query: str) -> None:
        self._connection.execute(self._queries[query])
