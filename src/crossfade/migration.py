"""The migration definition: what a user writes down once, checked while it is written."""

import importlib.util
import re
import sys
from collections.abc import Callable
from collections.abc import Mapping as TextMapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, Unpack, overload

from crossfade.errors import ConfigurationError, DefinitionError
from crossfade.execution.function_definitions import FunctionDefinition, one_side
from crossfade.execution.functions import CallSlot
from crossfade.model.comparison import Compare
from crossfade.model.definition_checks import (
    TEMPLATE_NAME,
    checked_entity_name,
    checked_name,
    chosen_entity,
    line_of,
    problems_of,
)
from crossfade.model.entity import Entity, Mapping, Writers
from crossfade.model.function_operation import FunctionOperation
from crossfade.model.function_options import CallOptions, WriteOptions
from crossfade.model.operation import (
    JsonField,
    KeyFrom,
    KeyPlace,
    MirrorWhen,
    Operation,
)
from crossfade.model.plan import OperationKind
from crossfade.model.service import HttpService, seconds_of
from crossfade.model.side import Side
from crossfade.references import resolve_reference

P = ParamSpec("P")
R = TypeVar("R")

FILE_NAME = "migration.py"
"""The definition's file; found by walking up from the working directory."""

_SQLITE = "sqlite:///"
_READ_METHODS = ("GET", "HEAD")
_ITEM_WRITE_METHODS = ("PUT", "PATCH", "DELETE", "POST")


def json(path: str) -> JsonField:
    """A field of a JSON answer, such as `json("$.id")`."""
    if not re.fullmatch(r"\$(\.[A-Za-z_][A-Za-z0-9_]*)+", path):
        raise DefinitionError(f'"{path}" is no field of an answer. Write it like "$.id".')
    return JsonField(path)


def path(*names: str) -> KeyFrom:
    """The key is in the path, under these names of the template."""
    return KeyFrom(KeyPlace.PATH, names)


def query(*names: str) -> KeyFrom:
    """The key is in the query string, under these names."""
    return KeyFrom(KeyPlace.QUERY, names)


class Migration:
    """One migration: two sides, the entities that both keep, the operations on them."""

    def __init__(
        self,
        name: str,
        *,
        legacy: HttpService | None = None,
        new: HttpService | None = None,
        answers_within: str | float = "10s",
    ) -> None:
        """Begin a definition.

        Args:
            name: lower-case letters, digits, `-` and `_`; the stores remember it.
            legacy: the service that must be replaced; None where operations are functions.
            new: the service that replaces it; None likewise.
            answers_within: where there are no services: after that a call whose outcome is not
                known has certainly ended.

        Raises:
            DefinitionError: the name cannot be used, or only one service is given.

        """
        self.name = checked_name(name, "migration")
        if (legacy is None) is not (new is None):
            raise DefinitionError(
                "give both services, or neither (operations are functions then)."
            )
        self.legacy = legacy
        self.new = new
        self._answers_within_seconds = seconds_of(answers_within)
        self.entities: dict[str, Entity] = {}
        self.operations: dict[str, Operation] = {}
        self.functions: dict[str, FunctionOperation] = {}
        """The operations that are functions, by name; all are in `operations`, too."""
        self.calls = CallSlot(name)
        """Where the functions find who carries out their calls in this process."""
        self.folder = Path()
        """Where the definition's file is: relative paths in it count from here."""
        self.file: Path | None = None
        """The file that it was loaded from, so that another process can load it, too."""

    def entity(  # noqa: PLR0913 - a definition reads best as one call
        self,
        name: str,
        *,
        legacy: object,
        new: object,
        to_new: Mapping,
        to_legacy: Mapping,
        version: str = "1",
        writers: Literal["gateway", "others"] = "gateway",
        lossy: tuple[str, ...] = (),
    ) -> Entity:
        """Declare a kind of thing that both sides keep.

        Args:
            name: lower-case name of the entity.
            legacy: legacy's store, such as `SqlTable`.
            new: new's store.
            to_new: legacy's record to new's, a plain function.
            to_legacy: new's record to legacy's; columns that it leaves out are not touched.
            version: change it when the mappings mean something else; asks for a new sweep.
            writers: "others" when somebody writes behind our back (guarantee level L4).
            lossy: columns that the mappings drop on purpose, as `legacy.Column`, `new.column`.

        Raises:
            DefinitionError: the name is taken or cannot be used, or `writers` is unknown.

        """
        declared = Entity(
            name=checked_entity_name(name, self.entities, writers),
            legacy=legacy,
            new=new,
            to_new=to_new,
            to_legacy=to_legacy,
            version=version,
            writers=Writers(writers),
            lossy=lossy,
        )
        self.entities[name] = declared
        return declared

    def resource(  # noqa: PLR0913 - a definition reads best as one call
        self,
        collection: str,
        item: str,
        entity: Entity,
        *,
        created: JsonField | None = None,
        replay: bool = False,
        mirror_when: Literal["after_answer", "before_answer"] = "after_answer",
        compare: Compare | None = None,
    ) -> None:
        """Declare the usual operations of a resource: GET reads, the rest writes.

        POST on the collection creates: its id is taken from the answer's field `created`, and it
        is copied, never replayed, since each side would make an id of its own.

        Raises:
            DefinitionError: the item's path has no key, or POST has no `created`.

        """
        names = tuple(TEMPLATE_NAME.findall(item))
        if not names:
            raise DefinitionError(f'"{item}" names no key. Write it like "/customers/{{id}}".')
        key = path(*names)
        operations = [
            *(Operation.of(f"{method} {item}", entity.name, key) for method in _READ_METHODS),
            *(Operation.of(f"{method} {collection}", entity.name) for method in _READ_METHODS),
            *(
                replace(Operation.of(f"{method} {item}", entity.name, key), replay=replay)
                for method in _ITEM_WRITE_METHODS
            ),
        ]
        if created is not None:
            create = Operation.of(f"POST {collection}", entity.name)
            operations.append(replace(create, created=created))
        for operation in operations:
            kind = OperationKind.READ if operation.method in _READ_METHODS else OperationKind.WRITE
            self._add(
                replace(
                    operation,
                    kind=kind,
                    mirror_when=MirrorWhen(mirror_when),
                    compare=compare or Compare(),
                ),
                entity,
            )

    def route(  # noqa: PLR0913 - a definition reads best as one call
        self,
        text: str,
        *,
        reads: Entity | None = None,
        writes: Entity | None = None,
        key: KeyFrom | None = None,
        created: JsonField | None = None,
        replay: bool = False,
        mirror_when: Literal["after_answer", "before_answer"] = "after_answer",
        compare: Compare | None = None,
    ) -> Operation:
        """Declare one operation: `route("PUT /profile/{id}", writes=profiles, key=path("id"))`.

        Raises:
            DefinitionError: it neither reads nor writes, a write has no key, a replay could
                create a second record, a name of the key is not in the path.

        """
        entity = chosen_entity(text, reads, writes)
        kind = OperationKind.READ if reads is not None else OperationKind.WRITE
        operation = Operation.of(text, entity.name, key)
        return self._add(
            replace(
                operation,
                kind=kind,
                created=created,
                replay=replay,
                mirror_when=MirrorWhen(mirror_when),
                compare=compare or Compare(),
            ),
            entity,
        )

    def database_url(self, text: str, environment: TextMapping[str, str]) -> str:
        """A database's URL with its references resolved and its path made absolute.

        Raises:
            ConfigurationError: a variable or file that it refers to is missing.

        """
        url = resolve_reference(text, environment)
        prefix = _SQLITE if url.startswith(_SQLITE) else ""
        path = url.removeprefix(_SQLITE)
        relative = path and "://" not in path and not path.startswith(("/", ":", "file:"))
        return f"{prefix}{self.folder.absolute() / path}" if relative else url

    @overload
    def operation(
        self,
        *,
        reads: Entity,
        legacy: Callable[P, R],
        key: str | tuple[str, ...] | Callable[P, object] | None = None,
        **options: Unpack[CallOptions],
    ) -> Callable[[Callable[P, R]], Callable[P, R]]: ...

    @overload
    def operation(
        self,
        *,
        reads: Entity,
        new: Callable[P, R],
        key: str | tuple[str, ...] | Callable[P, object] | None = None,
        **options: Unpack[CallOptions],
    ) -> Callable[[Callable[P, R]], Callable[P, R]]: ...

    @overload
    def operation(
        self,
        *,
        writes: Entity,
        legacy: Callable[P, R],
        key: str | tuple[str, ...] | Callable[P, object] | None = None,
        **options: Unpack[WriteOptions],
    ) -> Callable[[Callable[P, R]], Callable[P, R]]: ...

    @overload
    def operation(
        self,
        *,
        writes: Entity,
        new: Callable[P, R],
        key: str | tuple[str, ...] | Callable[P, object] | None = None,
        **options: Unpack[WriteOptions],
    ) -> Callable[[Callable[P, R]], Callable[P, R]]: ...

    def operation(
        self,
        *,
        reads: Entity | None = None,
        writes: Entity | None = None,
        legacy: Callable[..., Any] | None = None,
        new: Callable[..., Any] | None = None,
        **options: Any,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declare a function as an operation: its body is one side, the argument the other.

        Calls then go to the side that has authority, in the caller's own thread or task; see
        `CallOptions` and `WriteOptions` for what else can be said, and docs/howto for how.

        Args:
            reads: the entity that it reads, or
            writes: the entity that it writes.
            legacy: legacy's function, where the body is new, or
            new: new's function, where the body is legacy.
            options: `key=` (a parameter, a dotted path, several, a callable), and the rest.

        Raises:
            DefinitionError: what is declared contradicts itself or the function.

        """
        entity = chosen_entity("an operation", reads, writes)
        kind = OperationKind.READ if reads is not None else OperationKind.WRITE
        add, other = self._add_function, one_side(legacy, new)
        return FunctionDefinition(self.calls, entity, kind, other, add).decorator(options)

    def answers_within_seconds(self, side: Side) -> float:
        """After that a call of the side whose outcome is not known has certainly ended."""
        service = self.legacy if side is Side.LEGACY else self.new
        return self._answers_within_seconds if service is None else service.answers_within_seconds

    def _add_function(self, function: FunctionOperation, entity: Entity) -> None:
        self._add(function.operation, entity)
        self.functions[function.name] = function

    def _add(self, operation: Operation, entity: Entity) -> Operation:
        if operation.is_route and self.legacy is None:
            raise DefinitionError(
                f'"{operation.name}" is a route, and "{self.name}" has no services. '
                "Say Migration(..., legacy=HttpService(...), new=HttpService(...))."
            )
        for problem in problems_of(self.entities, self.operations, entity, operation):
            raise DefinitionError(problem)
        self.operations[operation.name] = operation
        return operation


def find_migration(start: Path) -> Path:
    """The nearest `migration.py` at or above a folder.

    Raises:
        ConfigurationError: there is none.

    """
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    raise ConfigurationError(
        f"no {FILE_NAME} in {start} or above it. Run `crossfade init` to write one, or name yours "
        "with --migration."
    )


def load_migration(file: Path) -> Migration:
    """Run a definition file and return the one `Migration` that it makes.

    Raises:
        ConfigurationError: there is no such file, it raises, or it makes none or several.

    """
    if not file.is_file():
        raise ConfigurationError(f"there is no file {file}. Run `crossfade init` to write one.")
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = f"crossfade_definition_{abs(hash(str(file.resolve())))}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{file} is no Python file. Name a file that ends in .py.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ConfigurationError as error:
        raise type(error)(f"{file.name}: {error}") from error
    except (Exception, SystemExit) as error:
        raise ConfigurationError(
            f"{file.name} raised {type(error).__name__}{line_of(error, str(file))}: "
            f"{' '.join(str(error).split())}. "
            "Mend the definition, then run `crossfade doctor`."
        ) from error
    found = {id(one): one for one in vars(module).values() if isinstance(one, Migration)}
    if len(found) != 1:
        raise ConfigurationError(
            f"{file.name} makes {len(found)} migrations; it must make exactly one. "
            "Keep one `Migration(...)` at the top level."
        )
    migration = next(iter(found.values()))
    migration.folder = file.resolve().parent
    migration.file = file.resolve()
    return migration
