"""The port of a ledger: run a transition durably, look at what is committed."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from crossfade.ledger.nodes import Nodes
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
        """The migration's row as last committed; costs nothing, so that every request may look.

        Where several processes share the ledger it may be as old as the route lease that a flip
        waits for, and never older: then it is asked for.

        Raises:
            LedgerUnavailableError: a shared ledger does not answer, and what is known is too old.

        """

    async def transact(self, transition: Callable[[Rows], Result]) -> Result:
        """Run a transition in one transaction; returns when its writes are durable.

        Transitions run one after the other. What a transition raises leaves no write behind and
        is raised here, others in the same group commit are not affected. A caller that is
        cancelled does not stop a transition that was already handed over.

        Raises:
            LedgerUnavailableError: the writes could not be made durable; none of them took place.
                After a failed commit of unknown outcome the error says so, and the ledger refuses
                all further transitions: until it is opened anew, or until it has found out.

        """

    def look(self, query: Callable[[RowsQueries], Result]) -> Result:
        """Run a query on one snapshot of the committed rows, without waiting for writers."""

    async def close(self) -> None:
        """Commit what was handed over, release the lock; a closed ledger refuses everything."""


class OpenedLedger(Ledger, Protocol):
    """A ledger as its owner has it: with the other processes on it, and a way to undo opening."""

    @property
    def nodes(self) -> Nodes:
        """The other processes on the same ledger."""

    async def discard_unused(self) -> None:
        """Close; a ledger that this opening made, and that holds nothing yet, is removed again."""


class LedgerReader(Protocol):
    """Looks at a ledger and changes nothing; beside the processes that use it."""

    @property
    def identity(self) -> LedgerIdentity:
        """Which ledger this is."""

    @property
    def migration(self) -> MigrationState:
        """The migration's row as last committed."""

    @property
    def sequence(self) -> int:
        """The highest sequence number that was given out and committed."""

    def look(self, query: Callable[[RowsQueries], Result]) -> Result:
        """See `Ledger.look`."""

    def close(self) -> None:
        """Give back what is held; may be repeated."""
