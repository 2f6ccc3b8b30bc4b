"""`doctor --grants`: our two tables, and the rights that a role needs, database by database."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from crossfade.control.documents import Document, document
from crossfade.control.exit_codes import ExitCode
from crossfade.errors import ConfigurationError, CrossfadeError
from crossfade.migration import Migration
from crossfade.model.side import Side
from crossfade.model.store_description import SqlTable
from crossfade.store.from_url import Databases, databases_of, resolved
from crossfade.store.sql_database import SqlDatabase
from crossfade.store.sql_dialect import Cursor
from crossfade.store.sql_survey import Surveying


@dataclass(slots=True)
class _Place:
    """One database, and the tables of the definition in it."""

    database: SqlDatabase
    sides: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)


async def tell_grants(definition: Migration, role: str) -> Document:
    """The statements that make our tables and give a role what it needs; runs none of them.

    A database that cannot be looked into is told under `problems`; the others are told all the
    same. No statement holds a password.

    Raises:
        ConfigurationError: no role can have that name.

    """
    if not role.strip() or not role.isprintable():
        raise ConfigurationError("--role needs the name of a role, such as crossfade.")
    databases = databases_of(definition.name)
    told: list[Document] = []
    problems: list[str] = []
    codes: list[int] = []
    try:
        places = _places(definition, databases, problems, codes)
        for place in places:
            try:
                told.append(await _told(place, role))
            except CrossfadeError as error:
                problems.append(str(error))
                codes.append(error.exit_code)
    finally:
        await databases.close()
    unreachable = ExitCode.UNREACHABLE in codes
    code = ExitCode.UNREACHABLE if unreachable else max(codes, default=ExitCode.OK)
    return document(
        "grants",
        migration=definition.name,
        role=role,
        exit_code=int(code),
        databases=told,
        problems=problems,
    )


def _places(
    definition: Migration, databases: Databases, problems: list[str], codes: list[int]
) -> Sequence[_Place]:
    """The SQL databases of a definition; stores of other kinds have no rights that we know."""
    resolve = partial(definition.database_url, environment=os.environ)
    places: dict[str, _Place] = {}
    for name, entity in definition.entities.items():
        for side in Side:
            try:
                described = resolved(entity.store(side), resolve)
                if not isinstance(described, SqlTable):
                    continue
                database = databases.at(described.url)
            except CrossfadeError as error:
                problems.append(f"{name} on {side}: {error}")
                codes.append(error.exit_code)
                continue
            place = places.setdefault(described.url, _Place(database))
            place.sides += [side.value] if side.value not in place.sides else []
            parts = (described, *(described.children or {}).values())
            place.tables += [one.table for one in parts if one.table not in place.tables]
    return list(places.values())


async def _told(place: _Place, role: str) -> Document:
    database, dialect = place.database, place.database.dialect

    def read(cursor: Cursor) -> tuple[list[str], list[str]]:
        known = dialect.tables(cursor)
        there = [table for table in place.tables if known.get(table) is False]
        missing = [table for table in place.tables if table not in there]
        found = dialect.grants(cursor, there, role) if isinstance(dialect, Surveying) else ()
        return list(found), missing

    grants, missing = await database.connections.read(read)
    notes = [f"-- There is no table {table!r} here: correct the definition." for table in missing]
    return {
        "database": database.name,
        "sides": place.sides,
        "ddl": database.ddl(),
        "grants": [*grants, *notes],
    }
