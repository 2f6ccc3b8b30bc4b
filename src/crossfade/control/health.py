"""The status of a running node: what the ledger tells, and what is wrong at this moment."""

import asyncio
from dataclasses import asdict

from crossfade.control.documents import Document
from crossfade.control.next_steps import next_steps
from crossfade.control.standing import Standing
from crossfade.errors import LedgerError
from crossfade.execution.failures import Failures
from crossfade.ledger.base import Ledger
from crossfade.observability.recent import RecentFailures
from crossfade.stages.evidence import EvidenceGatherer

LEDGER_SECONDS_MAX = 5.0
"""How long the ledger may take for one small commit; callers would wait as long."""


class Health:
    """Looks at both sides and the ledger now; changes nothing that counts."""

    def __init__(
        self,
        standing: Standing,
        gatherer: EvidenceGatherer,
        ledger: Ledger,
        failures: Failures,
        recent: RecentFailures,
    ) -> None:
        self._standing = standing
        self._gatherer = gatherer
        self._ledger = ledger
        self._failures = failures
        self._recent = recent

    async def status(self) -> Document:
        """Where the migration stands, what is wrong now, what to do next."""
        sides, ledger_problem = await asyncio.gather(self._gatherer.health(), self._try_ledger())
        told = self._standing.status()
        told["now"] = {
            "unreachable": list(sides.unreachable),
            "unprepared": [] if told["retired"] else list(sides.unprepared),
            "ledger_problem": ledger_problem,
            "failed_answers": self._failures.count(told["decision"]),
            "failures": [asdict(one) for one in self._recent.newest()],
        }
        return {**told, "next": next_steps(told)}

    async def _try_ledger(self) -> str | None:
        """Why the ledger cannot be written now, or None: a number is taken and committed."""
        try:
            async with asyncio.timeout(LEDGER_SECONDS_MAX):
                await self._ledger.transact(lambda rows: rows.next_sequence())
        except LedgerError as error:
            return str(error)
        except TimeoutError:
            return (
                f"no commit within {LEDGER_SECONDS_MAX:g} s. See whether the disk is slow or full."
            )
        return None
