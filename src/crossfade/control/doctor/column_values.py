"""Which values a column holds, tried out: so two columns are compared by what a put would do."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from crossfade.store.sql_dialect import CannotHoldError, ColumnFacts

_SIZES = re.compile(r"\d+")
_LENGTHS = (1, 2, 10, 50, 100, 255, 256, 1000, 4000, 65_535, 65_536)
_NOON = datetime(2000, 1, 1, 12)  # noqa: DTZ001 - a column without a time zone holds such
_EMOJI, _CHINESE = "\U0001f600", "\u5b57"


@dataclass(frozen=True, slots=True)
class Sample:
    """A value that some columns hold and others do not."""

    value: object
    words: str
    """What is meant by it; shown, so it is never a value of a record."""
    group: str
    """Of one group only the first that does not fit is worth a word."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """Values of one kind."""

    typical: Callable[[int], object]
    """The n-th of many values that every column of the kind holds, all different."""
    samples: Callable[["_Sizes"], Iterator[Sample]]
    """From the mildest to the most extreme."""
    words: str
    """What they are called."""


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Numbers in the declared types of both columns, lengths and digits mostly."""

    numbers: tuple[int, ...]
    length_max: int | None
    """Of a text, where the type says it and the engine does not see to it."""


def holds(column: ColumnFacts, value: object) -> bool:
    """Whether the value comes back as it was put, of the same type."""
    try:
        back = column.values.from_raw(column.values.to_raw(value))
    except CannotHoldError:
        return False
    return type(back) is type(value) and back == value


def takes(column: ColumnFacts, value: object) -> bool:
    """Whether a put of the value would be accepted."""
    try:
        column.values.to_raw(value)
    except CannotHoldError:
        return False
    return True


def typical_value(column: ColumnFacts, number: int) -> object:
    """The n-th of many different values of the column; None where we know none."""
    for kind in _kinds_of(column):
        value = _KINDS[kind].typical(number)
        if kind == "text":
            value = next((one for one in _texts(number) if takes(column, one)), None)
        if value is not None and takes(column, value):
            return value
    return None


def same_values(one: ColumnFacts, other: ColumnFacts) -> bool:
    """Whether values of one column are values of the other as they are, apart from their size."""
    there, back = _kinds_of(one), _kinds_of(other)
    return bool(there and back) and all(
        holds(column, _KINDS[kind].typical(1))
        for column, kinds in ((other, there), (one, back))
        for kind in kinds
    )


def what_does_not_fit(given: ColumnFacts, taking: ColumnFacts) -> list[str]:
    """What the first column can hold and the second cannot, in words."""
    numbers = {int(n) for n in _SIZES.findall(f"{given.declared} {taking.declared}")}
    sizes = _Sizes(tuple(sorted(numbers)), _declared_length(given))
    found: dict[str, str] = {}
    for kind in _kinds_of(given):
        if not takes(taking, _KINDS[kind].typical(1)):
            found[kind] = _KINDS[kind].words
            continue
        for sample in _KINDS[kind].samples(sizes):
            misfit = sample.group not in found and not takes(taking, sample.value)
            if misfit and _is_of(given, sample.value):
                found[sample.group] = sample.words
    return list(found.values())


def _is_of(column: ColumnFacts, value: object) -> bool:
    return takes(column, value) if isinstance(value, str) else holds(column, value)


def _kinds_of(column: ColumnFacts) -> tuple[str, ...]:
    """The kinds of values that are at home in a column."""
    if _is_loose(column):
        return next((kinds for words, kinds in _BY_NAME if words.search(column.declared)), ())
    # A column of JSON holds numbers and texts, too, but they are not at home there.
    found = [
        name
        for name, kind in _KINDS.items()
        if name != _ONLY_LOOSE and holds(column, kind.typical(1))
    ]
    return ("json",) if "json" in found else tuple(found)


def _is_loose(column: ColumnFacts) -> bool:
    """Whether the column takes nearly anything, as SQLite's do, whatever its type says."""
    return takes(column, "a") and takes(column, b"a") and takes(column, None)


def _declared_length(column: ColumnFacts) -> int | None:
    found = _SIZES.search(column.declared) if _is_loose(column) else None
    return int(found[0]) if found else None


def _whole(sizes: _Sizes) -> Iterator[Sample]:
    del sizes
    yield Sample(-1, "numbers below zero", "sign")
    limits = (2**bits for bits in (7, 8, 15, 16, 23, 24, 31, 32, 63, 64))
    for number in (number for limit in limits for number in (limit - 1, limit)):
        yield Sample(number, f"whole numbers such as {number}", "whole")


def _decimals(sizes: _Sizes) -> Iterator[Sample]:
    counts = sorted({*range(13), 18, 38, *(n for n in sizes.numbers if n <= 40)})  # noqa: PLR2004 - beyond, nothing is a number of digits
    yield Sample(Decimal(-1), "numbers below zero", "sign")
    for digits in counts:
        fine = Decimal(1).scaleb(-digits)
        yield Sample(fine, f"numbers with {digits} digits behind the point", "scale")
    for digits in counts:
        large = Decimal(10) ** digits - 1
        yield Sample(large, f"numbers with {digits} digits before the point", "size")


def _floats(sizes: _Sizes) -> Iterator[Sample]:
    del sizes
    yield Sample(0.123456789012345, "floating-point numbers of 64 bits", "float")
    yield Sample(1e300, "floating-point numbers as large as 1e300", "float")


def _text_samples(sizes: _Sizes) -> Iterator[Sample]:
    yield Sample("\u00e9", "letters with accents", "letters")
    yield Sample(_CHINESE, "letters that are not Latin", "letters")
    yield Sample(_EMOJI, "characters of four bytes, such as emoji", "letters")
    yield Sample("a ", "texts that end with a space", "spaces")
    lengths = {*_LENGTHS, *sizes.numbers, *(n + 1 for n in sizes.numbers)}
    for length in sorted(lengths):
        if 0 < length <= min(sizes.length_max or 65_536, 65_536):
            yield Sample("a" * length, f"texts of {length} characters", "text")


def _octets(sizes: _Sizes) -> Iterator[Sample]:
    for length in sorted({*_LENGTHS, *sizes.numbers, *(n + 1 for n in sizes.numbers)}):
        if 0 < length <= 65_536:  # noqa: PLR2004 - no limit beyond is met by mistake
            yield Sample(b"a" * length, f"{length} bytes", "bytes")


def _dates(sizes: _Sizes) -> Iterator[Sample]:
    del sizes
    yield Sample(date(1, 1, 1), "dates of the year 1", "date")
    yield Sample("0000-00-00", "dates that no calendar has, such as 0000-00-00", "zero")


def _moments(sizes: _Sizes) -> Iterator[Sample]:
    del sizes
    yield Sample(_NOON.replace(microsecond=1000), "date-times with milliseconds", "fraction")
    yield Sample(_NOON.replace(microsecond=1), "date-times with microseconds", "fraction")
    yield Sample(_NOON.replace(year=1900), "date-times before 1970", "moment")
    yield Sample(_NOON.replace(year=2100), "date-times after 2038", "moment")
    zero = "0000-00-00 00:00:00"
    yield Sample(zero, "date-times that no calendar has, such as 0000-00-00", "zero")


def _aware(sizes: _Sizes) -> Iterator[Sample]:
    for sample in _moments(sizes):
        if isinstance(sample.value, datetime):
            yield Sample(sample.value.replace(tzinfo=UTC), sample.words, sample.group)


def _times(sizes: _Sizes) -> Iterator[Sample]:
    del sizes
    yield Sample(time(12, 0, 0, 1000), "times with milliseconds", "fraction")
    yield Sample(time(12, 0, 0, 1), "times with microseconds", "fraction")


def _nothing(sizes: _Sizes) -> Iterator[Sample]:
    """There is nothing extreme about them."""
    del sizes
    return iter(())


def _texts(number: int) -> Iterator[str]:
    """From the most telling to what fits into the shortest column."""
    yield f" Prob\u00e9 {number} "
    yield f"Probe {number}"
    yield f"p{number}"
    yield chr(ord("a") + number % 26)


_ONLY_LOOSE = "moment text"
"""The kind of those columns alone that take anything."""

_KINDS: Mapping[str, _Kind] = {
    "whole": _Kind(lambda n: 3 + n % 100, _whole, "whole numbers"),
    "bool": _Kind(lambda n: n % 2 == 1, _nothing, "true and false"),
    "decimal": _Kind(lambda n: Decimal(3 + n % 6), _decimals, "decimal numbers"),
    "float": _Kind(lambda n: n + 0.5, _floats, "floating-point numbers"),
    "json": _Kind(lambda n: {"probe": n}, _nothing, "JSON"),
    "text": _Kind(lambda n: chr(ord("a") + n % 26), _text_samples, "text"),
    "uuid": _Kind(lambda n: str(UUID(int=n)), _nothing, "UUIDs"),
    "bytes": _Kind(lambda n: bytes([n % 256]), _octets, "bytes"),
    "date": _Kind(lambda n: date(2000, 1, 1) + timedelta(days=n), _dates, "dates"),
    "moment": _Kind(
        lambda n: _NOON + timedelta(hours=n), _moments, "date-times without a time zone"
    ),
    "aware": _Kind(
        lambda n: _NOON.replace(tzinfo=UTC) + timedelta(hours=n),
        _aware,
        "date-times with a time zone",
    ),
    "time": _Kind(lambda n: time(n % 24, n // 24 % 60), _times, "times of day"),
    _ONLY_LOOSE: _Kind(
        lambda n: str(_NOON + timedelta(hours=n)), _nothing, "dates and times as text"
    ),
}

_BY_NAME: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = (
    (re.compile("INT", re.IGNORECASE), ("whole",)),
    (re.compile("CHAR|CLOB|TEXT", re.IGNORECASE), ("text",)),
    (re.compile("BLOB", re.IGNORECASE), ("bytes",)),
    (re.compile("REAL|FLOA|DOUB", re.IGNORECASE), ("float",)),
    (re.compile("BOOL", re.IGNORECASE), ()),
    (re.compile("DATE|TIME", re.IGNORECASE), (_ONLY_LOOSE,)),
    (re.compile("DEC|NUM", re.IGNORECASE), ("decimal",)),
)
"""What people mean by the types that they give SQLite, which takes anything there."""
