"""One suite, every engine."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crossfade.store.base import StoreEpoch
from tests.contract.store.backends import BACKENDS, Backend

LEDGER = StoreEpoch("ledger-1", incarnation=1, epoch=3)


@pytest.fixture(params=sorted(BACKENDS))
async def empty_backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    """An engine whose database has none of our tables."""
    backend: Backend = BACKENDS[request.param](tmp_path)
    yield backend
    await backend.close()


@pytest.fixture
async def backend(empty_backend: Backend) -> Backend:
    """An engine whose database is prepared and at epoch 3."""
    await empty_backend.database().prepare()
    await empty_backend.database().raise_epoch(LEDGER)
    return empty_backend
