"""A company on each engine."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.constraints.company import Company, make_tables, open_company
from tests.servers import mariadb_database, postgres_database


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An engine with the tables of new."""
    if request.param == "sqlite":
        url = str(tmp_path / "new.db")
        make_tables(url)
        yield url
        return
    if request.param == "postgresql":
        databases = postgres_database(request.getfixturevalue("postgres_server"))
    else:
        databases = mariadb_database()
    with databases as url:
        make_tables(url)
        yield url


@pytest.fixture
async def company(new_url: str, tmp_path: Path) -> AsyncIterator[Company]:
    """An empty company."""
    opened = await open_company(tmp_path, new_url)
    yield opened
    await opened.databases.close()
