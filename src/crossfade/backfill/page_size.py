"""How many rows a page may have, so that it fits into memory; told by the pages before it."""

from collections.abc import Iterable, Sequence
from typing import Any

from crossfade.model.key import Key
from crossfade.store.base import Record

SAMPLE_ROWS_MAX = 64
"""Rows of a page that are weighed."""
VALUE_BYTES = 64
"""What a small value takes in memory, its place in the record included."""
FIRST_PAGE_ROWS = 1_000
"""Rows of the first page of an entity, when nobody knows yet how large they are."""


class PageSize:
    """Rows of the next page of one entity."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._row_bytes: int | None = None

    def rows(self, rows_max: int) -> int:
        """At least one, at most `rows_max`."""
        if self._row_bytes is None:
            return min(rows_max, FIRST_PAGE_ROWS)
        return max(1, min(rows_max, self._bytes_max // max(1, self._row_bytes)))

    def note(self, row_bytes: int) -> None:
        """Rows of a page took so much: larger ones count at once, smaller ones slowly."""
        if not row_bytes:
            return
        known = self._row_bytes or 0
        self._row_bytes = max(row_bytes, known - (known - row_bytes) // 4)


def bytes_of_a_row(records: Sequence[tuple[Key, Record]]) -> int:
    """About how much memory one of the rows takes, from a sample of them; 0 without rows."""
    if not records:
        return 0
    sample = records[:: max(1, len(records) // SAMPLE_ROWS_MAX)]
    return sum(_weight(record.values()) for _, record in sample) // len(sample)


def _weight(values: Iterable[Any]) -> int:
    total = 0
    for value in values:
        total += VALUE_BYTES
        if isinstance(value, str | bytes):
            total += len(value)
        elif isinstance(value, dict):
            total += _weight(value.values())
        elif isinstance(value, list):
            total += _weight(value)
    return total
