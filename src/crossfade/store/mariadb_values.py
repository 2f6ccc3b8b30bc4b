"""How Python values go into MariaDB's and MySQL's columns and come back: exactly, or not at all.

The server rounds decimals, cuts fractions of a second and spaces at the end, pads BINARY,
reorders a SET and finds an ENUM's value in spite of case, all of it silently. Whatever a column
would change so is refused, and so whatever was put is read back equal:

- Whole numbers, FLOAT and DOUBLE in the range of their column. A FLOAT is the number of 32 bits
  that is stored, not the six digits of it that the server shows. Minus zero is zero.
- DECIMAL gives `Decimal`. BIT gives a whole number.
- DATETIME gives a date-time without an offset, TIMESTAMP one in UTC; a date that no calendar
  has, such as 0000-00-00, and a TIME that is no time of day are text. ISO text is taken for a
  date or time.
- UUID, INET4, INET6, ENUM, SET, YEAR and JSON are as the server writes them, all but YEAR text.
- BINARY, VARBINARY, BLOB and geometries are bytes.
"""

import json
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from uuid import UUID

from crossfade.store.mariadb_moments import from_date, from_moment, from_time
from crossfade.store.mariadb_numbers import (
    BITS,
    bit_values,
    decimal_values,
    float_values,
    whole_values,
    year_values,
)
from crossfade.store.mariadb_types import NONE, Declared, MariaDbValues, a_kind
from crossfade.store.sql_dialect import CannotHoldError, KeyKind, Raw


def mariadb_values(declared: Declared) -> MariaDbValues:
    """How a column of this type holds values; of a type that we do not know, none but NULL."""
    make = _KINDS.get(declared.type, _unknown)
    values = make(declared)
    if not declared.auto:
        return values
    return replace(values, plain=values.plain - {NONE}, null_allowed=False)


def _characters(declared: Declared) -> MariaDbValues:
    fits = _CHARSETS.get(declared.charset)
    is_padded, is_counted = declared.type == "char", declared.type in {"char", "varchar"}

    def convert(value: object) -> Raw:
        text = _as_text(value)
        if is_padded and text.endswith(" "):
            raise CannotHoldError("a CHAR column loses spaces at the end of a text")
        if fits is not None and not fits(text):
            raise CannotHoldError(f"a column in {declared.charset} lacks a character of the text")
        if len(text) > declared.length if is_counted else _bytes_of(text) > declared.length:
            raise CannotHoldError("the text is too long for the column")
        return text

    plain: set[type] = {NONE} if is_padded else {NONE, str}
    return MariaDbValues(convert, frozenset(plain), KeyKind.TEXT)


def _bytes_of(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _as_text(value: object) -> str:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise CannotHoldError("NaN and infinities are no values of a column")
        return str(value)
    if not isinstance(value, str):
        raise CannotHoldError(f"the column holds text, not {a_kind(value)}")
    text = value if type(value) is str else "".join(value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CannotHoldError("text with a lone surrogate is no text") from error
    return text


def _json_text(declared: Declared) -> MariaDbValues:
    """JSON as text: in MariaDB as it was written, in MySQL as MySQL writes it."""
    is_mysql = declared.type == "json"

    def convert(value: object) -> Raw:
        try:
            found = value if isinstance(value, dict | list) else json.loads(_as_text(value))
            if is_mysql or value is found:
                return _as_mysql_writes(found)
        except (ValueError, TypeError, RecursionError) as error:
            raise CannotHoldError("the column holds JSON, which this is not") from error
        return _as_text(value)

    return MariaDbValues(convert, frozenset({NONE} if is_mysql else {NONE, str}))


def _as_mysql_writes(value: object) -> str:
    return json.dumps(_ordered(value), ensure_ascii=False, allow_nan=False)


def _ordered(value: object) -> object:
    """Members by length of their name, then by its bytes, as MySQL keeps them."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: (len(name.encode()), name.encode()))
        return {name: _ordered(value[name]) for name in names}
    return [_ordered(one) for one in value] if isinstance(value, list) else value


def _octets(declared: Declared) -> MariaDbValues:
    exact, longest = declared.type == "binary", declared.length

    def convert(value: object) -> Raw:
        if not isinstance(value, bytes | bytearray | memoryview):
            raise CannotHoldError(f"the column holds bytes, not {a_kind(value)}")
        octets = bytes(value)
        if exact and len(octets) != longest:
            raise CannotHoldError("a BINARY column takes bytes of exactly its length")
        if longest and len(octets) > longest:
            raise CannotHoldError("the bytes are too long for the column")
        return octets

    return MariaDbValues(convert, frozenset({NONE} if exact else {NONE, bytes}))


def _listed(declared: Declared) -> MariaDbValues:
    listed = listed_values(declared.arguments)
    members = frozenset(listed)
    is_set = declared.type == "set"

    def convert(value: object) -> Raw:
        text = _as_text(value)
        given = text.split(",") if is_set and text else [text] if not is_set else []
        if not members.issuperset(given):
            raise CannotHoldError("the column does not list that value")
        if is_set and given != [one for one in listed if one in given]:
            raise CannotHoldError("a SET column would put its members into another order")
        return text

    return MariaDbValues(convert, frozenset({NONE}), None if is_set else KeyKind.TEXT)


def listed_values(arguments: str) -> list[str]:
    """The values of an ENUM or a SET, from its declaration."""
    listed = [one[1:-1] for one in _LISTED.findall(arguments)]
    return [
        _ESCAPED.sub(lambda found: _ESCAPES.get(found[0], found[0][1:]), one) for one in listed
    ]


def _canonical(make: Callable[[str], str]) -> Callable[[Declared], MariaDbValues]:
    def convert(value: object) -> Raw:
        text = _as_text(value)
        try:
            written = make(text)
        except (ValueError, OSError) as error:
            raise CannotHoldError("the text has a wrong form for the column") from error
        if written != text:
            raise CannotHoldError("the database would write the text in another form")
        return text

    values = MariaDbValues(convert, frozenset({NONE}), KeyKind.TEXT)
    return lambda _: values


def _address(family: int) -> Callable[[str], str]:
    return lambda text: socket.inet_ntop(family, socket.inet_pton(family, text))


def _moments(
    convert: Callable[[object, Declared], Raw],
) -> Callable[[Declared], MariaDbValues]:
    return lambda declared: MariaDbValues(
        lambda value: convert(value, declared), frozenset({NONE})
    )


def _unknown(declared: Declared) -> MariaDbValues:
    def convert(_: object) -> Raw:
        raise CannotHoldError(f"we know no type {declared.type}. Leave the column out of columns=")

    return MariaDbValues(convert, frozenset({NONE}))


def _fits_latin1(text: str) -> bool:
    return all(ord(one) < _LATIN1_END or one in _WINDOWS for one in text) and not any(
        "\x80" <= one <= "\x9f" and one not in _UNUSED for one in text
    )


_LATIN1_END = 256
_UNUSED = frozenset("\x81\x8d\x8f\x90\x9d")
_WINDOWS = frozenset(bytes(range(0x80, 0xA0)).decode("cp1252", "ignore"))
"""What MySQL's latin1 has instead of control characters."""

_CHARSETS: Mapping[str, Callable[[str], bool]] = {
    "ascii": str.isascii,
    "latin1": _fits_latin1,
    "utf8": lambda text: text == "" or max(text) <= "\uffff",
    "utf8mb3": lambda text: text == "" or max(text) <= "\uffff",
    "ucs2": lambda text: text == "" or max(text) <= "\uffff",
}
"""Character set to whether it has every character; of others the server says so itself."""

_LISTED = re.compile(r"'(?:[^'\\]|''|\\.)*'", re.DOTALL)
_ESCAPED = re.compile(r"''|\\.", re.DOTALL)
_ESCAPES = {"\\0": "\0", "\\n": "\n", "\\r": "\r"}
"""How the catalogue writes what is special in a declared value."""

_KINDS: Mapping[str, Callable[[Declared], MariaDbValues]] = {
    **dict.fromkeys(BITS, whole_values),
    "bit": bit_values,
    "year": year_values,
    **dict.fromkeys(("float", "double", "real"), float_values),
    **dict.fromkeys(("decimal", "numeric"), decimal_values),
    **dict.fromkeys(
        ("char", "varchar", "tinytext", "text", "mediumtext", "longtext"), _characters
    ),
    **dict.fromkeys(
        ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), _octets
    ),
    "json": _json_text,
    "json text": _json_text,
    **dict.fromkeys(("enum", "set"), _listed),
    "date": _moments(lambda value, _: from_date(value)),
    "datetime": _moments(lambda value, one: from_moment(value, one.length, aware=False)),
    "timestamp": _moments(lambda value, one: from_moment(value, one.length, aware=True)),
    "time": _moments(lambda value, one: from_time(value, one.length)),
    "uuid": _canonical(lambda text: str(UUID(text))),
    "inet4": _canonical(_address(socket.AF_INET)),
    "inet6": _canonical(_address(socket.AF_INET6)),
    **dict.fromkeys(
        (
            *("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring"),
            *("multipolygon", "geometrycollection", "geomcollection"),
        ),
        _octets,
    ),
}
