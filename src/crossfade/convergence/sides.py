"""The stores of both sides, by entity, and the databases that they live in."""

from collections.abc import Mapping
from dataclasses import dataclass

from crossfade.model.entity import Entity
from crossfade.model.entity_graph import EntityGraph, entity_graph
from crossfade.model.side import Side
from crossfade.store.base import FencedDatabase, Store, links_of


@dataclass(frozen=True, slots=True)
class EntityStores:
    """One entity and its two stores."""

    entity: Entity
    legacy: Store
    new: Store
    key_types: tuple[type, ...] = (int,)
    """`int` or `str` for each column of the key, to read keys out of requests."""

    def side(self, side: Side) -> Store:
        """The store of one side."""
        return self.legacy if side is Side.LEGACY else self.new


@dataclass(frozen=True, slots=True)
class Sides:
    """All that a migration copies between."""

    entities: Mapping[str, EntityStores]
    databases: Mapping[Side, tuple[FencedDatabase, ...]]
    """The databases of each side; one epoch row in each."""
    answers_within_seconds: Mapping[Side, float]
    """After that an unanswered call to the side's service has certainly ended."""


def graph_of(sides: Sides, side: Side) -> EntityGraph:
    """Which entity points to which on one side, as far as its stores are open and know it."""
    known = [links_of(stores.side(side)) for stores in sides.entities.values()]
    return entity_graph(list(sides.entities), [links for links in known if links is not None])
