"""How many rows are on each list, kept up with every write, so that nobody counts a million."""

from crossfade.ledger.key_shelf import UNSETTLED_SHELVES, shelf_of
from crossfade.model.chunk import Chunk
from crossfade.model.intent import Doubt, Intent
from crossfade.model.key_state import KeyState

INTENTS, DOUBTFUL, UNBOUND = "intents", "doubtful", "unbound"
LEASES, OPEN_CHUNKS = "leases", "open_chunks"
"""What is counted besides the keys on each shelf."""

SHELF_TALLIES = {shelf: f"keys {shelf.name.lower()}" for shelf in UNSETTLED_SHELVES}
"""Shelf -> the tally that counts it; quiet keys are not counted."""

Differences = dict[tuple[str, str], int]
"""(Entity, what) -> by how much the number has changed."""


class Tallies:
    """The changes of one batch; a row is counted before and after, the difference is kept."""

    def __init__(self) -> None:
        self._staged: Differences = {}
        self._unwritten: Differences = {}

    def count_key(self, before: KeyState | None, after: KeyState | None) -> None:
        """A key's row has changed; None is no row."""
        one = after or before
        if one is None:
            return
        shelf_before = None if before is None else SHELF_TALLIES.get(shelf_of(before))
        shelf_after = None if after is None else SHELF_TALLIES.get(shelf_of(after))
        if shelf_before is not shelf_after:
            if shelf_before is not None:
                self._add(one.entity, shelf_before, -1)
            if shelf_after is not None:
                self._add(one.entity, shelf_after, 1)
        leased_before = before is not None and before.lease is not None
        leased_after = after is not None and after.lease is not None
        if leased_before is not leased_after:
            self._add(one.entity, LEASES, leased_after - leased_before)

    def count_intent(self, before: Intent | None, after: Intent | None) -> None:
        """An intent's row has changed; None is no row."""
        for intent, number in ((before, -1), (after, 1)):
            if intent is None:
                continue
            self._add(intent.entity, INTENTS, number)
            if intent.doubt is not Doubt.NONE:
                self._add(intent.entity, DOUBTFUL, number)
            if intent.unbound:
                self._add(intent.entity, UNBOUND, number)

    def count_chunk(self, before: Chunk | None, after: Chunk | None) -> None:
        """A chunk's row has changed; None is no row."""
        for chunk, number in ((before, -1), (after, 1)):
            if chunk is not None and chunk.open:
                self._add(chunk.entity, OPEN_CHUNKS, number)

    def accept(self) -> None:
        """The transition succeeded: its differences belong to the batch."""
        for name, number in self._staged.items():
            self._unwritten[name] = self._unwritten.get(name, 0) + number
        self._staged.clear()

    def discard(self) -> None:
        """The transition failed."""
        self._staged.clear()

    def take_unwritten(self) -> Differences:
        """The batch's differences, which the caller now gives to SQL."""
        taken, self._unwritten = self._unwritten, {}
        return taken

    def take_staged(self) -> Differences:
        """The transition's differences, which the caller now gives to SQL in a savepoint."""
        taken, self._staged = self._staged, {}
        return taken

    def forget(self) -> None:
        """The batch was rolled back."""
        self._staged.clear()
        self._unwritten.clear()

    def _add(self, entity: str, what: str, number: int) -> None:
        name = (entity, what)
        self._staged[name] = self._staged.get(name, 0) + number
