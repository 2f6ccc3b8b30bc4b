"""The processes that share a ledger, as one of them sees the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """One process, as it has registered itself."""

    node: str
    started: float
    """Wall-clock seconds since 1970, for people."""
    behind: bool
    """It has not said yet that it routes by the migration's present row."""
    untracked: bool
    """A write of its own that carries no intent may still be under way."""
    serving: bool
    """It carries out requests; one that does not was opened by a command."""
    route_seconds: float
    """How long it may route by a row that it has read."""


class Nodes(Protocol):
    """What a process must know of the others; a ledger of one process has none."""

    @property
    def name(self) -> str | None:
        """This process's name among them; None where there are no others."""

    @property
    def works(self) -> bool:
        """Whether this process is the one that runs the workers."""

    def is_elsewhere(self, node: str) -> bool:
        """Whether another process of this name lives and looks after what it has begun."""

    def others(self) -> Sequence[NodeSeen]:
        """The other processes as they are registered now.

        Raises:
            LedgerUnavailableError: the ledger does not answer.

        """

    def dead(self) -> int:
        """How many processes of this ledger were ever found dead; a higher number is news.

        Raises:
            LedgerUnavailableError: the ledger does not answer.

        """

    def tell(
        self, *, untracked: Callable[[], bool], forsaken: Callable[[], None], serving: bool = True
    ) -> None:
        """Say what the others want to know of this process, and what it must hear of them.

        They know it when this returns.

        Args:
            untracked: whether a write without intent may be under way; asked by another thread,
                after this process has begun to route by a newer row.
            forsaken: called when the others took this process for dead, since it stood still:
                what it had begun is settled by somebody else. By any thread, before any request
                is routed again.
            serving: whether this process carries out requests.

        Raises:
            LedgerUnavailableError: the ledger does not answer.

        """


class SingleNode:
    """There are no others: the ledger belongs to one process."""

    name: str | None = None
    works = True

    def is_elsewhere(self, node: str) -> bool:  # noqa: ARG002 - there is nowhere else
        """See `Nodes.is_elsewhere`."""
        return False

    def others(self) -> Sequence[NodeSeen]:
        """See `Nodes.others`."""
        return ()

    def dead(self) -> int:
        """See `Nodes.dead`."""
        return 0

    def tell(
        self, *, untracked: Callable[[], bool], forsaken: Callable[[], None], serving: bool = True
    ) -> None:
        """See `Nodes.tell`."""


SINGLE = SingleNode()


def left_to_others(nodes: Nodes, me: str, node: str) -> bool:
    """Whether what a node has begun is none of ours: it lives, or another process works."""
    return node != me and (not nodes.works or nodes.is_elsewhere(node))
