"""PostgreSQL for `doctor`: triggers, deferrable keys, sequences, rights, and how many rows."""

from collections.abc import Iterator, Sequence

from sqlalchemy.sql.compiler import IdentifierPreparer

from crossfade.store.postgres_catalogue import Address
from crossfade.store.postgres_sequences import sequences_of
from crossfade.store.sql_dialect import Cursor
from crossfade.store.sql_survey import OURS, OWN_RIGHTS, RIGHTS, LinkSurvey, TableSurvey

COUNTED_PAGES_MAX = 1000
"""Pages of a table that are rather counted than estimated: 8 MB."""

_TRIGGERS = """
SELECT t.tgname FROM pg_catalog.pg_trigger t
WHERE t.tgrelid = %s AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') ORDER BY 1
"""

_LINKS = """
SELECT k.conname, k.condeferrable,
  ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS c (attnum, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = c.attnum
        ORDER BY c.place)
FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' AND k.conrelid = %s ORDER BY 1
"""

_TABLE_RIGHTS = """
SELECT r FROM unnest(%s::text[]) AS r
WHERE NOT pg_catalog.has_table_privilege(%s::oid, r)
"""

_SEQUENCE_RIGHTS = """
SELECT r FROM unnest(ARRAY['SELECT', 'UPDATE']) AS r
WHERE NOT pg_catalog.has_sequence_privilege(%s::oid, r)
"""

_OUR_TABLE = """
SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = %s AND c.relkind = 'r' AND pg_catalog.pg_table_is_visible(c.oid)
"""

_HERE = "SELECT pg_catalog.current_database(), pg_catalog.current_schema(), current_user"

_SIZE = """
SELECT c.reltuples, c.relpages,
  pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::bigint
FROM pg_catalog.pg_class c WHERE c.oid = %s AND c.relkind = 'r'
"""


class PostgresSurvey:
    """Everything that is asked of one database."""

    def __init__(self, preparer: IdentifierPreparer) -> None:
        self._quoted = preparer.quote_identifier

    def table(self, cursor: Cursor, address: Address) -> TableSurvey:
        """See `Surveying.survey`."""
        cursor.execute(_TRIGGERS, (address.oid,))
        triggers = tuple(name for (name,) in cursor.fetchall())
        cursor.execute(_LINKS, (address.oid,))
        table = self._table(address)
        links = {
            tuple(columns): LinkSurvey(
                name,
                deferrable=deferrable,
                defer=f"ALTER TABLE {table} ALTER CONSTRAINT {self._quote(name)} DEFERRABLE;",
            )
            for name, deferrable, columns in cursor.fetchall()
        }
        sequences = tuple(f"{one.schema}.{one.name}" for one in sequences_of(cursor, address))
        return TableSurvey(triggers, links, sequences)

    def missing(self, cursor: Cursor, address: Address) -> Iterator[str]:
        """See `Surveying.missing_rights`."""
        cursor.execute(_HERE)
        role = self._quote(cursor.fetchone()[2])
        rights = OWN_RIGHTS if address.table in OURS else RIGHTS
        cursor.execute(_TABLE_RIGHTS, (list(rights), address.oid))
        lacks = [right for (right,) in cursor.fetchall()]
        if lacks:
            yield f"GRANT {', '.join(lacks)} ON TABLE {self._table(address)} TO {role};"
        for sequence in sequences_of(cursor, address):
            cursor.execute(_SEQUENCE_RIGHTS, (sequence.oid,))
            lacks = [right for (right,) in cursor.fetchall()]
            if lacks:
                name = f"{self._quote(sequence.schema)}.{self._quote(sequence.name)}"
                yield f"GRANT {', '.join(lacks)} ON SEQUENCE {name} TO {role};"

    def grants(self, cursor: Cursor, tables: Sequence[Address], role: str) -> Iterator[str]:
        """See `Surveying.grants`."""
        cursor.execute(_HERE)
        database, schema, _ = cursor.fetchone()
        to = f"TO {self._quote(role)};"
        yield f"-- The role must exist: CREATE ROLE {self._quote(role)} LOGIN, with its password."
        yield f"GRANT CONNECT, TEMPORARY ON DATABASE {self._quote(database)} {to}"
        for one in sorted({schema, *(table.schema for table in tables)} - {None}):
            yield f"GRANT USAGE ON SCHEMA {self._quote(one)} {to}"
        ours = [f"{self._quote(schema)}.{name}" for name in OURS] if schema else list(OURS)
        for name in ours:
            yield f"GRANT {', '.join(OWN_RIGHTS)} ON TABLE {name} {to}"
        for table in tables:
            yield f"GRANT {', '.join(RIGHTS)} ON TABLE {self._table(table)} {to}"
        for table in tables:
            for one in sequences_of(cursor, table):
                name = f"{self._quote(one.schema)}.{self._quote(one.name)}"
                yield f"GRANT SELECT, UPDATE ON SEQUENCE {name} {to}"
        yield "-- Only for `crossfade retire`, which drops our two tables:"
        yield from (f"-- ALTER TABLE {name} OWNER {to}" for name in ours)

    def rows(self, cursor: Cursor, address: Address) -> int | None:
        """See `Estimating.rows_estimate`: as the planner does, rows a page by pages now."""
        cursor.execute(_SIZE, (address.oid,))
        found = cursor.fetchone()
        if found is None or found[2] < COUNTED_PAGES_MAX or found[0] < 0 or found[1] == 0:
            return None
        rows, pages, pages_now = found
        return int(rows / pages * pages_now)

    def _quote(self, name: str) -> str:
        """A name as it is typed; the driver wants its percent signs twice."""
        return self._quoted(name).replace("%%", "%")

    def _table(self, address: Address) -> str:
        return f"{self._quote(address.schema)}.{self._quote(address.table)}"


def our_table(cursor: Cursor, name: str) -> Address | None:
    """Where a table of ours is, which no catalogue of the service's tables has."""
    cursor.execute(_OUR_TABLE, (name,))
    row = cursor.fetchone()
    return None if row is None else Address(row[0], row[1], row[2], visible=True, is_view=False)
