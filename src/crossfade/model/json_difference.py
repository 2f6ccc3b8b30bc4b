"""Where two JSON values differ: one walk without recursion, exact numbers, bounded findings."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from crossfade.model.json_paths import Part, PathState
from crossfade.model.redaction import describe, path_text, type_name


class DifferenceKind(StrEnum):
    """How the two sides differ at a place."""

    VALUE = "value"
    TYPE = "type"
    MISSING_IN_NEW = "missing_in_new"
    MISSING_IN_LEGACY = "missing_in_legacy"
    LENGTH = "length"
    STATUS = "status"
    BODY = "body"


@dataclass(frozen=True, slots=True)
class Difference:
    """One place at which the sides differ; safe to keep, to log and to show.

    The values were redacted when this was made, so that none can leak from here.
    """

    path: str
    """`$.lines[0].price`; `status` and `body` are about the answer as a whole."""
    kind: DifferenceKind
    legacy: str
    """Legacy's value as it may be shown: `number, #3f2a`, `"open"`, `object, 3 members`."""
    new: str


_Trail: TypeAlias = "tuple[_Trail, Part] | None"
"""The way back to the root; a text is made of it only where something differs."""
_Pair: TypeAlias = tuple[object, object, _Trail, PathState]

NOTHING_THERE = "nothing"
_MISSING = object()
_PLAIN = frozenset({str, int, bool, Decimal, float, type(None)})
_NUMBERS = frozenset({int, float, Decimal})


def differences_between(
    legacy: object, new: object, rules: PathState, differences_max: int
) -> tuple[Difference, ...]:
    """The first differences in the order of their paths, at most so many; never raises.

    Args:
        legacy: a value of dicts with text keys, lists and scalars, of any depth.
        new: the same of the other side.
        rules: what is ignored, shown, or matched without order.
        differences_max: findings after which the walk stops.

    """
    walk = _Walk(differences_max)
    walk.stack.append((legacy, new, None, rules))
    while walk.stack and len(walk.found) < differences_max:
        walk.step(*walk.stack.pop())
    return tuple(sorted(walk.found, key=lambda found: (found.path, found.kind)))


class _Walk:
    """The places still to look at, and what was found so far."""

    __slots__ = ("differences_max", "found", "stack")

    def __init__(self, differences_max: int) -> None:
        self.differences_max = differences_max
        self.stack: list[_Pair] = []
        self.found: list[Difference] = []

    def step(self, legacy: object, new: object, trail: _Trail, state: PathState) -> None:
        """Look at one place."""
        if state.ignored or legacy is new:
            return
        if type(legacy) is dict and type(new) is dict:
            self._members(legacy, new, trail, state)
        elif type(legacy) is list and type(new) is list:
            self._items(legacy, new, trail, state)
        elif not _same_scalar(legacy, new):
            same_type = type_name(legacy) == type_name(new)
            kind = DifferenceKind.VALUE if same_type else DifferenceKind.TYPE
            self._differ(kind, legacy, new, trail, state)

    def _members(
        self,
        legacy: dict[str, object],
        new: dict[str, object],
        trail: _Trail,
        state: PathState,
    ) -> None:
        push = self.stack.append
        inert = state.inert
        for name, value in legacy.items():
            other = new.get(name, _MISSING)
            if value is other:
                continue
            kind = type(value)
            # Most members are equal scalars: they are passed over before any rule is asked.
            if kind is type(other) and kind in _PLAIN and value == other:
                continue
            child = state if inert else state.child(name)
            if other is _MISSING:
                self._missing(DifferenceKind.MISSING_IN_NEW, value, (trail, name), child)
            else:
                push((value, other, (trail, name), child))
        for name, value in new.items():
            if name not in legacy:
                missing = DifferenceKind.MISSING_IN_LEGACY
                self._missing(missing, value, (trail, name), state.child(name))

    def _items(
        self, legacy: list[object], new: list[object], trail: _Trail, state: PathState
    ) -> None:
        if state.matched_by is not None and self._unordered(legacy, new, trail, state):
            return
        if len(legacy) != len(new):
            self._differ(DifferenceKind.LENGTH, legacy, new, trail, state)
            return
        for index, (value, other) in enumerate(zip(legacy, new, strict=True)):
            kind = type(value)
            if kind is type(other) and kind in _PLAIN and value == other:
                continue
            self.stack.append((value, other, (trail, index), state.child(index)))

    def _unordered(
        self, legacy: list[object], new: list[object], trail: _Trail, state: PathState
    ) -> bool:
        """Match items whatever their order; False where they cannot be told apart."""
        if not state.matched_by:
            return self._bag(legacy, new, trail, state)
        ours, theirs = _by_member(legacy, state.matched_by), _by_member(new, state.matched_by)
        if ours is None or theirs is None:
            return False
        for identity, (index, value) in ours.items():
            child, place = state.child(index), (trail, index)
            if identity in theirs:
                self.stack.append((value, theirs[identity][1], place, child))
            else:
                self._missing(DifferenceKind.MISSING_IN_NEW, value, place, child)
        for identity, (index, value) in theirs.items():
            if identity not in ours:
                kind = DifferenceKind.MISSING_IN_LEGACY
                self._missing(kind, value, (trail, index), state.child(index))
        return True

    def _bag(
        self, legacy: list[object], new: list[object], trail: _Trail, state: PathState
    ) -> bool:
        """Compare plain values whatever their order."""
        if not all(type(value) in _PLAIN for value in (*legacy, *new)):
            return False
        if Counter(map(_told_apart, legacy)) != Counter(map(_told_apart, new)):
            same_length = len(legacy) == len(new)
            kind = DifferenceKind.VALUE if same_length else DifferenceKind.LENGTH
            self._differ(kind, legacy, new, trail, state)
        return True

    def _missing(
        self, kind: DifferenceKind, value: object, trail: _Trail, state: PathState
    ) -> None:
        if state.ignored:
            return
        if kind is DifferenceKind.MISSING_IN_NEW:
            self._differ(kind, value, _MISSING, trail, state)
        else:
            self._differ(kind, _MISSING, value, trail, state)

    def _differ(
        self, kind: DifferenceKind, legacy: object, new: object, trail: _Trail, state: PathState
    ) -> None:
        if len(self.found) >= self.differences_max:
            return
        parts = tuple(_parts(trail))[::-1]
        texts = [
            NOTHING_THERE if value is _MISSING else describe(value, parts, shown=state.shown)
            for value in (legacy, new)
        ]
        self.found.append(Difference(path_text(parts), kind, *texts))


def _same_scalar(legacy: object, new: object) -> bool:
    """Whether two values that are no containers are equal; numbers exactly, true is no number."""
    if type(legacy) is type(new):
        # What is not even equal to itself is no number (NaN): there is only one of it.
        return bool(legacy == new) or bool(legacy != legacy and new != new)  # noqa: PLR0124
    if type(legacy) in _NUMBERS and type(new) in _NUMBERS:
        return bool(legacy == new)
    return False


def _told_apart(value: object) -> tuple[str, object]:
    return type_name(value), value


def _by_member(
    items: list[object], member: str
) -> dict[tuple[str, object], tuple[int, object]] | None:
    """Index and value of each item by its identity; None where an item has none of its own."""
    found: dict[tuple[str, object], tuple[int, object]] = {}
    for index, item in enumerate(items):
        value = item.get(member) if type(item) is dict else None
        if value is None or type(value) not in _PLAIN or _told_apart(value) in found:
            return None
        found[_told_apart(value)] = (index, item)
    return found


def _parts(trail: _Trail) -> Iterator[Part]:
    """The steps from a place up to the root."""
    while trail is not None:
        trail, part = trail
        yield part
