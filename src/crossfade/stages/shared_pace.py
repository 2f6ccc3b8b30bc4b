"""How fast keys converge in all processes of a ledger: each converges what it has written."""

from contextlib import suppress
from functools import partial

from crossfade.errors import LedgerUnavailableError
from crossfade.ledger.base import Ledger
from crossfade.ledger.nodes import Nodes
from crossfade.ledger.rows import Rows, RowsQueries
from crossfade.seams.clock import Clock
from crossfade.stages.pace import Pace

PACES = "pace"
"""Kind of the documents that hold the paces, one by process."""
TELL_SECONDS = 1.0
"""How often a process looks whether its pace is news."""
NEWS = 0.2
"""By what share a pace must have changed to be told: each time costs a commit."""


class SharedPace:
    """Tells the other processes this one's pace, and adds theirs up.

    A crash loses nothing: what a dead process has told counts no more, and is removed by another.
    """

    def __init__(self, ledger: Ledger, nodes: Nodes, pace: Pace, clock: Clock) -> None:
        self._ledger = ledger
        self._nodes = nodes
        self._pace = pace
        self._clock = clock

    async def run(self) -> None:
        """Tell again and again until cancelled; without a ledger the others know the last one."""
        while True:
            # The ledger itself tells of its failures.
            with suppress(LedgerUnavailableError):
                await self.tell()
            await self._clock.sleep(TELL_SECONDS)

    async def tell(self) -> None:
        """Write this process's pace where it is news, and forget those of dead processes.

        Raises:
            LedgerUnavailableError: nothing was written.

        """
        name = self._nodes.name
        if name is None:
            return
        pace = round(self._pace.per_second(), 1)
        told = dict(self._ledger.look(lambda rows: rows.documents(PACES)))
        gone = told.keys() - self._living() - {name}
        known = float(told.get(name, 0.0))
        if gone or abs(pace - known) > NEWS * known:
            await self._ledger.transact(partial(_keep, name=name, pace=pace, gone=sorted(gone)))

    def of_others(self, rows: RowsQueries) -> float:
        """Keys a second that the other processes converge.

        Raises:
            LedgerUnavailableError: the ledger does not answer.

        """
        told = rows.documents(PACES)
        living = self._living() if told else frozenset()
        return sum(float(pace) for name, pace in told if name in living)

    def _living(self) -> frozenset[str]:
        return frozenset(one.node for one in self._nodes.others())


def _keep(rows: Rows, *, name: str, pace: float, gone: list[str]) -> None:
    rows.set_document(PACES, name, pace)
    for one in gone:
        rows.set_document(PACES, one, None)
