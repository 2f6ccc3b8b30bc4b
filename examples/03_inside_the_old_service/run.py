"""Serve passengers with shadow calls to the new service, then read what they have found."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from migration import area
from old_service import LEGACY, Outcome, UnknownFlightError, outcome

import crossfade

NEW = "data/new.db"
FLIGHTS = {
    "KL1": (20, 99.0),
    "KL2": (240, 120.0),
    "KL3": (180, 75.5),  # late by exactly three hours
    "KL4": (300, 19.99),  # 19.99 * 100 is a little less than 1999
    "KL5": (None, 60.0),  # cancelled
    "HANG1": (10, 50.0),
}
ROUNDS = 4
ANSWER_SECONDS_MAX = 0.5
SECONDS_MAX = 30.0


def make_databases() -> None:
    """The same flight changes on both sides, as a copy before the comparison left them."""
    Path("data").mkdir(exist_ok=True)
    rows = [(flight, delay, fare) for flight, (delay, fare) in FLIGHTS.items()]
    tables = {
        LEGACY: "FlightChange (Flight TEXT PRIMARY KEY, DelayMinutes INTEGER, Fare REAL)",
        NEW: "changes (flight TEXT PRIMARY KEY, delay_minutes INTEGER, fare REAL)",
    }
    for file, table in tables.items():
        Path(file).unlink(missing_ok=True)
        with sqlite3.connect(file) as database:
            database.execute(f"CREATE TABLE {table}")
            name = table.partition(" ")[0]
            database.executemany(f"INSERT INTO {name} VALUES (?, ?, ?)", rows)  # noqa: S608 - a name of our own


@contextlib.contextmanager
def new_service() -> Iterator[subprocess.Popen[str]]:
    """The new service in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "new_service.py"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        os.environ["NEW_URL"] = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        yield process
    finally:
        process.kill()
        process.communicate()


def serve() -> float:
    """Serve every flight's passengers; the longest wait in seconds. Wrong answers end it all."""
    slowest = 0.0
    for _ in range(ROUNDS):
        for flight, (delay, fare) in FLIGHTS.items():
            begun = time.monotonic()
            answer = outcome(flight)
            slowest = max(slowest, time.monotonic() - begun)
            late = delay is None or delay >= 180  # noqa: PLR2004 - three hours
            told = f"Flight {flight}: {'cancelled' if delay is None else f'{delay} min late'}"
            expected = Outcome(flight, round(fare * 100) if late else 0, delay is None, told)
            if answer != expected:
                raise SystemExit(f"a passenger was told {answer}")
        try:
            outcome("KL404")
        except UnknownFlightError:
            continue
        raise SystemExit("a passenger was told of a flight that does not exist")
    return slowest


def crossfade_command(*words: str) -> str:
    """Type a command; its output."""
    typed = [sys.executable, "-m", "crossfade", *words]
    ended = subprocess.run(typed, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise SystemExit(f"crossfade {' '.join(words)}: {ended.stderr}")
    return ended.stdout


def wait_for_comparisons(calls: int) -> None:
    """Comparisons run beside the calls; wait until every one has been counted."""
    until = time.monotonic() + SECONDS_MAX
    while True:
        (counts,) = json.loads(crossfade_command("diffs", "--json"))["operations"] or [{}]
        total = counts.get("total", {})
        kinds = ("matched", "mismatched", "errors", "skipped")
        if sum(total.get(kind, 0) for kind in kinds) >= calls:
            return
        if time.monotonic() > until:
            raise SystemExit(f"comparisons did not end: {total}")
        time.sleep(0.2)


def main() -> None:
    """The whole story."""
    make_databases()
    crossfade_command("doctor", "--apply")
    with new_service() as process, crossfade.running(area):
        slowest = serve()
        wait_for_comparisons(ROUNDS * (len(FLIGHTS) + 1))
        print(crossfade_command("diffs"))
        process.kill()
        process.wait()
        slowest = max(slowest, serve())
    if slowest > ANSWER_SECONDS_MAX:
        raise SystemExit(f"a passenger waited {slowest:.2f} s")
    print(f"Every passenger got the old service's answer, after {slowest * 1000:.0f} ms at most,")
    print("while the new one was wrong, failed, hung, and was killed.")


if __name__ == "__main__":
    main()
