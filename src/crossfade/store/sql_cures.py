"""Statements that mend a schema, for whoever owns it: printed by `doctor`, never run by us."""

from collections.abc import Sequence

from sqlalchemy import Column, Index, MetaData, Table
from sqlalchemy.schema import CreateIndex
from sqlalchemy.sql.elements import quoted_name

from crossfade.store.postgres_cures import altered
from crossfade.store.sql_dialect import SqlDialect
from crossfade.store.sql_tables import StoreTable

NAME_LENGTH_MAX = 60
"""Of an index; every engine takes this many characters."""

_EXACT = {"postgresql": 'COLLATE "C"', "mysql": "COLLATE utf8mb4_nopad_bin"}


def exact_collation(dialect: SqlDialect) -> str:
    """How a text column is declared that tells all texts apart and orders them by code point."""
    return _EXACT.get(dialect.compiler.name, "COLLATE BINARY")


def make_index(
    dialect: SqlDialect, table: StoreTable, columns: Sequence[str], *, unique: bool = False
) -> str:
    """The statement that makes an index over whole columns."""
    made = _core(table, columns)
    kind = "unique" if unique else "index"
    name = f"{table.address[1] or table.name}_{'_'.join(columns)}_{kind}"[-NAME_LENGTH_MAX:]
    index = Index(quoted_name(name, quote=True), *made.columns, unique=unique)
    return _shown(str(CreateIndex(index).compile(dialect=dialect.compiler)))


def take_null(dialect: SqlDialect, table: StoreTable, column: str) -> str:
    """The statement that lets a column be NULL; empty where the engine wants all of it again."""
    return _altered(dialect, table, column, "DROP NOT NULL")


def change_type(dialect: SqlDialect, table: StoreTable, column: str, declared: str) -> str:
    """The statement that gives a column another type; empty where it would say more than that."""
    return _altered(dialect, table, column, f"TYPE {declared}")


def _altered(dialect: SqlDialect, table: StoreTable, column: str, change: str) -> str:
    if dialect.compiler.name != "postgresql":
        # MariaDB wants the whole column again, SQLite the whole table.
        return ""
    preparer = dialect.compiler.identifier_preparer
    name = preparer.format_table(_core(table, [column]))
    quoted = preparer.quote_identifier(column)
    return _shown(altered(name, quoted, change))


def _core(table: StoreTable, columns: Sequence[str]) -> Table:
    schema, name = table.address
    return Table(
        quoted_name(name or table.name, quote=True),
        MetaData(schema=None if schema is None else quoted_name(schema, quote=True)),
        *(Column(quoted_name(column, quote=True)) for column in columns),
    )


def _shown(statement: str) -> str:
    """As it is typed: a driver wants percent signs twice."""
    return f"{statement.replace('%%', '%')};"
