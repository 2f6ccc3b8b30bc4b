"""What users may import: named, documented, and light to import."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import crossfade

GOLDEN = Path(__file__).with_name("public_api.txt")
MODULES_MAX = 200
"""`import crossfade` loads about 130 modules."""

HEAVY = {
    "aiohttp", "cyclopts", "fastapi", "httptools", "prometheus_client", "pydantic", "rich",
    "sqlalchemy", "sqlite3", "starlette", "structlog", "uvicorn",
}  # fmt: skip
"""Loaded only by whoever needs them: `crossfade --help` must not wait."""

PUBLIC_NAMES = tuple(getattr(crossfade, "__all__", ()))


def test_public_names_are_the_recorded_ones(request: pytest.FixtureRequest) -> None:
    """A name appears or vanishes on purpose only (`pytest --rewrite` records it)."""
    current = "".join(f"{name}\n" for name in sorted(PUBLIC_NAMES))
    if request.config.getoption("--rewrite"):
        GOLDEN.write_text(current, encoding="utf-8")

    assert GOLDEN.read_text(encoding="utf-8") == current


def test_nothing_else_is_public() -> None:
    """What the package re-exports is in `__all__`: no import leaks out."""
    leaked = [
        name
        for name, value in vars(crossfade).items()
        if not name.startswith("_") and name not in PUBLIC_NAMES and not inspect.ismodule(value)
    ]

    assert leaked == []


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_public_name_is_documented(name: str) -> None:
    """The docstring of a public name opens with a line that stands alone."""
    value = getattr(crossfade, name)
    if not callable(value):
        return
    # A dataclass without a docstring gets its signature as one; that says nothing.
    lines = (inspect.getdoc(value) or "").splitlines() or [""]

    assert lines[0].endswith((".", ":", "?")), f"{name}: {lines[0]!r}"
    assert not lines[0].startswith(f"{name}("), f"{name} has no docstring of its own"
    assert [line.strip() for line in lines[1:2]] in ([], [""]), f"{name}: no blank second line"


def test_importing_is_light() -> None:
    """`import crossfade` loads few modules, and none of the heavy ones."""
    program = "import crossfade, sys; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=30
    ).stdout.split()

    assert HEAVY.intersection(loaded) == set()
    assert len(loaded) <= MODULES_MAX
