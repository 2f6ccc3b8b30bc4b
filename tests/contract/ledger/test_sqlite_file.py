"""The file of a SQLite ledger: private, marked as ours, and refused when it is anything else."""

import asyncio
import os
import sqlite3
import stat
import sys
from functools import partial
from pathlib import Path

import pytest

from crossfade.errors import (
    ConfigurationError,
    LedgerUnavailableError,
    LedgerVersionError,
    LockedError,
)
from crossfade.ledger.from_url import (
    committed_sequence,
    ledger_exists,
    ledger_from_url,
    reader_from_url,
)
from crossfade.ledger.schema_files import schema_files
from crossfade.ledger.sqlite_reader import open_reader
from crossfade.seams.clock import SystemClock
from crossfade.seams.randomness import SeededRandomness
from tests.contract.ledger.rows_to_write import ORDER, write_key
from tests.contract.ledger.sqlite_files import opened
from tests.project_files import ROOT


def _names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_everything_it_makes_is_private(tmp_path: Path) -> None:
    """Folders 0700, files 0600, whatever the umask says; the log too."""
    path = tmp_path / "new" / "deep" / "ledger.db"
    before = os.umask(0)
    try:
        ledger = opened(path)
        await ledger.transact(partial(write_key, number=1))
        modes = {file.name: oct(_mode(file)) for file in path.parent.iterdir()}
        await ledger.close()
    finally:
        os.umask(before)

    assert len(modes) == 4
    assert set(modes.values()) == {"0o600"}
    assert (_mode(path.parent), _mode(path.parent.parent)) == (0o700, 0o700)


async def test_a_ledger_with_open_permissions_is_made_private(tmp_path: Path) -> None:
    """A file that was copied with wide permissions is narrowed when it is opened."""
    path = tmp_path / "ledger.db"
    await opened(path).close()
    path.chmod(0o644)

    await opened(path).close()

    assert _mode(path) == 0o600


async def test_a_closed_ledger_is_one_file(tmp_path: Path) -> None:
    """Closing folds the log into the file, so that copying it copies everything."""
    path = tmp_path / "ledger.db"
    ledger = opened(path)
    await ledger.transact(partial(write_key, number=1))
    await ledger.close()

    assert _names(tmp_path) == ["ledger.db", "ledger.db.lock"]


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    """Somebody else could have put the link there; nothing is written through it."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"")
    link = tmp_path / "ledger.db"
    link.symlink_to(victim)

    with pytest.raises(ConfigurationError, match="symbolic link"):
        opened(link)
    with pytest.raises(ConfigurationError, match="symbolic link"):
        open_reader(link)
    assert victim.read_bytes() == b""


def test_a_link_in_the_place_of_the_lock_is_refused(tmp_path: Path) -> None:
    """Also the lock file is never reached through a link."""
    (tmp_path / "ledger.db.lock").symlink_to(tmp_path / "victim")

    with pytest.raises(ConfigurationError, match="lock file"):
        opened(tmp_path / "ledger.db")
    assert not (tmp_path / "victim").exists()


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    """The error names the path and what to do."""
    with pytest.raises(ConfigurationError, match=r"is not a file\. Name a file"):
        opened(tmp_path)


@pytest.mark.parametrize("content", [b"hello, this is no database\n" * 100, b"x"])
def test_a_file_that_is_no_ledger_is_refused_unchanged(tmp_path: Path, content: bytes) -> None:
    """Content, permissions and neighbours stay as they were."""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    path.chmod(0o644)

    for attempt in (opened, open_reader):
        with pytest.raises(ConfigurationError, match="is not a crossfade ledger"):
            attempt(path)
    assert (path.read_bytes(), _mode(path)) == (content, 0o644)
    assert list(tmp_path.iterdir()) == [path]


def test_another_sqlite_database_is_refused_unchanged(tmp_path: Path) -> None:
    """A service's own database is not turned into a ledger by a mistaken path."""
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE customers (id INTEGER)")
    connection.close()
    content = path.read_bytes()

    for attempt in (opened, open_reader):
        with pytest.raises(ConfigurationError, match="is not a crossfade ledger"):
            attempt(path)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


async def test_an_empty_file_becomes_a_ledger(tmp_path: Path) -> None:
    """A crash right after the file was made leaves an empty one: opening goes on from there."""
    path = tmp_path / "ledger.db"
    path.touch()

    ledger = opened(path)

    assert await ledger.transact(lambda rows: rows.next_sequence()) == 1
    await ledger.close()


async def test_a_ledger_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    """The error names both versions; nothing is changed."""
    path = tmp_path / "ledger.db"
    await opened(path).close()
    known = schema_files()[-1].number
    with sqlite3.connect(path) as connection:
        connection.execute(
            "INSERT INTO schema_version VALUES (?, 'from the future')", (known + 1,)
        )
    connection.close()

    for attempt in (opened, open_reader):
        with pytest.raises(LedgerVersionError, match=f"schema {known + 1}.*up to {known}"):
            attempt(path)


async def test_each_new_ledger_has_an_identity_of_its_own(tmp_path: Path) -> None:
    """The id comes from the randomness seam, once."""
    first, second = opened(tmp_path / "a.db"), opened(tmp_path / "b.db")
    expected = SeededRandomness(1).identifier()
    assert first.identity.ledger_id == second.identity.ledger_id == expected
    assert first.identity.incarnation == 1
    await first.close()
    await second.close()
    other = ledger_from_url(f"sqlite:///{tmp_path}/c.db", SystemClock(), SeededRandomness(2))
    assert other.identity.ledger_id != expected
    await other.close()


async def test_a_second_node_is_refused(tmp_path: Path) -> None:
    """One node per SQLite ledger, in the same process or another; closing lets the next in."""
    path = tmp_path / "ledger.db"
    ledger = opened(path)

    with pytest.raises(
        LockedError, match=f"pid {os.getpid()}, since .*one node per SQLite"
    ) as own:
        opened(path)
    program = (
        "import pathlib, sys\n"
        "from crossfade.errors import LockedError\n"
        "from tests.contract.ledger.sqlite_files import opened\n"
        "try:\n    opened(pathlib.Path(sys.argv[1]))\n"
        "except LockedError as error:\n    print(error)\n"
    )
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(path), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    told, _ = await other.communicate()
    assert told.decode().strip() == str(own.value)
    assert (own.value.exit_code, "\n" in str(own.value)) == (8, False)

    await ledger.close()
    await opened(path).close()


async def test_a_reader_looks_while_a_node_runs(tmp_path: Path) -> None:
    """Commands of the command line see what is committed, without the lock, and change nothing."""
    path = tmp_path / "ledger.db"
    ledger = opened(path)
    await ledger.transact(partial(write_key, number=1))
    reader = open_reader(path)
    assert reader.look(lambda rows: rows.counts()).dirty == 1
    await ledger.transact(partial(write_key, number=2))

    assert reader.look(lambda rows: rows.counts()).dirty == 2
    assert (reader.identity, reader.sequence) == (ledger.identity, 2)
    assert reader.migration == ledger.migration
    with pytest.raises(LedgerUnavailableError, match=r"readonly|read.only"):
        reader.look(lambda rows: rows._connection.execute("DELETE FROM keys"))  # type: ignore[attr-defined]  # noqa: SLF001
    reader.close()
    with pytest.raises(LedgerUnavailableError, match="closed"):
        reader.look(lambda rows: rows.counts())
    await ledger.close()


async def test_a_reader_looks_after_the_node_is_gone(tmp_path: Path) -> None:
    """Also a ledger that nobody has open can be looked at."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    assert not ledger_exists(url)
    ledger = ledger_from_url(url, SystemClock(), SeededRandomness(1))
    await ledger.transact(partial(write_key, number=1))
    await ledger.close()
    assert ledger_exists(url)

    reader = reader_from_url(url)

    assert reader.look(lambda rows: rows.key(ORDER, (1,))).dirty
    assert committed_sequence(reader) == 1
    reader.close()


def test_a_reader_makes_no_ledger(tmp_path: Path) -> None:
    """Looking at a ledger that does not exist, or is empty, is an error and leaves no file."""
    with pytest.raises(ConfigurationError, match="there is no ledger"):
        open_reader(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []

    (tmp_path / "empty.db").touch()
    with pytest.raises(ConfigurationError, match="is empty"):
        open_reader(tmp_path / "empty.db")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://host", "names no database"),
        ("sqlite://", "of the kind"),
        ("sqlite:///", "names no file"),
        ("sqlite:///folder/", "names no file"),
        ("nonsense", "of the kind 'nonsense'"),
    ],
)
def test_urls_that_name_no_ledger_are_refused(url: str, message: str) -> None:
    """The error says what to write instead."""
    with pytest.raises(ConfigurationError, match=message):
        ledger_from_url(url, SystemClock(), SeededRandomness(1))


async def test_a_ledger_in_memory_has_a_url_too() -> None:
    """`memory://` is a new ledger each time; it has no file to look at."""
    ledger = ledger_from_url("memory://", SystemClock(), SeededRandomness(1))
    assert ledger.identity.ledger_id == SeededRandomness(1).identifier()
    await ledger.close()

    with pytest.raises(ConfigurationError, match="has no file"):
        reader_from_url("memory://")


async def test_a_forked_process_does_not_keep_the_lock(tmp_path: Path) -> None:
    """It has the lock's file open, too: a pool of workers must not keep the next node out."""
    ledger = opened(tmp_path / "ledger.db")
    go_on, wait = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(wait)
        os.read(go_on, 1)
        os._exit(0)
    try:
        await ledger.close()
        await opened(tmp_path / "ledger.db").close()
    finally:
        os.close(wait)
        await asyncio.to_thread(os.waitpid, child, 0)
        os.close(go_on)
