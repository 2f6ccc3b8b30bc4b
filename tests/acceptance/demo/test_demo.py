"""`crossfade demo`, as a newcomer types it: a whole migration with real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-m", "crossfade", "demo", "--fast"]
FAST_SECONDS_MAX = 30.0
"""What is promised for two cores of which nobody else takes a share."""
BUSY_FACTOR = 4.0
"""So much longer it may take where tests of others run beside it."""
BEGUN_SECONDS_MAX = 60.0
END_SECONDS_MAX = 20.0

WALK = ["off", "shadow", "live", "shadow", "live", "completed"]


@dataclass(frozen=True, slots=True)
class Finished:
    """A demo that has ended."""

    status: int
    stdout: str
    stderr: str
    left_in_temporary_folder: list[Path]

    @property
    def document(self) -> dict[str, Any]:
        """What it printed on stdout: exactly one document."""
        decoded: dict[str, Any] = json.loads(self.stdout)
        return decoded


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """One `crossfade demo --fast --json`, shared by all that look at its document."""
    temporary = tmp_path_factory.mktemp("temporary")
    done = subprocess.run(
        [*COMMAND, "--json"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
        timeout=BUSY_FACTOR * FAST_SECONDS_MAX,
    )
    return Finished(done.returncode, done.stdout, done.stderr, list(temporary.iterdir()))


@pytest.fixture
def begun(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A demo that has got as far as sending traffic."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    process = subprocess.Popen(
        COMMAND,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    assert process.stdout is not None
    until = time.monotonic() + BEGUN_SECONDS_MAX
    for line in process.stdout:
        assert time.monotonic() < until
        if "legacy answers everything" in line:
            break
    yield process
    process.kill()
    process.wait(END_SECONDS_MAX)
    process.stdout.close()


def test_every_promise_is_held(finished: Finished) -> None:
    """Nothing is lost, nothing differs, nothing is stale, nothing fails: exit status 0."""
    document = finished.document
    broken = [promise for promise in document["promises"] if not promise["held"]]

    assert (broken, document["error"], document["examples"]) == ([], None, {})
    assert (finished.status, document["ok"]) == (0, True)
    faults = ("lost", "diverged", "stale_reads", "corrupt_reads", "failed", "cut_by_chaos")
    assert {fault: document[fault] for fault in faults} == dict.fromkeys(faults, 0)


def test_the_demo_says_what_it_did(finished: Finished) -> None:
    """The document has its schema, real traffic, every stage with its duration and pause."""
    document = finished.document

    assert (document["schema"], document["seed"]) == ("crossfade.demo/1", 1)
    assert [visit["stage"] for visit in document["stages"]] == WALK
    assert all(visit["seconds"] > 0 for visit in document["stages"])
    flips = [visit for visit in document["stages"][2:5] if visit["pause_ms"] > 0]
    assert len(flips) == 3
    assert document["longest_pause_ms"] == max(visit["pause_ms"] for visit in flips)
    assert document["acknowledged_writes"] > 100
    assert document["canary_served"] > 0
    answered = document["acknowledged_writes"] + document["acknowledged_reads"]
    assert answered <= document["requests"]


def test_the_planted_bug_is_found(finished: Finished) -> None:
    """One field with both values, a cent apart; `live` is refused for it; no key was harmed."""
    document = finished.document
    bug = document["bug"]

    assert document["mismatches_found"] > 0
    assert bug["difference"]["legacy"] != bug["difference"]["new"]
    assert any("mismatches" in reason for reason in bug["reasons"])
    assert (bug["refused"], bug["fixed"], bug["keys_different"]) == (True, True, 0)
    assert bug["keys_verified"] > 10_000


def test_the_story_is_told_beside_the_document(finished: Finished) -> None:
    """Off a terminal it is plain lines, on stderr where stdout has the document."""
    assert "$ crossfade stage promote live" in finished.stderr
    assert "\x1b" not in finished.stderr


def test_nothing_is_left_behind(finished: Finished) -> None:
    """The temporary folder goes when every promise was held."""
    assert finished.left_in_temporary_folder == []


def test_an_interrupted_demo_takes_everything_with_it(
    begun: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    """Ctrl-C ends every child, removes the folder, and exits with 130."""
    children = _children_of(begun.pid)
    begun.send_signal(signal.SIGINT)
    status = begun.wait(END_SECONDS_MAX)

    assert len(children) >= 4
    assert (status, _alive(children)) == (130, [])
    assert list((tmp_path / "temporary").iterdir()) == []


def test_no_child_outlives_a_killed_demo(begun: "subprocess.Popen[str]") -> None:
    """Even kill -9 of the demo itself leaves no service, no gateway and no traffic behind."""
    children = _children_of(begun.pid)
    begun.kill()
    begun.wait(END_SECONDS_MAX)
    until = time.monotonic() + END_SECONDS_MAX
    while _alive(children) and time.monotonic() < until:
        time.sleep(0.05)

    assert len(children) >= 4
    assert _alive(children) == []


def _children_of(parent: int) -> list[int]:
    return [pid for pid, (ppid, _state) in _processes().items() if ppid == parent]


def _alive(children: list[int]) -> list[int]:
    processes = _processes()
    return [pid for pid in children if pid in processes and processes[pid][1] != "Z"]


def _processes() -> dict[int, tuple[int, str]]:
    """Process id -> parent's id and state, of every process of this machine."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat="],  # noqa: S607 - wherever it is
        check=True,
        capture_output=True,
        text=True,
    )
    rows = (line.split() for line in listed.stdout.splitlines())
    return {int(pid): (int(ppid), state[0]) for pid, ppid, state in rows}
