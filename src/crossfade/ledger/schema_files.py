"""The schema of a SQLite ledger: numbered files, applied in order, each one once."""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from crossfade.errors import ConfigurationError, LedgerVersionError
from crossfade.seams.randomness import Randomness

APPLICATION_ID = 0x78664C47
"""What marks a SQLite file as a ledger: "xfLG" in ASCII."""

HEADER_BYTES = 100
"""What every SQLite file that is not empty has at least."""

_FILE_NAME = re.compile(r"(\d{4})_(?:pre|post)_\w+\.sql")


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """One step of the schema.

    `pre` and `post` say whether a step must come before or after the code upgrade where nodes of
    two releases run side by side. A SQLite ledger has one node, so that opening it applies both.
    """

    number: int
    name: str
    text: str

    def statements(self) -> Iterator[str]:
        """The single statements, so that all of them fit into one transaction."""
        statement = ""
        for line in self.text.splitlines(keepends=True):
            statement += line
            if sqlite3.complete_statement(statement):
                yield statement
                statement = ""


def schema_files() -> tuple[SchemaFile, ...]:
    """Every step that this release knows, in order."""
    found = []
    for file in files("crossfade.ledger").joinpath("schema").iterdir():
        match = _FILE_NAME.fullmatch(file.name)
        if match is not None:
            text = file.read_text(encoding="utf-8")
            found.append(SchemaFile(int(match.group(1)), file.name, text))
    return tuple(sorted(found, key=lambda step: step.number))


def check_is_ledger(connection: sqlite3.Connection, queries: Mapping[str, str], path: Path) -> int:
    """The number of the ledger's newest schema step, 0 for an empty file; changes nothing.

    Raises:
        ConfigurationError: the file is something else.
        LedgerVersionError: a newer release wrote it.

    """
    try:
        (application,) = connection.execute(queries["application_id"]).fetchone()
        empty = connection.execute(queries["tables"]).fetchone() is None
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise _no_ledger(path) from error
    # SQLite takes a file that is too short for a header for an empty one, and overwrites it.
    too_short = 0 < path.stat().st_size < HEADER_BYTES
    if application == 0 and empty and not too_short:
        return 0
    if application != APPLICATION_ID:
        raise _no_ledger(path)
    (number,) = connection.execute(queries["schema_number"]).fetchone()
    known = schema_files()[-1].number
    if number > known:
        raise LedgerVersionError(
            f"the ledger {path} has schema {number}, this release knows schemas up to {known}. "
            "Install the release that wrote it, or a newer one."
        )
    return int(number)


def upgrade(
    connection: sqlite3.Connection,
    queries: Mapping[str, str],
    number: int,
    randomness: Randomness,
) -> None:
    """Apply the steps after `number`, all in one transaction; a new ledger gets its identity.

    Crash here: nothing was applied, or everything.
    """
    missing = [step for step in schema_files() if step.number > number]
    if not missing:
        return
    connection.execute(queries["begin_write"])
    try:
        for step in missing:
            for statement in step.statements():
                connection.execute(statement)
            connection.execute(queries["add_schema_version"], (step.number, step.name))
        if number == 0:
            connection.execute(queries["mark_as_ledger"])
            connection.execute(queries["create_ledger"], (randomness.identifier(),))
        connection.execute(queries["commit"])
    except BaseException:
        if connection.in_transaction:
            connection.execute(queries["rollback"])
        raise


def _no_ledger(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is not a crossfade ledger. Name another file; a new one is made by itself."
    )
