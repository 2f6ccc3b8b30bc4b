"""A disk that is really full: nothing is told as durable that is not, and space heals it."""

import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from crossfade.errors import LedgerUnavailableError
from crossfade.ledger.rows import Rows
from crossfade.ledger.sqlite import open_ledger
from crossfade.model.key_state import KeyState
from crossfade.seams.clock import SystemClock
from crossfade.seams.randomness import SystemRandomness


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=1m", "crossfade-test", str(folder)]
    try:
        subprocess.run(mounting, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("nobody may mount a file system here; test_sqlite_failures.py limits the file")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S607 - found by PATH


def _write(rows: Rows, number: int) -> int:
    rows.set_key(KeyState("order", (number,), seq=rows.next_sequence(), quarantine="x" * 300))
    return rows.next_sequence()


async def test_a_full_disk_loses_nothing_that_was_told(small_disk: Path) -> None:
    """ENOSPC refuses the batch, space heals it, and reopening finds exactly what was told."""
    path = small_disk / "ledger.db"
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 200_000)
    ledger = open_ledger(path, clock=SystemClock(), randomness=SystemRandomness())
    told: list[int] = []
    numbers: list[int] = []

    async def write_until_full() -> None:
        for number in range(len(told), 100_000):
            numbers.append(await ledger.transact(partial(_write, number=number)))
            told.append(number)

    with pytest.raises(LedgerUnavailableError, match="full"):
        await write_until_full()
    first = len(told)
    assert first > 10
    assert ledger.look(lambda rows: rows.counts()).quarantined == first
    with pytest.raises(LedgerUnavailableError):
        await ledger.transact(partial(_write, number=-1))

    ballast.unlink()
    with pytest.raises(LedgerUnavailableError, match="full"):
        await write_until_full()
    assert len(told) > first
    await ledger.close()

    again = open_ledger(path, clock=SystemClock(), randomness=SystemRandomness())
    keys = again.look(lambda rows: rows.quarantined_keys(None, 1_000_000))
    assert sorted(state.key for state in keys) == [(number,) for number in told]
    assert len(set(numbers)) == len(numbers)
    await again.close()
