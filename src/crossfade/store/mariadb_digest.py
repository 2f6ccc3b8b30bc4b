"""Digests of rows that MariaDB and MySQL compute: MD5 of a text; nothing they have is faster."""

import re
from collections.abc import Sequence

from sqlalchemy import CHAR, Double, cast, func, literal_column
from sqlalchemy.dialects.mysql import DATETIME, INTEGER

from crossfade.model.key import Key
from crossfade.store.digests import PORTABLE, Forms
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

OWN = "mariadb"


_PORTABLE = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "decimal"), NUMBER),
    **dict.fromkeys(("char", "varchar", "tinytext", "text", "mediumtext", "longtext"), TEXT),
    **dict.fromkeys(("enum", "set", "uuid", "inet4", "inet6"), TEXT),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), BYTES),
    "date": DATE,
    "datetime": MOMENT,
    "timestamp": INSTANT,
}
_NAME = re.compile(r"[a-z0-9]+")
_SCALE = re.compile(r"decimal\(\d+,([1-9]\d*)\)")


class MariaDbDigest:
    """See `EngineDigest`."""

    def forms(self, column: ColumnFacts) -> Forms:
        """See `EngineDigest.forms`."""
        portable = _PORTABLE.get(_name(column))
        if "zerofill" in column.declared.lower():
            # It is written with zeros in front.
            portable = None
        own = portable or f"{AS_DECLARED}{column.declared}"
        return {OWN: (own,), PORTABLE: (portable,) if portable else ()}

    def value(self, column: Expression, facts: ColumnFacts, form: Form) -> Expression:
        """See `EngineDigest.value`; both functions have the same forms."""
        written = _written(column, facts, form.name)
        return portable_part(column, written, form.name, cast(column, CHAR()))

    def row(
        self,
        function: str,  # noqa: ARG002 - both are the same
        values: Sequence[Expression],
        forms: Sequence[str],  # noqa: ARG002 - the values have them already
        seed: int,
    ) -> Expression:
        """See `EngineDigest.row`."""
        text = func.concat(portable_seed(seed), *values)
        digits = func.left(func.md5(text), literal_column(str(HEX_DIGITS)))
        number = func.conv(digits, literal_column("16"), literal_column("10"))
        return cast(number, INTEGER(unsigned=False))

    def sums(self, digest: Expression) -> tuple[Expression, ...]:
        """See `EngineDigest.sums`: the sum is a decimal of enough digits."""
        return (func.sum(digest),)

    def joined(self, sums: Sequence[Raw]) -> int:
        """See `EngineDigest.joined`."""
        return int(sums[0] or 0)

    def quotient(self, number: Expression, by: Expression) -> Expression:
        """See `EngineDigest.quotient`."""
        return number.op("DIV", precedence=FACTOR)(by)

    def place(self, key: Expression, bounds: Sequence[Key]) -> Expression | None:
        """See `EngineDigest.place`: thresholds are inclusive, so each is one above its bound."""
        if single_kind(bounds) is not int:
            return None
        text = func.substr(key, literal_column("2"), func.char_length(key) - literal_column("2"))
        above: list[Expression] = [literal_column(str(int(bound[0]) + 1)) for bound in bounds]
        return func.INTERVAL(cast(text, INTEGER(unsigned=False)), *above)

    def slices(
        self,
        cursor: Cursor,  # noqa: ARG002 - there is nothing to ask
        fences: str,  # noqa: ARG002 - see above
    ) -> Sequence[tuple[Raw, Raw]] | None:
        """See `EngineDigest.slices`: the table lies in the order of its key."""
        return None

    def in_slice(self) -> Expression:
        """See `EngineDigest.in_slice`."""
        raise NotImplementedError


def _name(column: ColumnFacts) -> str:
    found = _NAME.match(column.declared.lower())
    return found[0] if found else ""


def _written(column: Expression, facts: ColumnFacts, form: str) -> Expression:
    if form == NUMBER:
        return _number(column, facts)
    if form in {DATE, MOMENT, INSTANT}:
        moment = column if form == DATE else cast(column, DATETIME(fsp=6))
        return func.concat(cast(moment, CHAR()), quoted("AD"))
    if form == BYTES or _is_bytes(facts):
        return func.concat(quoted("x"), func.lower(func.hex(column)))
    if _name(facts) == "float":
        # The six digits that the server shows are not the number.
        return cast(cast(column, Double()), CHAR())
    return func.convert(column.op("USING")(literal_column("utf8mb4")))


def _number(column: Expression, facts: ColumnFacts) -> Expression:
    """With the fewest digits; without a scale there is nothing to leave out."""
    text = cast(column, CHAR())
    if _SCALE.match(facts.declared.lower()) is None:
        return text
    whole = func.trim(literal_column("TRAILING '0' FROM ").op("")(text))
    return func.trim(literal_column("TRAILING '.' FROM ").op("")(whole))


def _is_bytes(facts: ColumnFacts) -> bool:
    return _name(facts) in {
        *("bit", "geometry", "point", "linestring", "polygon", "multipoint"),
        *("multilinestring", "multipolygon", "geometrycollection", "geomcollection"),
    }
