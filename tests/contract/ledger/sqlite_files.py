"""Opening SQLite ledgers in tests, and connections that fail on demand."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossfade.ledger.sqlite import SqliteLedger, open_ledger
from crossfade.ledger.sqlite_options import SqliteLedgerOptions
from crossfade.observability.hooks import Hooks
from crossfade.seams.clock import SystemClock
from crossfade.seams.randomness import SeededRandomness


def opened(
    path: Path,
    *,
    hooks: Hooks | None = None,
    **limits: Any,  # noqa: ANN401 - numbers of all kinds
) -> SqliteLedger:
    """The ledger in the file, with these limits."""
    return open_ledger(
        path,
        clock=SystemClock(),
        randomness=SeededRandomness(1),
        hooks=hooks,
        options=SqliteLedgerOptions(**limits),
    )


class FaultyConnection(sqlite3.Connection):
    """Raises an error of the disk at COMMIT, before or after doing it."""

    fault: int | None = None
    """The SQLite error code of the next commits; None commits as usual."""
    commits_first = False
    """Whether the commit takes place although it is reported as failed."""

    def execute(self, sql: str, values: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401 - as SQLite
        """Run the statement, or fail."""
        if sql == "COMMIT" and self.fault is not None:
            if self.commits_first:
                super().execute(sql)
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = self.fault
            raise error
        return super().execute(sql, values)


class Connections:
    """Stands in for `sqlite_file.connect`: makes faulty connections and remembers the writer's."""

    def __init__(self) -> None:
        self.writing: FaultyConnection | None = None

    def connect(
        self,
        path: Path,
        queries: Mapping[str, str],
        busy_seconds_max: float,
        *,
        write: bool,
    ) -> sqlite3.Connection:
        """See `sqlite_file.connect`."""
        assert "commit" in queries
        connection = sqlite3.connect(
            path,
            timeout=busy_seconds_max,
            isolation_level=None,
            check_same_thread=False,
            factory=FaultyConnection,
        )
        if write:
            self.writing = connection
        return connection

    @property
    def writer(self) -> FaultyConnection:
        """The connection of the writer thread."""
        assert self.writing is not None
        return self.writing
