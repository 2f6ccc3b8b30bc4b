"""What must be known of a migration besides its ledger to tell how it stands."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from crossfade.model.entity import Entity, Writers
from crossfade.model.side import Side


class Level(StrEnum):
    """How sure an entity is; never more than its weakest writer allows (docs: guarantees)."""

    L2 = "L2"
    """Calls over HTTP, stores that fence: a write in doubt is bounded by `answers_within`."""
    L3 = "L3"
    """A side cannot refuse a copy from the past: copies exclude one another, and wait."""
    L4 = "L4"
    """Somebody writes behind our back: sweeps only, and a cut-over needs a write stop."""


LEVEL_MEANINGS = {
    Level.L2: "writes in doubt are bounded by answers_within of each side",
    Level.L3: "a side cannot refuse late copies: nobody takes over before answers_within",
    Level.L4: "somebody writes behind our back: sweeps only, a cut-over needs a write stop",
}


@dataclass(frozen=True, slots=True)
class EntityOutline:
    """One entity, as `status` shows it."""

    name: str
    writers: str
    level: Level


@dataclass(frozen=True, slots=True)
class Outline:
    """One migration, as `status` shows it."""

    migration: str
    entities: tuple[EntityOutline, ...]


class Definition(Protocol):
    """What a migration definition tells of itself."""

    name: str
    entities: dict[str, Entity]


def outline_of(definition: Definition) -> Outline:
    """The outline of a definition."""
    entities = tuple(
        EntityOutline(one.name, str(one.writers), level_of(one))
        for one in definition.entities.values()
    )
    return Outline(definition.name, entities)


def level_of(entity: Entity) -> Level:
    """How sure an entity is; L1 needs middleware in both services, or capture: not yet."""
    if entity.writers is Writers.OTHERS:
        return Level.L4
    fences = all(getattr(entity.store(side), "fences", True) for side in Side)
    return Level.L2 if fences else Level.L3


def level_document(outline: EntityOutline) -> dict[str, Any]:
    """How sure the entity is, and why."""
    return {"level": str(outline.level), "level_meaning": LEVEL_MEANINGS[outline.level]}
