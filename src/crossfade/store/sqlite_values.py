r"""How Python values go into SQLite columns and come back: exactly, or not at all.

SQLite converts what it stores by the column's *affinity*, which follows from the declared type.
A value that the conversion would change is refused, so that whatever was put is read back equal:

- None, whole numbers of 64 bits, floats, text (NUL included) and bytes are stored as they are.
- Columns declared DECIMAL or NUMERIC give `Decimal`, the exact text form of the stored number; a
  `Decimal` is taken only where the number that SQLite can store reads back equal.
- In text columns a `Decimal` is its text.
- Dates, times and date-times are ISO-8601 text (an aware one with its offset), a UUID its text,
  a bool 0 or 1.
- Refused: whole numbers beyond 64 bits, NaN and infinities, lone surrogates, numbers in text
  columns, text that a number column would turn into a number, anything else.

NULL and the empty text are two values.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from uuid import UUID

from crossfade.store.sql_dialect import CannotHoldError, KeyKind, Raw

WHOLE_MIN = -(2**63)
WHOLE_MAX = 2**63 - 1

_SPACES = " \t\n\v\f\r"
_NUMBER = re.compile(rf"[{_SPACES}]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[{_SPACES}]*", re.ASCII)
"""Text that SQLite turns into a number in a column of numbers."""


class Affinity(Enum):
    """What SQLite makes of values in a column: section 3 of its page on data types."""

    INTEGER = "whole numbers"
    TEXT = "text"
    BLOB = "values as they are"
    REAL = "floating-point numbers"
    NUMERIC = "numbers"


_NUMBERS = frozenset({Affinity.INTEGER, Affinity.REAL, Affinity.NUMERIC})

_PLAIN: dict[Affinity, frozenset[type]] = {
    Affinity.INTEGER: frozenset({type(None), int, bytes}),
    Affinity.TEXT: frozenset({type(None), str, bytes}),
    Affinity.BLOB: frozenset({type(None), int, str, bytes}),
    Affinity.REAL: frozenset({type(None), bytes}),
    Affinity.NUMERIC: frozenset({type(None), int, bytes}),
}

_KEY_KINDS = {
    Affinity.INTEGER: KeyKind.WHOLE,
    Affinity.NUMERIC: KeyKind.WHOLE,
    Affinity.TEXT: KeyKind.TEXT,
    Affinity.BLOB: KeyKind.EITHER,
}


def affinity_of(declared: str, *, strict: bool) -> Affinity:
    """The affinity of a declared type; in a STRICT table ANY converts nothing."""
    upper = declared.upper()
    if strict and upper == "ANY":
        return Affinity.BLOB
    if "INT" in upper:
        return Affinity.INTEGER
    if any(word in upper for word in ("CHAR", "CLOB", "TEXT")):
        return Affinity.TEXT
    if upper == "" or "BLOB" in upper:
        return Affinity.BLOB
    if any(word in upper for word in ("REAL", "FLOA", "DOUB")):
        return Affinity.REAL
    return Affinity.NUMERIC


@dataclass(frozen=True, slots=True)
class SqliteValues:
    """The values of one column."""

    affinity: Affinity
    decimals: bool
    """Whether stored numbers come back as `Decimal`."""

    @property
    def plain(self) -> frozenset[type]:
        """See `ColumnValues.plain`; sqlite3 itself refuses long integers and lone surrogates."""
        return _PLAIN[self.affinity]

    @property
    def reads_as_stored(self) -> bool:
        """See `ColumnValues.reads_as_stored`."""
        return not self.decimals

    @property
    def key_kind(self) -> KeyKind | None:
        """What keys in this column are; a float is no key."""
        return _KEY_KINDS.get(self.affinity)

    def to_raw(self, value: object) -> Raw:
        """See `ColumnValues.to_raw`."""
        convert = _CONVERSIONS_OF_EXACT_TYPES.get(type(value))
        if convert is not None:
            return convert(value, self.affinity)
        for kind, convert in _CONVERSIONS:
            if isinstance(value, kind):
                return convert(value, self.affinity)
        raise CannotHoldError(f"a {type(value).__name__} has no form in a column")

    def from_raw(self, raw: Raw) -> object:
        """See `ColumnValues.from_raw`."""
        if not self.decimals:
            return raw
        if isinstance(raw, float):
            return Decimal(repr(raw))
        if isinstance(raw, int):
            return Decimal(raw)
        if isinstance(raw, str) and _NUMBER.fullmatch(raw):
            return Decimal(raw.strip(_SPACES))
        return raw


def sqlite_values(declared: str, *, strict: bool) -> SqliteValues:
    """How a column of this declared type holds values."""
    decimals = declared.upper().lstrip().startswith(("DECIMAL", "NUMERIC"))
    affinity = affinity_of(declared, strict=strict)
    return SqliteValues(affinity, decimals=decimals and affinity is Affinity.NUMERIC)


def _unchanged(value: Raw, _: Affinity) -> Raw:
    return value


def _from_whole(value: int, affinity: Affinity) -> Raw:
    whole = int(value)
    if not WHOLE_MIN <= whole <= WHOLE_MAX:
        raise CannotHoldError("a whole number has more than 64 bits")
    if affinity is Affinity.TEXT:
        raise CannotHoldError("the column holds text and would turn a number into text")
    if affinity is not Affinity.REAL:
        return whole
    if int(float(whole)) != whole:
        raise CannotHoldError("the column holds floating-point numbers and cannot hold it exactly")
    return float(whole)


def _from_float(value: float, affinity: Affinity) -> Raw:
    if not math.isfinite(value):
        raise CannotHoldError("NaN and infinities are no values of a column")
    if affinity is Affinity.TEXT:
        raise CannotHoldError("the column holds text and would turn a number into text")
    number = float(value)
    is_whole = number.is_integer() and WHOLE_MIN < number < WHOLE_MAX
    if is_whole and affinity in {Affinity.INTEGER, Affinity.NUMERIC}:
        return int(number)
    return number


def _from_decimal(value: Decimal, affinity: Affinity) -> Raw:
    if not value.is_finite():
        raise CannotHoldError("NaN and infinities are no values of a column")
    if affinity in {Affinity.TEXT, Affinity.BLOB}:
        return str(value)
    # The bounds first: `int` of a decimal with a huge exponent would take all memory.
    is_whole = WHOLE_MIN <= value <= WHOLE_MAX and value == value.to_integral_value()
    if is_whole and affinity is not Affinity.REAL:
        return int(value)
    number = float(value)
    if affinity is Affinity.INTEGER or not _same_number(number, value):
        raise CannotHoldError("the column cannot hold a decimal of so many digits exactly")
    return number


def _same_number(number: float, value: Decimal) -> bool:
    return math.isfinite(number) and Decimal(repr(number)) == value


def _from_text(value: str, affinity: Affinity) -> Raw:
    text = value if type(value) is str else "".join(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CannotHoldError("text with a lone surrogate is no text") from error
    if affinity in _NUMBERS and _NUMBER.fullmatch(text):
        raise CannotHoldError("the column holds numbers and would turn the text into a number")
    return text


def _from_named(value: datetime | date | time | UUID, affinity: Affinity) -> Raw:
    if affinity in {Affinity.INTEGER, Affinity.REAL}:
        raise CannotHoldError(f"the column holds numbers, not a {type(value).__name__}")
    text = str(value) if isinstance(value, UUID) else value.isoformat()
    return _from_text(text, affinity)


def _from_buffer(value: bytes | bytearray | memoryview, _: Affinity) -> Raw:
    return bytes(value)


_CONVERSIONS: tuple[tuple[type | tuple[type, ...], Callable[..., Raw]], ...] = (
    (type(None), _unchanged),
    (str, _from_text),
    (int, _from_whole),
    (float, _from_float),
    (Decimal, _from_decimal),
    ((bytes, bytearray, memoryview), _from_buffer),
    ((datetime, date, time, UUID), _from_named),
)
"""The first that fits; a bool is an int."""

_CONVERSIONS_OF_EXACT_TYPES: dict[type, Callable[..., Raw]] = {
    str: _from_text,
    int: _from_whole,
    float: _from_float,
    Decimal: _from_decimal,
}
