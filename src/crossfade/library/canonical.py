"""Returned values and exceptions in the one form in which the two sides' can be compared."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import msgspec

from crossfade.model.comparison import Observed

RETURNED = 200
RAISED = 500
UNANSWERED = 503
JSON = "application/json"

_PASSED = frozenset({BaseException, Exception, object})


def returned(value: object) -> Observed | None:
    """What a function returned; None where it has no form that could be compared.

    Data classes, msgspec structs, attrs, Pydantic models and plain objects are their public
    fields, mappings and sequences are what they hold, sets are sorted; decimals are exact numbers.
    """
    try:
        return Observed(RETURNED, JSON, _encoded(value), "returned")
    except (Exception, SystemExit):  # noqa: BLE001 - a value may do anything when looked at
        return None


def returned_nonsense(value: object) -> Observed:
    """What a function returned where only its type can be told; no proper answer equals it."""
    body = msgspec.json.encode({"no comparable value": type(value).__qualname__})
    return Observed(RETURNED, JSON, body, "returned")


def raised(error: BaseException) -> Observed:
    """What a function raised: the type alone, since messages hold values."""
    name = type(error).__qualname__
    return Observed(RAISED, JSON, msgspec.json.encode({"raised": name}), f"raised {name}")


def unanswered(error: BaseException) -> Observed:
    """A side that was not available: nothing is known of its answer."""
    return Observed(UNANSWERED, JSON, b"null", f"raised {type(error).__qualname__}")


def _public(value: Any) -> Any:  # noqa: ANN401 - any object
    """The fields of an object that msgspec does not know."""
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, BaseException | type) or callable(value):
        raise NotImplementedError(type(value).__qualname__)
    if dataclasses.is_dataclass(value):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    as_dict = getattr(value, "_asdict", None) or getattr(value, "_mapping", None)
    if as_dict is not None:
        return dict(as_dict() if callable(as_dict) else as_dict)
    fields = {name: one for name, one in vars(value).items() if not name.startswith("_")}
    if not fields and type(value) not in _PASSED:
        raise NotImplementedError(type(value).__qualname__)
    return fields


def _encoded(value: object) -> bytes:
    try:
        return _ENCODER.encode(value)
    except TypeError:
        # Only text can be sorted: keys that are numbers stay in their order, which is compared
        # by structure all the same.
        return _UNSORTED.encode(value)


_UNSORTED = msgspec.json.Encoder(enc_hook=_public, decimal_format="number")
_ENCODER = msgspec.json.Encoder(enc_hook=_public, decimal_format="number", order="deterministic")
