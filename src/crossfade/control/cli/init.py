"""`crossfade init`: write a migration.py and a crossfade.toml to start from."""

import asyncio
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from cyclopts import Parameter

from crossfade.config import FILE_NAME as SETTINGS
from crossfade.config import ControlSettings, GatewaySettings
from crossfade.control.cli.choices import UsageError
from crossfade.control.cli.output import note, show
from crossfade.control.documents import document
from crossfade.control.draft.pairing import EntityDraft, pair_tables
from crossfade.control.draft.writing import Places, migration_text, settings_text
from crossfade.control.exit_codes import ExitCode
from crossfade.errors import ConfigurationError, CrossfadeError
from crossfade.migration import FILE_NAME as DEFINITION
from crossfade.references import has_reference, resolve_reference

QUESTIONS = {
    "legacy": ("Address of the legacy service", "http://127.0.0.1:8401"),
    "new": ("Address of the new service", "http://127.0.0.1:8402"),
    "legacy_db": (
        "Database of legacy, such as postgresql://user@host:5432/shop",
        "${env:LEGACY_DB}",
    ),
    "new_db": ("Database of new", "${env:NEW_DB}"),
}

Address = Annotated[str | None, Parameter(help="Address of the service, http://HOST:PORT.")]
Database = Annotated[
    str | None,
    Parameter(
        help="postgresql://, mariadb:// or sqlite:///FILE, or ${env:NAME}; where it can be read, "
        "tables are paired."
    ),
]


def init(  # noqa: PLR0913 - one argument an option
    *,
    name: Annotated[str | None, Parameter(help="Of the migration; else the folder's.")] = None,
    legacy: Address = None,
    new: Address = None,
    legacy_db: Database = None,
    new_db: Database = None,
    folder: Annotated[Path, Parameter(help="Where the files go.")] = Path(),
    dry_run: Annotated[
        bool, Parameter(negative="", help="Print the definition, and write nothing.")
    ] = False,
    json: Annotated[bool, Parameter(negative="", help="Print one JSON document.")] = False,
    debug: Annotated[  # noqa: ARG001 - looked at where errors are shown
        bool, Parameter(negative="", help="Show where an error comes from.")
    ] = False,
) -> ExitCode:
    """Write a migration.py and a crossfade.toml to start from; never over what is there.

    Tables and columns that seem to be the same are paired; you look over the rest.

    For example:

        crossfade init --legacy http://127.0.0.1:8401 --new http://127.0.0.1:8402
    """
    files = {"definition": folder / DEFINITION, "settings": folder / SETTINGS}
    if not dry_run:
        _refuse_existing(files.values())
    given = {"legacy": legacy, "new": new, "legacy_db": legacy_db, "new_db": new_db}
    answers = {key: value or _ask(*QUESTIONS[key]) for key, value in given.items()}
    places = Places(*(_checked(answers[key]) for key in QUESTIONS))
    drafts = _drafts(places)
    text = migration_text(name or _slug(folder.resolve().name), places, drafts)
    if dry_run:
        note(f"would write {files['definition']} and {files['settings']}:")
        show(document("init", dry_run=True, text=text), text.splitlines(), json=json)
        return ExitCode.OK
    _write(folder, files["definition"], text)
    settings = settings_text(GatewaySettings().port, ControlSettings().port)
    _write(folder, files["settings"], settings)
    _tell([str(file) for file in files.values()], [draft.name for draft in drafts], json=json)
    return ExitCode.OK


def _refuse_existing(files: Iterable[Path]) -> None:
    for file in files:
        if file.exists():
            raise ConfigurationError(
                f"{file} exists and is not overwritten. Move it away, or give another --folder."
            )


def _tell(files: list[str], entities: list[str], *, json: bool) -> None:
    found = ", ".join(entities) or "none: an example is in its place"
    lines = [
        f"Wrote {' and '.join(files)}.",
        f"Entities that were found: {found}.",
        "Next: look over the mappings, then run `crossfade doctor`.",
    ]
    told = document("init", dry_run=False, files=files, entities=entities)
    show(told, lines, json=json)


def _ask(question: str, default: str) -> str:
    """Somebody at a terminal is asked; anybody else gets the default."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return default
    sys.stderr.write(f"{question} [{default}]: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() or default


def _checked(place: str) -> str:
    """A place that may stand in a file: printable, and without a password."""
    if '"' in place or "\\" in place or not place.isprintable():
        raise UsageError("an address holds a quote, a backslash or a control character.")
    if not has_reference(place) and urlsplit(place).password is not None:
        raise UsageError(
            "an address with a password is not written into a file. "
            "Put it into a variable and give ${env:NAME}."
        )
    return place


def _drafts(places: Places) -> list[EntityDraft]:
    """Tables of both databases that pair; what cannot be read is said, and left out."""
    # Loaded only here: it brings the databases.
    from crossfade.control.draft.reading import read_tables  # noqa: PLC0415

    tables = []
    for place in (places.legacy_database, places.new_database):
        try:
            url = resolve_reference(place, os.environ)
            tables.append(asyncio.run(read_tables(url)))
        except CrossfadeError as error:
            note(f"not looked into: {error}")
            return []
    return pair_tables(*tables)


def _slug(text: str) -> str:
    name = re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")
    return name if name[:1].isalpha() else f"migration-{name}".rstrip("-")


def _write(folder: Path, file: Path, text: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise ConfigurationError(
            f"cannot write {file}: {error.strerror}. Choose another --folder."
        ) from error
