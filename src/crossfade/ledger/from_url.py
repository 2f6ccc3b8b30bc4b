"""From a ledger's URL to the ledger: the one place that knows which kinds of ledger there are."""

from pathlib import Path

from crossfade.errors import ConfigurationError
from crossfade.ledger.base import Ledger
from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.rows import LedgerIdentity
from crossfade.ledger.sqlite import open_ledger
from crossfade.ledger.sqlite_options import SqliteLedgerOptions
from crossfade.ledger.sqlite_reader import SqliteReader, open_reader
from crossfade.observability.hooks import Hooks
from crossfade.seams.clock import Clock
from crossfade.seams.randomness import Randomness

MEMORY = "memory://"
SQLITE = "sqlite:///"


def ledger_from_url(
    url: str,
    clock: Clock,
    randomness: Randomness,
    *,
    hooks: Hooks | None = None,
    options: SqliteLedgerOptions | None = None,
) -> Ledger:
    """Open the ledger as its one node; a SQLite ledger that does not exist is made.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db`, or `memory://`, which forgets
            everything with the process.
        clock: what the lock says about since when the ledger is in use.
        randomness: where the identity of a new ledger comes from.
        hooks: who is told when the ledger cannot commit.
        options: limits of a SQLite ledger.

    Raises:
        ConfigurationError: no such kind of ledger, or the file cannot be used as one.
        LockedError: another node owns it.
        LedgerVersionError: a newer release wrote it.
        LedgerUnavailableError: the file cannot be read or written.

    """
    if url == MEMORY:
        return MemoryLedger(LedgerIdentity(randomness.identifier(), incarnation=1))
    path = ledger_path(url)
    return open_ledger(path, clock=clock, randomness=randomness, hooks=hooks, options=options)


def reader_from_url(url: str) -> SqliteReader:
    """Open the ledger for looking only, beside a running node or without one.

    Raises:
        ConfigurationError: no such kind of ledger, no such file, or the file is no ledger.
        LedgerVersionError: a newer release wrote it.
        LedgerUnavailableError: it cannot be read.

    """
    return open_reader(ledger_path(url))


def ledger_exists(url: str) -> bool:
    """Whether there is a file where the URL says; raises like `ledger_path`."""
    return ledger_path(url).exists()


def committed_sequence(reader: SqliteReader) -> int:
    """The highest number that the ledger has given out and committed."""
    return reader.sequence


def ledger_path(url: str) -> Path:
    """The file of a SQLite ledger.

    Raises:
        ConfigurationError: the URL names no file.

    """
    if url == MEMORY:
        raise ConfigurationError(
            "a ledger in memory has no file. Use sqlite:///FILE to look at it from outside."
        )
    if not url.startswith(SQLITE):
        scheme = url.partition(":")[0]
        raise ConfigurationError(
            f"the ledger's URL is of the kind {scheme!r}. Write sqlite:///.crossfade/ledger.db; "
            "PostgreSQL comes later."
        )
    name = url.removeprefix(SQLITE)
    if not name or name.endswith("/"):
        raise ConfigurationError(
            "the ledger's URL names no file. Write sqlite:///.crossfade/ledger.db."
        )
    return Path(name)
