"""The port of a ledger: run a transition durably, look at what is committed."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from crossfade.ledger.rows import LedgerIdentity, Rows, RowsQueries
from crossfade.model.migration_state import MigrationState

Result = TypeVar("Result")


class Ledger(Protocol):
    """The durable record of one migration, owned by one node at a time."""

    @property
    def identity(self) -> LedgerIdentity:
        """Which ledger this is."""

    @property
    def migration(self) -> MigrationState:
        """The migration's row as last committed; costs nothing, so that every request may look."""

    async def transact(self, transition: Callable[[Rows], Result]) -> Result:
        """Run a transition in one transaction; returns when its writes are durable.

        Transitions run one after the other. What a transition raises leaves no write behind and
        is raised here, others in the same group commit are not affected. A caller that is
        cancelled does not stop a transition that was already handed over.

        Raises:
            LedgerUnavailableError: the writes could not be made durable; none of them took place,
                or, after a failed commit of unknown outcome, the ledger refuses all further
                transitions until it is opened anew.

        """

    def look(self, query: Callable[[RowsQueries], Result]) -> Result:
        """Run a query on one snapshot of the committed rows, without waiting for writers."""

    async def close(self) -> None:
        """Commit what was handed over, release the lock; a closed ledger refuses everything."""
