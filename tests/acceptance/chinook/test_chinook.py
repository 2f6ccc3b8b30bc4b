"""Chinook's eleven tables move from SQLite to PostgreSQL, on to MariaDB, while writers write."""

import signal
from pathlib import Path
from subprocess import Popen

import pytest

from tests.acceptance.chinook.judge import Judge, rows_at
from tests.acceptance.chinook.project import Project, end
from tests.acceptance.chinook.settled import settle

WRITES = 60
"""Acknowledged writes between two commands of an operator."""


@pytest.mark.timeout(300)
def test_chinook_from_sqlite_to_postgresql_to_mariadb(
    legacy: str, new: str, last: str, judge: Judge, tmp_path: Path, seed: int
) -> None:
    """No row lost, none too much, none different, on any of the three, after each of the moves."""
    assert judge.differences(legacy) == []
    # The ledger lives in one of the databases, as it may.
    urls = (legacy, new, f"{new}?schema=ledger_first")
    with Project(tmp_path / "first", 1, urls, seed) as first:
        migrate(first, processes=2)
        compare(first, judge, (new, legacy))
        first.do("retire", "--yes", "chinook-first")

    urls = (new, last, f"{new}?schema=ledger_second")
    with Project(tmp_path / "second", 2, urls, seed) as second:
        migrate(second, processes=1)
        compare(second, judge, (last, new))
    assert judge.differences(legacy) != [], "a retired migration writes back no more"


def migrate(project: Project, *, processes: int) -> None:
    """Move one migration from `off` to `completed` while writers write; one of several is killed.

    Args:
        project: the migration.
        processes: of writers.

    """
    project.do("doctor", "--apply")
    writers = project.start_writers(processes)
    project.wait_for_writes(WRITES // 4)
    node = project.start_up()
    project.do("stage", "promote", "shadow", "--reason", "begin")
    node = copy_with_a_kill(project, node)
    project.do("canary", "set", "customer", "50")
    project.do("verify")
    for killed in writers[1:]:
        assert end(killed, signal.SIGKILL) == -signal.SIGKILL
    for step in ("live", "shadow", "live", "completed"):
        project.wait_for_writes(WRITES)
        if step == "shadow":
            project.do("stage", "rollback", step, "--reason", "to see that it goes")
        else:
            project.promote(step)
    project.wait_for_writes(WRITES)
    project.stop_writers(writers)
    project.wait_until_settled()
    project.do("verify")
    assert end(node, signal.SIGTERM) == 143, project.evidence()


def copy_with_a_kill(project: Project, node: Popen[str]) -> Popen[str]:
    """Copy all that was there before; the node is killed when a part of it is copied."""
    whole = rows_in(project.legacy)
    project.do("backfill", "start", "--detach", "--rows-per-second", "3000")
    project.wait("half a copy", lambda: rows_in(project.new) > whole // 4)
    assert end(node, signal.SIGKILL) == -signal.SIGKILL
    assert rows_in(project.new) < whole * 9 // 10, "too late for a kill in mid-backfill"
    node = project.start_up()
    project.do("backfill", "start")
    return node


def rows_in(url: str) -> int:
    """How many rows one of the three databases has."""
    return sum(len(rows) for rows in rows_at(url).values())


def compare(project: Project, judge: Judge, urls: tuple[str, str]) -> None:
    """Both sides against the reference, to which the acknowledged writes were applied."""
    told = project.told()
    settled = settle(told, rows_at(urls[0]))
    assert settled.wrong == [], project.evidence()
    judge.apply(settled)
    for url in urls:
        assert judge.differences(url) == [], (settled.unknown, project.evidence())
