"""The schema of a ledger on PostgreSQL: numbered files, applied in order, each one once."""

import re
from importlib.resources import files

from crossfade.codec import encode
from crossfade.errors import ConfigurationError, LedgerVersionError
from crossfade.ledger.postgres_session import PostgresSession, in_schema
from crossfade.ledger.schema_files import SchemaFile
from crossfade.model.migration_state import MigrationState
from crossfade.seams.randomness import Randomness

ADVISORY_SCHEMA = 0x78664C47_5343_4845
"""The advisory lock under which a schema is made or upgraded."""

_FILE_NAME = re.compile(r"(\d{4})_(?:pre|post)_\w+\.sql")


def postgres_schema_files() -> tuple[SchemaFile, ...]:
    """Every step that this release knows, in order."""
    found = []
    for file in files("crossfade.ledger").joinpath("schema_postgres").iterdir():
        match = _FILE_NAME.fullmatch(file.name)
        if match is not None:
            text = file.read_text(encoding="utf-8")
            found.append(SchemaFile(int(match.group(1)), file.name, text))
    return tuple(sorted(found, key=lambda step: step.number))


def schema_number(session: PostgresSession) -> int:
    """The number of the newest step, 0 where there is no ledger; changes nothing.

    Raises:
        LedgerVersionError: a newer release wrote it.

    """
    (there,) = session.one("has_ledger")
    if not there:
        return 0
    (number,) = session.one("schema_number")
    known = postgres_schema_files()[-1].number
    if number > known:
        raise LedgerVersionError(
            f"the ledger {session.name} has schema {number}, this release knows schemas up to "
            f"{known}. Install the release that wrote it, or a newer one."
        )
    return int(number)


def upgrade_postgres(session: PostgresSession, schema: str, randomness: Randomness) -> bool:
    """Make the ledger's tables, or bring them up to date; returns whether they were made here.

    Several processes may do so at once: the first one does it, the others find it done.
    Crash here: nothing was applied, or everything.

    Raises:
        ConfigurationError: the database cannot hold our text.
        LedgerVersionError: a newer release wrote it.

    """
    steps = postgres_schema_files()
    if schema_number(session) == steps[-1].number:
        return False
    (encoding,) = session.one("server_encoding")
    if encoding != "UTF8":
        raise ConfigurationError(
            f"the database of {session.name} is encoded in {encoding}; a ledger needs UTF8. "
            "Name another database."
        )
    session.run("begin_write")
    try:
        session.run("lock_schema", ADVISORY_SCHEMA)
        number = schema_number(session)
        if not session.one("has_schema")[0]:
            session.run("create_schema")
        for step in steps:
            if step.number > number:
                session.script(in_schema(step.text, schema))
                session.run("add_schema_version", step.number, step.name)
        if number == 0:
            session.run("create_ledger", randomness.identifier())
            session.run("create_migration", encode(MigrationState()).decode())
            session.run("create_worker")
        session.run("commit")
    except BaseException:
        session.give_up()
        raise
    return number == 0
