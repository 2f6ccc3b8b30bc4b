"""Give a worker what the settings ask for: processes, and brakes that may ask it to rest."""

from collections.abc import Callable
from pathlib import Path

from crossfade.backfill.options import BackfillOptions
from crossfade.backfill.processes import BackfillProcesses, OpenSides
from crossfade.backfill.worker import BackfillWorker
from crossfade.convergence.brakes import (
    Brake,
    Brakes,
    FlagFile,
    QueryLimit,
)
from crossfade.errors import ConfigurationError
from crossfade.seams.bundle import Seams
from crossfade.store.sql_database import SqlDatabase
from crossfade.store.sql_options import SqlOptions


def equip(
    worker: BackfillWorker,
    seams: Seams,
    folder: Path,
    url_of: Callable[[str], str],
    open_sides: OpenSides | None,
) -> None:
    """Equip a worker that has begun nothing yet; opens nothing.

    Args:
        worker: whose options say what it is to have.
        seams: clock and tasks.
        folder: of the definition; a relative flag file counts from there.
        url_of: resolves the references in a database's URL.
        open_sides: opens the stores in another process; None where there is no file to load.

    Raises:
        ConfigurationError: the settings do not fit together.

    """
    options = worker.options
    databases: list[SqlDatabase] = []
    brakes = _brakes(options, folder, url_of, databases)
    if brakes:
        heeded = Brakes(
            brakes,
            seams.clock,
            poll_seconds=options.throttle_poll_seconds,
            answer_seconds_max=options.throttle_answer_seconds_max,
        )
        worker.heed(heeded, databases)
    if not options.processes:
        return
    if open_sides is None:
        raise ConfigurationError(
            "backfill.processes needs a definition that was loaded from a file: each process "
            "loads it again. Set it to 0, or write the definition into a file."
        )
    worker.use(BackfillProcesses(open_sides, options, seams.tasks))


def _brakes(
    options: BackfillOptions,
    folder: Path,
    url_of: Callable[[str], str],
    databases: list[SqlDatabase],
) -> list[Brake]:
    brakes: list[Brake] = []
    if options.throttle_file:
        brakes.append(FlagFile(folder / options.throttle_file))
    asked = (
        ("the replica's lag in seconds", "lag", options.lag_database, options.lag_query),
        ("the load", "load", options.load_database, options.load_query),
    )
    limits = {"lag": options.lag_seconds_max, "load": options.load_max}
    for words, kind, url, query in asked:
        if bool(url) is not bool(query):
            raise ConfigurationError(
                f"backfill.{kind}_database and backfill.{kind}_query belong together. "
                f"Give both, or neither."
            )
        if url:
            database = _database(url_of(url), options)
            databases.append(database)
            brakes.append(QueryLimit(words, database, query, limits[kind]))
    return brakes


def _database(url: str, options: BackfillOptions) -> SqlDatabase:
    seconds = options.throttle_answer_seconds_max
    limits = SqlOptions(reader_connections_max=1, call_seconds_max=seconds)
    # No migration's name: nothing of ours is read or written there.
    return SqlDatabase(url, migration="", options=limits)
