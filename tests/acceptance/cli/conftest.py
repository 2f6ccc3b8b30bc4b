"""A shop for a test; its services run where the test asks for them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.cli.shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Definition and databases; nothing runs, and our two tables are not there yet."""
    return Shop(tmp_path)


@pytest.fixture
def open_shop(shop: Shop) -> Iterator[Shop]:
    """Both services run, and our two tables are there."""
    with shop.services():
        assert shop.run("doctor", "--apply").code == 0
        yield shop
