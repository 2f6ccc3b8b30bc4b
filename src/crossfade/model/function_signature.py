"""How a function is called: whether two fit each other, and where a parameter's value is found."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossfade.errors import DefinitionError

Arguments = tuple[tuple[Any, ...], Mapping[str, Any]]
"""Positional and keyword arguments of one call."""

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
BOUND_NAMES = ("self", "cls")
"""What Python itself passes to a method, always by position."""
_MANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call has the value of one parameter."""

    name: str
    index: int | None
    """Its position; None where it can be given by keyword only."""
    by_keyword: bool
    default: Any
    """`inspect.Parameter.empty` where it must be given."""
    rest: bool
    """Whether it is `*name`, which takes all that follow."""

    def value(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any value
        """The value in one call. Raises LookupError where the call does not give it."""
        if self.rest:
            return list(args[self.index :])
        if self.index is not None and len(args) > self.index:
            return args[self.index]
        if self.by_keyword and self.name in kwargs:
            return kwargs[self.name]
        if self.default is inspect.Parameter.empty:
            raise LookupError(self.name)
        return self.default


def signature_of(function: Callable[..., object], what: str) -> inspect.Signature:
    """A function's signature. Raises DefinitionError where Python cannot tell it."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise DefinitionError(
            f"{what}: its parameters cannot be read. Wrap it in a plain function."
        ) from error


def place_of(signature: inspect.Signature, name: str) -> Place | None:
    """Where calls have the parameter of that name; None where there is none."""
    parameter = signature.parameters.get(name)
    if parameter is None or parameter.kind is inspect.Parameter.VAR_KEYWORD:
        return None
    positions = [
        one.name
        for one in signature.parameters.values()
        if one.kind in _POSITIONAL or one.kind is inspect.Parameter.VAR_POSITIONAL
    ]
    return Place(
        name=name,
        index=positions.index(name) if name in positions else None,
        by_keyword=parameter.kind
        in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY),
        default=parameter.default,
        rest=parameter.kind is inspect.Parameter.VAR_POSITIONAL,
    )


def is_asynchronous(function: Callable[..., object]) -> bool:
    """Whether a call gives a coroutine; objects with an `async def __call__` count."""
    called = getattr(type(function), "__call__", None)  # noqa: B004 - the method itself is asked
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


def is_generator(function: Callable[..., object]) -> bool:
    """Whether a call gives a generator, which has done nothing yet when it is returned."""
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def misfit(body: inspect.Signature, other: inspect.Signature) -> str | None:
    """Why `other` cannot be called in every way in which `body` can, or None where it can."""
    for args, kwargs in _ways_to_call(body):
        try:
            other.bind(*args, **kwargs)
        except TypeError as error:
            return str(error)
    return None


def _ways_to_call(signature: inspect.Signature) -> list[Arguments]:
    """The extremes: all by position, all by keyword, and only what must be given."""
    parameters = [one for one in signature.parameters.values() if one.kind not in _MANY]
    needed = [one for one in parameters if one.default is inspect.Parameter.empty]
    ways = [_call(parameters, positional=True), _call(parameters, positional=False)]
    ways += [_call(needed, positional=True), _call(needed, positional=False)]
    kinds = {one.kind for one in signature.parameters.values()}
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        args, kwargs = ways[0]
        ways.append(((*args, None, None), kwargs))
    if inspect.Parameter.VAR_KEYWORD in kinds:
        args, kwargs = ways[0]
        ways.append((args, {**kwargs, "crossfade_any_other_name": None}))
    return ways


def _call(parameters: Sequence[inspect.Parameter], *, positional: bool) -> Arguments:
    args: list[None] = []
    kwargs: dict[str, None] = {}
    for one in parameters:
        by_position = one.kind is inspect.Parameter.POSITIONAL_ONLY or (
            one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
            and (positional or one.name in BOUND_NAMES)
        )
        if by_position:
            args.append(None)
        else:
            kwargs[one.name] = None
    return tuple(args), kwargs
