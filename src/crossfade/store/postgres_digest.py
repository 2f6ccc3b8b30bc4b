"""Digests of rows that PostgreSQL computes: its own hash functions, or MD5 of a portable text.

The hash functions have gaps that a digest must not have. That of a `bigint` takes its two halves
together (-1 and 4294967295 are one), so the upper half is hashed, too; those of times do the same,
so the seconds are hashed as a float, too; that of a `numeric` drops the sign, so its text is
hashed. Each column has a seed of its own, and what they give together is hashed once more: else
sums would not see values that change rows. Text is compared by its bytes, whatever its collation
finds equal.
"""

import re
from collections.abc import Sequence
from functools import reduce
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Integer,
    Numeric,
    Text,
    and_,
    bindparam,
    cast,
    collate,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import BIT, DOUBLE_PRECISION, UUID
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine, UserDefinedType

from crossfade.model.key import Key
from crossfade.store.digests import PORTABLE, Forms, stable_seed
from crossfade.store.sql_dialect import ColumnFacts, Cursor, Raw
from crossfade.store.sql_digest_engine import (
    AS_DECLARED,
    BYTES,
    DATE,
    FACTOR,
    HEX_DIGITS,
    INSTANT,
    MOMENT,
    NUMBER,
    TEXT,
    Expression,
    Form,
    portable_part,
    portable_seed,
    quoted,
    single_kind,
)

OWN = "postgres"

SLICE_BYTES = 128 * 2**20
"""Of the fence table that one statement reads."""
_BLOCK_BYTES = 8192

_WHOLE, _NUMERIC = "whole", "numeric"

_WHOLE_TYPES = frozenset({"smallint", "integer", "bigint"})
_TEXT_TYPES = frozenset({"text", "character varying", "character", "name", "citext"})
_MOMENTS = frozenset({"timestamp without time zone", "timestamp with time zone"})
_DIRECTLY: dict[str, tuple[str, TypeEngine[Any]]] = {
    "integer": ("hashint4extended", Integer()),
    "boolean": ("hashint4extended", Integer()),
    "double precision": ("hashfloat8extended", DOUBLE_PRECISION()),
    "real": ("hashfloat8extended", DOUBLE_PRECISION()),
    "uuid": ("uuid_hash_extended", UUID()),
}
"""Forms whose hash functions take in all bits, and the type that they want."""
_AS_RECORD = frozenset({"bytea", "date"})
"""Forms whose hash functions only a record can call."""
_PORTABLE = {
    "date": DATE,
    "bytea": BYTES,
    "timestamp without time zone": MOMENT,
    "timestamp with time zone": INSTANT,
    "double precision": NUMBER,
    "numeric": NUMBER,
    "boolean": NUMBER,
    "uuid": TEXT,
    **dict.fromkeys(_WHOLE_TYPES, NUMBER),
    **dict.fromkeys(_TEXT_TYPES, TEXT),
}
_COMPILER: Dialect = PGDialect()  # type: ignore[no-untyped-call] # SQLAlchemy has no types for it
_IN_BRACKETS = re.compile(r"\([^)]*\)")


class PostgresDigest:
    """See `EngineDigest`; needs PostgreSQL 14."""

    def forms(self, column: ColumnFacts) -> Forms:
        """See `EngineDigest.forms`."""
        base = _base(column)
        own: list[str] = []
        if base in _DIRECTLY or base in _MOMENTS or base in _AS_RECORD:
            own.append(base)
        if base in _WHOLE_TYPES or base == "boolean":
            own.append(_WHOLE)
        if base == "numeric":
            own.append(column.declared)
        if base == "numeric" or base in _WHOLE_TYPES:
            own.append(_NUMERIC)
        if base in _TEXT_TYPES:
            own.append(TEXT)
        own = own or [f"{AS_DECLARED}{column.declared}"]
        portable = _PORTABLE.get(base)
        return {OWN: tuple(dict.fromkeys(own)), PORTABLE: (portable,) if portable else ()}

    def value(self, column: Expression, facts: ColumnFacts, form: Form) -> Expression:
        """See `EngineDigest.value`."""
        base = _base(facts)
        if form.function == PORTABLE:
            portable = _portable(column, base, form.name)
            return portable_part(column, portable, form.name, cast(column, Text))
        hashed = _hashed(column, base, form.name, form.seed)
        if not facts.nullable:
            return hashed
        # Of NULL every hash is NULL.
        return func.coalesce(hashed, _number(stable_seed("null", form.seed)))

    def row(
        self,
        function: str,
        values: Sequence[Expression],
        forms: Sequence[str],  # noqa: ARG002 - the values have them already
        seed: int,
    ) -> Expression:
        """See `EngineDigest.row`."""
        if function == PORTABLE:
            text = func.concat(portable_seed(seed), *_nested(values))
            digits = func.left(
                func.md5(func.convert_to(text, quoted("UTF8"))), literal_column(str(HEX_DIGITS))
            )
            bits = cast(func.concat(quoted("x"), digits), BIT(HEX_DIGITS * 4))
            return cast(bits, BigInteger)
        together = reduce(lambda one, other: one.op("#")(other), values)
        return func.hashfloat8extended(cast(together, DOUBLE_PRECISION), _number(seed))

    def sums(self, digest: Expression) -> tuple[Expression, ...]:
        """See `EngineDigest.sums`: PostgreSQL adds up bigints without a limit."""
        return (func.sum(digest),)

    def joined(self, sums: Sequence[Raw]) -> int:
        """See `EngineDigest.joined`."""
        return int(sums[0] or 0)

    def quotient(self, number: Expression, by: Expression) -> Expression:
        """See `EngineDigest.quotient`."""
        return number.op("/", precedence=FACTOR)(by)

    def place(self, key: Expression, bounds: Sequence[Key]) -> Expression | None:
        """See `EngineDigest.place`: thresholds are inclusive, so each is one above its bound."""
        kind = single_kind(bounds)
        if kind is int:
            part = cast(func.btrim(key, quoted("[]")), BigInteger)
            above = [int(bound[0]) + 1 for bound in bounds]
            return func.width_bucket(part, cast(bindparam(None, above), ARRAY(BigInteger)))
        if kind is str:
            text = collate(func.json_extract_path_text(cast(key, JSON), quoted("0")), "C")
            # No text of PostgreSQL has NUL: this one comes next.
            following = [f"{bound[0]}\x01" for bound in bounds]
            return func.width_bucket(text, cast(bindparam(None, following), ARRAY(Text)))
        return None

    def slices(self, cursor: Cursor, fences: str) -> Sequence[tuple[Raw, Raw]] | None:
        """See `EngineDigest.slices`: ranges of blocks, in which nothing is looked up."""
        size = select(func.pg_relation_size(quoted(fences)))
        cursor.execute(str(size.compile(dialect=_COMPILER)))
        blocks = int(cursor.fetchone()[0]) // _BLOCK_BYTES + 1
        step = SLICE_BYTES // _BLOCK_BYTES
        return [(f"({start},0)", f"({start + step},0)") for start in range(0, blocks, step)]

    def in_slice(self) -> Expression:
        """See `EngineDigest.in_slice`."""
        place: Expression = literal_column("ctid")
        return and_(
            place >= cast(bindparam("from"), _Place()), place < cast(bindparam("to"), _Place())
        )


class _Place(UserDefinedType[str]):
    """Where a row is: block and number."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The type's name."""
        return "TID"


def _hashed(column: Expression, base: str, form: str, seed: int) -> Expression:
    """A hash of all bits of a value."""
    number, other = _number(seed), _number(stable_seed("other half", seed))
    if form == _WHOLE:
        # A truth value becomes a whole number of four bytes only.
        whole = cast(cast(column, Integer) if base == "boolean" else column, BigInteger)
        upper = whole.op(">>")(literal_column("32"))
        # With one seed the two would cancel out wherever the lower half is zero.
        return func.hashint8extended(whole, number).op("#")(func.hashint8extended(upper, other))
    if form in _MOMENTS:
        moment = func.timezone(quoted("UTC"), column) if "with time zone" in form else column
        seconds = func.date_part(quoted("epoch"), column)
        low = func.timestamp_hash_extended(moment, number)
        return low.op("#")(func.hashfloat8extended(seconds, other))
    if form in _DIRECTLY:
        name, kind = _DIRECTLY[form]
        hashed: Expression = getattr(func, name)(cast(column, kind), number)
        return hashed
    if form in _AS_RECORD:
        return func.hash_record_extended(func.row(column), number)
    if form == _NUMERIC:
        column = func.trim_scale(cast(column, Numeric))
    return func.hashtextextended(collate(cast(column, Text), "C"), number)


def _number(number: int) -> Expression:
    return literal_column(f"{number}::bigint")


def _base(column: ColumnFacts) -> str:
    """The type's name without what is in brackets."""
    return " ".join(_IN_BRACKETS.sub(" ", column.declared).split())


def _nested(values: Sequence[Expression]) -> list[Expression]:
    """At most a hundred arguments a call."""
    step = 50
    if len(values) <= step:
        return list(values)
    return [func.concat(*values[start : start + step]) for start in range(0, len(values), step)]


def _portable(column: Expression, base: str, form: str) -> Expression:
    if form == BYTES:
        return func.concat(quoted("x"), func.encode(column, quoted("hex")))
    if form == DATE:
        return func.to_char(column, quoted("YYYY-MM-DDBC"))
    if form in {MOMENT, INSTANT}:
        moment = func.timezone(quoted("UTC"), column) if form == INSTANT else column
        return func.to_char(moment, quoted("YYYY-MM-DD HH24:MI:SS.USBC"))
    if base == "boolean":
        column = cast(column, Integer)
    if base == "double precision":
        column = cast(cast(column, Text), Numeric)
    if base in {"double precision", "numeric"}:
        column = func.trim_scale(column)
    return cast(column, Text)
