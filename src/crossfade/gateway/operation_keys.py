"""Read an operation's key out of a request's path or query."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qs

from crossfade.errors import CrossfadeError
from crossfade.model.key import Key, KeyPart
from crossfade.model.operation import KeyPlace, Operation

_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")


class KeyUnreadableError(CrossfadeError):
    """The request's key is missing or of another type than the entity's."""


def key_of(
    operation: Operation, parameters: Mapping[str, str], query: bytes, types: tuple[type, ...]
) -> Key | None:
    """The key of a request; None where the operation has none.

    Args:
        operation: the operation that the request matched.
        parameters: values of the path template's names, percent-decoded once.
        query: the raw query string.
        types: `int` or `str` for each part of the entity's key.

    Raises:
        KeyUnreadableError: a part is missing, given twice, or no whole number where one is due.

    """
    if operation.key is None:
        return None
    if operation.key.place is KeyPlace.PATH:
        values = [parameters[name] for name in operation.key.names]
    else:
        values = [_from_query(query, name) for name in operation.key.names]
    if len(values) != len(types):
        raise KeyUnreadableError(
            f"{operation.name} gives {len(values)} parts of a key that has {len(types)}."
        )
    return tuple(_part(value, type_) for value, type_ in zip(values, types, strict=True))


def _from_query(query: bytes, name: str) -> str:
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True).get(name, [])
    if len(values) != 1:
        raise KeyUnreadableError(f"the request must give {name} exactly once in its query.")
    return values[0]


def _part(text: str, type_: type) -> KeyPart:
    if type_ is str:
        return text
    if not _WHOLE_NUMBER.fullmatch(text):
        raise KeyUnreadableError("the request's key is no whole number, as the entity's keys are.")
    return int(text)
