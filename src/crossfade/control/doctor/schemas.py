"""Ask the databases themselves: rights, triggers, sequences, and what they find equal."""

from collections.abc import Iterable, Mapping

from crossfade.control.doctor.column_values import takes
from crossfade.control.doctor.findings import Finding, fine, problem, warning
from crossfade.control.doctor.schema_checks import SideTable
from crossfade.errors import CrossfadeError
from crossfade.store.base import FencedDatabase
from crossfade.store.sql_database import SqlDatabase
from crossfade.store.sql_dialect import ColumnFacts, Cursor, KeyKind
from crossfade.store.sql_store import SqlStore
from crossfade.store.sql_survey import OURS, Surveying, TableSurvey, same_texts
from crossfade.store.sql_tables import StoreTable


async def read_side(store: SqlStore) -> SideTable:
    """A store's table, and what the database does not tell apart in its keys and unique columns.

    Raises:
        StoreUnreachableError: the database does not answer.
        StoreError: it refuses to look.

    """
    table, dialect = store.table, store.database.dialect
    asked = [column.name for column in _compared_texts(table)]

    def read(cursor: Cursor) -> dict[str, frozenset[str]]:
        return {name: same_texts(cursor, dialect, table, name) for name in asked}

    found = await store.database.connections.read(read)
    same = {name: words for name, words in found.items() if words}
    return SideTable(table, dialect, same)


async def survey_store(store: SqlStore) -> Mapping[str, TableSurvey]:
    """What the tables of a store have beside columns, by name; raises as `read_side` does."""
    dialect = store.database.dialect
    if not isinstance(dialect, Surveying):
        return {}
    look = dialect.survey
    names = [table.name for table in _tables(store)]
    return await store.database.connections.read(
        lambda cursor: {name: look(cursor, name) for name in names}
    )


def told_survey(what: str, surveys: Mapping[str, TableSurvey]) -> list[Finding]:
    """Triggers that copies fire, and sequences that a flip moves."""
    findings = [
        warning(
            what,
            f"copies fire the triggers of {table}, too ({', '.join(one.triggers)}): they must do "
            "no harm to a row that is already as it should be, and need their own rights",
        )
        for table, one in surveys.items()
        if one.triggers
    ]
    sequences = [name for one in surveys.values() for name in one.sequences]
    if sequences:
        names = ", ".join(sequences)
        findings.append(fine(what, f"each flip moves {names} past the highest id"))
    return findings


async def look_at_rights(what: str, store: SqlStore) -> list[Finding]:
    """Whether the user of the URL may do with a store's tables what a mirror needs."""
    names = [table.name for table in _tables(store)]
    return await _look_at_rights(what, store.database, names)


async def look_at_own_rights(database: FencedDatabase) -> list[Finding]:
    """The same for our own two tables, which must be there."""
    if not isinstance(database, SqlDatabase):
        return []
    return await _look_at_rights(f"tables in {database.name}", database, OURS)


async def _look_at_rights(
    what: str, database: SqlDatabase, tables: Iterable[str]
) -> list[Finding]:
    dialect = database.dialect
    if not isinstance(dialect, Surveying):
        return []
    names, look = list(tables), dialect.missing_rights

    def read(cursor: Cursor) -> list[str]:
        return [statement for name in names for statement in look(cursor, name)]

    try:
        # Where we may write is seen only in a transaction that may.
        missing = await database.connections.write(lambda: read)
    except CrossfadeError as error:
        return [problem(what, str(error), error.exit_code)]
    if not missing:
        return []
    return [
        problem(
            what,
            "the user of the URL lacks rights; their owner runs what is below: "
            + " ".join(missing),
            ddl="\n".join(missing),
        )
    ]


def _tables(store: SqlStore) -> list[StoreTable]:
    return [store.table, *store.table.children.values()]


def _compared_texts(table: StoreTable) -> list[ColumnFacts]:
    """Text columns that must be unique, and that may be compared by other rules than equality."""
    names = {*table.key, *(name for unique in table.unique for name in unique)}
    return [
        column
        for column in table.columns
        if column.name in names
        and column.key_kind is KeyKind.TEXT
        and not column.binary_order
        and takes(column, "A")
        and takes(column, "\u00e1")
    ]
