"""What every test gets: a mark by folder, a seed, bounded time, and no silent skip in CI."""

import os
import random
import zlib
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import (
    mariadb_url,
    nats_url,
    postgres_server,
    postgres_url,
    redis_url,
    second_postgres_url,
)

__all__ = [
    "mariadb_url",
    "nats_url",
    "postgres_server",
    "postgres_url",
    "redis_url",
    "second_postgres_url",
]
"""Fixtures that every folder may ask for."""

TESTS = Path(__file__).parent
FOLDERS_WITH_MARK = ("unit", "contract", "scenario", "crash", "integration", "acceptance")
SECONDS_MAX = {"unit": 20, "contract": 30, "crash": 60, "integration": 60, "acceptance": 150}
"""A test that takes longer hangs; pytest-timeout then prints every stack and fails it."""

settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--seed` varies what is random; `--rewrite` records what is printed as expected."""
    parser.addoption("--seed", type=int, default=1, help="seed of everything random in tests")
    parser.addoption("--rewrite", action="store_true", help="rewrite recorded expectations")


def pytest_report_header(config: pytest.Config) -> str:
    """The seed that repeats this run."""
    return f"crossfade: --seed={config.getoption('--seed')}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by its folder and bound its time by its kind."""
    for item in items:
        folder = _folder_of(item.path)
        if folder not in FOLDERS_WITH_MARK:
            continue
        item.add_marker(folder)
        if folder in SECONDS_MAX and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SECONDS_MAX[folder]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a test that skips because it `needs ...` has failed: CI has all that is needed."""
    report = yield
    if _is_missing_need(report):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {_skip_reason(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a file that skips as a whole."""
    report = yield
    if _is_missing_need(report):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {_skip_reason(report)}"
    return report


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A number of this test's own: the same in every run with the same `--seed`."""
    return zlib.crc32(request.node.nodeid.encode()) ^ int(request.config.getoption("--seed"))


@pytest.fixture(autouse=True)
def _seeded(seed: int) -> None:
    """Code that we do not own and that draws from `random` draws the same each time."""
    random.seed(seed)


def _folder_of(path: Path) -> str:
    return path.relative_to(TESTS).parts[0] if path.is_relative_to(TESTS) else ""


def _skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    return reason.removeprefix("Skipped: ")


def _is_missing_need(report: pytest.TestReport | pytest.CollectReport) -> bool:
    in_ci = bool(os.environ.get("CI"))
    return in_ci and report.skipped and _skip_reason(report).startswith("needs ")
