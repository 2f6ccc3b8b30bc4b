"""The SQL of the bulk way into one PostgreSQL table, for one shape of records."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from string import Template

from crossfade.store.sql_binding import RowShape
from crossfade.store.sql_dialect import KeyKind, SqlDialect
from crossfade.store.sql_digest import mirror_digest_sql
from crossfade.store.sql_fence import FENCES
from crossfade.store.sql_tables import StoreTable

_STAGED = "crossfade_s"
"""What statements call the staged rows; the table is `crossfade_t`, the fences `crossfade_f`."""

# The planner knows nothing of a table that was filled just now: it is told to use the indexes.
BY_INDEX = (
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; "
    "SET LOCAL enable_mergejoin = off; SET LOCAL jit = off"
)

_MAKE = Template(
    "CREATE TEMPORARY TABLE IF NOT EXISTS pg_temp.$stage ON COMMIT DELETE ROWS "
    "AS SELECT $staged_columns FROM $table WITH NO DATA"
)
_COPY = Template("COPY pg_temp.$stage FROM STDIN")
_FENCE = Template(
    "INSERT INTO $fences AS crossfade_f "
    "(migration, entity, key, token, authority_digest, mirror_digest) "
    'SELECT %s, %s, ($key) COLLATE "C", %s::bigint, $pair FROM $staged ORDER BY 3'
)
_OVER = (
    " ON CONFLICT (migration, entity, key) DO UPDATE SET token = excluded.token, "
    "authority_digest = excluded.authority_digest, mirror_digest = excluded.mirror_digest "
    "WHERE crossfade_f.token <= excluded.token"
)
_HIGHER = Template(
    "SELECT crossfade_f.key FROM $staged JOIN $fences AS crossfade_f "
    "ON crossfade_f.migration = %s "
    'AND crossfade_f.entity = %s AND crossfade_f.key = ($key) COLLATE "C" '
    "AND crossfade_f.token > %s"
)
_DROP_HIGHER = Template("DELETE FROM $staged WHERE ($key) = ANY(%s::text[])")
_FIRST_ABOVE = Template("SELECT $first FROM $table WHERE $first >= %s ORDER BY $first LIMIT 1")
_EXISTING = Template(
    "SELECT count(*), count(*) FILTER (WHERE $differs) "
    "FROM $staged JOIN $table AS crossfade_t ON $same"
)
_UPDATE = Template("UPDATE $table AS crossfade_t SET $pairs FROM $staged WHERE $same AND $differs")
_INSERT = Template(
    "INSERT INTO $table ($inserted) OVERRIDING SYSTEM VALUE SELECT $values FROM $staged"
)
_MISSING = Template(" WHERE NOT EXISTS (SELECT FROM $table AS crossfade_t WHERE $same)")


@dataclass(frozen=True, slots=True)
class BulkStatements:
    """What is run for one shape of records, with digests or without."""

    make: str
    copy: str
    fence: str
    fence_over: str
    higher: str
    drop_higher: str
    first_above: str
    """The first row of the table from a whole number on; empty for other keys."""
    existing: str
    """How many staged rows are there already, and how many of those differ."""
    update: str
    insert_new: str
    insert_all: str


def has_whole_key(table: StoreTable) -> bool:
    """Whether the key is one whole number: then its text is made where it is needed."""
    return [column.key_kind for column in table.only(table.identity)] == [KeyKind.WHOLE]


def bulk_statements(
    dialect: SqlDialect, table: StoreTable, shape: RowShape, *, digests: bool
) -> BulkStatements:
    """The statements; staged are the digest, the key's text, identity and named columns.

    Of the first two, those that are needed.
    """
    words = _words(dialect, table, shape, digests=digests)
    fence, insert = _FENCE.substitute(words), _INSERT.substitute(words)
    return BulkStatements(
        make=_MAKE.substitute(words),
        copy=_COPY.substitute(words),
        fence=fence,
        fence_over=fence + _OVER,
        higher=_HIGHER.substitute(words),
        drop_higher=_DROP_HIGHER.substitute(words),
        first_above=_FIRST_ABOVE.substitute(words) if has_whole_key(table) else "",
        existing=_EXISTING.substitute(words),
        update=_UPDATE.substitute(words),
        insert_new=insert + _MISSING.substitute(words),
        insert_all=insert,
    )


def _words(
    dialect: SqlDialect, table: StoreTable, shape: RowShape, *, digests: bool
) -> dict[str, str]:
    quote = dialect.compiler.identifier_preparer.quote_identifier
    named = (*table.identity, *shape.names)
    free = _free_name(named)
    columns = [quote(one) for one in named]
    values = [*(f"{_STAGED}.{one}" for one in columns), *("%s" for _ in shape.defaults)]
    staged_columns = [f"NULL::bigint AS {free}_digest"] if digests else []
    if not has_whole_key(table):
        staged_columns.append(f"''::text COLLATE \"C\" AS {free}_key")
    staged_columns += columns
    address = _address(dialect, table)
    listed = ", ".join(staged_columns)
    stage = f"crossfade_{blake2b(f'{address} {listed}'.encode(), digest_size=8).hexdigest()}"
    whole = has_whole_key(table)
    return {
        "fences": FENCES.name,
        "table": address,
        "stage": stage,
        "staged": f"pg_temp.{stage} AS {_STAGED}",
        "staged_columns": listed,
        "first": columns[0],
        "key": f"'[' || {_STAGED}.{columns[0]} || ']'" if whole else f"{_STAGED}.{free}_key",
        "pair": _pair(dialect, table, shape, free) if digests else "NULL, NULL",
        "same": _same_identity(dialect, table),
        "differs": _differs([quote(one) for one in shape.names]),
        "pairs": ", ".join(f"{one} = {_STAGED}.{one}" for one in map(quote, shape.names)),
        "inserted": ", ".join(map(quote, shape.inserted)),
        "values": ", ".join(values),
    }


def _pair(dialect: SqlDialect, table: StoreTable, shape: RowShape, free: str) -> str:
    """Both digests of a fence, or neither; of the staged values, before any trigger's turn."""
    digest = mirror_digest_sql(dialect, table, shape.names, _STAGED)
    return "NULL, NULL" if digest is None else f"{_STAGED}.{free}_digest, {digest}"


def _differs(columns: Sequence[str]) -> str:
    """Whether any value differs, in whatever way: 1.0 is not 1.00, and JSON is its text."""
    if not columns:
        return "false"
    there = ", ".join(f"crossfade_t.{one}" for one in columns)
    wanted = ", ".join(f"{_STAGED}.{one}" for one in columns)
    return f"record_image_ne(ROW({there}), ROW({wanted}))"


def _same_identity(dialect: SqlDialect, table: StoreTable) -> str:
    quote = dialect.compiler.identifier_preparer.quote_identifier
    conditions = []
    for column in table.only(table.identity):
        ours, theirs = (f"{one}.{quote(column.name)}" for one in ("crossfade_t", _STAGED))
        conditions.append(f"{ours} = {theirs}")
        if not column.binary_order:
            # Equal by code point, not only by collation; the first one finds the index.
            conditions.append(f'{ours}::text COLLATE "C" = {theirs}::text COLLATE "C"')
    return " AND ".join(conditions)


def _address(dialect: SqlDialect, table: StoreTable) -> str:
    quote = dialect.compiler.identifier_preparer.quote_identifier
    schema, name = table.address
    quoted = quote(name or table.name)
    return quoted if schema is None else f"{quote(schema)}.{quoted}"


def _free_name(taken: Sequence[str]) -> str:
    """The beginning of names that no column of the table has."""
    free = "crossfade"
    while any(name.startswith(free) for name in taken):
        free += "_"
    return free
