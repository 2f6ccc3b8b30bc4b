"""Real engines for verifications."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.verification.pairs import Engines
from tests.servers import mariadb_database


@pytest.fixture
def second_mariadb_url() -> Iterator[str]:
    """Another empty MariaDB database."""
    with mariadb_database() as url:
        yield url


@pytest.fixture
def engines(request: pytest.FixtureRequest, tmp_path: Path) -> Engines:
    """Pairs of tables on the engines that a test asks for."""
    return Engines(request, tmp_path)
