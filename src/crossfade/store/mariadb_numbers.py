"""Numbers as MariaDB's and MySQL's columns hold them: nothing is rounded, none out of range."""

import math
import struct
from decimal import Context, Decimal, Inexact, InvalidOperation

from crossfade.store.mariadb_types import NONE, Convert, Declared, MariaDbValues, a_kind
from crossfade.store.sql_dialect import CannotHoldError, KeyKind, Raw

BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "integer": 32, "bigint": 64}
"""Types of whole numbers, and how long they are."""

_FIRST_YEAR = 1901
_EXACT_MAX = 2**53
_DIGITS = Context(prec=80, traps=[Inexact, InvalidOperation])


def whole_values(declared: Declared) -> MariaDbValues:
    """Whole numbers in the range of the type; they may be keys."""
    bits = BITS[declared.type]
    lowest = 0 if declared.unsigned else -(2 ** (bits - 1))
    highest = 2**bits - 1 if declared.unsigned else 2 ** (bits - 1) - 1
    convert = _whole_between(lowest, highest)
    return MariaDbValues(convert, frozenset({NONE, int}), KeyKind.WHOLE)


def bit_values(declared: Declared) -> MariaDbValues:
    """BIT: a whole number of so many bits."""
    highest = 2 ** (declared.sizes or (1,))[0] - 1
    return MariaDbValues(_whole_between(0, highest), frozenset({NONE}))


def year_values(declared: Declared) -> MariaDbValues:
    """YEAR: other numbers would become years."""
    whole = _whole_between(0, 99 if declared.sizes == (2,) else 2155)

    def convert(value: object) -> Raw:
        number = whole(value)
        if declared.sizes != (2,) and number and number < _FIRST_YEAR:
            raise CannotHoldError("a YEAR is 0 or from 1901 to 2155")
        return number

    return MariaDbValues(convert, frozenset({NONE}))


def _whole_between(lowest: int, highest: int) -> Convert:
    def convert(value: object) -> Raw:
        number: int
        if isinstance(value, int):
            number = int(value)
        elif isinstance(value, float | Decimal) and _is_finite(value):
            # The bounds first: `int` of a decimal with a huge exponent would take all memory.
            if not lowest <= value <= highest or value != int(value):
                raise CannotHoldError("the column cannot hold the number exactly")
            number = int(value)
        else:
            raise CannotHoldError(f"the column holds whole numbers, not {a_kind(value)}")
        if not lowest <= number <= highest:
            raise CannotHoldError("the column cannot hold a whole number of that size")
        return number

    return convert


def float_values(declared: Declared) -> MariaDbValues:
    """FLOAT and DOUBLE: a number that has so many bits."""
    single, sizes, unsigned = declared.type == "float", declared.sizes, declared.unsigned
    places = sizes[1] if len(sizes) == 2 else None  # noqa: PLR2004 - FLOAT(7,4)

    def convert(value: object) -> Raw:
        number = _float(value)
        if unsigned and number < 0:
            raise CannotHoldError("the column cannot hold a number below zero")
        if single and not _is_single(number):
            raise CannotHoldError("the column has 32 bits and cannot hold the number exactly")
        if places is not None and not _has_places(Decimal(repr(number)), places):
            raise CannotHoldError("the column cannot hold a number of so many digits exactly")
        return number

    plain: set[type] = {NONE} if single or places is not None else {NONE, float}
    return MariaDbValues(convert, frozenset(plain))


def _float(value: object) -> float:
    if not isinstance(value, int | float | Decimal):
        raise CannotHoldError(f"the column holds numbers, not {a_kind(value)}")
    if not isinstance(value, int) and not _is_finite(value):
        raise CannotHoldError("NaN and infinities are no values of a column")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or not _same(number, value):
        raise CannotHoldError("the column holds floating-point numbers and cannot hold it exactly")
    # The server loses the sign of zero.
    return number or 0.0


def _same(number: float, value: float | Decimal) -> bool:
    if isinstance(value, Decimal):
        return Decimal(repr(number)) == value
    return int(number) == value if isinstance(value, int) else number == value


def _is_finite(value: float | Decimal) -> bool:
    # The decimal's own question: a signalling NaN cannot become a float.
    return value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)


def _is_single(number: float) -> bool:
    try:
        back: float = struct.unpack("f", struct.pack("f", number))[0]
    except OverflowError:
        return False
    return back == number


def _has_places(number: Decimal, places: int) -> bool:
    """Whether a number with so many digits behind the point is stored as it is."""
    scaled = number.scaleb(places, _DIGITS)
    return scaled == scaled.to_integral_value() and abs(scaled) <= _EXACT_MAX


def decimal_values(declared: Declared) -> MariaDbValues:
    """DECIMAL: a number that has so many digits."""
    # The catalogue always says both; DECIMAL alone means these.
    precision, scale = declared.sizes or (10, 0)
    unit = Decimal(1).scaleb(-scale)
    zero = unit - unit
    bound = Decimal(10) ** (precision - scale)

    def convert(value: object) -> Raw:
        number = _exact(value)
        if declared.unsigned and number < 0:
            raise CannotHoldError("the column cannot hold a number below zero")
        if abs(number) >= bound:
            raise CannotHoldError("the column cannot hold a number of that size")
        try:
            # Minus zero is zero there.
            return number.quantize(unit, context=_DIGITS) or zero
        except (Inexact, InvalidOperation):
            raise CannotHoldError("the column would round a number of so many digits") from None

    return MariaDbValues(convert, frozenset({NONE}))


def _exact(value: object) -> Decimal:
    if isinstance(value, int):
        return Decimal(int(value))
    if isinstance(value, float):
        value = Decimal(repr(float(value)))
    if not isinstance(value, Decimal):
        raise CannotHoldError(f"the column holds numbers, not {a_kind(value)}")
    if not value.is_finite():
        raise CannotHoldError("NaN and infinities are no values of a column")
    return value
