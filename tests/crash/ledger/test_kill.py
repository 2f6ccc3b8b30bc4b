"""Kill -9 at any moment: what was told as durable is there, and no number is given twice."""

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from crossfade.ledger.rows import RowsQueries
from crossfade.ledger.sqlite import open_ledger
from crossfade.seams.clock import SystemClock
from crossfade.seams.randomness import SystemRandomness
from tests.project_files import ROOT

CHILD = Path(__file__).with_name("writing_child.py")
LIVES = 5
LINES_MAX = 3_000


@dataclass
class Told:
    """What all lives of the child said."""

    opened: dict[int, int] = field(default_factory=dict)
    closing: set[int] = field(default_factory=set)
    closed: dict[int, int] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)

    def note(self, line: str) -> None:
        """Remember one line."""
        match line.split():
            case ["opened", number, key]:
                self.opened[int(number)] = int(key)
                self.numbers.append(int(number))
            case ["closing", number]:
                self.closing.add(int(number))
            case ["closed", number, key]:
                self.closed[int(number)] = int(key)
            case ["number", number]:
                self.numbers.append(int(number))


def _started(path: Path, seed: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(CHILD), str(path), str(seed)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def _whole_lines(child: "subprocess.Popen[str]") -> Iterator[str]:
    assert child.stdout is not None
    for line in child.stdout:
        if line.endswith("\n"):
            yield line


@pytest.mark.parametrize("number", range(4))
def test_what_was_told_survives_kill_minus_nine(tmp_path: Path, seed: int, number: int) -> None:
    """Several lives of one node, each killed after a random number of writes."""
    chance = random.Random(seed + number)
    path = tmp_path / "ledger.db"
    told = Told()
    for life in range(LIVES):
        before = max(told.numbers, default=0)
        already = len(told.numbers)
        _live_and_die(_started(path, seed + life), chance.randrange(1, LINES_MAX), told)
        assert all(one > before for one in told.numbers[already:]), "a number was given again"

    assert len(set(told.numbers)) == len(told.numbers) > 50
    _check(path, told)


def _live_and_die(child: "subprocess.Popen[str]", lines_max: int, told: Told) -> None:
    """Listen until so many lines were said, kill, and hear what was said before the kill."""
    with child:
        for number, line in enumerate(_whole_lines(child), start=1):
            told.note(line)
            if number == lines_max:
                child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL


def _check(path: Path, told: Told) -> None:
    ledger = open_ledger(path, clock=SystemClock(), randomness=SystemRandomness())

    def check(rows: RowsQueries) -> None:
        found = {intent.id: intent for intent in rows.intents(1_000_000)}
        must_be_open = set(told.opened) - told.closing
        assert must_be_open <= set(found), "an intent that was told as open is gone"
        assert not set(told.closed) & set(found), "an intent that was told as closed is open"
        by_key: dict[int, int] = {}
        for intent in found.values():
            (key,) = intent.keys
            assert isinstance(key[0], int)
            by_key[key[0]] = by_key.get(key[0], 0) + 1
        for number in range(200):
            state = rows.key("order", (number,))
            assert state.open_intents == by_key.get(number, 0), "key and intents do not agree"
        dirty = [state for state in rows.dirty_keys(None, 1_000_000) if not state.quarantine]
        counts = rows.counts()
        assert (counts.dirty, counts.open_intents) == (len(dirty), len(found))
        assert counts.leases == sum(state.lease is not None for state in dirty)

    ledger.look(check)
    asyncio.run(ledger.close())
