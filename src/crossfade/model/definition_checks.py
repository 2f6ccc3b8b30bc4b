"""Checks of a migration definition while it is written."""

import re
from collections.abc import Container, Iterator, Mapping

from crossfade.errors import DefinitionError
from crossfade.model.entity import Entity, Writers
from crossfade.model.operation import KeyPlace, Operation
from crossfade.model.plan import OperationKind

TEMPLATE_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


def checked_name(name: str, what: str) -> str:
    """A name that stores and ledgers can remember; raises DefinitionError."""
    if not _NAME.fullmatch(name):
        raise DefinitionError(
            f'"{name}" is no name for the {what}. Use a lower-case letter first, then lower-case '
            "letters, digits, - or _, 63 at most."
        )
    return name


def checked_entity_name(name: str, known: Container[str], writers: str) -> str:
    """The name of one more entity; raises DefinitionError, also for unknown writers."""
    if name in known:
        raise DefinitionError(f'the entity "{name}" is declared twice. Remove one.')
    if writers not in tuple(Writers):
        raise DefinitionError(f'writers= is "gateway" or "others", not "{writers}".')
    return checked_name(name, "entity")


def chosen_entity(what: str, reads: Entity | None, writes: Entity | None) -> Entity:
    """The one entity that an operation names; raises DefinitionError for none or two."""
    entity = reads or writes
    if entity is None or (reads is not None and writes is not None):
        raise DefinitionError(f'"{what}" needs exactly one of reads= and writes=.')
    return entity


def problems_of(
    entities: Mapping[str, Entity], known: Container[str], entity: Entity, operation: Operation
) -> Iterator[str]:
    """What is wrong with one more operation."""
    name = operation.name
    if entities.get(entity.name) is not entity:
        yield f'"{name}" names an entity of another migration. Declare it in this one.'
    if name in known:
        cure = "Remove one." if operation.is_route else "Give one of them a name=."
        yield f'"{name}" is declared twice. {cure}'
    if operation.template or operation.method:
        yield from _problems_of_route(operation)


def _problems_of_route(operation: Operation) -> Iterator[str]:
    name = operation.name
    if not operation.method.isupper() or not operation.template.startswith("/"):
        yield f'"{name}" is no route. Write it like "GET /customers/{{id}}".'
    names = TEMPLATE_NAME.findall(operation.template)
    key = operation.key
    missing = [] if key is None or key.place is not KeyPlace.PATH else set(key.names) - set(names)
    if missing:
        yield f'"{name}": the key "{min(missing)}" is not in the path. Put it there, in braces.'
    if operation.kind is OperationKind.WRITE and key is None and operation.created is None:
        yield (
            f'"{name}" writes and has no key. Say key=path(...) or, where the authority makes '
            'the id, created=json("$.id").'
        )
    if operation.replay and operation.created is not None:
        yield (
            f'"{name}" creates with an id that each side would make by itself: it can be copied, '
            "not replayed. Remove replay=True."
        )


def line_of(error: BaseException, file: str) -> str:
    """Where in the file it happened, as ` in line N`, if it did."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f" in line {error.lineno}"
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" in line {line}" if line is not None else ""
