"""Where a record of the mirror differs from what it should be; pure, and of mapped columns only.

What counts as equal: numbers of equal value, whatever their type (a column may keep a whole number
as a float, or a truth value as 0 and 1); a decimal and the float nearest to it; bytes in any
wrapping; aware times of the same instant; NaN and NaN. Text is compared code point by code point,
so another Unicode form of the same letters differs, and null differs from empty text.

What cannot be found: a value whose type changed but not its value (1 and 1.0), and columns that
the mapping does not yield.
"""

import math
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

from crossfade.store.base import Record

ABSENT = "(absent)"
"""Stands for a record that the mirror lacks."""
EXTRA = "(extra)"
"""Stands for a record that the mirror should not have."""
UNMAPPABLE = "(mapping)"
"""Stands for a record that the mapping cannot translate."""

_BYTES = (bytes, bytearray, memoryview)


def different_columns(
    wanted: Record | None, found: Record | None, children: Collection[str]
) -> tuple[str, ...]:
    """The columns in which they differ, by the mirror's names; a child's as `lines[].price`.

    Args:
        wanted: the authority's record as the mapping makes it; None where there is none.
        found: the mirror's record.
        children: names of child lists, whose records are compared on their mapped columns, too.

    """
    if wanted is None or found is None:
        if wanted is found:
            return ()
        return (ABSENT,) if found is None else (EXTRA,)
    columns: list[str] = []
    for name, value in wanted.items():
        if name not in found:
            columns.append(name)
        elif name in children and _is_list(value) and _is_list(found[name]):
            columns += _different_children(name, value, found[name])
        elif not equal(value, found[name]):
            columns.append(name)
    return tuple(columns)


def equal(wanted: object, found: object) -> bool:
    """Whether a value was kept, as far as a column can keep it."""
    if _is_number(wanted) and _is_number(found):
        return _equal_numbers(wanted, found)
    if isinstance(wanted, _BYTES) and isinstance(found, _BYTES):
        return bytes(wanted) == bytes(found)
    if isinstance(wanted, dict) and isinstance(found, dict):
        same_names = wanted.keys() == found.keys()
        return same_names and all(equal(wanted[name], found[name]) for name in wanted)
    if _is_list(wanted) and _is_list(found):
        return _equal_lists(wanted, found)
    return bool(wanted == found)


def _different_children(name: str, wanted: Sequence[Any], found: Sequence[Any]) -> list[str]:
    """Children come in the order of their keys; a missing or further one is a difference."""
    if len(wanted) != len(found):
        return [f"{name}[]"]
    columns: dict[str, None] = {}
    for ours, theirs in zip(wanted, found, strict=True):
        for column in different_columns(ours, theirs, ()):
            columns[f"{name}[].{column}"] = None
    return list(columns)


def _equal_lists(wanted: object, found: object) -> bool:
    ours: Sequence[Any] = wanted  # type: ignore[assignment]
    theirs: Sequence[Any] = found  # type: ignore[assignment]
    if len(ours) != len(theirs):
        return False
    return all(equal(one, other) for one, other in zip(ours, theirs, strict=True))


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal)


def _equal_numbers(wanted: object, found: object) -> bool:
    ours: Any = wanted
    theirs: Any = found
    if _is_nan(ours) or _is_nan(theirs):
        return _is_nan(ours) and _is_nan(theirs)
    if isinstance(ours, Decimal) and isinstance(theirs, float):
        return float(ours) == theirs
    if isinstance(ours, float) and isinstance(theirs, Decimal):
        return ours == float(theirs)
    return bool(ours == theirs)


def _is_nan(value: float | Decimal) -> bool:
    return value.is_nan() if isinstance(value, Decimal) else math.isnan(value)
