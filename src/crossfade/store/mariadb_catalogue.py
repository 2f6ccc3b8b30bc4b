"""What MariaDB's and MySQL's catalogue says of the tables of one database."""

import re
from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Double, literal_column
from sqlalchemy.types import NULLTYPE, TypeEngine, UserDefinedType

from crossfade.errors import ConfigurationError
from crossfade.store.mariadb_types import Declared
from crossfade.store.mariadb_values import mariadb_values
from crossfade.store.sql_dialect import ColumnFacts, Cursor, ForeignKey, TableFacts

Indexes = Mapping[str, tuple[tuple[str, ...], bool]]
"""Name of an index over whole columns to its columns, and whether it is unique."""

_TYPE = re.compile(r"(\w+)\s*(?:\((.*)\))?([^)]*)", re.DOTALL)
_JSON_CHECK = re.compile(r" CHECK \(json_valid\(`((?:[^`]|``)+)`\)\)", re.IGNORECASE)
_NAME_OR_TEXT = re.compile(r"`(?:[^`]|``)*`|'(?:[^'\\]|''|\\.)*'", re.DOTALL)
_DELETE_RULE = re.compile(
    r"CONSTRAINT `((?:[^`]|``)+)` FOREIGN KEY [^\n]* ON DELETE (CASCADE|SET NULL|SET DEFAULT)"
)
_NEXT_VALUE = re.compile(r"nextval\((.+)\)", re.IGNORECASE | re.DOTALL)
_CODE_POINT_ORDER = re.compile(r"(?:utf8mb4|utf8mb3|utf8|ascii)_(?:nopad|0900)_bin")
"""Collations that find two texts equal only where they are, and order them as Python does.

Others that end in _bin fill up with spaces: to them `a` and `a ` are equal.
"""

_CASCADES = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})
_TEXT_TYPES = frozenset(
    {"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "json text"}
)
_COMPARED_AS_TEXT = _TEXT_TYPES | {"enum", "set", "uuid", "inet4", "inet6"}


class ExactFloat(UserDefinedType[float]):
    """A FLOAT, read as the number that is stored: the server shows six digits of it."""

    cache_ok = True

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """The column where it is read."""
        return column.op("+", return_type=Double())(literal_column("0e0"))


_EXACT_FLOAT = ExactFloat()


def tables_of(cursor: Cursor) -> dict[str, bool]:
    """Every table and view of the service by name; whether it is a view."""
    cursor.execute(
        "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES"
        " WHERE TABLE_SCHEMA = DATABASE()"
    )
    return {
        name: kind.endswith("VIEW")
        for name, kind in cursor.fetchall()
        if kind != "SEQUENCE" and not name.startswith("crossfade_")
    }


def facts_of(cursor: Cursor, table: str) -> TableFacts:
    """What the catalogue says of a table that exists.

    Raises:
        ConfigurationError: its engine has no transactions.

    """
    _check_engine(cursor, table)
    indexes = indexes_of(cursor, table)
    return TableFacts(
        name=table,
        columns=_columns(cursor, table),
        primary_key=indexes.get("PRIMARY", ((), False))[0],
        unique=tuple(columns for columns, unique in indexes.values() if unique),
        indexed=tuple(columns for columns, _ in indexes.values()),
        foreign_keys=_foreign_keys(cursor, table),
    )


def indexes_of(cursor: Cursor, table: str) -> Indexes:
    """The indexes that order whole columns; none over a part of one, or an expression."""
    cursor.execute(
        "SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART, NON_UNIQUE, INDEX_TYPE"
        " FROM information_schema.STATISTICS"
        " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s"
        " ORDER BY INDEX_NAME = 'PRIMARY' DESC, INDEX_NAME, SEQ_IN_INDEX",
        (table,),
    )
    rows = [row[1:] for row in cursor.fetchall() if row[0] == table]
    found = {}
    for name, group in groupby(rows, key=itemgetter(0)):
        parts = list(group)
        is_whole = all(column is not None and part is None for _, column, part, _, _ in parts)
        if is_whole and parts[0][4] not in {"FULLTEXT", "SPATIAL"}:
            columns = tuple(column for _, column, _, _, _ in parts)
            found[name] = (columns, not int(parts[0][3]))
    return found


def sequences_of(cursor: Cursor, table: str) -> list[tuple[str, str]]:
    """Columns whose default is the next value of a sequence, and that sequence, quoted."""
    cursor.execute(
        "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_DEFAULT FROM information_schema.COLUMNS"
        " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s",
        (table,),
    )
    found = []
    for owner, column, default in cursor.fetchall():
        match = _NEXT_VALUE.fullmatch(default or "")
        if owner == table and match:
            found.append((column, match[1]))
    return found


def declared_of(
    written: str, *, charset: str | None, length: int | None, auto: bool, is_json: bool
) -> Declared:
    """A type as the catalogue writes it, taken apart."""
    found = _TYPE.fullmatch(written.partition(" /*")[0].strip())
    kind, arguments, rest = (found[1], found[2] or "", found[3]) if found else (written, "", "")
    return Declared(
        type="json text" if is_json else kind.lower(),
        arguments=arguments,
        unsigned="unsigned" in rest.lower(),
        charset=charset or "",
        length=length or 0,
        auto=auto,
        json=is_json,
    )


def _check_engine(cursor: Cursor, table: str) -> None:
    cursor.execute(
        "SELECT t.TABLE_NAME, t.ENGINE, e.TRANSACTIONS FROM information_schema.TABLES t"
        " LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE"
        " WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_NAME = %s",
        (table,),
    )
    for owner, engine, transactions in cursor.fetchall():
        if owner == table and engine is not None and transactions != "YES":
            raise ConfigurationError(
                f"table {table!r} is kept by {engine}, which has no transactions: a copy could "
                f"end half done. Run ALTER TABLE ... ENGINE=InnoDB."
            )


def _columns(cursor: Cursor, table: str) -> tuple[ColumnFacts, ...]:
    json_columns = _json_columns(cursor, table)
    cursor.execute(
        "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA,"
        " CHARACTER_SET_NAME, COLLATION_NAME, CHARACTER_MAXIMUM_LENGTH, DATETIME_PRECISION,"
        " GENERATION_EXPRESSION"
        " FROM information_schema.COLUMNS"
        " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION",
        (table,),
    )
    return tuple(_column(row[1:], json_columns) for row in cursor.fetchall() if row[0] == table)


def _column(row: tuple[Any, ...], json_columns: frozenset[str]) -> ColumnFacts:
    name, written, nullable, default, extra, charset, collation, length, digits, formula = row
    is_nullable, counts = nullable == "YES", "auto_increment" in extra.lower()
    declared = declared_of(
        written,
        charset=charset,
        length=digits if length is None else length,
        # NULL would become the next number there, or the present time.
        auto=not is_nullable and (counts or written.startswith("timestamp")),
        is_json=name in json_columns,
    )
    values = mariadb_values(declared)
    compared_as_text = declared.type in _COMPARED_AS_TEXT
    return ColumnFacts(
        name=name,
        declared=written,
        nullable=is_nullable,
        has_default=default is not None or counts,
        generated=bool(formula) or "GENERATED" in extra.replace("DEFAULT_GENERATED", ""),
        values=values,
        key_kind=values.key_kind,
        binary_order=not compared_as_text or bool(_CODE_POINT_ORDER.fullmatch(collation or "")),
        core_type=_core_type(declared),
    )


def _core_type(declared: Declared) -> TypeEngine[Any]:
    return _EXACT_FLOAT if declared.type == "float" else NULLTYPE


def _json_columns(cursor: Cursor, table: str) -> frozenset[str]:
    """Columns that MariaDB makes JSON of with a CHECK; MySQL has a type for it."""
    return frozenset(
        name.replace("``", "`") for name in _JSON_CHECK.findall(_definition(cursor, table))
    )


def _definition(cursor: Cursor, table: str) -> str:
    """The table as the server would make it again, without texts.

    The views of the catalogue show CHECKs and what a foreign key does only to whoever may do
    nearly everything with the table.
    """
    quoted = table.replace("`", "``").replace("%", "%%")
    cursor.execute(f"SHOW CREATE TABLE `{quoted}`")
    written: str = cursor.fetchone()[1]
    return _NAME_OR_TEXT.sub(lambda found: found[0] if found[0][0] == "`" else "''", written)


def foreign_key_names(cursor: Cursor, table: str) -> dict[str, tuple[str, ...]]:
    """The foreign keys of a table by name, with their columns in order."""
    return {
        name: tuple(row[1] for row in group)
        for name, group in groupby(_referring_columns(cursor, table), key=itemgetter(0))
    }


def _foreign_keys(cursor: Cursor, table: str) -> tuple[ForeignKey, ...]:
    rows = _referring_columns(cursor, table)
    if not rows:
        return ()
    rules = {
        name.replace("``", "`"): rule
        for name, rule in _DELETE_RULE.findall(_definition(cursor, table))
    }
    found = []
    for name, group in groupby(rows, key=itemgetter(0)):
        parts = list(group)
        _, _, referred, _, elsewhere = parts[0]
        found.append(
            ForeignKey(
                columns=tuple(part[1] for part in parts),
                table=f"{elsewhere}.{referred}" if elsewhere else referred,
                referred=tuple(part[3] for part in parts),
                cascades=rules.get(name) in _CASCADES,
            )
        )
    return tuple(found)


def _referring_columns(cursor: Cursor, table: str) -> list[tuple[Any, ...]]:
    """Name of the key, column, table there, column there, database there if it is another."""
    cursor.execute(
        "SELECT TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_NAME,"
        " REFERENCED_COLUMN_NAME,"
        " IF(REFERENCED_TABLE_SCHEMA = DATABASE(), '', REFERENCED_TABLE_SCHEMA)"
        " FROM information_schema.KEY_COLUMN_USAGE"
        " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s"
        " AND REFERENCED_TABLE_NAME IS NOT NULL"
        " ORDER BY CONSTRAINT_NAME, ORDINAL_POSITION",
        (table,),
    )
    return [row[1:] for row in cursor.fetchall() if row[0] == table]
