"""When the disk or an outsider is in the way, nothing is told as done that is not durable."""

import asyncio
import shutil
import sqlite3
import threading
from functools import partial
from pathlib import Path

import pytest

from crossfade.errors import LedgerUnavailableError
from crossfade.ledger import sqlite as sqlite_ledger
from crossfade.observability.events import Event, LedgerFailed
from crossfade.observability.hooks import Hooks
from tests.contract.ledger.rows_to_write import ORDER, write_key
from tests.contract.ledger.sqlite_files import Connections, opened


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    """The connections that ledgers of this test open."""
    made = Connections()
    monkeypatch.setattr(sqlite_ledger, "connect", made.connect)
    return made


async def test_a_full_disk_refuses_writes_until_there_is_space(
    tmp_path: Path, connections: Connections
) -> None:
    """All of the batch fail, an event tells it once; with space again, writes go on."""
    events: list[Event] = []
    ledger = opened(tmp_path / "ledger.db", hooks=Hooks(events.append))
    await ledger.transact(partial(write_key, number=0))
    connections.writer.fault = sqlite3.SQLITE_FULL

    results = await asyncio.gather(
        *(ledger.transact(partial(write_key, number=number)) for number in range(1, 20)),
        return_exceptions=True,
    )

    assert {type(one) for one in results} == {LedgerUnavailableError}
    assert "Nothing was committed" in str(results[0])
    failures = [event for event in events if isinstance(event, LedgerFailed)]
    assert 1 <= len(failures) <= 2
    assert ledger.look(lambda rows: rows.counts()).dirty == 1

    connections.writer.fault = None
    await ledger.transact(partial(write_key, number=5))
    assert ledger.look(lambda rows: rows.counts()).dirty == 2
    await ledger.close()


async def test_too_few_pages_refuse_writes_until_there_are_more(
    tmp_path: Path, connections: Connections
) -> None:
    """SQLite's own "database or disk is full": what did not fit is nowhere, the rest stays."""
    ledger = opened(tmp_path / "ledger.db")
    connections.writer.execute("PRAGMA max_page_count = 60")
    told: list[int] = []

    async def fill() -> None:
        for number in range(10_000):
            reason = "x" * 500
            await ledger.transact(partial(write_key, number=number, quarantine=reason))
            told.append(number)

    with pytest.raises(LedgerUnavailableError, match="full"):
        await fill()
    assert ledger.look(lambda rows: rows.counts()).quarantined == len(told) > 0

    connections.writer.execute("PRAGMA max_page_count = 1000000")
    await ledger.transact(partial(write_key, number=-1))
    assert ledger.look(lambda rows: rows.counts()).dirty == 1
    await ledger.close()


@pytest.mark.parametrize("commits_first", [True, False], ids=["it was", "it was not"])
async def test_a_commit_of_unknown_outcome_stops_the_ledger(
    tmp_path: Path, connections: Connections, *, commits_first: bool
) -> None:
    """Committed or not, nothing more is accepted until the ledger is opened anew."""
    path = tmp_path / "ledger.db"
    ledger = opened(path)
    first = await ledger.transact(lambda rows: rows.next_sequence())
    connections.writer.fault = sqlite3.SQLITE_IOERR_FSYNC
    connections.writer.commits_first = commits_first

    with pytest.raises(LedgerUnavailableError, match="unknown outcome"):
        await ledger.transact(partial(write_key, number=1))
    connections.writer.fault = None
    with pytest.raises(LedgerUnavailableError, match=r"refuses all writes.*start it again"):
        await ledger.transact(partial(write_key, number=2))
    assert ledger.writer.refusal is not None
    await ledger.close()

    again = opened(path)
    assert again.look(lambda rows: rows.counts()).dirty == int(commits_first)
    assert await again.transact(lambda rows: rows.next_sequence()) > first + commits_first
    await again.close()


async def test_an_outsider_that_locks_the_file_delays_or_fails_writes(tmp_path: Path) -> None:
    """Within the bounded wait it is waited for; beyond it writes fail, and go on afterwards."""
    path = tmp_path / "ledger.db"
    ledger = opened(path, busy_seconds_max=0.2)
    outsider = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    outsider.execute("BEGIN IMMEDIATE")

    with pytest.raises(LedgerUnavailableError, match="locked"):
        await ledger.transact(partial(write_key, number=1))
    assert ledger.look(lambda rows: rows.counts()).dirty == 0
    releasing = threading.Timer(0.05, outsider.execute, ("COMMIT",))
    releasing.start()
    await ledger.transact(partial(write_key, number=2))
    releasing.join()

    assert ledger.look(lambda rows: rows.counts()).dirty == 1
    outsider.close()
    await ledger.close()


async def test_what_an_outsider_commits_is_not_overlooked(tmp_path: Path) -> None:
    """The writer remembers rows only while nobody else has written."""
    path = tmp_path / "ledger.db"
    ledger = opened(path)
    await ledger.transact(partial(write_key, number=1))
    with sqlite3.connect(path) as outsider:
        outsider.execute("UPDATE keys SET tries = 77")
        outsider.execute("UPDATE ledger SET sequence = 500")
    outsider.close()

    assert (await ledger.transact(lambda rows: rows.key(ORDER, (1,)))).tries == 77
    assert ledger.look(lambda rows: rows.key(ORDER, (1,))).tries == 77
    assert await ledger.transact(lambda rows: rows.next_sequence()) == 501
    await ledger.close()


@pytest.mark.parametrize("name", ["ledger.db", "ledger.db-wal", "ledger.db.lock", ""])
async def test_a_deleted_file_is_noticed(tmp_path: Path, name: str) -> None:
    """A write into a file without a name would be lost: it is not told as done."""
    folder = tmp_path / "folder"
    ledger = opened(folder / "ledger.db")
    await ledger.transact(partial(write_key, number=1))
    if name:
        (folder / name).unlink()
    else:
        shutil.rmtree(folder)

    for _ in range(2):
        with pytest.raises(LedgerUnavailableError, match="deleted or replaced"):
            await ledger.transact(partial(write_key, number=2))
    await ledger.close()


async def test_a_replaced_file_is_noticed(tmp_path: Path) -> None:
    """A restored copy in the place of the open file is another file."""
    path = tmp_path / "ledger.db"
    ledger = opened(path)
    await ledger.transact(partial(write_key, number=1))
    shutil.copy(path, tmp_path / "copy")
    (tmp_path / "copy").replace(path)

    with pytest.raises(LedgerUnavailableError, match="deleted or replaced"):
        await ledger.transact(partial(write_key, number=2))
    await ledger.close()


async def test_a_full_queue_makes_callers_wait(tmp_path: Path) -> None:
    """Queue and batch are bounded; whoever finds the queue full waits and is counted."""
    ledger = opened(tmp_path / "ledger.db", queue_max=8, batch_max=4)

    await asyncio.gather(
        *(ledger.transact(partial(write_key, number=number)) for number in range(100))
    )

    assert ledger.queue.callers_that_waited == 92
    assert ledger.writer.batches >= 25
    assert ledger.writer.transitions == 100
    await ledger.close()


async def test_callers_of_several_event_loops_share_one_ledger(tmp_path: Path) -> None:
    """Each caller is answered on its own loop."""
    ledger = opened(tmp_path / "ledger.db")
    taken: list[int] = []

    async def take() -> None:
        taken.extend([await ledger.transact(lambda rows: rows.next_sequence()) for _ in range(25)])

    async def together() -> None:
        await asyncio.gather(*(take() for _ in range(4)))

    threads = [threading.Thread(target=asyncio.run, args=(together(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    await take()
    for thread in threads:
        await asyncio.to_thread(thread.join)

    assert sorted(taken) == list(range(1, 326))
    await ledger.close()


async def test_a_caller_whose_loop_is_gone_harms_nobody(tmp_path: Path) -> None:
    """Its transition takes place, and the others are answered."""
    ledger = opened(tmp_path / "ledger.db")

    def abandon() -> None:
        async def begin() -> None:
            asyncio.get_running_loop().create_task(ledger.transact(partial(write_key, number=1)))
            await asyncio.sleep(0)

        asyncio.run(begin())

    thread = threading.Thread(target=abandon)
    thread.start()
    thread.join()
    await ledger.transact(partial(write_key, number=2))

    assert ledger.look(lambda rows: rows.counts()).dirty == 2
    await ledger.close()


async def test_the_memory_of_the_writer_is_bounded(tmp_path: Path) -> None:
    """More rows than it may remember: all are there, and reads still find them."""
    ledger = opened(tmp_path / "ledger.db", rows_remembered_max=50)
    for start in range(0, 600, 100):
        await asyncio.gather(
            *(
                ledger.transact(partial(write_key, number=number))
                for number in range(start, start + 100)
            )
        )

    found = [await ledger.transact(partial(_tries, number=number)) for number in (0, 333, 599)]
    assert found == [0, 0, 0]
    assert ledger.look(lambda rows: rows.counts()).dirty == 600
    await ledger.close()


def _tries(rows: object, number: int) -> int:
    state = rows.key(ORDER, (number,))  # type: ignore[attr-defined]
    assert state.dirty
    return int(state.tries)
