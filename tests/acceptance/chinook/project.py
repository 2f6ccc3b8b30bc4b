"""A folder with one of the two migrations, its commands and its writers, each a real process."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.acceptance.chinook.writes import Told, read_log

ROOT = Path(__file__).parents[3]
SECONDS_MAX = 45.0
REFUSED_BY_A_GATE = 5
TOOK = "took.txt"

DEFINITION = """
import os

from tests.acceptance.chinook.definition import declare_operations, {function}

migration = {function}()
declare_operations(migration, os.environ["CHINOOK_LEGACY"], os.environ["CHINOOK_NEW"])
"""
"""As the program has it: gates look at the operations, too."""

SETTINGS = """
ledger = "{ledger}"
log_level = "warning"

[gateway]
port = 0

[control]
port = 0

[backfill]
chunk_rows = 200
idle_seconds = 0.2

[comparison]
sample_fraction = 0.5
flush_seconds = 0.2

[gates]
compared_min = 2
soak_seconds_min = 1

[shared_ledger]
beat_seconds = 0.3
dead_seconds = 3
"""
"""Short waits; the gates are there, and ask for no more than this little traffic gives."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """What `--json` printed."""
        return json.loads(self.out)


class Project:
    """One migration of the two, in a folder of its own."""

    def __init__(self, folder: Path, leg: int, urls: tuple[str, str, str], seed: int) -> None:
        """Write the definition and the settings.

        Args:
            folder: made here.
            leg: 1 or 2.
            urls: of legacy, of new, of the ledger.
            seed: of the traffic.

        """
        self.folder = folder
        self.leg = leg
        self.seed = seed
        self.legacy, self.new, ledger = urls
        folder.mkdir()
        function = "first_migration" if leg == 1 else "second_migration"
        (folder / "migration.py").write_text(DEFINITION.format(function=function))
        (folder / "crossfade.toml").write_text(SETTINGS.format(ledger=ledger))
        self.environment = {
            **{name: value for name, value in os.environ.items() if "CROSSFADE" not in name},
            "PYTHONPATH": str(ROOT),
            "CHINOOK_LEGACY": self.legacy,
            "CHINOOK_NEW": self.new,
            "NO_COLOR": "1",
        }
        self._began = time.monotonic()
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        """Nothing runs yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing runs any more."""
        for process in self._processes:
            end(process, signal.SIGKILL)

    # Commands.

    def run(self, *words: str) -> Ended:
        """Run a command to its end, whatever that is."""
        began = time.monotonic()
        ended = subprocess.run(
            [sys.executable, "-m", "crossfade", *words],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
        self._took(" ".join(words), began)
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def do(self, *words: str) -> Ended:
        """Run a command that must do what is asked."""
        ended = self.run(*words)
        assert ended.code == 0, (words, ended, self.evidence())
        return ended

    def look(self, *words: str) -> Any:  # noqa: ANN401 - whatever JSON holds
        """What a command tells."""
        return self.do(*words, "--json").document

    def wait(self, what: str, true: Callable[[], bool], seconds_max: float = SECONDS_MAX) -> None:
        """Wait until something is true, bounded."""
        began = time.monotonic()
        while not true():
            assert time.monotonic() < began + seconds_max, (what, self.evidence())
            time.sleep(0.1)
        self._took(what, began)

    def promote(self, stage: str) -> None:
        """Move forward as soon as every gate is open."""
        refused = ""

        def moved() -> bool:
            nonlocal refused
            ended = self.run("stage", "promote", stage)
            refused = ended.err
            assert ended.code in (0, REFUSED_BY_A_GATE), (ended, self.evidence())
            return ended.code == 0

        try:
            self.wait(f"{stage}", moved)
        except AssertionError as error:
            raise AssertionError(refused, self.run("plan", stage).out) from error

    def wait_until_settled(self) -> None:
        """Wait until nothing is dirty, open or quarantined."""

        def settled() -> bool:
            totals = self.look("status")["totals"]
            names = ("dirty", "open_intents", "quarantined", "unbound_creates")
            return not any(totals[name] for name in names)

        self.wait("settled", settled)

    # Processes.

    def start_up(self) -> subprocess.Popen[str]:
        """`crossfade up`, when it is up."""
        process = self._start("up", [sys.executable, "-m", "crossfade", "up", "--json"])
        assert process.stdout is not None
        assert process.stdout.readline(), self.evidence()
        return process

    def start_writers(self, processes: int) -> list[subprocess.Popen[str]]:
        """Writers, when they write."""
        writers = [
            self._start(
                f"writer{number}",
                [sys.executable, "-m", "tests.acceptance.chinook.writers", str(self.folder),
                 str(self.leg), str(number), str(processes), str(self._log(number)),
                 str(self.seed)],
            )
            for number in range(processes)
        ]  # fmt: skip
        for one in writers:
            assert self._line_of(one) == "ready\n", self.evidence()
        for one in writers:
            self._tell(one)
        return writers

    def stop_writers(self, writers: list[subprocess.Popen[str]]) -> None:
        """Those that live end the write that they are at, and say so."""
        alive = [one for one in writers if one.poll() is None]
        assert alive, self.evidence()
        for one in alive:
            self._tell(one)
        for one in alive:
            assert self._line_of(one) == "stopped\n", self.evidence()
            assert one.wait(SECONDS_MAX) == 0, self.evidence()

    def told(self) -> Told:
        """What the writers have noted."""
        return read_log(sorted(self.folder.glob("writer*.log")))

    def done(self) -> int:
        """How many writes were acknowledged so far."""
        logs = self.folder.glob("writer*.log")
        return sum(log.read_text().count('"outcome": "done"') for log in logs)

    def wait_for_writes(self, count: int) -> None:
        """Wait until so many more writes have been acknowledged."""
        wanted = self.done() + count
        self.wait(f"{count} writes", lambda: self.done() >= wanted)

    def evidence(self) -> str:
        """What to look at after a failure."""
        files = [self.folder / TOOK, *sorted(self.folder.glob("*.err"))]
        return "\n".join(f"--- {file.name}\n{file.read_text()[-3000:]}" for file in files)

    def _took(self, what: str, began: float) -> None:
        """Note what was done, when it began, and how long it took."""
        now = time.monotonic()
        with (self.folder / TOOK).open("a") as file:
            file.write(f"{began - self._began:7.2f} s {now - began:6.2f} s  {what}\n")

    def _log(self, number: int) -> Path:
        return self.folder / f"writer{number}.log"

    def _start(self, name: str, command: list[str]) -> subprocess.Popen[str]:
        with (self.folder / f"{name}.err").open("a") as errors:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, text=True, stderr=errors,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
        self._processes.append(process)
        return process

    def _line_of(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline()

    def _tell(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


def end(process: subprocess.Popen[str], number: int) -> int:
    """End a process with a signal, wait, and close its pipes; returns its exit code."""
    if process.poll() is None:
        process.send_signal(number)
    code = process.wait(SECONDS_MAX)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    return code


def without_comments(script: str) -> list[str]:
    """A script's statements, one by one, for drivers that take one at a time."""
    text = re.sub(r"^--.*$", "", script, flags=re.MULTILINE)
    return [statement.strip() for statement in text.split(";") if statement.strip()]
