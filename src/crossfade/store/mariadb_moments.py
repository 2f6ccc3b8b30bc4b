"""Dates and times as MariaDB's and MySQL's columns hold them: nothing is cut off or moved."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar

from crossfade.store.sql_dialect import CannotHoldError, Raw

Moment = TypeVar("Moment", date, datetime, time)

_NO_DATE = re.compile(r"0000-\d\d-\d\d|\d{4}-(?:00-\d\d|\d\d-00)")
"""A date that no calendar has, and that columns may hold all the same."""

_LONG_TIME = re.compile(r"-?\d{2,3}:[0-5]\d:[0-5]\d(?:\.\d{1,6})?")


_NEEDS_OFFSET = "the column holds instants and needs the offset of a time"


def from_date(value: object) -> Raw:
    """What a DATE column stores.

    Raises:
        CannotHoldError: it would store something else.

    """
    if isinstance(value, str):
        if _NO_DATE.fullmatch(value):
            return value
        value = _from_iso(date, value)
    if isinstance(value, datetime) or not isinstance(value, date):
        raise CannotHoldError(f"the column holds dates, not a {type(value).__name__}")
    return date(value.year, value.month, value.day)


def from_moment(value: object, digits: int, *, aware: bool) -> Raw:
    """What a DATETIME column stores, or with `aware` a TIMESTAMP column.

    Args:
        value: any value.
        digits: of the fraction of a second.
        aware: whether the column holds instants, which need an offset; else it can hold none.

    Raises:
        CannotHoldError: it would store something else.

    """
    if isinstance(value, str):
        if _NO_DATE.fullmatch(value[:10]) and _is_moment_text(value, digits):
            return value
        value = _moment_of(value)
    if not isinstance(value, datetime):
        raise CannotHoldError(f"the column holds dates with times, not a {type(value).__name__}")
    if aware is (value.utcoffset() is None):
        raise CannotHoldError(_NEEDS_OFFSET if aware else "the column cannot hold an offset")
    _check_fraction(value.microsecond, digits)
    if not aware:
        return value.replace(fold=0)
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise CannotHoldError("the column cannot hold a time so far away") from error


def _moment_of(text: str) -> datetime:
    if len(text) <= len("2026-01-02"):
        raise CannotHoldError("the text is a date without a time")
    return _from_iso(datetime, text)


def from_time(value: object, digits: int) -> Raw:
    """What a TIME column stores: a time of day, or text where it is none.

    Raises:
        CannotHoldError: it would store something else.

    """
    if isinstance(value, timedelta):
        value = _text_of(value, digits)
    if isinstance(value, str):
        if is_long_time(value):
            return _checked_long(value, digits)
        value = _from_iso(time, value)
    if not isinstance(value, time):
        raise CannotHoldError(f"the column holds times, not a {type(value).__name__}")
    if value.tzinfo is not None:
        raise CannotHoldError("the column cannot hold the offset of a time")
    _check_fraction(value.microsecond, digits)
    return value.replace(fold=0)


def is_long_time(text: str) -> bool:
    """Whether the text is a time that is negative or not within a day."""
    if not _LONG_TIME.fullmatch(text):
        return False
    return text.startswith("-") or int(text.partition(":")[0]) >= 24  # noqa: PLR2004 - hours


def _checked_long(text: str, digits: int) -> str:
    fraction = text.partition(".")[2]
    if len(fraction) != digits:
        raise CannotHoldError(f"the column writes a time with {digits} digits of a second")
    if text.startswith("-") and not text.strip("-0:."):
        raise CannotHoldError("the column has no time minus zero")
    hours = text.lstrip("-").partition(":")[0]
    if len(hours) > 2 and hours.startswith("0"):  # noqa: PLR2004 - as the server writes them
        raise CannotHoldError("the database would write the text in another form")
    return text


def _text_of(length: timedelta, digits: int) -> str:
    sign = "-" if length < timedelta(0) else ""
    whole, rest = divmod(abs(length), timedelta(seconds=1))
    _check_fraction(rest.microseconds, digits)
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{rest.microseconds:06}"[: digits + 1] if digits else ""
    return f"{sign}{hours:02}:{minutes:02}:{seconds:02}{fraction}"


def _from_iso(kind: type[Moment], text: str) -> Moment:
    try:
        return kind.fromisoformat(text)
    except ValueError as error:
        raise CannotHoldError(f"the text is no {kind.__name__} in ISO form") from error


def _is_moment_text(text: str, digits: int) -> bool:
    clock, _, fraction = text[10:].partition(".")
    return re.fullmatch(r" [0-2]\d:[0-5]\d:[0-5]\d", clock) is not None and len(fraction) == digits


def _check_fraction(microseconds: int, digits: int) -> None:
    if microseconds % 10 ** (6 - digits):
        raise CannotHoldError(f"the column has {digits} digits of a second and would cut the rest")
