"""Time as it is passed in: the system's clock here, a manual one in tests."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where all times come from; no decision across nodes depends on `now`."""

    def now(self) -> datetime:
        """The wall clock in UTC; for people to read, never for a decision."""

    def monotonic(self) -> float:
        """Seconds that never go back; comparable within one process only."""

    async def sleep(self, seconds: float) -> None:
        """Wait; a wait of zero or less still lets other tasks run."""


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """See `Clock.now`."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        await asyncio.sleep(max(0.0, seconds))
