"""Each example does what its README says, as somebody would run it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project_files import ROOT

EXAMPLES = ROOT / "examples"
SECONDS_MAX = 110


def _run(example: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run an example's program in a copy of its folder."""
    place = folder / example
    shutil.copytree(
        EXAMPLES / example, place, ignore=shutil.ignore_patterns("data", ".crossfade", "__*__")
    )
    return subprocess.run(
        [sys.executable, "run.py"],
        cwd=place, capture_output=True, text=True, timeout=SECONDS_MAX, check=False,
    )  # fmt: skip


@pytest.mark.timeout(120)
def test_one_function(tmp_path: Path) -> None:
    """From off to completed under traffic; its judge finds every acknowledged write."""
    ended = _run("01_one_function", tmp_path)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "both databases hold every acknowledged write" in ended.stdout
    for stage in ("shadow", "live", "completed"):
        assert f"to {stage} " in ended.stdout


@pytest.mark.timeout(120)
def test_two_tables(tmp_path: Path) -> None:
    """Forward, back and to the end; its judge finds both tables as the callers were told."""
    ended = _run("02_two_tables", tmp_path)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "both databases hold every acknowledged write, and nothing else" in ended.stdout
    assert "from live to shadow" in ended.stdout


@pytest.mark.timeout(120)
def test_inside_the_old_service(tmp_path: Path) -> None:
    """The planted bugs are found, and no passenger ever feels the new service."""
    ended = _run("03_inside_the_old_service", tmp_path)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = set(re.findall(r"outcome +read +(\S+)", ended.stdout))
    assert found == {"$.compensation_cents", "status"}
    assert "was killed" in ended.stdout
