"""JSON in and out, behind one door: exact integers, exact decimals, stable bytes."""

from decimal import Decimal
from typing import Any

import msgspec

from crossfade.errors import CrossfadeError

_DECODER = msgspec.json.Decoder()
_EXACT_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class CodecError(CrossfadeError):
    """The bytes are no JSON, or the value has no JSON form."""


def encode(value: object) -> bytes:
    """Compact JSON; decimals become exact numbers, bytes base64 text."""
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise CodecError(f"cannot be written as JSON: {error}.") from error


def decode(data: bytes | str) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """The value of one JSON document; integers of any size are exact, the rest floats."""
    return _decode(_DECODER, data)


def decode_exact(data: bytes | str) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """Like `decode`, but numbers with a point or an exponent come as `Decimal`."""
    return _decode(_EXACT_DECODER, data)


def _decode(decoder: "msgspec.json.Decoder[Any]", data: bytes | str) -> Any:  # noqa: ANN401
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise CodecError(f"is no JSON: {error}.") from error
