"""How many callers met a failure since the present stage began; one of the gates asks for it."""

import asyncio
from functools import partial

from crossfade.ledger.base import Ledger
from crossfade.ledger.transitions.observations import add_failed_answers, failed_answers


class Failures:
    """Counts failed answers by stage decision; kept in the ledger, so that a restart forgets none.

    A crash loses what was noted since the last flush: evidence, no data.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._decision = 0
        self._count = 0
        """Noted under that decision and not in the ledger yet."""
        self._flushing = asyncio.Lock()

    def note(self, decision: int) -> None:
        """A caller got a 5xx, an answer that was cut, or our own word that the side failed."""
        if decision != self._decision:
            self._decision, self._count = decision, 0
        self._count += 1

    def count(self, decision: int) -> int:
        """Failures since that decision was made; 0 for one under which nothing failed."""
        noted = self._count if decision == self._decision else 0
        return noted + self._ledger.look(partial(failed_answers, decision=decision))

    async def flush(self) -> None:
        """Add what was noted to the ledger; what cannot be written is kept for the next time.

        Raises:
            LedgerError: nothing was written.

        """
        async with self._flushing:
            decision, count = self._decision, self._count
            if not count:
                return
            adding = partial(add_failed_answers, decision=decision, count=count)
            await self._ledger.transact(adding)
            if self._decision == decision:
                self._count -= count
