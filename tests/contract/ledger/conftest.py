"""Every backend of the ledger behind one fixture; another backend adds one class here."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest

from crossfade.ledger.base import Ledger
from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.postgres import open_postgres_ledger
from crossfade.ledger.postgres_place import place_of
from crossfade.ledger.sqlite import open_ledger
from crossfade.seams.clock import SystemClock
from crossfade.seams.randomness import SeededRandomness


class Backend(Protocol):
    """A ledger that can be closed and opened again."""

    @property
    def ledger(self) -> Ledger:
        """The ledger as it is open now."""

    async def reopen(self) -> None:
        """Close the ledger, then open what it left behind."""


class MemoryBackend:
    """The memory twin; what it leaves behind is its last snapshot."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()

    async def reopen(self) -> None:
        """See `Backend.reopen`."""
        left_behind = self.ledger.snapshot()
        await self.ledger.close()
        self.ledger = MemoryLedger()
        self.ledger.restore(left_behind)


class SqliteBackend:
    """A SQLite ledger in a file of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._randomness = SeededRandomness(1)
        self.ledger = self._open()

    async def reopen(self) -> None:
        """See `Backend.reopen`."""
        await self.ledger.close()
        self.ledger = self._open()

    def _open(self) -> Ledger:
        return open_ledger(self._path, clock=SystemClock(), randomness=self._randomness)


class PostgresBackend:
    """A ledger in a PostgreSQL database of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._randomness = SeededRandomness(1)
        self.ledger = self._open()

    async def reopen(self) -> None:
        """See `Backend.reopen`."""
        await self.ledger.close()
        self.ledger = self._open()

    def _open(self) -> Ledger:
        return open_postgres_ledger(
            place_of(self._url), clock=SystemClock(), randomness=self._randomness
        )


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    """Each backend in turn."""
    made: Backend
    match request.param:
        case "memory":
            made = MemoryBackend()
        case "sqlite":
            made = SqliteBackend(tmp_path / "ledger.db")
        case _:
            made = PostgresBackend(request.getfixturevalue("postgres_url"))
    yield made
    await made.ledger.close()


@pytest.fixture
def ledger(backend: Backend) -> Ledger:
    """An empty ledger of each backend."""
    return backend.ledger
