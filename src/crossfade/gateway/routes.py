"""Which operation a request is for: a table of methods and path templates, without surprises."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

from crossfade.errors import DefinitionError
from crossfade.gateway.headers import refuse

T = TypeVar("T")
Segments = tuple[bytes, ...]

_METHOD = re.compile(r"[A-Z]+")
_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_UNREACHABLE = re.compile(r"[\x00-\x20\x7f?#%;\\{}]")
_READ_DIFFERENTLY = re.compile(rb"%2[ef5]|%5c|//|;|\\|/\.", re.IGNORECASE)
"""Encoded slash, dot, percent and backslash, empty segments, parameters, dot segments: servers do
not agree on what they mean."""
_DOTS = (b".", b"..")


@dataclass(frozen=True, slots=True)
class Matched(Generic[T]):
    """The operation of a request, and the values of its template's names."""

    operation: T
    parameters: Mapping[str, str]
    """Each percent-decoded exactly once; an encoded slash is part of the value."""


@dataclass(frozen=True, slots=True)
class _Route(Generic[T]):
    text: str
    segments: tuple[bytes | None, ...]
    """Decoded literals; None takes any one segment that is not empty and no dot segment."""
    names: tuple[str, ...]
    operation: T

    def match(self, segments: Segments) -> Matched[T] | None:
        """Match decoded segments of the right number."""
        values: list[str] = []
        for mine, given in zip(self.segments, segments, strict=True):
            if mine is None:
                if not given or given in _DOTS:
                    return None
                values.append(_text(given))
            elif mine != given:
                return None
        return Matched(self.operation, dict(zip(self.names, values, strict=True)))


class Routes(Generic[T]):
    """All operations of a migration; made once, when the definition is read.

    A path matches literally before it matches a name (`/customers/new` before
    `/customers/{id}`), and with or without a slash at its end.
    """

    def __init__(self, operations: Iterable[tuple[str, str, T]]) -> None:
        """Compile `(method, template, operation)`.

        Raises:
            DefinitionError: a template cannot match any path, or two operations claim one request.

        """
        self._routes: dict[tuple[str, int], list[_Route[T]]] = {}
        for method, template, operation in operations:
            route = _compiled(method, template, operation)
            others = self._routes.setdefault((method, len(route.segments)), [])
            for other in others:
                _check_distinct(route, other)
            others.append(route)
        for each in self._routes.values():
            each.sort(key=lambda route: [segment is None for segment in route.segments])

    def match(self, method: str, path: bytes) -> Matched[T] | None:
        """The operation for a raw path; None: the request passes through.

        Raises:
            RequestRefusedError: 400, for a path that the gateway and a service could read as
                different operations or keys; or a key that is not valid UTF-8 text.

        """
        segments: Segments = tuple(path.split(b"/")[1:])
        if b"%" in path:
            segments = tuple(map(unquote_to_bytes, segments))
        matched = self._find(method, segments)
        if _READ_DIFFERENTLY.search(path):
            self._check_other_readings(method, path, matched)
        return matched

    def methods_at(self, path: bytes) -> tuple[str, ...]:
        """The methods that are declared for a raw path, in any way in which a service may read it.

        Raises:
            RequestRefusedError: 400, for a path that holds what is not valid UTF-8 text.

        """
        readings = {tuple(map(unquote_to_bytes, path.split(b"/")[1:]))}
        if _READ_DIFFERENTLY.search(path):
            readings.update(segments for segments, _ in _other_readings(path))
        methods = {method for method, _ in self._routes}
        return tuple(
            method
            for method in sorted(methods)
            if any(self._find(method, segments) for segments in readings)
        )

    def _find(self, method: str, segments: Segments) -> Matched[T] | None:
        matched = self._find_exactly(method, segments)
        if matched is None:
            # Many services take a slash at the end as nothing; it must not be a way around us.
            other = segments[:-1] if segments[-1:] == (b"",) else (*segments, b"")
            matched = self._find_exactly(method, other)
        return matched

    def _find_exactly(self, method: str, segments: Segments) -> Matched[T] | None:
        for route in self._routes.get((method, len(segments)), ()):
            matched = route.match(segments)
            if matched is not None:
                return matched
        return None

    def _check_other_readings(self, method: str, path: bytes, matched: Matched[T] | None) -> None:
        for segments, decoded in _other_readings(path):
            other = self._find(method, segments)
            if other is None:
                continue
            same_operation = matched is not None and other.operation is matched.operation
            # Decoding twice is a service's fault; a key that holds `%41` is nobody's.
            if not same_operation or (decoded == 1 and other != matched):
                raise refuse(
                    400,
                    "ambiguous-path",
                    "Ambiguous path",
                    "A service could read this path as another operation or key than the "
                    "gateway. Send it without dot segments, empty segments, path parameters and "
                    "encoded slashes.",
                )


def _text(value: bytes) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise refuse(
            400, "malformed-key", "Malformed key", "A part of the path is not valid UTF-8 text."
        )
    return text


def _other_readings(path: bytes) -> Iterator[tuple[Segments, int]]:
    """What lenient servers make of a path: its segments, and how often they decode."""
    for decoded in (1, 2):
        for without_parameters in (False, True):
            for slashes in (b"/", b"/\\"):
                read = _without_parameters(path) if without_parameters else path
                for _ in range(decoded):
                    read = unquote_to_bytes(read)
                if len(slashes) > 1:
                    read = read.replace(b"\\", b"/")
                segments = read.split(b"/")[1:]
                yield _without_dots(segments), decoded
                yield _without_dots(_without_empty(segments)), decoded


def _without_parameters(path: bytes) -> bytes:
    return b"/".join(segment.partition(b";")[0] for segment in path.split(b"/"))


def _without_empty(segments: list[bytes]) -> list[bytes]:
    return [segment for segment in segments[:-1] if segment] + segments[-1:]


def _without_dots(segments: list[bytes]) -> Segments:
    """As RFC 3986, 5.2.4."""
    kept: list[bytes] = []
    for segment in segments:
        if segment == b"..":
            del kept[-1:]
        elif segment != b".":
            kept.append(segment)
    if segments[-1:] and segments[-1] in _DOTS:
        kept.append(b"")
    return tuple(kept)


def _compiled(method: str, template: str, operation: T) -> _Route[T]:
    text = f"{method} {template}"
    if not _METHOD.fullmatch(method) or not template.startswith("/"):
        raise DefinitionError(f'"{text}" is no route. Write it like "GET /customers/{{id}}".')
    parts = template.split("/")[1:]
    segments: list[bytes | None] = []
    names: list[str] = []
    for part in parts:
        named = _PARAMETER.fullmatch(part)
        if named is not None:
            names.append(named[1])
            segments.append(None)
        elif _UNREACHABLE.search(part) or part in (".", ".."):
            raise DefinitionError(
                f'"{text}" can never be reached: "{part}" is neither plain text nor one name in '
                "braces. Write a path without query, dot segments and percent signs."
            )
        else:
            segments.append(part.encode("utf-8"))
    if "" in parts[:-1]:
        raise DefinitionError(
            f'"{text}" can never be reached: it has an empty segment. Remove it.'
        )
    if len(set(names)) != len(names):
        raise DefinitionError(f'"{text}" uses a name twice. Give each part its own name.')
    return _Route(text, tuple(segments), tuple(names), operation)


def _check_distinct(route: _Route[T], other: _Route[T]) -> None:
    """Two routes may overlap only where one is the special case of the other."""
    pairs = list(zip(route.segments, other.segments, strict=True))
    if any(a is not None and b is not None and a != b for a, b in pairs):
        return
    narrower = any(a is not None and b is None for a, b in pairs)
    wider = any(a is None and b is not None for a, b in pairs)
    if narrower != wider:
        return
    raise DefinitionError(
        f'"{other.text}" and "{route.text}" claim the same request. '
        "Remove one, or tell them apart by a literal part of the path."
    )
