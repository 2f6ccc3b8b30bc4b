"""A program with two databases for each test."""

from pathlib import Path

import pytest

from tests.integration.library.profile_shop import ProfileShop


@pytest.fixture
def shop(tmp_path: Path) -> ProfileShop:
    """Databases, functions and a migration; nothing runs."""
    return ProfileShop(tmp_path)
