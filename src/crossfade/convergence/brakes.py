"""What else may ask a worker to rest: a flag file, and numbers that a database gives.

Any one of them is enough. One that cannot be asked counts as a wish to rest: whoever named it
did so to protect something, and silence does not tell that it is well.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from crossfade.errors import ConfigurationError, StoreError
from crossfade.seams.clock import Clock
from crossfade.store.sql_database import SqlDatabase
from crossfade.store.sql_dialect import Cursor


class Brake(Protocol):
    """One thing that may ask for rest."""

    @property
    def name(self) -> str:
        """What it is called in a reason."""

    async def reason(self) -> str | None:
        """Why to rest now, or None. Raises `StoreError` where it cannot tell."""


class FlagFile:
    """A file whose being there asks for rest; anybody can make one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = f"the flag file {path}"

    async def reason(self) -> str | None:
        """See `Brake.reason`."""
        try:
            self._path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreError(f"it cannot be looked at: {error.strerror}") from error
        return f"{self.name} is there"


class QueryLimit:
    """A query that gives a number: a replica's lag, a load; more than the limit asks for rest."""

    def __init__(self, name: str, database: SqlDatabase, query: str, limit: float) -> None:
        """Ask nothing yet.

        Args:
            name: of the number, in words.
            database: what is asked, on a connection of its own.
            query: gives one row, whose first column is the number.
            limit: the largest number that asks for nothing.

        """
        self.name = name
        self._database = database
        self._limit = limit
        # There are no parameters, so a percent sign means itself.
        doubled = database.dialect.compiler.paramstyle in {"format", "pyformat"}
        self._query = query.replace("%", "%%") if doubled else query

    async def reason(self) -> str | None:
        """See `Brake.reason`."""
        number = await self._database.connections.read(self._number)
        if number <= self._limit:
            return None
        return f"{self.name} is {number:g}, more than {self._limit:g}"

    def _number(self, cursor: Cursor) -> float:
        cursor.execute(self._query)
        row = cursor.fetchone()
        try:
            number = float(row[0])
        except (TypeError, ValueError, IndexError):
            raise StoreError("its query gives no number") from None
        if number != number:  # noqa: PLR0124 - not a number is not equal to itself
            raise StoreError("its query gives no number")
        return number


class Brakes:
    """All brakes of one worker, asked together at bounded intervals."""

    def __init__(
        self,
        brakes: Sequence[Brake],
        clock: Clock,
        *,
        poll_seconds: float,
        answer_seconds_max: float,
    ) -> None:
        """Ask nothing yet.

        Args:
            brakes: what may ask for rest.
            clock: this process's clock.
            poll_seconds: how long an answer counts.
            answer_seconds_max: longest wait for all of them; one without an answer asks for rest.

        """
        self._brakes = brakes
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._answer_seconds_max = answer_seconds_max
        self._asked_at: float | None = None
        self._reasons: tuple[str, ...] = ()

    async def reason(self) -> str | None:
        """Why to rest, every reason that there is, or None."""
        now = self._clock.monotonic()
        if self._asked_at is None or now - self._asked_at >= self._poll_seconds:
            found = await asyncio.gather(*map(self._ask, self._brakes))
            self._reasons = tuple(one for one in found if one is not None)
            self._asked_at = self._clock.monotonic()
        return "; ".join(self._reasons) or None

    async def _ask(self, brake: Brake) -> str | None:
        try:
            async with asyncio.timeout(self._answer_seconds_max):
                return await brake.reason()
        except TimeoutError:
            return f"{brake.name} does not answer within {self._answer_seconds_max:g} s"
        except (StoreError, ConfigurationError) as error:
            return f"{brake.name} cannot be told: {error}"
