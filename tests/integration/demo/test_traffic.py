"""The demo's traffic on one service alone: the judge finds nothing, unless somebody cheats."""

import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crossfade.demo.data import DemoData, create_databases, keep_snapshot
from crossfade.demo.history import Kind, Outcome, read_history
from tests.integration.demo.conftest import RunningService, StartModule, StartService
from tests.unit.demo.demo_evidence import copy_everything

DATA = DemoData(seed=11, customers=300, orders=300)
TRAFFIC_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Shop:
    """A legacy service with data, and the traffic on it."""

    folder: Path
    service: RunningService
    traffic: subprocess.Popen[str]

    @property
    def history(self) -> Path:
        """What the callers wrote down."""
        return self.folder / "history.ndjson"

    def hear(self, event: str) -> dict[str, Any]:
        """Read the traffic's lines up to one of this name."""
        assert self.traffic.stdout is not None
        for text in self.traffic.stdout:
            line: dict[str, Any] = json.loads(text)
            if line["event"] == event:
                return line
        raise AssertionError(f"the traffic ended without {event}")

    def stop(self) -> dict[str, Any]:
        """End the traffic; returns its summary."""
        self.traffic.send_signal(signal.SIGTERM)
        summary = self.hear("finished")
        assert self.traffic.wait(10) == 0
        return summary


@pytest.fixture
def shop(start_service: StartService, start_module: StartModule, tmp_path: Path) -> Shop:
    """Traffic on the legacy service, a little faster than in the demo, on fewer keys."""
    legacy = tmp_path / "legacy.db"
    create_databases(DATA, legacy=legacy, new=tmp_path / "new.db")
    keep_snapshot(legacy, tmp_path / "initial.db")
    service = start_service("legacy", legacy)
    traffic = start_module(
        "traffic",
        *("--gateway", service.url),
        *("--history", str(tmp_path / "history.ndjson")),
        *("--customers", "300", "--orders", "300", "--hot-keys", "5", "--seed", "7"),
        *("--writes-per-second", "100", "--reads-per-second", "100"),
        *("--progress-seconds", "0.2"),
    )
    shop = Shop(tmp_path, service, traffic)
    shop.hear("started")
    return shop


@pytest.fixture
def judged(start_module: StartModule) -> Callable[[Shop], tuple[int, dict[str, Any]]]:
    """Run the judge as a process: its exit status and its document."""

    def judge(shop: Shop) -> tuple[int, dict[str, Any]]:
        process = start_module(
            "oracle",
            *("--history", str(shop.history)),
            *("--initial", str(shop.folder / "initial.db")),
            *("--legacy-db", str(shop.folder / "legacy.db")),
            *("--new-db", str(shop.folder / "new.db")),
            *("--authority", "legacy"),
        )
        document, _nothing = process.communicate(timeout=30)
        return process.returncode, json.loads(document)

    return judge


Judge = Callable[[Shop], tuple[int, dict[str, Any]]]


def test_traffic_on_one_service_breaks_no_promise(shop: Shop, judged: Judge) -> None:
    """Every kind of request happened, all were answered, and every answer is explained."""
    time.sleep(TRAFFIC_SECONDS)
    summary = shop.stop()
    copy_everything(shop.folder / "legacy.db", shop.folder / "new.db")

    status, verdict = judged(shop)

    assert (status, verdict["examples"]) == (0, {})
    assert verdict["is_clean"]
    assert verdict["requests"] == summary["requests"] > 100
    assert verdict["acknowledged_writes"] == summary["acknowledged_writes"] > 50
    assert {operation.kind for operation in read_history(shop.history)} == set(Kind)


def test_one_lost_write_is_found_among_all(shop: Shop, judged: Judge) -> None:
    """Somebody puts a row back to what it was before an acknowledged write."""
    time.sleep(TRAFFIC_SECONDS)
    shop.stop()
    with closing(sqlite3.connect(shop.folder / "legacy.db")) as connection, connection:
        connection.execute("ATTACH ? AS initial", (str(shop.folder / "initial.db"),))
        key = connection.execute(
            "SELECT CustomerId FROM Customer JOIN initial.Customer AS was USING (CustomerId)"
            " WHERE Customer.Note <> was.Note LIMIT 1"
        ).fetchone()[0]
        connection.execute(
            "INSERT OR REPLACE INTO Customer SELECT * FROM initial.Customer WHERE CustomerId = ?",
            (key,),
        )
    copy_everything(shop.folder / "legacy.db", shop.folder / "new.db")

    status, verdict = judged(shop)

    assert (status, verdict["lost"], verdict["diverged"]) == (6, 1, 0)
    assert verdict["examples"]["lost"][0]["key"] == key


def test_a_pause_leaves_nothing_under_way(shop: Shop) -> None:
    """Between "paused" and "resumed" no request is sent."""
    time.sleep(TRAFFIC_SECONDS / 4)
    shop.traffic.send_signal(signal.SIGUSR1)
    paused = shop.hear("paused")
    before = shop.history.stat().st_size
    time.sleep(TRAFFIC_SECONDS / 4)
    after = shop.history.stat().st_size
    shop.traffic.send_signal(signal.SIGUSR2)
    shop.hear("resumed")
    time.sleep(TRAFFIC_SECONDS / 4)

    assert paused["in_flight"] == 0
    assert after == before
    assert shop.stop()["requests"] > paused["requests"]


def test_a_killed_service_cuts_at_most_what_was_under_way(
    shop: Shop, start_module: StartModule, judged: Judge
) -> None:
    """Callers wait until somebody listens again, and nothing that was acknowledged is lost."""
    port = shop.service.url.rpartition(":")[2]
    for _ in range(3):
        time.sleep(TRAFFIC_SECONDS / 4)
        shop.service.process.kill()
        shop.service.process.wait(10)
        again = start_module(
            "legacy_service", "--database", str(shop.folder / "legacy.db"), "--port", port
        )
        assert again.stdout is not None
        assert json.loads(again.stdout.readline())["port"] == int(port)
        shop = Shop(
            shop.folder,
            RunningService(shop.service.url, shop.service.database, again),
            shop.traffic,
        )
    time.sleep(TRAFFIC_SECONDS / 4)
    summary = shop.stop()
    copy_everything(shop.folder / "legacy.db", shop.folder / "new.db")

    status, verdict = judged(shop)

    assert (status, verdict["examples"]) == (0, {})
    assert summary["unsent"] >= 3
    assert verdict["cut"] == summary["cut"] <= 3 * 16
    assert summary["failed"] == 0


def test_a_killed_generator_leaves_evidence_that_can_be_judged(shop: Shop, judged: Judge) -> None:
    """Its last requests have no outcome, and count as perhaps done."""
    time.sleep(TRAFFIC_SECONDS / 2)
    shop.traffic.kill()
    shop.traffic.wait(10)
    copy_everything(shop.folder / "legacy.db", shop.folder / "new.db")

    status, verdict = judged(shop)

    assert (status, verdict["examples"]) == (0, {})
    ended = [each for each in read_history(shop.history) if each.outcome is Outcome.ACKNOWLEDGED]
    assert len(ended) == verdict["acknowledged_writes"] + verdict["acknowledged_reads"]
