"""From a ledger's URL to the ledger: the one place that knows which kinds of ledger there are."""

from pathlib import Path

from crossfade.errors import ConfigurationError
from crossfade.ledger.base import LedgerReader, OpenedLedger
from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.postgres_options import PostgresLedgerOptions
from crossfade.ledger.postgres_place import place_of
from crossfade.ledger.rows import LedgerIdentity
from crossfade.ledger.sqlite import open_ledger
from crossfade.ledger.sqlite_options import SqliteLedgerOptions
from crossfade.ledger.sqlite_reader import open_reader
from crossfade.observability.hooks import Hooks
from crossfade.seams.clock import Clock, SystemClock
from crossfade.seams.randomness import Randomness

MEMORY = "memory://"
SQLITE = "sqlite:///"
POSTGRES = ("postgresql://", "postgres://")


def ledger_from_url(
    url: str,
    clock: Clock,
    randomness: Randomness,
    *,
    node: str | None = None,
    hooks: Hooks | None = None,
    options: SqliteLedgerOptions | PostgresLedgerOptions | None = None,
) -> OpenedLedger:
    """Open the ledger; one that does not exist is made.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db`, `postgresql://...?schema=NAME`,
            which any number of processes may open, or `memory://`, which forgets everything with
            the process.
        clock: where time comes from.
        randomness: where the identity of a new ledger comes from.
        node: this process's name in intents and leases, unlike that of every other process.
        hooks: who is told when the ledger cannot commit.
        options: limits of the kind of ledger that it is; those of another kind are left out.

    Raises:
        ConfigurationError: no such kind of ledger, or the place cannot be used as one.
        LockedError: another node owns the SQLite ledger.
        LedgerVersionError: a newer release wrote it.
        LedgerUnavailableError: the file or the server cannot be read or written.

    """
    if url == MEMORY:
        return MemoryLedger(LedgerIdentity(randomness.identifier(), incarnation=1))
    if is_shared(url):
        # Its driver is an extra: loaded only where it is asked for.
        from crossfade.ledger.postgres import open_postgres_ledger  # noqa: PLC0415 - the driver is an extra

        return open_postgres_ledger(
            place_of(url),
            clock=clock,
            randomness=randomness,
            node=node,
            hooks=hooks,
            options=options if isinstance(options, PostgresLedgerOptions) else None,
        )
    return open_ledger(
        ledger_path(url),
        clock=clock,
        randomness=randomness,
        hooks=hooks,
        options=options if isinstance(options, SqliteLedgerOptions) else None,
    )


def reader_from_url(url: str) -> LedgerReader:
    """Open the ledger for looking only, beside running nodes or without one.

    Raises:
        ConfigurationError: no such kind of ledger, no such place, or it holds no ledger.
        LedgerVersionError: a newer release wrote it.
        LedgerUnavailableError: it cannot be read.

    """
    if is_shared(url):
        from crossfade.ledger.postgres_reader import open_postgres_reader  # noqa: PLC0415 - the driver is an extra

        return open_postgres_reader(place_of(url), SystemClock())
    return open_reader(ledger_path(url))


def ledger_exists(url: str) -> bool:
    """Whether there is a ledger where the URL says; raises like `reader_from_url`."""
    if is_shared(url):
        from crossfade.ledger.postgres_reader import ledger_schema  # noqa: PLC0415 - the driver is an extra

        return ledger_schema(place_of(url), PostgresLedgerOptions()) is not None
    return ledger_path(url).exists()


def is_shared(url: str) -> bool:
    """Whether several processes may open the ledger at once."""
    return url.startswith(POSTGRES)


def shown_url(url: str) -> str:
    """Where the ledger is, for people: without what may be secret."""
    if is_shared(url):
        return place_of(url).shown
    return url.removeprefix(SQLITE)


def committed_sequence(reader: LedgerReader) -> int:
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
            f"the ledger's URL is of the kind {scheme!r}. Write sqlite:///.crossfade/ledger.db, "
            "or postgresql://USER@HOST/DATABASE."
        )
    name = url.removeprefix(SQLITE)
    if not name or name.endswith("/"):
        raise ConfigurationError(
            "the ledger's URL names no file. Write sqlite:///.crossfade/ledger.db."
        )
    return Path(name)
