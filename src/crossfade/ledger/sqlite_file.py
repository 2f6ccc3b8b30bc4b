"""The files of a SQLite ledger: made private, opened, and watched while they are in use."""

import os
import sqlite3
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from crossfade.errors import ConfigurationError, LedgerUnavailableError
from crossfade.ledger.lock import lock_path

FILE_MODE = 0o600
FOLDER_MODE = 0o700

FileIdentity = tuple[int, int]


def make_private_file(path: Path) -> bool:
    """Make sure that the ledger's file exists; a new one can be read by its owner only.

    Missing folders are made, private too. An existing file is left as it is. True where the file
    was made.

    Raises:
        ConfigurationError: a link, a folder, or a place where nothing can be written.

    """
    check_plain_file(path)
    try:
        _make_folders(path.parent)
        if path.exists():
            return False
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(path, flags, FILE_MODE))
        make_names_durable(path.parent)
    except OSError as error:
        raise ConfigurationError(
            f"cannot make the ledger {path}: {error.strerror}. "
            "Choose another place, or correct the permissions."
        ) from error
    return True


def remove_files(path: Path) -> None:
    """Remove a ledger that is of no use, by whoever holds its lock; the lock file stays."""
    for one in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        one.unlink(missing_ok=True)


def check_plain_file(path: Path) -> None:
    """Refuse a path that leads elsewhere: somebody else could have put the link there."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigurationError(
            f"cannot look at the ledger {path}: {error.strerror}. Correct the path."
        ) from error
    if stat.S_ISLNK(mode):
        raise ConfigurationError(f"the ledger {path} is a symbolic link. Name the file itself.")
    if not stat.S_ISREG(mode):
        raise ConfigurationError(f"the ledger {path} is not a file. Name a file.")


def make_names_durable(folder: Path) -> None:
    """Make the names in a folder durable, so that a new file outlives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def connect(
    path: Path, queries: Mapping[str, str], busy_seconds_max: float, *, write: bool
) -> sqlite3.Connection:
    """A connection whose transactions begin and end only where we say so.

    Args:
        path: an existing file.
        queries: the named queries.
        busy_seconds_max: how long a statement waits for somebody else's lock.
        write: whether it may write, durably.

    """
    mode = "rw" if write else "ro"
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        timeout=busy_seconds_max,
        isolation_level=None,
        check_same_thread=False,
    )
    if not write:
        connection.execute(queries["only_read"])
    return connection


def become_durable(connection: sqlite3.Connection, queries: Mapping[str, str]) -> None:
    """Set what every writing connection needs; changes the file's journal mode."""
    for name in ("use_wal", "be_durable", "checkpoint_size", "shrink_wal"):
        connection.execute(queries[name])


@contextmanager
def unavailable(path: Path) -> Iterator[None]:
    """Translate what SQLite says about a file that cannot be used."""
    try:
        yield
    except sqlite3.Error as error:
        raise LedgerUnavailableError(
            f"the ledger {path} cannot be used: {error}. "
            "See that the disk has space and that nobody else has locked the file."
        ) from error


class WatchedFiles:
    """Notices when a ledger's file, log or lock was deleted or replaced while it is in use.

    Writing to a file that has lost its name succeeds, and is lost when the process ends.
    """

    def __init__(self, path: Path) -> None:
        self._paths = (path, path.with_name(f"{path.name}-wal"), lock_path(path))
        self._identities: list[FileIdentity | None] = [None] * len(self._paths)
        self.log_bytes = 0
        """Size of the write-ahead log at the last look."""

    def missing(self) -> Path | None:
        """The first file that is no longer the one of the first look, or None."""
        for number, path in enumerate(self._paths):
            try:
                found = path.lstat()
            except OSError:
                return path
            identity = (found.st_dev, found.st_ino)
            known = self._identities[number]
            if known is None:
                self._identities[number] = identity
            elif known != identity:
                return path
            if number == 1:
                self.log_bytes = found.st_size
        return None


def _make_folders(folder: Path) -> None:
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        one.mkdir(mode=FOLDER_MODE, exist_ok=True)
        make_names_durable(one.parent)
