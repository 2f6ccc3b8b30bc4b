"""The demo's processes for a test: started on free ports, stopped at its end."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

STOP_SECONDS_MAX = 10


@dataclass(frozen=True, slots=True)
class RunningService:
    """A service process, its first line read."""

    url: str
    database: Path
    process: subprocess.Popen[str]


StartModule = Callable[..., subprocess.Popen[str]]
StartService = Callable[[str, Path], RunningService]


@pytest.fixture
def start_module() -> Iterator[StartModule]:
    """Run ``python -m crossfade.demo.NAME ARGUMENTS``; killed at the end if still there."""
    with _started_modules() as start:
        yield start


@pytest.fixture
def start_service(start_module: StartModule) -> StartService:
    """Start "legacy" or "new" over a database file, on a free port of 127.0.0.1."""
    return lambda side, database: _start_service(start_module, side, database)


@pytest.fixture(params=["legacy", "new"])
def either_service(
    request: pytest.FixtureRequest, start_service: StartService, tmp_path: Path
) -> RunningService:
    """Each service in turn, over a database that does not exist yet."""
    return start_service(request.param, tmp_path / f"{request.param}.db")


@pytest.fixture(scope="module", params=["legacy", "new"])
def shared_service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    """Each service in turn, one process for all tests of a file that use keys of their own."""
    database = tmp_path_factory.mktemp("shared") / "shop.db"
    with _started_modules() as start:
        yield _start_service(start, request.param, database)


@pytest.fixture
def both_services(
    start_service: StartService, tmp_path: Path
) -> tuple[RunningService, RunningService]:
    """Legacy and new, both empty."""
    return (
        start_service("legacy", tmp_path / "legacy.db"),
        start_service("new", tmp_path / "new.db"),
    )


@contextmanager
def _started_modules() -> Iterator[StartModule]:
    started: list[subprocess.Popen[str]] = []

    def start(name: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", f"crossfade.demo.{name}", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.wait(STOP_SECONDS_MAX)
            if process.stdout is not None:
                process.stdout.close()


def _start_service(start: StartModule, side: str, database: Path) -> RunningService:
    process = start(f"{side}_service", "--database", str(database))
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert (ready["service"], ready["host"]) == (side, "127.0.0.1")
    return RunningService(f"http://127.0.0.1:{ready['port']}", database, process)
