"""Which list of the ledger a key's row is on; the one meaning that memory and SQLite share."""

from enum import IntEnum

from crossfade.model.key_state import KeyState


class Shelf(IntEnum):
    """The list of a key's row; the numbers are stored, so they never change."""

    QUIET = 0
    """Agrees, nobody works on it: the row may be forgotten."""
    READY = 1
    """Dirty; may converge now."""
    WAITING = 2
    """Dirty, and an intent is open: converging it now could not clear it."""
    QUARANTINED = 3
    WAIVED = 4
    """Quarantined, and an operator lets the cut-over pass it."""
    HELD_READY = 5
    """Held after a forced roll-back; may converge as soon as the lost side answers."""
    HELD_WAITING = 6
    """Held, and being released, quarantined or with an open intent."""
    REST = 7
    """Agrees, yet somebody works on it."""


DIRTY_SHELVES = (Shelf.READY, Shelf.WAITING)
HELD_SHELVES = (Shelf.HELD_READY, Shelf.HELD_WAITING)
QUARANTINE_SHELVES = (Shelf.QUARANTINED, Shelf.WAIVED)
READY_SHELVES = (Shelf.READY, Shelf.HELD_READY)
UNSETTLED_SHELVES = (*DIRTY_SHELVES, *QUARANTINE_SHELVES, *HELD_SHELVES)
"""Every shelf on which a row can be dirty."""


def shelf_of(state: KeyState) -> Shelf:
    """The one list that the row is on; a held key is on no other list, whatever else it is."""
    if state.held_authority is not None:
        may_converge = (
            state.dirty
            and state.open_intents == 0
            and state.quarantine is None
            and not state.releasing
        )
        return Shelf.HELD_READY if may_converge else Shelf.HELD_WAITING
    if state.quarantine is not None:
        return Shelf.WAIVED if state.waived else Shelf.QUARANTINED
    if state.seq > state.clean_seq:
        waits = state.open_intents or state.releasing
        return Shelf.WAITING if waits else Shelf.READY
    quiet = state.open_intents == 0 and state.lease is None
    return Shelf.QUIET if quiet else Shelf.REST
