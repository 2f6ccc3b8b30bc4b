"""A process that uses the library: threads write from one line to the next, or until a kill.

`python -m tests.acceptance.chinook.writers FOLDER LEG PROCESS PROCESSES LOG SEED`
"""

import os
import random
import sys
import threading
import time
import traceback
from pathlib import Path

import crossfade
from tests.acceptance.chinook.definition import (
    declare_operations,
    first_migration,
    second_migration,
)
from tests.acceptance.chinook.services import service_at
from tests.acceptance.chinook.traffic import Traffic
from tests.acceptance.chinook.writer_state import state_of
from tests.acceptance.chinook.writes import Log

THREADS = 2
PAUSE_SECONDS_MAX = 0.06


def main(folder: Path, leg: int, mine: int, processes: int, log_file: Path, seed: int) -> None:
    """Write until told to stop; then stop properly, and say so."""
    migration = first_migration() if leg == 1 else second_migration()
    urls = os.environ["CHINOOK_LEGACY"], os.environ["CHINOOK_NEW"]
    operations = declare_operations(migration, *urls)
    log = Log(log_file)
    with crossfade.running(migration, folder=folder, control=False):
        stop = threading.Event()
        threads = []
        for number in range(THREADS):
            index = mine * THREADS + number
            chance = random.Random(f"{seed}.{leg}.{index}")
            state = state_of(service_at(urls[0]), index, processes * THREADS, chance)
            traffic = Traffic(f"{leg}p{mine}t{number}", operations, state, log)
            threads.append(threading.Thread(target=_write, args=(traffic, chance, stop, log)))
        print("ready", flush=True)  # noqa: T201 - whoever started it waits for this line
        # All have looked what there is before the first of them changes it.
        sys.stdin.readline()
        for thread in threads:
            thread.start()
        sys.stdin.readline()
        stop.set()
        for thread in threads:
            thread.join()
    print("stopped", flush=True)  # noqa: T201 - whoever started it waits for this line


def _write(traffic: Traffic, chance: random.Random, stop: threading.Event, log: Log) -> None:
    try:
        while not stop.is_set():
            traffic.step()
            time.sleep(chance.random() * PAUSE_SECONDS_MAX)
    except BaseException:
        log.wrong(traceback.format_exc())
        raise


if __name__ == "__main__":
    main(
        Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]),
        Path(sys.argv[5]), int(sys.argv[6]),
    )  # fmt: skip
