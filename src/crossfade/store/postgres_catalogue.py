"""What PostgreSQL's catalogue says of tables: columns, keys, indexes, collations, sequences."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from crossfade.errors import ConfigurationError
from crossfade.store.postgres_errors import Places
from crossfade.store.postgres_text import text_up_to, uuid_up_to
from crossfade.store.postgres_values import PostgresType, postgres_values
from crossfade.store.sql_dialect import ColumnFacts, Cursor, ForeignKey, KeyKind, TableFacts

ADDRESS_PARTS = 2
"""A schema and a table."""

_TABLES = """
SELECT c.relname, n.nspname, c.relkind IN ('v', 'm'), pg_catalog.pg_table_is_visible(c.oid), c.oid
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND NOT c.relispartition
  AND n.nspname <> 'information_schema' AND left(n.nspname, 3) <> 'pg_'
  AND left(c.relname, 10) <> 'crossfade_'
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
"""

_COLUMNS = """
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypid, a.atttypmod,
  a.attnotnull, a.atthasdef OR a.attidentity <> '', a.attgenerated <> '', a.attcollation, a.attnum
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""

_TYPES = """
SELECT t.oid, t.typname, t.typtype, t.typbasetype, t.typtypmod, t.typelem,
  t.typcategory = 'A' AND t.typlen = -1 AND t.typelem <> 0, t.typnotnull,
  t.typdefault IS NOT NULL,
  ARRAY(SELECT e.enumlabel::text FROM pg_catalog.pg_enum e
        WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder)
FROM pg_catalog.pg_type t WHERE t.oid = ANY(%s::oid[])
"""

_INDEXES = """
SELECT x.relname, i.indisprimary, i.indisunique, i.indisvalid,
  i.indpred IS NULL AND i.indexprs IS NULL,
  ARRAY(SELECT a.attname::text
        FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k (attnum, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        ORDER BY k.place),
  m.amname
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
JOIN pg_catalog.pg_am m ON m.oid = x.relam
WHERE i.indrelid = %s
ORDER BY i.indisprimary DESC, x.relname
"""

_FOREIGN_KEYS = """
SELECT r.relname, n.nspname, pg_catalog.pg_table_is_visible(r.oid),
  k.confdeltype IN ('c', 'n', 'd'),
  ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS c (attnum, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = c.attnum
        ORDER BY c.place),
  ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS c (attnum, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = c.attnum
        ORDER BY c.place)
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class r ON r.oid = k.confrelid
JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
WHERE k.contype = 'f' AND k.conrelid = %s AND k.conparentid = 0
ORDER BY k.conname
"""

_COLLATIONS = """
SELECT c.oid, c.collname, c.collprovider, c.collcollate, c.collisdeterministic
FROM pg_catalog.pg_collation c WHERE c.oid = ANY(%s::oid[])
"""

_DATABASE = """
SELECT pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate,
  to_jsonb(d) ->> 'datlocprovider',
  coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()
"""

_PROBE = "SELECT ARRAY(SELECT t FROM unnest(%s::text[]) AS p (t) ORDER BY t)"

_PROBES = ["a", "B", "b", "_", "é", "z", "Ω", "\uffff", "\U0001f600", "a b", "ab", "a-b", "A"]
"""Texts that every language orders otherwise than code points do."""

_BOUNDS = {
    "uuid": uuid_up_to,
    **dict.fromkeys(("text", "varchar", "bpchar", "citext", "name"), text_up_to),
}
"""Type of a key column to how any text bounds a range in it."""

_DEFAULT_COLLATION = 100
_BYTEWISE = frozenset({"C", "POSIX", "ucs_basic"})
_MAYBE_BYTEWISE = frozenset({"C.UTF-8", "C.utf8", "C.UTF8", "c.utf-8", "c.utf8"})
"""Locales that order by code point, though not in every release of every system."""
_BUILTIN = "b"
_LIBC = ("c", None)
"""Providers of collations; before PostgreSQL 15 a database's is always the C library."""

_CODECS = {
    "UTF8": "utf-8",
    "SQL_ASCII": "utf-8",
    "LATIN1": "iso8859-1",
    "LATIN2": "iso8859-2",
    "LATIN9": "iso8859-15",
    "WIN1250": "cp1250",
    "WIN1251": "cp1251",
    "WIN1252": "cp1252",
    "KOI8R": "koi8-r",
    "EUC_JP": "euc_jp",
    "EUC_KR": "euc_kr",
    "EUC_CN": "gb2312",
}
"""The database's encoding to Python's; in others the server alone decides what fits."""

_BYTES_ARE_CODE_POINTS = frozenset({"UTF8", "LATIN1", "SQL_ASCII"})


@dataclass(frozen=True, slots=True)
class Address:
    """Where a table is."""

    oid: int
    schema: str
    table: str
    visible: bool
    """Whether its name alone finds it."""
    is_view: bool

    @property
    def name(self) -> str:
        """As a definition names it."""
        return self.table if self.visible else f"{self.schema}.{self.table}"


def addresses(cursor: Cursor) -> Mapping[str, Address]:
    """Every table and view by the one name that a definition uses.

    That is the table's name where the search path finds it, else `schema.table`. Partitions and
    what belongs to an extension are nobody's entity.
    """
    cursor.execute(_TABLES)
    found = [
        Address(oid, schema, table, visible=visible, is_view=is_view)
        for table, schema, is_view, visible, oid in cursor.fetchall()
    ]
    # A visible table that is called `a.b` hides table `b` of schema `a`.
    return {one.name: one for one in sorted(found, key=lambda one: one.visible)}


def table_facts(cursor: Cursor, address: Address, name: str, places: Places) -> TableFacts:
    """What the catalogue says of a table; remembers the places of its unique indexes."""
    cursor.execute(_INDEXES, (address.oid,))
    primary_key: tuple[str, ...] = ()
    unique, indexed = [], []
    for index, is_the_key, is_unique, is_valid, is_whole, listed, method in cursor.fetchall():
        columns = tuple(listed)
        if not (is_valid and is_whole):
            continue
        if is_the_key:
            primary_key = columns
        if is_unique:
            unique.append(columns)
            place = ", ".join(f"{name}.{column}" for column in columns)
            places[address.schema, address.table, index] = place
        if method in {"btree", "hash"}:
            indexed.append(columns)
    cursor.execute(_COLUMNS, (address.oid,))
    rows = cursor.fetchall()
    return TableFacts(
        name,
        _columns(cursor, rows),
        primary_key,
        tuple(dict.fromkeys(unique)),
        tuple(dict.fromkeys(indexed)),
        _foreign_keys(cursor, address.oid),
        schema=address.schema,
        table=address.table,
    )


def _foreign_keys(cursor: Cursor, oid: int) -> tuple[ForeignKey, ...]:
    cursor.execute(_FOREIGN_KEYS, (oid,))
    return tuple(
        ForeignKey(
            tuple(columns), table if visible else f"{schema}.{table}", tuple(referred), cascades
        )
        for table, schema, visible, cascades, columns, referred in cursor.fetchall()
    )


def _columns(cursor: Cursor, rows: list[Any]) -> tuple[ColumnFacts, ...]:
    encoding, is_bytewise = _database(cursor)
    types = _types(cursor, {row[2] for row in rows}, _CODECS.get(encoding, "utf-8"))
    binary = _binary_collations(cursor, {row[7] for row in rows}, encoding)
    binary[_DEFAULT_COLLATION] = is_bytewise
    found = []
    for name, declared, type_oid, modifier, not_null, has_default, generated, collation, _ in rows:
        kind = types[type_oid]
        values = postgres_values(kind.resolved(modifier))
        is_text = values.key_kind is KeyKind.TEXT and kind.base.name != "uuid"
        found.append(
            ColumnFacts(
                name=name,
                declared=declared,
                nullable=not (not_null or kind.not_null),
                has_default=has_default or kind.has_default,
                generated=generated,
                values=values,
                key_kind=values.key_kind,
                binary_order=not is_text
                or (kind.base.name != "citext" and binary.get(collation, False)),
                bound=_BOUNDS.get(kind.base.name),
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Kind:
    base: PostgresType
    not_null: bool
    """Whether a domain forbids NULL."""
    has_default: bool

    def resolved(self, modifier: int) -> PostgresType:
        """The type of a column with that modifier; a domain has its own."""
        if modifier < 0:
            return self.base
        base = self.base
        element = None
        if base.element is not None:
            element = PostgresType(
                base.element.name, modifier, base.element.labels, None, base.codec
            )
        return PostgresType(base.name, modifier, base.labels, element, base.codec)


def _types(cursor: Cursor, wanted: Iterable[int], codec: str) -> dict[int, _Kind]:
    rows: dict[int, Any] = {}
    missing = set(wanted)
    while missing:
        cursor.execute(_TYPES, (sorted(missing),))
        rows.update((row[0], row) for row in cursor.fetchall())
        # A domain leads to its base, an array to its element; every step is one further down.
        below = {row[3] or (row[5] if row[6] else 0) for row in rows.values()}
        missing = below - rows.keys() - {0}
    return {oid: _kind(rows, oid, -1, codec) for oid in rows}


def _kind(rows: Mapping[int, Any], oid: int, modifier: int, codec: str) -> _Kind:
    _, name, kind, base, own_modifier, element, is_array, not_null, has_default, labels = rows[oid]
    if kind == "d":
        inner = _kind(rows, base, own_modifier if own_modifier >= 0 else modifier, codec)
        return _Kind(
            inner.base, not_null or inner.not_null, has_default=has_default or inner.has_default
        )
    part = _kind(rows, element, modifier, codec).base if is_array else None
    declared = PostgresType(name, modifier, tuple(labels), part, codec)
    return _Kind(declared, not_null, has_default)


def _database(cursor: Cursor) -> tuple[str, bool]:
    """The database's encoding, and whether its own collation orders text by code point."""
    cursor.execute(_DATABASE)
    encoding, collate, provider, locale = cursor.fetchone()
    if encoding not in _BYTES_ARE_CODE_POINTS:
        return encoding, False
    if provider == _BUILTIN:
        return encoding, locale in _BYTEWISE | _MAYBE_BYTEWISE
    if provider not in _LIBC:
        return encoding, False
    if collate in _BYTEWISE:
        return encoding, True
    return encoding, collate in _MAYBE_BYTEWISE and _orders_by_code_point(cursor)


def _orders_by_code_point(cursor: Cursor) -> bool:
    cursor.execute(_PROBE, (_PROBES,))
    ordered: list[str] = cursor.fetchone()[0]
    return ordered == sorted(_PROBES)


def _binary_collations(cursor: Cursor, wanted: Iterable[int], encoding: str) -> dict[int, bool]:
    """Whether each collation but the database's own compares text by code point."""
    cursor.execute(_COLLATIONS, (sorted(wanted),))
    found = {}
    for oid, name, provider, collate, deterministic in cursor.fetchall():
        bytewise = name in _BYTEWISE or (provider in _LIBC and collate in _BYTEWISE)
        builtin = provider == _BUILTIN
        found[oid] = deterministic and (bytewise or builtin) and encoding in _BYTES_ARE_CODE_POINTS
    return found


def address_of(cursor: Cursor, name: str, database: str) -> Address:
    """Where the table of that name is.

    Raises:
        ConfigurationError: it was there when the store was opened, and is not any more.

    """
    address = addresses(cursor).get(name)
    if address is None:
        raise ConfigurationError(f"there is no table {name!r} in {database}. Put it back.")
    return address
