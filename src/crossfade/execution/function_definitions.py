"""What `Migration.operation` makes of a function: checked, registered, and put in its place."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from crossfade.errors import DefinitionError
from crossfade.execution.functions import CallSlot, decorated
from crossfade.model.comparison import Compare
from crossfade.model.entity import Entity
from crossfade.model.function_operation import (
    UNKNOWN_DEFAULT,
    Declared,
    Function,
    FunctionOperation,
    function_operation,
)
from crossfade.model.function_options import CallOptions, WriteOptions
from crossfade.model.operation import KeyFrom, KeyPlace, MirrorWhen, Operation
from crossfade.model.plan import OperationKind
from crossfade.model.side import Side

_LOCALS = "<locals>."


def one_side(legacy: Function | None, new: Function | None) -> tuple[Side, Function]:
    """The other side of a decorated function; raises DefinitionError for none or two."""
    if legacy is not None and new is None:
        return Side.LEGACY, legacy
    if new is not None and legacy is None:
        return Side.NEW, new
    raise DefinitionError(
        "an operation needs exactly one of legacy= and new=: the function that is decorated is "
        "the other side."
    )


class FunctionDefinition:
    """One `@shop.operation(...)` before it meets its function."""

    def __init__(
        self,
        slot: CallSlot,
        entity: Entity,
        kind: OperationKind,
        other: tuple[Side, Function],
        add: Callable[[FunctionOperation, Entity], None],
    ) -> None:
        self._slot = slot
        self._entity = entity
        self._kind = kind
        self._side, self._other = other
        self._add = add

    def decorator(self, options: Mapping[str, Any]) -> Callable[[Function], Function]:
        """The decorator; raises DefinitionError for an option that does not exist."""
        known = CallOptions if self._kind is OperationKind.READ else WriteOptions
        strange = sorted(set(options) - {"key", *known.__annotations__})
        if strange:
            raise DefinitionError(
                f"an operation that {self._kind}s takes no {strange[0]}=. "
                f"It takes: key, {', '.join(sorted(known.__annotations__))}."
            )
        declared = self._declared(options)

        def decorate(body: Function) -> Function:
            placed: Function = self._decorate(declared, body)
            return placed

        return decorate

    def _declared(self, options: Mapping[str, Any]) -> Declared:
        operation = Operation(
            name=options.get("name") or "",
            kind=self._kind,
            entity=self._entity.name,
            method="",
            template="",
            replay=options.get("replay", False),
            mirror_when=MirrorWhen(options.get("mirror_when", MirrorWhen.AFTER_ANSWER)),
            compare=options.get("compare") or Compare(),
        )
        return Declared(
            operation=operation,
            side=self._side,
            other=self._other,
            key=options.get("key"),
            created=options.get("created"),
            unknown=options.get("unknown", UNKNOWN_DEFAULT),
            refused=options.get("refused", ()),
            shared=options.get("shared", ()),
            transaction=options.get("transaction"),
        )

    def _decorate(self, declared: Declared, body: Any) -> Any:  # noqa: ANN401 - or a classmethod
        if isinstance(body, classmethod | staticmethod):
            # Written above @classmethod instead of below: the method is what is inside.
            return type(body)(self._decorate(declared, body.__func__))
        if not callable(body) or isinstance(body, type | property):
            raise DefinitionError(
                f"only functions and methods can be operations, not {type(body).__name__}."
            )
        name = declared.operation.name or _name_of(body)
        operation = replace(declared.operation, name=name)
        function = function_operation(declared, operation, body)
        if function.key is not None:
            place = KeyFrom(KeyPlace.ARGUMENT, function.key.names)
            function = replace(function, operation=replace(operation, key=place))
        self._add(function, self._entity)
        return decorated(self._slot, function, body)


def _name_of(body: Function) -> str:
    name = getattr(body, "__qualname__", "") or type(body).__name__
    return name.rpartition(_LOCALS)[2]
