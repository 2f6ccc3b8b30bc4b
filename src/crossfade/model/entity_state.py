"""What the ledger knows of one entity: its generation and what was copied in it."""

from dataclasses import dataclass

from crossfade.model.coverage import NOTHING, Coverage
from crossfade.model.side import Side


@dataclass(frozen=True, slots=True)
class EntityState:
    """One entity's row."""

    name: str
    generation: int = 0
    """Goes up when `off` is entered, the mapping changes or a side is lost: coverage is void."""
    mapping_version: str = ""
    coverage: Coverage = NOTHING
    unbound_creates: int = 0
    """Open creates whose id is not known; the entity does not agree while there is one."""
    floor: int = 0
    """Sequence number of every key without a row; rises when clean rows are forgotten."""
    covered_at: int = 0
    """Sequence number at which the coverage was last completed; 0 while it is not."""
    held_authority: Side | None = None
    """After a forced roll-back of an incompletely copied entity: all its keys are held."""
