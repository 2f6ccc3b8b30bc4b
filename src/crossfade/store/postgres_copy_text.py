r"""Columns of values as the text that COPY takes; escapes only where there is something to escape.

Most columns need no look at single values: the types that occur tell that the column takes them as
they are. Whatever is not listed here goes through the column's own `to_raw`, value by value.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from operator import methodcaller
from typing import Any

from crossfade.store.postgres_connection import ArrayDumper
from crossfade.store.sql_bulk import NotInBulkError
from crossfade.store.sql_dialect import CannotHoldError, ColumnFacts

NULL = r"\N"

_Fast = Callable[[ColumnFacts, Sequence[Any], set[type]], Iterable[str] | None]

_NO_VALUE = type(None)
_LENGTH = re.compile(r"\((\d+)\)$")
_ISO = methodcaller("isoformat")
_ARRAYS = ArrayDumper(list)
_TRUE_OR_FALSE = {True: "t", False: "f"}


@dataclass(frozen=True, slots=True)
class ColumnTexts:
    """One column's values as text."""

    texts: Sequence[str | None]
    """None for NULL."""
    nulls: int
    may_escape: bool
    """Whether it may hold what must be escaped."""


def column_texts(column: ColumnFacts, values: Sequence[Any]) -> ColumnTexts:
    """The values as text.

    Raises:
        CannotHoldError: the column cannot hold one of them exactly.
        NotInBulkError: there is a value whose text only the driver knows.

    """
    types = set(map(type, values))
    has_nulls = _NO_VALUE in types
    present: Sequence[Any] = values
    if has_nulls:
        types.discard(_NO_VALUE)
        present = [value for value in values if value is not None]
    base = column.declared.partition("(")[0]
    fast = _FAST.get(base)
    texts = fast(column, present, types) if fast is not None else None
    if texts is None:
        texts = [_text(raw) for raw in _raws(column, present)]
    may_escape = base not in _NEVER_ESCAPED
    if has_nulls:
        given = iter(texts)
        shown = [None if value is None else next(given) for value in values]
        return ColumnTexts(shown, len(values) - len(present), may_escape)
    return ColumnTexts(texts if isinstance(texts, list | tuple) else list(texts), 0, may_escape)


def as_block(columns: Sequence[ColumnTexts]) -> bytes:
    """Lines of COPY's text form, in UTF-8.

    Raises:
        CannotHoldError: NUL, or a lone surrogate.

    """
    rows = len(columns[0].texts)
    block = _joined([_shown(one.texts) if one.nulls else one.texts for one in columns])
    plain = (
        block.count("\t") == rows * (len(columns) - 1)
        and block.count("\n") == rows
        and block.count("\\") == sum(one.nulls for one in columns)
        and "\r" not in block
    )
    if not plain:
        block = _joined(
            [
                _shown([_escaped(text) for text in one.texts] if one.may_escape else one.texts)
                for one in columns
            ]
        )
    if "\0" in block:
        raise CannotHoldError("text cannot hold NUL here")
    try:
        return block.encode()
    except UnicodeEncodeError as error:
        raise CannotHoldError("text with a lone surrogate is no text") from error


def _joined(columns: Sequence[Sequence[Any]]) -> str:
    # The end of the last line, too.
    return "\n".join([*map("\t".join, zip(*columns, strict=True)), ""])


def _shown(texts: Sequence[str | None]) -> Sequence[str]:
    return [NULL if text is None else text for text in texts]


def _escaped(text: str | None) -> str | None:
    if text is None:
        return None
    return (
        text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
    )


def _raws(column: ColumnFacts, values: Sequence[Any]) -> list[Any]:
    try:
        return list(map(column.values.to_raw, values))
    except CannotHoldError as error:
        raise CannotHoldError(f"column {column.name!r}: {error}") from error


def _text(raw: Any) -> str:  # noqa: ANN401 - whatever a column takes
    write = _WRITERS.get(type(raw))
    if write is None:
        raise NotInBulkError(f"nobody here knows the text of a {type(raw).__name__}")
    return write(raw)


_WRITERS: dict[type, Callable[[Any], str]] = {
    str: str,
    int: str,
    Decimal: str,
    float: repr,
    bool: lambda raw: _TRUE_OR_FALSE[raw],
    bytes: lambda raw: f"\\x{raw.hex()}",
    datetime: _ISO,
    date: _ISO,
    time: _ISO,
    list: lambda raw: _ARRAYS.dump(raw).decode(),
}


def _whole(_: ColumnFacts, values: Sequence[Any], types: set[type]) -> Iterable[str] | None:
    # The server refuses what is out of range.
    return map(str, values) if types <= {int} else None


def _truth(_: ColumnFacts, values: Sequence[Any], types: set[type]) -> Iterable[str] | None:
    return map(_TRUE_OR_FALSE.__getitem__, values) if types <= {bool} else None


def _any_text(_: ColumnFacts, values: Sequence[Any], types: set[type]) -> Iterable[str] | None:
    return values if types <= {str} else None


def _bounded(column: ColumnFacts, values: Sequence[Any], types: set[type]) -> Iterable[str] | None:
    length = _LENGTH.search(column.declared)
    if not types <= {str}:
        return None
    # COPY would cut off spaces at the end.
    fits = length is None or max(map(len, values), default=0) <= int(length[1])
    return values if fits else None


def _instant(column: ColumnFacts, values: Sequence[Any], types: set[type]) -> Iterable[str] | None:
    plain = types <= {datetime} and "(" not in column.declared
    return map(_ISO, values) if plain and _are_in_utc(values) else None


def _are_in_utc(values: Sequence[datetime]) -> bool:
    return all(
        zone is UTC or getattr(zone, "key", "") == "UTC" for zone in {one.tzinfo for one in values}
    )


def _moment(column: ColumnFacts, values: Sequence[Any], types: set[type]) -> Iterable[str] | None:
    plain = types <= {datetime} and "(" not in column.declared
    return map(_ISO, values) if plain and {one.tzinfo for one in values} <= {None} else None


def _day(_: ColumnFacts, values: Sequence[Any], types: set[type]) -> Iterable[str] | None:
    return map(_ISO, values) if types <= {date} else None


_FAST: dict[str, _Fast] = {
    **dict.fromkeys(("smallint", "integer", "bigint"), _whole),
    "boolean": _truth,
    "text": _any_text,
    "character varying": _bounded,
    "timestamp with time zone": _instant,
    "timestamp without time zone": _moment,
    "date": _day,
}
"""Declared type to what makes all of its texts at once, or None where values need a look."""

_NEVER_ESCAPED = frozenset({"smallint", "integer", "bigint", "boolean", "date"})
