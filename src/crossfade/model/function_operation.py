"""An operation that is a function: its two sides, and how its calls are read."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossfade.errors import DefinitionError
from crossfade.model.function_key import KeyOf, KeyReader, follow, key_from, read_key
from crossfade.model.function_signature import (
    BOUND_NAMES,
    Place,
    is_asynchronous,
    is_generator,
    misfit,
    place_of,
    signature_of,
)
from crossfade.model.key import Key
from crossfade.model.operation import Operation
from crossfade.model.plan import OperationKind
from crossfade.model.side import Side

Function = Callable[..., Any]
CreatedFrom = str | Callable[[Any], object]
"""An attribute or item of the returned value, `"id"`, `"order.id"`; or a callable on it."""

Errors = tuple[type[BaseException], ...]

UNKNOWN_DEFAULT: Errors = (ConnectionError, TimeoutError)
"""What is raised where a remote side gave no complete answer, so that nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FunctionOperation:
    """One decorated function, checked."""

    operation: Operation
    functions: Mapping[Side, Function]
    body: Side
    """Which side the decorated function itself is."""
    asynchronous: bool
    key: KeyReader | None
    created: CreatedFrom | None
    unknown: Errors
    """Exceptions after which nobody knows whether the side has acted (rule 7)."""
    refused: Errors
    """Exceptions that say for certain that nothing was written."""
    shared: tuple[Place, ...]
    """Parameters that are passed on as they are, never copied: `self`, a session."""
    transaction: Place | None
    """The parameter that carries the connection whose transaction the write belongs to."""
    signature: inspect.Signature

    @property
    def name(self) -> str:
        """The operation's name."""
        return self.operation.name

    @property
    def is_read(self) -> bool:
        """Whether it only reads."""
        return self.operation.kind is OperationKind.READ

    def keys(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], types: tuple[type, ...]
    ) -> tuple[Key, ...]:
        """The keys of one call; see `KeyReader.keys`."""
        return () if self.key is None else self.key.keys(args, kwargs, types)

    def created_key(self, value: object, types: tuple[type, ...]) -> Key | None:
        """The key that the authority made; None where the returned value has none.

        Raises:
            KeyArgumentError: there is one, and it is no key of the entity.

        """
        if self.created is None:
            return None
        if callable(self.created):
            found = self.created(value)
        else:
            found = value
            for name in self.created.split("."):
                found = follow(found, name, self.name)
        return None if found is None else key_from(found, types, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a user wrote beside a function."""

    operation: Operation
    """With its name still empty where the function gives it."""
    side: Side
    """The side that `other` is; the decorated function is the other one."""
    other: Function
    key: KeyOf | None = None
    created: CreatedFrom | None = None
    unknown: Errors = UNKNOWN_DEFAULT
    refused: Errors = ()
    shared: tuple[str, ...] = ()
    transaction: str | None = None


def function_operation(
    declared: Declared, operation: Operation, body: Function
) -> FunctionOperation:
    """Check a decorated function against what was declared beside it.

    Raises:
        DefinitionError: a generator, a function of the other colour or of other parameters, a
            key or a parameter that does not exist, a write without a key.

    """
    name = operation.name
    asynchronous = _check_colours(name, body, declared.other, declared.side)
    signature = signature_of(body, name)
    problem = misfit(signature, signature_of(declared.other, f"{name}: {declared.side}="))
    if problem is not None:
        raise DefinitionError(
            f"{name}: {declared.side}= cannot be called as the function can: {problem}. "
            "Adapt it with a plain function of the same parameters."
        )
    _check_rules(declared, operation)
    key = None if declared.key is None else read_key(declared.key, signature, name)
    bound = [one for one in list(signature.parameters)[:1] if one in BOUND_NAMES]
    names = {"shared": (*bound, *declared.shared), "transaction": (declared.transaction,)}
    places = {
        what: tuple(_place(one, signature, name, what) for one in given if one is not None)
        for what, given in names.items()
    }
    return FunctionOperation(
        operation=operation, functions={declared.side: declared.other, declared.side.other: body},
        body=declared.side.other, asynchronous=asynchronous, key=key, created=declared.created,
        unknown=_errors(name, "unknown", declared.unknown),
        refused=_errors(name, "refused", declared.refused),
        shared=(*places["shared"], *places["transaction"]),
        transaction=next(iter(places["transaction"]), None), signature=signature,
    )  # fmt: skip


def _check_colours(name: str, body: Function, other: Function, side: Side) -> bool:
    """Whether both are async; raises where they are not alike."""
    for function in (body, other):
        if not callable(function):
            raise DefinitionError(f"{name}: {side}= is no function.")
        if is_generator(function):
            raise DefinitionError(
                f"{name}: a generator has done nothing yet when it is returned, so nobody could "
                "tell when it reads or writes. Return a list, or decorate what it calls."
            )
    asynchronous = is_asynchronous(body)
    if asynchronous is not is_asynchronous(other):
        colours = ("async", "not async") if asynchronous else ("not async", "async")
        raise DefinitionError(
            f"{name} is {colours[0]} and {side}= is {colours[1]}. Adapt {side}= with a function "
            "of the same kind (asyncio.to_thread carries a plain function)."
        )
    return asynchronous


def _check_rules(declared: Declared, operation: Operation) -> None:
    name = operation.name
    writes = operation.kind is OperationKind.WRITE
    if writes and declared.key is None and declared.created is None:
        raise DefinitionError(
            f"{name} writes and has no key. Say key= with the parameter that holds it or, where "
            'the authority makes the id, created="id".'
        )
    if operation.replay and declared.created is not None:
        raise DefinitionError(
            f"{name} creates with an id that each side would make by itself: it can be copied, "
            "not replayed. Remove replay=True."
        )
    if operation.replay and declared.transaction is not None:
        raise DefinitionError(
            f"{name} writes in its caller's transaction, which the other side cannot share. "
            "Remove replay=True."
        )


def _place(one: str, signature: inspect.Signature, name: str, what: str) -> Place:
    place = place_of(signature, one)
    if place is None:
        known = ", ".join(signature.parameters) or "none"
        raise DefinitionError(
            f'{name}: {what}= names "{one}", which is no parameter of the function (it has: '
            f"{known})."
        )
    return place


def _errors(name: str, what: str, given: object) -> Errors:
    errors = given if isinstance(given, tuple) else (given,)
    for one in errors:
        if not (isinstance(one, type) and issubclass(one, BaseException)):
            raise DefinitionError(f"{name}: {what}= takes exception types, in a tuple.")
    return errors
