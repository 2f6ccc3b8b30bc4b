"""A mapping of many records at once, for work that is cheaper together than one by one."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

Records = list[dict[str, Any]]


class BatchMapping:
    """Maps a list of records to as many, in the same order; called with one, it maps that one."""

    def __init__(self, many: Callable[[Records], Records]) -> None:
        self.many = many
        update_wrapper(self, many)
        # What tells one mapping from another looks at its code.
        self.__code__ = getattr(many, "__code__", None)

    def __call__(self, record: dict[str, Any]) -> dict[str, Any]:
        """One record; raises what the mapping raises, and `ValueError` for another number."""
        mapped: object = self.many([record])
        if not isinstance(mapped, list) or len(mapped) != 1:
            raise ValueError("a mapping in batches must return as many records as it is given")
        found: dict[str, Any] = mapped[0]
        return found


def in_batches(mapping: Callable[[Records], Records]) -> BatchMapping:
    """Let a function map many records at once: `to_new=in_batches(customers_to_new)`.

    The backfill calls it with up to `backfill.map_slice_rows` records, everybody else with one.
    It returns as many, in the same order; where it raises, each record is mapped by itself, to
    find the bad ones.
    """
    return BatchMapping(mapping)
