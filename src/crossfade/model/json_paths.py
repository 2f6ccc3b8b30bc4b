"""Paths into JSON (`$.lines[*].id`), compiled once into states that a walk steps through."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from crossfade.errors import DefinitionError

Part = str | int
"""One step down: the name of a member, or the index of an item."""

_STEP = re.compile(
    r"""\.\.(?P<deep>[\w-]+) | \.(?P<name>[\w-]+) | (?P<any>\.\*|\[\*\]) | \[(?P<index>\d{1,9})\]
    | \['(?P<single>[^']*)'\] | \["(?P<double>[^"]*)"\]""",
    re.VERBOSE,
)


class _Wild(Enum):
    ANY = "any member or item"


@dataclass(frozen=True, slots=True)
class _Step:
    """One step of a path: to a part, to any part, or to a name at any depth."""

    to: Part | _Wild
    deep: bool = False


@dataclass(frozen=True, slots=True)
class PathRule:
    """What holds at a path, and for `ignore` and `show` below it too."""

    path: str
    ignore: bool = False
    show: bool = False
    matched_by: str | None = None
    """The member that identifies the items of an array; empty for a bag of plain values."""


class PathState:
    """What the rules say of one place; the walk asks for the state of each place below it."""

    __slots__ = ("_book", "_children", "_positions", "ignored", "inert", "matched_by", "shown")

    def __init__(
        self, book: "_RuleBook", positions: frozenset[tuple[int, int]], *, shown: bool
    ) -> None:
        ended = [book.rules[rule] for rule, step in positions if step == len(book.steps[rule])]
        self._book = book
        self._positions = positions
        self._children: dict[Part | None, PathState] = {}
        self.shown = shown or any(rule.show for rule in ended)
        self.ignored = any(rule.ignore for rule in ended)
        matched_by = [rule.matched_by for rule in ended if rule.matched_by is not None]
        self.matched_by = matched_by[0] if matched_by else None
        goes_on = any(step < len(book.steps[rule]) for rule, step in positions)
        self.inert = self.ignored or (not goes_on and self.matched_by is None)
        """Whether what holds here holds for everything below: the state is its own child."""

    def child(self, part: Part) -> "PathState":
        """The state of a member or an item."""
        if self.inert:
            return self
        known = part if part in self._book.vocabulary else None
        state = self._children.get(known)
        if state is None:
            state = self._children[known] = self._book.after(self._positions, known, self.shown)
        return state


class _RuleBook:
    """The rules and the states reached so far; how many there can be depends on the rules only."""

    def __init__(self, rules: Iterable[PathRule]) -> None:
        self.rules = tuple(rules)
        self.steps = tuple(parse_path(rule.path) for rule in self.rules)
        self.vocabulary = {
            step.to for steps in self.steps for step in steps if not isinstance(step.to, _Wild)
        }
        self._states: dict[tuple[frozenset[tuple[int, int]], bool], PathState] = {}

    def state(self, positions: frozenset[tuple[int, int]], shown: bool) -> PathState:  # noqa: FBT001
        """The one state of these positions."""
        found = self._states.get((positions, shown))
        if found is None:
            found = self._states[positions, shown] = PathState(self, positions, shown=shown)
        return found

    def after(
        self,
        positions: frozenset[tuple[int, int]],
        part: Part | None,
        shown: bool,  # noqa: FBT001
    ) -> PathState:
        """The state one step down; None is a part that no rule names."""
        reached: set[tuple[int, int]] = set()
        for rule, number in positions:
            if number == len(self.steps[rule]):
                continue
            step = self.steps[rule][number]
            if step.deep:
                reached.add((rule, number))
            if step.to is _Wild.ANY or step.to == part:
                reached.add((rule, number + 1))
        return self.state(frozenset(reached), shown)


def compile_rules(rules: Iterable[PathRule]) -> PathState:
    """The state of the root.

    Raises:
        DefinitionError: a path cannot be read.

    """
    book = _RuleBook(rules)
    return book.state(frozenset((number, 0) for number in range(len(book.rules))), shown=False)


def parse_path(path: str) -> tuple[_Step, ...]:
    """The steps of a path: `$`, `.name`, `['any name']`, `[3]`, `[*]`, `.*`, `..name`.

    Raises:
        DefinitionError: the text is no such path.

    """
    steps: list[_Step] = []
    position = 1
    while path.startswith("$") and position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            break
        steps.append(_step_of(match))
        position = match.end()
    if not path.startswith("$") or position < len(path):
        raise DefinitionError(
            f'"{path}" is no path that a comparison understands. Write "$.name", '
            '"$.lines[*].id", "$[0]", "$[\'any name\']" or "$..name" (at any depth).'
        )
    return tuple(steps)


def _step_of(match: "re.Match[str]") -> _Step:
    if match["deep"] is not None:
        return _Step(match["deep"], deep=True)
    if match["any"] is not None:
        return _Step(_Wild.ANY)
    if match["index"] is not None:
        return _Step(int(match["index"]))
    names = (match["name"], match["single"], match["double"])
    return _Step(next(name for name in names if name is not None))
