"""Digests of rows in SQLite: functions of this process, which SQLite calls for each row."""

import json
import sqlite3
from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b, md5

from sqlalchemy import Integer, cast, func, literal_column
from sqlalchemy.sql import bindparam

from crossfade.model.key import Key
from crossfade.store.digests import PORTABLE, Forms
from crossfade.store.sql_dialect import ColumnFacts, Cursor, Raw
from crossfade.store.sql_digest_engine import (
    BYTES,
    FACTOR,
    HEX_DIGITS,
    NUMBER,
    TEXT,
    Expression,
    Form,
    portable_text,
    quoted,
)
from crossfade.store.sqlite_values import Affinity, SqliteValues

OWN = "sqlite"

ARGUMENTS_MAX = 100
"""SQLite's own limit is 127, or 100 in old releases."""

_RAW, _DECIMAL = "stored", "decimal"
_LETTERS = {NUMBER: "n", TEXT: "t", BYTES: "b"}
_FORMS = {
    Affinity.INTEGER: (NUMBER,),
    Affinity.REAL: (NUMBER,),
    Affinity.NUMERIC: (NUMBER,),
    Affinity.TEXT: (TEXT,),
    Affinity.BLOB: (BYTES, TEXT),
}
_LOW_BITS = 32


class SqliteDigest:
    """See `EngineDigest`; the connection needs `register_digests`."""

    def forms(self, column: ColumnFacts) -> Forms:
        """See `EngineDigest.forms`."""
        values = column.values
        if not isinstance(values, SqliteValues):
            return {OWN: (_RAW,), PORTABLE: ()}
        own = _DECIMAL if values.decimals else _RAW
        return {OWN: (own,), PORTABLE: _FORMS[values.affinity]}

    def value(self, column: Expression, facts: ColumnFacts, form: Form) -> Expression:  # noqa: ARG002 - see above
        """See `EngineDigest.value`: the functions take values as they are stored."""
        return column

    def row(
        self, function: str, values: Sequence[Expression], forms: Sequence[str], seed: int
    ) -> Expression:
        """See `EngineDigest.row`."""
        if function == PORTABLE:
            return _portable_row(values, forms, seed)
        digest: Expression = literal_column(str(seed))
        for start in range(0, len(values), ARGUMENTS_MAX - 1):
            digest = func.crossfade_digest(digest, *values[start : start + ARGUMENTS_MAX - 1])
        return digest

    def sums(self, digest: Expression) -> tuple[Expression, ...]:
        """See `EngineDigest.sums`: a sum beyond 64 bits is an error, so it is made of two."""
        low = digest.op("&")(literal_column(str(2**_LOW_BITS - 1)))
        return (func.sum(digest.op(">>")(literal_column(str(_LOW_BITS)))), func.sum(low))

    def joined(self, sums: Sequence[Raw]) -> int:
        """See `EngineDigest.joined`."""
        return (int(sums[0] or 0) << _LOW_BITS) + int(sums[1] or 0)

    def quotient(self, number: Expression, by: Expression) -> Expression:
        """See `EngineDigest.quotient`."""
        return number.op("/", precedence=FACTOR)(by)

    def place(self, key: Expression, bounds: Sequence[Key]) -> Expression | None:
        """See `EngineDigest.place`."""
        return func.crossfade_place(key, bindparam(None, json.dumps(list(map(list, bounds)))))

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


def register_digests(connection: sqlite3.Connection) -> None:
    """Let a connection compute digests."""
    for name, count, function in (
        ("crossfade_digest", -1, _digest),
        ("crossfade_part", -1, _part),
        ("crossfade_md5", 1, _md5),
        ("crossfade_place", 2, _place),
    ):
        connection.create_function(name, count, function, deterministic=True)


def _portable_row(values: Sequence[Expression], forms: Sequence[str], seed: int) -> Expression:
    step = ARGUMENTS_MAX - 1
    letters = "".join(_LETTERS[form] for form in forms)
    text: Expression = quoted(f"{seed}|")
    for start in range(0, len(values), step):
        part = func.crossfade_part(
            quoted(letters[start : start + step]), *values[start : start + step]
        )
        text = text.op("||")(part)
    return cast(func.crossfade_md5(text), Integer)


def _digest(*values: Raw) -> int:
    """A digest of values as they are stored, types included; the first is a seed."""
    return int.from_bytes(
        blake2b(repr(values).encode("utf-8", "surrogatepass"), digest_size=8).digest(),
        "big",
        signed=True,
    )


def _part(letters: str, *values: Raw) -> str:
    """Values in their portable forms, one letter for each."""
    written = [_WRITERS[letter](value) for letter, value in zip(letters, values, strict=True)]
    return portable_text(written)


def _md5(text: str) -> int:
    digits = md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    return int(digits[:HEX_DIGITS], 16)


def _place(key: str, bounds: str) -> int:
    return bisect_left(_bounds(bounds), tuple(json.loads(key)))


@lru_cache(maxsize=4)
def _bounds(text: str) -> list[Key]:
    return [tuple(bound) for bound in json.loads(text)]


def _number(value: Raw) -> str | None:
    if value is None or isinstance(value, int):
        return None if value is None else str(value)
    if not isinstance(value, float):
        return _strange(value)
    text = format(Decimal(repr(value)), "f")
    shown = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if shown == "-0" else shown


def _text(value: Raw) -> str | None:
    if value is None:
        return None
    return f"{len(value)}:{value}" if isinstance(value, str) else _strange(value)


def _bytes(value: Raw) -> str | None:
    if value is None:
        return None
    return f"x{value.hex()}" if isinstance(value, bytes) else _strange(value)


def _strange(value: Raw) -> str:
    """A value that no other engine has in such a column."""
    text = repr(value)
    return f"!{len(text)}:{text}"


_WRITERS = {"n": _number, "t": _text, "b": _bytes}
