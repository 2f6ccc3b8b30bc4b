"""JSON values as PostgreSQL's `jsonb` writes them, so that equal values are equal text."""

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from json.encoder import encode_basestring

from crossfade.codec import decode_exact
from crossfade.store.sql_dialect import CannotHoldError

NUMBER_DIGITS_MAX = 1000
"""Digits of one number; more would make a short text (`1e100000`) a long one."""


class JsonNull(Enum):
    """JSON has a null of its own, which is not a missing value."""

    NULL = "null"


def json_text(value: object, *, ordered: bool) -> str:
    """The text of a value.

    Args:
        value: as `codec.decode_exact` gives it, or what equals that.
        ordered: whether objects get `jsonb`'s order of names; else they keep their own.

    Raises:
        CannotHoldError: the value has no exact form in JSON.

    """
    try:
        return _text(value, ordered=ordered)
    except RecursionError as error:
        raise CannotHoldError("a JSON value is nested too deeply") from error


def json_value(text: str) -> object:
    """The value of a text that the database wrote; numbers with a point are `Decimal`."""
    value = decode_exact(text)
    return JsonNull.NULL if value is None else value


def _text(value: object, *, ordered: bool) -> str:
    if value is None or value is JsonNull.NULL:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int | float | Decimal):
        return _number(value)
    if isinstance(value, Mapping):
        return _object(value, ordered=ordered)
    if isinstance(value, list | tuple):
        return f"[{', '.join([_text(part, ordered=ordered) for part in value])}]"
    raise CannotHoldError(f"a {type(value).__name__} has no form in JSON")


def _string(value: str) -> str:
    text = encode_basestring(value)
    if "\0" in value:
        raise CannotHoldError("JSON text cannot hold NUL here")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CannotHoldError("text with a lone surrogate is no text") from error
    return text


def _number(value: float | Decimal) -> str:
    if isinstance(value, int):
        return str(int(value))
    exact = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    if not exact.is_finite():
        raise CannotHoldError("NaN and infinities are no numbers of JSON")
    if abs(exact.adjusted()) > NUMBER_DIGITS_MAX or len(exact.as_tuple().digits) > (
        NUMBER_DIGITS_MAX
    ):
        raise CannotHoldError("a number in JSON has too many digits")
    text = format(exact, "f")
    return text.removeprefix("-") if exact == 0 else text


def _object(value: Mapping[object, object], *, ordered: bool) -> str:
    names = list(value)
    if not all(isinstance(name, str) for name in names):
        raise CannotHoldError("a name in a JSON object must be text")
    if ordered:
        names.sort(key=_rank)
    pairs = [f"{_string(str(name))}: {_text(value[name], ordered=ordered)}" for name in names]
    return f"{{{', '.join(pairs)}}}"


def _rank(name: object) -> tuple[int, bytes]:
    data = str(name).encode("utf-8", "surrogatepass")
    return len(data), data
