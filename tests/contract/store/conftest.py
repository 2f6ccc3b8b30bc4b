"""One suite, every engine."""

from collections.abc import AsyncIterator

import pytest

from crossfade.store.base import StoreEpoch
from tests.contract.store.backends import BACKENDS, LACKS, Backend

LEDGER = StoreEpoch("ledger-1", incarnation=1, epoch=3)


def pytest_configure(config: pytest.Config) -> None:
    """A test says with `asks` which traits of an engine it is about."""
    config.addinivalue_line("markers", "asks(trait): only for engines that have the trait")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the runs on engines that have not what the test is about."""
    left_out = [item for item in items if _lacks(item)]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def _lacks(item: pytest.Item) -> bool:
    names = getattr(getattr(item, "callspec", None), "params", {})
    lacking = LACKS.get(names.get("engine", ""), frozenset())
    return any(mark.args[0] in lacking for mark in item.iter_markers("asks"))


@pytest.fixture(params=sorted(BACKENDS))
def engine(request: pytest.FixtureRequest) -> Backend:
    """An engine; only one that needs a server asks for it."""
    return BACKENDS[request.param](request)


@pytest.fixture
async def empty_backend(engine: Backend) -> AsyncIterator[Backend]:
    """An engine whose database has none of our tables."""
    yield engine
    await engine.close()


@pytest.fixture
async def backend(empty_backend: Backend) -> Backend:
    """An engine whose database is prepared and at epoch 3."""
    await empty_backend.database().prepare()
    await empty_backend.database().raise_epoch(LEDGER)
    return empty_backend
