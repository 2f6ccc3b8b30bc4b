"""Comparison: what the two sides answered, judged to match, to mismatch, or not to be judged."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from crossfade.codec import CodecError, decode_exact
from crossfade.errors import DefinitionError
from crossfade.model.json_difference import Difference, DifferenceKind, differences_between
from crossfade.model.json_paths import PathRule, PathState, compile_rules
from crossfade.model.redaction import describe, normalised_path
from crossfade.model.side import Side

DIFFERENCES_MAX = 20
"""Differences found in one comparison; more say nothing new about what is wrong."""

UNAVAILABLE = frozenset({429, 502, 503, 504})
"""Statuses that say "not now", perhaps by an intermediary: nothing is known of the answer."""


class Outcome(StrEnum):
    """How a comparison ended."""

    MATCH = "match"
    MISMATCH = "mismatch"
    ERROR = "error"
    """A side gave no answer that could be judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """How the answers of one operation are compared; the default compares everything.

    Paths are `$.name`, `$.lines[*].id`, `$[0]`, `$['any name']`, `$..name` (at any depth). For
    the effect of a replay the root is the record: `$.column`, `$.lines[*].column`.

    Raises:
        DefinitionError: a path cannot be read.

    """

    ignore: Sequence[str] = ()
    """Places that may differ, with all that is below them."""
    unordered: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Arrays whose order means nothing -> the member that identifies an item; "" for an array of
    plain values. Arrays whose items cannot be told apart by it are compared in order."""
    show: Sequence[str] = ()
    """Places whose values may be kept and shown; secrets are hidden all the same."""
    rules: PathState = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the paths once; changing the lists that were given changes nothing later."""
        for name, paths in (("ignore", self.ignore), ("show", self.show)):
            if isinstance(paths, str):
                raise DefinitionError(f'Compare({name}=...) takes a list: write ["{paths}"].')
            object.__setattr__(self, name, tuple(paths))
        if not isinstance(self.unordered, Mapping):
            raise DefinitionError('Compare(unordered=...) takes {"$.items": "id"}.')
        object.__setattr__(self, "unordered", dict(self.unordered))
        rules = [PathRule(path, ignore=True) for path in self.ignore]
        rules += [PathRule(path, show=True) for path in self.show]
        rules += [PathRule(path, matched_by=member) for path, member in self.unordered.items()]
        object.__setattr__(self, "rules", compile_rules(rules))


EVERYTHING = Compare()


@dataclass(frozen=True, slots=True)
class Observed:
    """What one side answered: immutable, so that neither side can change what the other sees."""

    status: int
    content_type: str
    """The header as it came; empty where there is none."""
    body: bytes
    status_text: str = ""
    """The status in words, for answers that have no number of their own; holds no value."""

    @property
    def status_shown(self) -> str:
        """The status for people."""
        return self.status_text or str(self.status)

    @property
    def declares_json(self) -> bool:
        """Whether the answer says that it is JSON (`application/json`, `application/x+json`)."""
        media_type = self.content_type.partition(";")[0].strip().lower()
        return media_type.endswith(("/json", "+json"))


@dataclass(frozen=True, slots=True)
class Comparison:
    """The judgement of one pair of answers or records."""

    outcome: Outcome
    differences: tuple[Difference, ...] = ()
    fingerprint: str = ""
    """The same for the same kinds of difference at the same places, whatever the values."""
    reason: str = ""
    """Why nothing could be judged, with `ERROR`."""

    @property
    def paths(self) -> tuple[str, ...]:
        """The places that differ, indexes as `[*]`, in order and each once."""
        return tuple(sorted({normalised_path(found.path) for found in self.differences}))


MATCHED = Comparison(Outcome.MATCH)


def compare_answers(legacy: Observed, new: Observed, compare: Compare = EVERYTHING) -> Comparison:
    """Judge two answers to the same request; never raises, whatever the bodies hold.

    Different statuses are one difference, and bodies are then not looked at. JSON is compared by
    structure if either side declares it and both bodies are JSON; anything else by its bytes.
    """
    for side, answer in ((Side.LEGACY, legacy), (Side.NEW, new)):
        if answer.status in UNAVAILABLE:
            return failed(f"{side} was not available (status {answer.status})")
    if legacy.status != new.status:
        kind = DifferenceKind.STATUS
        return judged((Difference("status", kind, legacy.status_shown, new.status_shown),))
    if legacy.body == new.body or compare.rules.ignored:
        return MATCHED
    if legacy.declares_json or new.declares_json:
        try:
            ours, theirs = decode_exact(legacy.body), decode_exact(new.body)
        except (CodecError, ArithmeticError, ValueError):
            return judged((_body_difference(legacy, new),))
        return judged(differences_between(ours, theirs, compare.rules, DIFFERENCES_MAX))
    return judged((_body_difference(legacy, new),))


def compare_records(
    wanted: Mapping[str, Any] | None,
    found: Mapping[str, Any] | None,
    compare: Compare = EVERYTHING,
    *,
    mirror: Side = Side.NEW,
) -> Comparison:
    """Judge what a replay left on the mirror against what the authority's record maps to.

    Only mapped columns count: whatever else the mirror's rows have is not looked at. Text columns
    are compared as JSON where both hold an object or an array. Never raises for plain values.

    Args:
        wanted: the mapped record of the authority, or None where it has none; an aggregate has
            lists of rows under the names of its children.
        found: the mirror's record, or None.
        compare: what to ignore and what may be shown.
        mirror: whose record `found` is; differences always name legacy's value first.

    """
    ours = None if wanted is None else dict(wanted)
    theirs = None if found is None else dict(found)
    if ours is not None and theirs is not None:
        ours, theirs = _comparable(ours, theirs)
    legacy, new = (ours, theirs) if mirror is Side.NEW else (theirs, ours)
    if legacy is None or new is None:
        return judged(_missing_record(legacy, new))
    return judged(differences_between(legacy, new, compare.rules, DIFFERENCES_MAX))


def judged(differences: tuple[Difference, ...]) -> Comparison:
    """A match where nothing differs, else a mismatch with its fingerprint."""
    if not differences:
        return MATCHED
    return Comparison(Outcome.MISMATCH, differences, fingerprint_of(differences))


def failed(reason: str) -> Comparison:
    """No judgement; `reason` holds no values."""
    return Comparison(Outcome.ERROR, reason=reason)


def fingerprint_of(differences: Sequence[Difference]) -> str:
    """16 hexadecimal digits of the places and kinds; stable over releases and processes."""
    shape = sorted({(normalised_path(found.path), found.kind.value) for found in differences})
    text = "\n".join(f"{path} {kind}" for path, kind in shape)
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=8).hexdigest()


def _body_difference(legacy: Observed, new: Observed) -> Difference:
    texts = [describe(side.body, (), shown=False) for side in (legacy, new)]
    return Difference("body", DifferenceKind.BODY, *texts)


def _missing_record(
    legacy: dict[str, Any] | None, new: dict[str, Any] | None
) -> tuple[Difference, ...]:
    if legacy is new:
        return ()
    kind = DifferenceKind.MISSING_IN_NEW if new is None else DifferenceKind.MISSING_IN_LEGACY
    texts = ["no record" if side is None else "record" for side in (legacy, new)]
    return (Difference("$", kind, *texts),)


def _comparable(
    wanted: dict[str, Any], found: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The mapped columns of both records, in a form in which equal means equal."""
    ours: dict[str, Any] = {}
    theirs: dict[str, Any] = {}
    for column, value in wanted.items():
        if column not in found:
            ours[column] = value
            continue
        other = found[column]
        if isinstance(value, list) and isinstance(other, list):
            ours[column], theirs[column] = _comparable_rows(value, other)
        else:
            ours[column], theirs[column] = _comparable_values(value, other)
    return ours, theirs


def _comparable_rows(wanted: list[Any], found: list[Any]) -> tuple[list[Any], list[Any]]:
    """The rows of a child; columns that no wanted row has are not mapped."""
    if not all(isinstance(row, dict) for row in (*wanted, *found)):
        return wanted, found
    mapped = {column for row in wanted for column in row}
    known = [{column: row[column] for column in row if column in mapped} for row in found]
    if len(wanted) != len(known):
        return wanted, known
    pairs = [_comparable(row, other) for row, other in zip(wanted, known, strict=True)]
    return [ours for ours, _ in pairs], [theirs for _, theirs in pairs]


def _comparable_values(value: object, other: object) -> tuple[object, object]:
    if isinstance(value, str) and isinstance(other, str) and value != other:
        return _documents(value, other) or (value, other)
    if isinstance(value, Decimal) and isinstance(other, float):
        # A column of floating-point numbers keeps the nearest one, whatever it is given.
        return float(value), other
    return _column_value(value), _column_value(other)


def _column_value(value: object) -> object:
    """Databases have no byte arrays of two kinds, and many have no truth values of their own."""
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    return int(value) if isinstance(value, bool) else value


def _documents(value: str, other: str) -> tuple[object, object] | None:
    """Both texts as JSON, or None where one of them is no object or array."""
    if not (value.lstrip().startswith(("{", "[")) and other.lstrip().startswith(("{", "["))):
        return None
    try:
        return decode_exact(value), decode_exact(other)
    except (CodecError, ArithmeticError, ValueError):
        return None
