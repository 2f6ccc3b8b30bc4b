"""An entity: a kind of thing with a key, and how its records translate between the sides."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from crossfade.errors import MappingError
from crossfade.model.batch_mapping import BatchMapping
from crossfade.model.side import Side

Mapping = Callable[[dict[str, Any]], dict[str, Any]]
"""Record to record, a plain function: no clock, randomness, network or change of its input."""


class Writers(StrEnum):
    """Who writes an entity."""

    GATEWAY = "gateway"
    """Everybody goes through crossfade."""
    OTHERS = "others"
    """Somebody writes behind our back: sweeps only, and a cut-over needs a write stop (L4)."""


@dataclass(frozen=True, slots=True)
class Entity:
    """One kind of thing, as both sides keep it."""

    name: str
    legacy: object
    """Description of legacy's store, such as `SqlTable`."""
    new: object
    """Description of new's store."""
    to_new: Mapping
    to_legacy: Mapping
    version: str = "1"
    """Changed by the user when the mappings mean something else: asks for a new sweep."""
    writers: Writers = Writers.GATEWAY
    lossy: tuple[str, ...] = ()
    """Columns that the mappings drop on purpose, as `legacy.Column` or `new.column`."""

    def store(self, side: Side) -> object:
        """The description of one side's store."""
        return self.legacy if side is Side.LEGACY else self.new

    def map_together(
        self, records: list[dict[str, Any]], towards: Side
    ) -> list[dict[str, Any]] | None:
        """The records as the other side should have them; None: map them one by one.

        So it is where the mapping raises, or returns something else than as many records: mapped
        one by one, the bad ones are found.
        """
        mapping = self.to_new if towards is Side.NEW else self.to_legacy
        mapped: Any
        try:
            if isinstance(mapping, BatchMapping):
                # It gets a list of its own: what it does to that changes nothing here.
                mapped = mapping.many(list(records))
            else:
                mapped = list(map(mapping, records))
        except (Exception, SystemExit):  # noqa: BLE001 - told where each is mapped by itself
            return None
        if not isinstance(mapped, list) or len(mapped) != len(records):
            return None
        return mapped if set(map(type, mapped)) <= {dict} else None

    def map_record(self, record: dict[str, Any] | None, towards: Side) -> dict[str, Any] | None:
        """The record as the other side should have it; None (no record) stays None.

        Raises:
            MappingError: the mapping raised, or returned something that is no record; the message
                names the exception's type and never a value.

        """
        if record is None:
            return None
        mapping = self.to_new if towards is Side.NEW else self.to_legacy
        try:
            mapped = mapping(record)
        except (Exception, SystemExit) as error:
            # A mapping that exits would take the whole node with it.
            raise MappingError(
                f"mapping of {self.name} to {towards} raised {type(error).__name__}. "
                "Mend the mapping and raise its version."
            ) from error
        if not isinstance(mapped, dict):
            raise MappingError(
                f"mapping of {self.name} to {towards} returned {type(mapped).__name__}, "
                "not a dict of columns. Return the record."
            )
        return mapped
