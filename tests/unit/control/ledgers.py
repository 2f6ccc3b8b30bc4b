"""A memory ledger with two entities, as the control room's tests tell stories about it."""

from functools import partial
from typing import Any

from crossfade.control.outline import EntityOutline, Level, Outline
from crossfade.control.telling import Telling
from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.transitions.chunks import close_chunk, open_chunk
from crossfade.ledger.transitions.flips import begin_barrier, commit_flip
from crossfade.ledger.transitions.keys import mark_dirty, quarantine_key, take_lease
from crossfade.ledger.transitions.moves import Decision, move_stage
from crossfade.model.key import EVERY_KEY, Key
from crossfade.model.key_state import DirtyReason
from crossfade.model.stage import Stage

DECISION = Decision("tester", "a test asks for it", 12.0)
OUTLINE = Outline(
    "shop",
    (
        EntityOutline("customer", "gateway", Level.L2),
        EntityOutline("order", "others", Level.L4),
    ),
)


def make_ledger() -> MemoryLedger:
    """Two declared entities, stage `off`."""
    ledger = MemoryLedger()
    names = [one.name for one in OUTLINE.entities]
    ledger.apply(lambda rows: rows.set_document("entities", "declared", names))
    return ledger


def make_telling(ledger: MemoryLedger) -> Telling:
    """Told as if read from the ledger."""
    return Telling(ledger, OUTLINE, read_from="ledger")


def move(ledger: MemoryLedger, wanted: Stage) -> None:
    """A move that keeps the authority."""
    ledger.apply(partial(move_stage, wanted=wanted, decision=DECISION))


def reach_shadow(ledger: MemoryLedger) -> None:
    """Stage `shadow`, the barrier passed."""
    move(ledger, Stage.SHADOW)
    flip = ledger.apply(partial(begin_barrier, decision=DECISION))
    ledger.apply(partial(commit_flip, flip=flip, decision=DECISION))


def cover(ledger: MemoryLedger, entity: str) -> None:
    """The entity is copied completely."""
    chunk = ledger.apply(partial(open_chunk, entity=entity, range_=EVERY_KEY, owner="tester"))
    ledger.apply(partial(close_chunk, chunk=chunk, extra=(), at=1.0))


def dirty(ledger: MemoryLedger, entity: str, *keys: Key) -> None:
    """Keys that wait for convergence."""
    ledger.apply(partial(mark_dirty, entity=entity, keys=keys, reason=DirtyReason.REPAIR, at=5.0))


def quarantine(ledger: MemoryLedger, entity: str, key: Key, reason: str) -> None:
    """A key that cannot converge."""
    dirty(ledger, entity, key)
    grant = ledger.apply(partial(take_lease, entity=entity, key=key, owner="tester", at=5.0))
    assert grant is not None
    ledger.apply(partial(quarantine_key, grant=grant, reason=reason))


def commands(status: dict[str, Any]) -> list[str]:
    """The commands that a status tells to type."""
    return [step["command"] for step in status["next"]]
