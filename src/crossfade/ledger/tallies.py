"""How many rows are on each list, kept up with every write, so that nobody counts a million."""

from collections.abc import Iterable, Mapping

from crossfade.ledger.key_shelf import UNSETTLED_SHELVES, Shelf, shelf_of
from crossfade.model.chunk import Chunk
from crossfade.model.intent import Doubt, Intent
from crossfade.model.key_state import KeyState

INTENTS, DOUBTFUL, UNBOUND = "intents", "doubtful", "unbound"
LEASES, OPEN_CHUNKS = "leases", "open_chunks"
"""What is counted besides the keys on each shelf."""

SHELF_TALLIES = {shelf: f"keys {shelf.name.lower()}" for shelf in UNSETTLED_SHELVES}
"""Shelf -> the tally that counts it; quiet keys are not counted."""

Differences = dict[tuple[str, str], int]
"""(Entity, what) -> by how much its number changes."""


def key_differences(
    pairs: Iterable[tuple[KeyState | None, KeyState | None]], differences: Differences
) -> None:
    """Add what changes by keys, each given as it was and as it is; None is no row."""
    # Rows that count alike are summed before their tallies are named: this runs for every write.
    alike: dict[tuple[str, Shelf, bool], int] = {}
    for before, after in pairs:
        if before is not None:
            kind = (before.entity, shelf_of(before), before.lease is not None)
            alike[kind] = alike.get(kind, 0) - 1
        if after is not None:
            kind = (after.entity, shelf_of(after), after.lease is not None)
            alike[kind] = alike.get(kind, 0) + 1
    for (entity, shelf, leased), number in alike.items():
        if shelf in SHELF_TALLIES:
            _add(differences, entity, SHELF_TALLIES[shelf], number)
        if leased:
            _add(differences, entity, LEASES, number)


def intent_differences(
    pairs: Iterable[tuple[Intent | None, Intent | None]], differences: Differences
) -> None:
    """Add what changes by intents."""
    alike: dict[tuple[str, bool, bool], int] = {}
    for before, after in pairs:
        if before is not None:
            kind = (before.entity, before.doubt is not Doubt.NONE, before.unbound)
            alike[kind] = alike.get(kind, 0) - 1
        if after is not None:
            kind = (after.entity, after.doubt is not Doubt.NONE, after.unbound)
            alike[kind] = alike.get(kind, 0) + 1
    for (entity, doubtful, unbound), number in alike.items():
        _add(differences, entity, INTENTS, number)
        if doubtful:
            _add(differences, entity, DOUBTFUL, number)
        if unbound:
            _add(differences, entity, UNBOUND, number)


def chunk_differences(
    pairs: Iterable[tuple[Chunk | None, Chunk | None]], differences: Differences
) -> None:
    """Add what changes by chunks."""
    for before, after in pairs:
        if before is not None and before.open:
            _add(differences, before.entity, OPEN_CHUNKS, -1)
        if after is not None and after.open:
            _add(differences, after.entity, OPEN_CHUNKS, 1)


def changed(differences: Mapping[tuple[str, str], int]) -> list[tuple[str, str, int]]:
    """The tallies that are not as they were, as rows."""
    return [(entity, what, number) for (entity, what), number in differences.items() if number]


def _add(differences: Differences, entity: str, what: str, number: int) -> None:
    differences[entity, what] = differences.get((entity, what), 0) + number
