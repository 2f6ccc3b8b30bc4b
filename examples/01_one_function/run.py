"""Walk from `off` to `completed` while threads read and write; then open both databases."""

import json
import random
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

from migration import shop
from profiles import LEGACY, NEW, Profile, get_profile, put_profile

import crossfade

PEOPLE = 200
CALLERS = 2
SECONDS_MAX = 60.0


def make_databases() -> None:
    """Legacy with its people, new empty."""
    Path("data").mkdir(exist_ok=True)
    for file in (LEGACY, NEW):
        Path(file).unlink(missing_ok=True)
    with sqlite3.connect(LEGACY) as legacy:
        legacy.execute("PRAGMA journal_mode = WAL")
        legacy.execute("CREATE TABLE Profile (Id INTEGER PRIMARY KEY, FullName TEXT, Credit REAL)")
        rows = [(n, f"Person Number{n}", n / 4) for n in range(1, PEOPLE + 1)]
        legacy.executemany("INSERT INTO Profile VALUES (?, ?, ?)", rows)
    with sqlite3.connect(NEW) as new:
        new.execute("PRAGMA journal_mode = WAL")
        new.execute(
            "CREATE TABLE people (id INTEGER PRIMARY KEY, first_name TEXT NOT NULL, "
            "last_name TEXT NOT NULL, credit_cents INTEGER NOT NULL)"
        )


class Caller(threading.Thread):
    """Part of the program: reads and writes its own share of the people all the time."""

    def __init__(self, number: int) -> None:
        super().__init__(name=f"caller {number}")
        self._chance = random.Random(number)  # noqa: S311 - traffic, repeatable
        self._mine = range(number + 1, PEOPLE + 50, CALLERS)
        self.acknowledged: dict[int, Profile] = {}
        self.wrong: list[str] = []
        self.calls = 0
        self.over = threading.Event()

    def run(self) -> None:
        """Call until it is over; what it wrote is what it must read."""
        while not self.over.is_set():
            user_id = self._chance.choice(self._mine)
            self.calls += 1
            if self._chance.random() < 0.3:  # noqa: PLR2004 - fewer writes than reads
                profile = Profile(user_id, f"Person Version{self.calls}", self.calls)
                put_profile(profile)
                self.acknowledged[user_id] = profile
            elif (seen := get_profile(user_id)) != self.acknowledged.get(user_id, seen):
                self.wrong.append(f"{user_id}: {seen} instead of {self.acknowledged[user_id]}")


def crossfade_command(*words: str) -> None:
    """Type a command; what a gate refuses is asked again for a while, as evidence gathers."""
    until = time.monotonic() + SECONDS_MAX
    while True:
        typed = [sys.executable, "-m", "crossfade", *words]
        ended = subprocess.run(typed, capture_output=True, text=True, check=False)
        if ended.returncode == 0:
            print("$ crossfade", *words)
            print(ended.stdout)
            return
        if time.monotonic() > until:
            raise SystemExit(f"crossfade {' '.join(words)}: {ended.stderr}")
        time.sleep(0.3)


def wait_until_settled() -> None:
    """The other side follows within moments of the last write; `status` says when it has."""
    until = time.monotonic() + SECONDS_MAX
    while True:
        typed = [sys.executable, "-m", "crossfade", "status", "--json"]
        ended = subprocess.run(typed, capture_output=True, text=True, check=True)
        totals = json.loads(ended.stdout)["totals"]
        if totals["dirty"] == totals["open_intents"] == 0:
            return
        if time.monotonic() > until:
            raise SystemExit(f"it does not settle: {totals}")
        time.sleep(0.2)


def judge(callers: list[Caller]) -> None:
    """The acknowledged writes must be in both databases; nobody asks crossfade about that."""
    with sqlite3.connect(LEGACY) as legacy, sqlite3.connect(NEW) as new:
        theirs = {
            row[0]: Profile(row[0], row[1], round(row[2] * 100))
            for row in legacy.execute("SELECT Id, FullName, Credit FROM Profile")
        }
        ours = {
            row[0]: Profile(row[0], f"{row[1]} {row[2]}".strip(), row[3])
            for row in new.execute("SELECT id, first_name, last_name, credit_cents FROM people")
        }
    expected = {n: Profile(n, f"Person Number{n}", n * 25) for n in range(1, PEOPLE + 1)}
    for caller in callers:
        expected |= caller.acknowledged
        if caller.wrong:
            raise SystemExit(f"stale reads: {caller.wrong}")
    if not theirs == ours == expected:
        raise SystemExit("a write was lost")
    calls = sum(caller.calls for caller in callers)
    print(f"{calls} calls, {len(expected)} people: both databases hold every acknowledged write.")


def main() -> None:
    """The whole story."""
    make_databases()
    crossfade_command("doctor", "--apply")
    callers = [Caller(number) for number in range(CALLERS)]
    with crossfade.running(shop):
        for caller in callers:
            caller.start()
        try:
            crossfade_command("stage", "promote", "shadow")
            crossfade_command("backfill", "start")
            crossfade_command("verify")
            crossfade_command("stage", "promote", "live")
            crossfade_command("stage", "promote", "completed")
        finally:
            for caller in callers:
                caller.over.set()
            for caller in callers:
                caller.join()
        wait_until_settled()
        crossfade_command("status")
    judge(callers)


if __name__ == "__main__":
    main()
