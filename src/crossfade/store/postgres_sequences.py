"""What makes ids in PostgreSQL: identity columns, serial ones, defaults that ask a sequence."""

from dataclasses import dataclass

from sqlalchemy.sql.compiler import IdentifierPreparer

from crossfade.store.postgres_catalogue import Address
from crossfade.store.sql_dialect import Cursor

_SEQUENCES = """
SELECT DISTINCT a.attname, n.nspname, s.relname, s.oid, q.seqincrement
FROM pg_catalog.pg_attribute a
JOIN (
  SELECT d.refobjid AS relation, d.refobjsubid AS attnum, d.objid AS sequence
  FROM pg_catalog.pg_depend d
  WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')
    AND d.refclassid = 'pg_catalog.pg_class'::regclass
  UNION
  SELECT f.adrelid, f.adnum, d.refobjid
  FROM pg_catalog.pg_attrdef f
  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::regclass
    AND d.objid = f.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
) AS made ON made.relation = a.attrelid AND made.attnum = a.attnum
JOIN pg_catalog.pg_class s ON s.oid = made.sequence AND s.relkind = 'S'
JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.oid
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = %s AND NOT a.attisdropped AND t.typcategory = 'N'
"""


@dataclass(frozen=True, slots=True)
class Sequence:
    """What makes the numbers of one column."""

    column: str
    schema: str
    name: str
    oid: int
    step: int


def sequences_of(cursor: Cursor, address: Address) -> list[Sequence]:
    """The sequences of a table's columns."""
    cursor.execute(_SEQUENCES, (address.oid,))
    return [Sequence(*row) for row in cursor.fetchall()]


def move_past(cursor: Cursor, address: Address, preparer: IdentifierPreparer) -> None:
    """Move each sequence of a table's columns past their highest value; never back.

    A sequence is not part of a transaction: a crash in between has moved some of them, and
    moving again moves the rest. A sequence that counts down is moved below the lowest value.
    """
    quote = preparer.quote_identifier
    table = f"{quote(address.schema)}.{quote(address.table)}"
    for sequence in sequences_of(cursor, address):
        step, column = sequence.step, sequence.column
        rising = step > 0
        best = "max" if rising else "min"
        cursor.execute(f"SELECT {best}({quote(column)})::bigint FROM {table}")  # noqa: S608 - names of the catalogue, quoted
        furthest = cursor.fetchone()[0]
        if furthest is None:
            continue
        # In one statement: an attempt that comes late does not undo what was counted since.
        name = f"{quote(sequence.schema)}.{quote(sequence.name)}"
        following = f"last_value::numeric + CASE WHEN is_called THEN {step} ELSE 0 END"
        behind = f"{following} {'<=' if rising else '>='} %s"
        cursor.execute(
            f"SELECT pg_catalog.setval(%s::oid::regclass, %s) FROM {name} WHERE {behind}",  # noqa: S608 - the same
            (sequence.oid, furthest, furthest),
        )
