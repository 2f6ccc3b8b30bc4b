"""Where a call of a function has its key: a parameter, several, a dotted path, or a callable."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from crossfade.errors import DefinitionError, KeyArgumentError
from crossfade.model.function_signature import Place, misfit, place_of, signature_of
from crossfade.model.key import Key, KeyPart

KeyOf = str | tuple[str, ...] | Callable[..., object]
"""`"user_id"`, `"order.id"`, `("tenant", "order.id")`, or a callable of the same arguments."""

RawKey = Callable[[Sequence[Any], Mapping[str, Any]], object]
"""Reads a call's key as it is; raises what the caller's own mistake raises."""


@dataclass(frozen=True, slots=True)
class KeyReader:
    """Reads the keys of one function's calls."""

    operation: str
    names: tuple[str, ...]
    """What was declared, for people."""
    raw: RawKey

    def keys(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], types: tuple[type, ...]
    ) -> tuple[Key, ...]:
        """The keys of one call: sorted, each once; empty where the value is None.

        A list or a set is several keys, a tuple is one key of several columns.

        Raises:
            TypeError: the call lacks an argument, as Python would say.
            KeyArgumentError: what is found is no key of the entity.

        """
        value = self.raw(args, kwargs)
        if value is None:
            return ()
        several = value if isinstance(value, list | set | frozenset) else [value]
        keys = {key_from(one, types, self.operation) for one in several}
        return tuple(sorted(keys))


def key_from(value: object, types: tuple[type, ...], operation: str) -> Key:
    """One key; raises KeyArgumentError, which never holds the value."""
    parts = value if isinstance(value, tuple) else (value,)
    if len(parts) != len(types):
        raise KeyArgumentError(
            operation, f"it has {len(parts)} parts, and the entity's keys have {len(types)}"
        )
    return tuple(_part(one, type_, operation) for one, type_ in zip(parts, types, strict=True))


def _part(value: object, type_: type, operation: str) -> KeyPart:
    if type(value) is type_:
        return value  # type: ignore[return-value] # int or str
    if isinstance(value, bool) or not isinstance(value, type_):
        wanted = "a whole number" if type_ is int else "text"
        raise KeyArgumentError(operation, f"it is {type(value).__name__}, and must be {wanted}")
    # An enumeration's member, or the like: the plain value is what the stores have.
    return int(value) if isinstance(value, int) else str.__str__(value)


def read_key(key: KeyOf, signature: inspect.Signature, operation: str) -> KeyReader:
    """The reader for what a user declared.

    Raises:
        DefinitionError: there is no such parameter, or the callable takes other arguments.

    """
    if callable(key):
        problem = misfit(signature, signature_of(key, f"{operation}: key="))
        if problem is not None:
            raise DefinitionError(
                f"{operation}: key= cannot take the function's arguments: {problem}. "
                "Give it the same parameters."
            )
        return KeyReader(operation, ("...",), partial(_from_callable, key))
    names: tuple[object, ...] = (key,) if isinstance(key, str) else tuple(key)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise DefinitionError(
            f'{operation}: key= is no name. Write key="user_id", a tuple of names, or a callable.'
        )
    texts = tuple(map(str, names))
    found = tuple(_found(name, signature, operation) for name in texts)
    if isinstance(key, str):
        return KeyReader(operation, texts, partial(_from_one, found[0], signature))
    return KeyReader(operation, texts, partial(_from_several, found, signature))


@dataclass(frozen=True, slots=True)
class _Found:
    place: Place
    path: tuple[str, ...]
    operation: str

    def value(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> object:
        found = self.place.value(args, kwargs)
        for name in self.path:
            found = follow(found, name, self.operation)
        return found


def follow(value: object, name: str, operation: str) -> object:
    """An attribute, or the item of a mapping; None stays None. Raises KeyArgumentError."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        if name in value:
            return value[name]
    else:
        try:
            return getattr(value, name)
        except AttributeError:
            pass
    raise KeyArgumentError(operation, f'there is no "{name}" in {type(value).__name__}')


def _found(name: str, signature: inspect.Signature, operation: str) -> _Found:
    first, *path = name.split(".")
    place = place_of(signature, first)
    if place is None or not all(path):
        known = ", ".join(signature.parameters) or "none"
        raise DefinitionError(
            f'{operation}: the key "{name}" is no parameter of the function (it has: {known}). '
            "Name one, or give key= a callable of the same arguments."
        )
    return _Found(place, tuple(path), operation)


def _from_one(
    found: _Found, signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> object:
    try:
        return found.value(args, kwargs)
    except LookupError:
        # Says what is missing as the function itself would.
        signature.bind(*args, **kwargs)
        raise


def _from_several(
    found: tuple[_Found, ...],
    signature: inspect.Signature,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> object:
    values = tuple(_from_one(one, signature, args, kwargs) for one in found)
    return None if all(value is None for value in values) else values


def _from_callable(
    key: Callable[..., object], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> object:
    return key(*args, **kwargs)
