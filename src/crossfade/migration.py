"""The migration definition: what a user writes down once, checked while it is written."""

import importlib.util
import re
import sys
from collections.abc import Iterator
from collections.abc import Mapping as TextMapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from crossfade.errors import ConfigurationError, DefinitionError
from crossfade.model.comparison import Compare
from crossfade.model.entity import Entity, Mapping, Writers
from crossfade.model.operation import (
    JsonField,
    KeyFrom,
    KeyPlace,
    MirrorWhen,
    Operation,
)
from crossfade.model.plan import OperationKind
from crossfade.model.service import HttpService
from crossfade.references import resolve_reference

FILE_NAME = "migration.py"
"""The definition's file; found by walking up from the working directory."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_TEMPLATE_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
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
    """One migration: two services, the entities that both keep, the operations on them."""

    def __init__(self, name: str, *, legacy: HttpService, new: HttpService) -> None:
        """Begin a definition.

        Args:
            name: lower-case letters, digits, `-` and `_`; the stores remember it.
            legacy: the service that must be replaced.
            new: the service that replaces it.

        Raises:
            DefinitionError: the name cannot be used.

        """
        self.name = _checked_name(name, "migration")
        self.legacy = legacy
        self.new = new
        self.entities: dict[str, Entity] = {}
        self.operations: dict[str, Operation] = {}
        self.folder = Path()
        """Where the definition's file is: relative paths in it count from here."""

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
        if name in self.entities:
            raise DefinitionError(f'the entity "{name}" is declared twice. Remove one.')
        if writers not in tuple(Writers):
            raise DefinitionError(f'writers= is "gateway" or "others", not "{writers}".')
        declared = Entity(
            name=_checked_name(name, "entity"),
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
        names = tuple(_TEMPLATE_NAME.findall(item))
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
        entity = reads or writes
        if entity is None or (reads is not None and writes is not None):
            raise DefinitionError(f'"{text}" needs exactly one of reads= and writes=.')
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

    def _add(self, operation: Operation, entity: Entity) -> Operation:
        for problem in _problems(self, entity, operation):
            raise DefinitionError(problem)
        self.operations[operation.name] = operation
        return operation


def _problems(migration: Migration, entity: Entity, operation: Operation) -> Iterator[str]:
    name = operation.name
    if migration.entities.get(entity.name) is not entity:
        yield f'"{name}" names an entity of another migration. Declare it in this one.'
    if name in migration.operations:
        yield f'"{name}" is declared twice. Remove one.'
    if not operation.method.isupper() or not operation.template.startswith("/"):
        yield f'"{name}" is no route. Write it like "GET /customers/{{id}}".'
    names = _TEMPLATE_NAME.findall(operation.template)
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


def _checked_name(name: str, what: str) -> str:
    if not _NAME.fullmatch(name):
        raise DefinitionError(
            f'"{name}" is no name for the {what}. Use a lower-case letter first, then lower-case '
            "letters, digits, - or _, 63 at most."
        )
    return name


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
            f"{file.name} raised {type(error).__name__}{_line_of(error, file)}: "
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
    return migration


def _line_of(error: BaseException, file: Path) -> str:
    """Where in the file it happened, as ` in line N`, if it did."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f" in line {error.lineno}"
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" in line {line}" if line is not None else ""
