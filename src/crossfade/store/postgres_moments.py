"""Dates, times and intervals of PostgreSQL: exactly, or not at all.

An aware date-time is stored as its moment and comes back in UTC. What lies beyond Python's years,
infinity and 24:00 come back, and go in, as the text that PostgreSQL writes in UTC.
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from crossfade.store.sql_dialect import CannotHoldError

MICROSECONDS_DIGITS = 6

_INFINITE = frozenset({"infinity", "-infinity"})
_DATE = r"(?!0000-)\d{4,7}-(?!00)\d\d-(?!00)\d\d"
"""No year, month or day is zero: MariaDB has such dates."""
_CLOCK = r"\d\d:\d\d:\d\d(\.\d{1,6})?"
_FAR_DATE = re.compile(rf"{_DATE}( BC)?", re.ASCII)
_FAR_TIMESTAMP = re.compile(rf"{_DATE} {_CLOCK}( BC)?", re.ASCII)
_FAR_MOMENT = re.compile(rf"{_DATE} {_CLOCK}\+00( BC)?", re.ASCII)
_INTERVAL = re.compile(
    r"P((?P<years>-?\d+)Y)?((?P<months>-?\d+)M)?((?P<weeks>-?\d+)W)?((?P<days>-?\d+)D)?"
    r"(T((?P<hours>-?\d+)H)?((?P<minutes>-?\d+)M)?((?P<seconds>-?\d+(\.\d{1,6})?)S)?)?",
    re.ASCII,
)


def to_date(value: object) -> date | str:
    """A date, or the text of one that Python cannot hold."""
    if isinstance(value, datetime):
        if value.tzinfo is not None or value.time() != time():
            raise CannotHoldError("the column holds dates and would drop the time")
        return value.date()
    if isinstance(value, date):
        return value
    text = _text(value, "date")
    try:
        return date.fromisoformat(text)
    except ValueError:
        return _far(text, _FAR_DATE)


def to_timestamp(value: object, digits: int) -> datetime | str:
    """A date-time without a zone."""
    if type(value) is date:
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - has no zone
    parsed = _parsed(value, _FAR_TIMESTAMP)
    if isinstance(parsed, str):
        return parsed
    if parsed.tzinfo is not None:
        raise CannotHoldError("the column has no time zone and would drop the offset")
    _check_digits(parsed.microsecond, digits)
    return parsed


def to_moment(value: object, digits: int) -> datetime | str:
    """A moment, in UTC."""
    parsed = _parsed(value, _FAR_MOMENT)
    if isinstance(parsed, str):
        return parsed
    if parsed.utcoffset() is None:
        raise CannotHoldError("the column holds moments; a date-time without an offset is none")
    _check_digits(parsed.microsecond, digits)
    try:
        return parsed.astimezone(UTC)
    except OverflowError as error:
        raise CannotHoldError("the moment is beyond the years that Python knows") from error


def to_time(value: object, digits: int) -> time | str:
    """A time of day without a zone."""
    if value == "24:00:00":
        return "24:00:00"
    parsed = _parsed_time(value)
    if parsed.tzinfo is not None:
        raise CannotHoldError("the column has no time zone and would drop the offset")
    _check_digits(parsed.microsecond, digits)
    return parsed


def to_time_with_zone(value: object, digits: int) -> str:
    """A time of day with its offset, as PostgreSQL writes it."""
    parsed = _parsed_time(value)
    offset = parsed.utcoffset()
    if offset is None:
        raise CannotHoldError("a time for this column needs a fixed offset")
    _check_digits(parsed.microsecond, digits)
    clock = parsed.replace(tzinfo=None).isoformat()
    clock = clock.rstrip("0") if "." in clock else clock
    seconds = abs(offset) // timedelta(seconds=1)
    parts = [seconds // 3600, seconds % 3600 // 60, seconds % 60]
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    sign = "-" if offset < timedelta(0) else "+"
    return f"{clock}{sign}{':'.join(f'{part:02}' for part in parts)}"


def from_time_with_zone(raw: str) -> time | str:
    """The time of a text that PostgreSQL wrote."""
    try:
        return time.fromisoformat(raw)
    except ValueError:
        return raw


def to_interval(value: object, digits: int) -> str:
    """An interval as PostgreSQL writes it in ISO 8601: months, days and seconds stay apart."""
    if isinstance(value, timedelta):
        micros = value.seconds * 10**6 + value.microseconds
        return _interval_text(0, value.days, _checked_micros(micros, digits))
    text = _text(value, "interval")
    found = _INTERVAL.fullmatch(text)
    if found is None or text.endswith(("P", "T")):
        raise CannotHoldError("text for this column must be an ISO 8601 interval, as P1DT2H")
    part = {name: Decimal(given or 0) for name, given in found.groupdict().items()}
    seconds = part["hours"] * 3600 + part["minutes"] * 60 + part["seconds"]
    return _interval_text(
        int(part["years"] * 12 + part["months"]),
        int(part["weeks"] * 7 + part["days"]),
        _checked_micros(int(seconds * 10**6), digits),
    )


def _interval_text(months: int, days: int, micros: int) -> str:
    sign, rest = (-1, -micros) if micros < 0 else (1, micros)
    minutes, left = divmod(rest, 60 * 10**6)
    hours, minutes = divmod(minutes, 60)
    years = abs(months) // 12 * (-1 if months < 0 else 1)
    calendar = _written([(years, "Y"), (months - 12 * years, "M"), (days, "D")])
    clock = _written([(sign * hours, "H"), (sign * minutes, "M")])
    if left:
        fraction = f".{left % 10**6:06}".rstrip("0") if left % 10**6 else ""
        clock += f"{'-' if sign < 0 else ''}{left // 10**6}{fraction}S"
    if not calendar and not clock:
        return "PT0S"
    return f"P{calendar}T{clock}" if clock else f"P{calendar}"


def _written(parts: list[tuple[int, str]]) -> str:
    return "".join(f"{number}{unit}" for number, unit in parts if number)


def _parsed(value: object, far: re.Pattern[str]) -> datetime | str:
    if isinstance(value, datetime):
        return value
    text = _text(value, "datetime")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return _far(text, far)


def _parsed_time(value: object) -> time:
    if isinstance(value, time):
        return value
    try:
        return time.fromisoformat(_text(value, "time"))
    except ValueError as error:
        raise CannotHoldError("the text is no time") from error


def _far(text: str, pattern: re.Pattern[str]) -> str:
    if text in _INFINITE or pattern.fullmatch(text):
        return text
    raise CannotHoldError("the text is no date or time in ISO 8601")


def _text(value: object, wanted: str) -> str:
    if isinstance(value, str):
        return value
    raise CannotHoldError(f"the column holds a {wanted}, not a {type(value).__name__}")


def _checked_micros(micros: int, digits: int) -> int:
    _check_digits(abs(micros) % 10**6, digits)
    return micros


def _check_digits(micros: int, digits: int) -> None:
    if micros % 10 ** (MICROSECONDS_DIGITS - digits):
        raise CannotHoldError("the column would round the fraction of a second")
