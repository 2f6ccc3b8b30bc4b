"""Numbers of PostgreSQL's columns: exactly, or not at all."""

import math
import struct
from decimal import Decimal

from crossfade.store.sql_dialect import CannotHoldError

NUMERIC_DIGITS_MAX = 131_072
"""Digits before the point of any number."""
NUMERIC_SCALE_MAX = 16_383
"""Digits behind it."""

_REAL_OVERFLOW = 3.4028235677973366e38
"""The first number that is too large for 32 bits."""
_REAL_DIGITS_MAX = 9


def to_bool(value: object) -> bool:
    """True or false, or the number that stands for it."""
    if isinstance(value, bool) or (isinstance(value, int) and value in {0, 1}):
        return bool(value)
    raise CannotHoldError("the column holds true and false")


def to_whole(value: object, bits: int) -> int:
    """A whole number of so many bits, of which one is the sign."""
    whole = _whole(value)
    limit = 1 << (bits - 1)
    if not -limit <= whole < limit:
        raise CannotHoldError(f"the column holds whole numbers of {bits} bits")
    return whole


def to_unsigned(value: object) -> int:
    """A whole number of 32 bits without a sign."""
    whole = _whole(value)
    if not 0 <= whole < 1 << 32:
        raise CannotHoldError("the column holds whole numbers of 32 bits without a sign")
    return whole


def to_double(value: object) -> float:
    """A number of 64 bits that means the same."""
    if isinstance(value, float):
        number = float(value)
    elif isinstance(value, int | Decimal):
        number = _nearest(value)
    else:
        raise CannotHoldError(f"the column holds numbers, not a {type(value).__name__}")
    _check_finite(number)
    return number


def to_real(value: object) -> float:
    """A number that reads back equal from 32 bits."""
    number = to_double(value)
    if _as_real(number) != number:
        raise CannotHoldError("the column cannot hold so many digits exactly")
    return number


def to_decimal(value: object) -> Decimal:
    """A number of a `numeric` without bounds, with the digits that it is given."""
    if isinstance(value, Decimal):
        number = value
    elif isinstance(value, int):
        number = Decimal(int(value))
    elif isinstance(value, float):
        number = Decimal(repr(float(value)))
    else:
        raise CannotHoldError(f"the column holds numbers, not a {type(value).__name__}")
    _check_finite(number)
    exponent = int(number.as_tuple().exponent)
    if number.adjusted() >= NUMERIC_DIGITS_MAX or exponent < -NUMERIC_SCALE_MAX:
        raise CannotHoldError("the column has too few digits for the number")
    if not number:
        # There is no negative zero.
        return Decimal((0, (0,), min(exponent, 0)))
    return number if exponent <= 0 else Decimal(format(number, "f"))


def to_numeric(value: object, precision: int, scale: int) -> Decimal:
    """A number of a `numeric(precision, scale)`, with all its decimals."""
    number = to_decimal(value)
    sign, digits, exponent = number.as_tuple()
    shift = int(exponent) + scale
    if shift < 0 and any(digits[shift:]):
        raise CannotHoldError("the column would round a number of so many decimals")
    if number and number.adjusted() >= precision - scale:
        raise CannotHoldError("the column has too few digits for the number")
    if scale < 0:
        return number
    shown = digits + (0,) * shift if shift >= 0 else digits[:shift]
    return Decimal((sign, shown or (0,), -scale))


def _whole(value: object) -> int:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float | Decimal):
        _check_finite(value)
        # The bounds first: `int` of a decimal with a huge exponent would take all memory.
        if -(2**64) < value < 2**64 and value == int(value):
            return int(value)
        raise CannotHoldError("the column holds whole numbers")
    raise CannotHoldError(f"the column holds whole numbers, not a {type(value).__name__}")


def _check_finite(value: float | Decimal) -> None:
    # A signalling NaN is none that `math` would look at.
    if not (value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)):
        raise CannotHoldError("NaN and infinities are no values of a column")


def _nearest(value: int | Decimal) -> float:
    _check_finite(value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    exact = math.isfinite(number) and (
        int(number) == value if isinstance(value, int) else Decimal(repr(number)) == value
    )
    if not exact:
        raise CannotHoldError("the column holds floating-point numbers and cannot hold it exactly")
    return number


def _as_real(number: float) -> float:
    """What a number of 32 bits reads back as: the shortest text that means it."""
    try:
        stored = struct.pack("f", number)
    except OverflowError:
        return math.nan
    nearest = struct.unpack("f", stored)[0]
    for digits in range(1, _REAL_DIGITS_MAX + 1):
        text = float(f"{nearest:.{digits}g}")
        if abs(text) < _REAL_OVERFLOW and struct.pack("f", text) == stored:
            return text
    return float(nearest)
