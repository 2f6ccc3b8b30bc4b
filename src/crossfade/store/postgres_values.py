r"""How Python values go into PostgreSQL columns and come back: exactly, or not at all.

- Whole numbers within the bounds of their column; a bool is 0 or 1 there.
- `numeric` gives `Decimal`; what `numeric(p, s)` would round, NaN and infinities are refused.
- `real` and `double precision` hold a float that reads back equal.
- Text of any length up to the column's; a `char(n)` never shows the spaces that fill it up. In
  text columns a `Decimal`, a date, a time and a UUID are their text. NUL is refused, and so is
  what the database's encoding does not have.
- `uuid`, `inet`, `cidr`, `macaddr`, ranges and every type not named here are their text, as the
  database writes it.
- Dates and times: `crossfade.store.postgres_moments`. JSON: `crossfade.store.postgres_json`; in a
  record it is what Python has for it, with `Decimal` for numbers that have a point.
- An array is a list, its elements as above; a list in a list for every further dimension.

What is done with a value is in `postgres_numbers`, `postgres_text`, `postgres_moments` and
`postgres_json`; here every type finds its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from crossfade.store import postgres_moments as moments
from crossfade.store import postgres_numbers as numbers
from crossfade.store import postgres_text as texts
from crossfade.store.postgres_json import json_text, json_value
from crossfade.store.sql_dialect import CannotHoldError, KeyKind, Raw

_NONE = frozenset({type(None)})
_WHOLE_BITS = {"int2": 16, "int4": 32, "int8": 64}


@dataclass(frozen=True, slots=True)
class PostgresType:
    """The declared type of a column, without the domains around it."""

    name: str
    """As the catalogue has it (`int4`, `timestamptz`)."""
    modifier: int = -1
    """What is in brackets behind the name, as the catalogue has it."""
    labels: tuple[str, ...] = ()
    """Those of an enumeration."""
    element: "PostgresType | None" = None
    """For an array."""
    codec: str = "utf-8"
    """Python's name of the database's encoding."""


@dataclass(frozen=True, slots=True)
class PostgresValues:
    """The values of one column."""

    plain: frozenset[type]
    """See `ColumnValues.plain`."""
    reads_as_stored: bool
    """See `ColumnValues.reads_as_stored`."""
    key_kind: KeyKind | None
    put: Callable[[object], Raw]
    """From any value but None."""
    get: Callable[[Raw], object]
    """From any raw value but None."""

    def to_raw(self, value: object) -> Raw:
        """See `ColumnValues.to_raw`."""
        return None if value is None else self.put(value)

    def from_raw(self, raw: Raw) -> object:
        """See `ColumnValues.from_raw`."""
        return raw if raw is None or self.reads_as_stored else self.get(raw)


def postgres_values(declared: PostgresType) -> PostgresValues:
    """How a column of this type holds values."""
    if declared.element is not None:
        return _array_values(postgres_values(declared.element))
    if declared.labels:
        return _label_values(frozenset(declared.labels))
    make = _MAKERS.get(declared.name)
    return make(declared) if make is not None else _text(declared, key_kind=None)


def _values(
    put: Callable[[object], Raw],
    *plain: type,
    key_kind: KeyKind | None = None,
    get: Callable[[Raw], object] | None = None,
) -> PostgresValues:
    return PostgresValues(
        plain=_NONE.union(plain),
        reads_as_stored=get is None,
        key_kind=key_kind,
        put=put,
        get=get or _unchanged,
    )


def _unchanged(value: Raw) -> object:
    return value


def _whole(declared: PostgresType) -> PostgresValues:
    bits = _WHOLE_BITS[declared.name]
    # The server itself refuses a number beyond the column's bounds.
    return _values(lambda value: numbers.to_whole(value, bits), int, key_kind=KeyKind.WHOLE)


def _numeric(declared: PostgresType) -> PostgresValues:
    if declared.modifier < 0:
        return _values(numbers.to_decimal)
    # Both are packed into one number, the scale in eleven bits, one of them its sign.
    precision = (declared.modifier - 4) >> 16 & 0xFFFF
    scale = ((declared.modifier - 4 & 0x7FF) ^ 1024) - 1024
    return _values(lambda value: numbers.to_numeric(value, precision, scale))


def _text(declared: PostgresType, *, key_kind: KeyKind | None = KeyKind.TEXT) -> PostgresValues:
    # Driver and server themselves refuse NUL, lone surrogates and what the encoding has not.
    return _values(lambda value: texts.to_text(value, declared.codec), str, key_kind=key_kind)


def _bounded_text(declared: PostgresType) -> PostgresValues:
    length = _length(declared)
    if length is None:
        return _text(declared)
    return _values(
        lambda value: texts.to_bounded_text(value, declared.codec, length), key_kind=KeyKind.TEXT
    )


def _padded_text(declared: PostgresType) -> PostgresValues:
    length = _length(declared)
    return _values(
        lambda value: texts.to_padded_text(value, declared.codec, length), key_kind=KeyKind.TEXT
    )


def _length(declared: PostgresType) -> int | None:
    return None if declared.modifier < 0 else declared.modifier - 4


def _name(declared: PostgresType) -> PostgresValues:
    return _values(lambda value: texts.to_name(value, declared.codec), key_kind=KeyKind.TEXT)


def _label_values(labels: frozenset[str]) -> PostgresValues:
    def put(value: object) -> Raw:
        if isinstance(value, str) and value in labels:
            return "".join(value)
        raise CannotHoldError("the column's enumeration does not have the value")

    return _values(put)


def _json(declared: PostgresType) -> PostgresValues:
    ordered = declared.name == "jsonb"

    def put(value: object) -> Raw:
        text = json_text(value, ordered=ordered)
        texts.check_encoding(text, declared.codec)
        return text

    return _values(put, get=json_value)


def _timed(put: Callable[[object, int], Raw]) -> Callable[[PostgresType], PostgresValues]:
    """Values whose seconds have a bounded number of digits."""

    def make(declared: PostgresType) -> PostgresValues:
        # The lower half: the upper one of an interval says which fields there are.
        digits = declared.modifier & 0xFFFF if declared.modifier >= 0 else 0xFFFF
        digits = min(digits, moments.MICROSECONDS_DIGITS)
        get = moments.from_time_with_zone if declared.name == "timetz" else None
        return _values(lambda value: put(value, digits), get=get)

    return make


def _fixed(
    put: Callable[[object], Raw], *plain: type, key_kind: KeyKind | None = None
) -> Callable[[PostgresType], PostgresValues]:
    """Values of a type without anything in brackets."""
    return lambda _: _values(put, *plain, key_kind=key_kind)


def _array_values(element: PostgresValues) -> PostgresValues:
    def put(value: object) -> Raw:
        if not isinstance(value, list | tuple):
            raise CannotHoldError(f"the column holds lists, not a {type(value).__name__}")
        return _put_list(value, element)

    def get(raw: Raw) -> object:
        return _get_list(raw, element)

    return _values(put, get=None if element.reads_as_stored else get)


def _put_list(value: "list[object] | tuple[object, ...]", element: PostgresValues) -> list[Raw]:
    nested = [isinstance(part, list | tuple) for part in value]
    if not any(nested):
        return [element.to_raw(part) for part in value]
    lists = [_put_list(part, element) for part in value if isinstance(part, list | tuple)]
    if not all(nested) or len({len(part) for part in lists}) > 1 or not lists[0]:
        raise CannotHoldError("the lists in a list must have one length, which is not 0")
    return lists


def _get_list(raw: Raw, element: PostgresValues) -> object:
    return [
        _get_list(part, element) if isinstance(part, list) else element.from_raw(part)
        for part in raw
    ]


_MAKERS: Mapping[str, Callable[[PostgresType], PostgresValues]] = {
    **dict.fromkeys(_WHOLE_BITS, _whole),
    "oid": _fixed(numbers.to_unsigned, int),
    "bool": _fixed(numbers.to_bool, bool),
    "float4": _fixed(numbers.to_real),
    "float8": _fixed(numbers.to_double),
    "numeric": _numeric,
    "text": _text,
    "citext": _text,
    "varchar": _bounded_text,
    "bpchar": _padded_text,
    "name": _name,
    "uuid": _fixed(texts.to_uuid, key_kind=KeyKind.TEXT),
    "bytea": _fixed(texts.to_bytes, bytes),
    "inet": _fixed(texts.to_address),
    "cidr": _fixed(texts.to_network),
    "macaddr": _fixed(texts.to_hardware_address),
    "macaddr8": _fixed(texts.to_hardware_address),
    "json": _json,
    "jsonb": _json,
    "date": _fixed(moments.to_date),
    "timestamp": _timed(moments.to_timestamp),
    "timestamptz": _timed(moments.to_moment),
    "time": _timed(moments.to_time),
    "timetz": _timed(moments.to_time_with_zone),
    "interval": _timed(moments.to_interval),
}
"""Type to what makes its values; any other type is its text."""
