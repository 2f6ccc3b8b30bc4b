"""The memory twin of the ledger: the same transitions on dictionaries, without threads."""

from collections.abc import Callable
from typing import TypeVar

from crossfade.errors import LedgerUnavailableError
from crossfade.ledger.memory_rows import MemoryRows, MemoryTables, MemoryView
from crossfade.ledger.nodes import SINGLE, Nodes
from crossfade.ledger.rows import LedgerIdentity, Rows, RowsQueries
from crossfade.model.migration_state import MigrationState

Result = TypeVar("Result")

IDENTITY = LedgerIdentity(ledger_id="0" * 32, incarnation=1)
"""The identity of a memory ledger that was given none."""


class MemoryLedger:
    """A ledger for tests, simulation and model checking; forgets everything with the process."""

    def __init__(self, identity: LedgerIdentity = IDENTITY) -> None:
        self._tables = MemoryTables(identity)
        self._closed = False

    @property
    def identity(self) -> LedgerIdentity:
        """See `Ledger.identity`."""
        return self._tables.identity

    @property
    def migration(self) -> MigrationState:
        """See `Ledger.migration`."""
        return self._tables.migration

    @property
    def tables(self) -> MemoryTables:
        """The rows themselves, for whoever compares states; not to be written."""
        return self._tables

    async def transact(self, transition: Callable[[Rows], Result]) -> Result:
        """See `Ledger.transact`; takes place at once, without a pause for other tasks."""
        return self.apply(transition)

    def apply(self, transition: Callable[[Rows], Result]) -> Result:
        """Run a transition now; what it raises leaves no write behind."""
        self._check_open()
        rows = MemoryRows(self._tables)
        try:
            return transition(rows)
        except BaseException:
            rows.take_back()
            raise

    def look(self, query: Callable[[RowsQueries], Result]) -> Result:
        """See `Ledger.look`."""
        self._check_open()
        return query(MemoryView(self._tables))

    def copy(self) -> "MemoryLedger":
        """An equal ledger that then lives its own life; costs one copy of each dictionary."""
        twin = MemoryLedger(self.identity)
        twin.restore(self._tables)
        return twin

    def snapshot(self) -> MemoryTables:
        """The rows as they are now; later transitions do not change them."""
        return self._tables.copy()

    def restore(self, snapshot: MemoryTables) -> None:
        """Go back to a snapshot, which may be used again."""
        self._tables = snapshot.copy()

    async def close(self) -> None:
        """See `Ledger.close`."""
        self._closed = True

    async def discard_unused(self) -> None:
        """See `OpenedLedger.discard_unused`; it is forgotten in any case."""
        await self.close()

    @property
    def nodes(self) -> Nodes:
        """See `OpenedLedger.nodes`."""
        return SINGLE

    def _check_open(self) -> None:
        if self._closed:
            raise LedgerUnavailableError("the ledger is closed. Open it again to go on.")
