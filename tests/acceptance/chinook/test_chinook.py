"""All eleven tables of Chinook move from SQLite to PostgreSQL, and on to MariaDB, under writers."""

import signal
from pathlib import Path
from subprocess import Popen

import pytest

from tests.acceptance.chinook.judge import Judge, rows_at
from tests.acceptance.chinook.project import Project, end
from tests.acceptance.chinook.settled import settle

WRITES = 60
"""Acknowledged writes between two commands of an operator."""


@pytest.mark.timeout(150)
def test_chinook_from_sqlite_to_postgresql_to_mariadb(
    legacy: str, new: str, last: str, judge: Judge, tmp_path: Path, seed: int
) -> None:
    """No row lost, none too much, none different, on any of the three, after each of the moves."""
    assert judge.differences(legacy) == []
    # The ledger lives in one of the databases, as it may.
    first = Project(tmp_path / "first", 1, (legacy, new, f"{new}?schema=ledger_first"), seed)
    migrate(first, processes=2, killed=True)
    compare(first, judge, (new, legacy))
    first.do("retire", "--yes", "chinook-first")

    second = Project(tmp_path / "second", 2, (new, last, f"{new}?schema=ledger_second"), seed)
    migrate(second, processes=1, killed=False)
    compare(second, judge, (last, new))
    assert judge.differences(legacy) != [], "a retired migration writes back no more"


def migrate(project: Project, *, processes: int, killed: bool) -> None:
    """Move one migration from `off` to `completed` while writers write.

    Args:
        project: the migration.
        processes: of writers.
        killed: whether the last of them is killed, too, while it writes.

    """
    project.do("doctor", "--apply")
    with project.writing(processes) as writers:
        project.wait_for_writes(WRITES // 4)
        node = project.start_up()
        try:
            project.do("stage", "promote", "shadow", "--reason", "begin")
            node = copy_with_a_kill(project, node)
            project.do("canary", "set", "customer", "50")
            project.do("verify")
            if killed:
                assert end(writers[-1], signal.SIGKILL) == -signal.SIGKILL
            project.wait_for_writes(WRITES)
            project.promote("live")
            project.wait_for_writes(WRITES)
            project.do("stage", "rollback", "shadow", "--reason", "to see that it goes")
            project.wait_for_writes(WRITES)
            project.promote("live")
            project.wait_for_writes(WRITES)
            project.promote("completed")
            project.wait_for_writes(WRITES)
        finally:
            end(node, signal.SIGTERM)
    node = project.start_up()
    try:
        project.wait_until_settled()
        project.do("verify")
    finally:
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
        assert judge.differences(url) == [], (project.took, settled.unknown)
