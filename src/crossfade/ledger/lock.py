"""One node per SQLite ledger: a lock of the operating system on a file beside it."""

import fcntl
import os
from datetime import datetime
from pathlib import Path
from weakref import WeakSet

from crossfade.errors import ConfigurationError, LockedError

OWNER_BYTES_MAX = 200


class NodeLock:
    """The lock on `FILE.lock`, held until `release` or until the process ends, however it ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the next node in; the file stays, since removing it could free a lock of others."""
        if self._descriptor >= 0:
            _HELD.discard(self)
            # Said in words: a process that was forked meanwhile may have it open, too.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
            self._descriptor = -1

    def let_go(self) -> None:
        """In a process that was forked: the lock is its parent's, and ends with it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


_HELD: WeakSet[NodeLock] = WeakSet()
"""The locks of this process."""


def _leave_to_parent() -> None:
    for lock in list(_HELD):
        lock.let_go()
    _HELD.clear()


os.register_at_fork(after_in_child=_leave_to_parent)


def lock_path(ledger: Path) -> Path:
    """The lock file of a ledger file."""
    return ledger.with_name(f"{ledger.name}.lock")


def take_node_lock(ledger: Path, started: datetime) -> NodeLock:
    """Become the one node of a ledger.

    Args:
        ledger: the ledger's file.
        started: what others are told about since when the ledger is in use.

    Raises:
        LockedError: another node owns the ledger; names its process.
        ConfigurationError: the lock file cannot be made.

    """
    path = lock_path(ledger)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"cannot use the lock file {path}: {error.strerror}. "
            "Choose another place for the ledger, or correct the permissions."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(descriptor, OWNER_BYTES_MAX, 0).decode(errors="replace").split()
        os.close(descriptor)
        raise _locked(ledger, owner) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()} {started.isoformat(timespec='seconds')}\n".encode(), 0)
    lock = NodeLock(path, descriptor)
    _HELD.add(lock)
    return lock


def _locked(ledger: Path, owner: list[str]) -> LockedError:
    match owner:
        case [pid, started]:
            who = f"another node (pid {pid}, since {started})"
        case _:
            who = "another node"
    return LockedError(
        f"{who} owns the ledger {ledger}: one node per SQLite ledger. "
        "Stop that node first, or keep the ledger in PostgreSQL, which several processes may open."
    )
