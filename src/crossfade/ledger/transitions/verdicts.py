"""Verdicts: what a verification found, and whether an alarm still stands."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from crossfade.ledger.rows import Rows, RowsView
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.model.counted import counted
from crossfade.model.key import Key
from crossfade.model.key_state import DirtyReason

VERDICTS = "verdicts"
"""Kind of the documents that hold verdicts, one for each entity."""

ALARM_KEYS_MAX = 100
"""Keys that a verdict names; the count is of all."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verification of one entity."""

    entity: str
    generation: int
    decision: int
    """Number of the stage decision that held."""
    epoch: int
    fraction: float
    """Share of the keys that was compared, by a hash of the key."""
    started_at: float
    """Wall-clock seconds."""
    finished_at: float | None = None
    """None while it runs, or where it was cut off after an alarm."""
    compared: int = 0
    different: int = 0
    """Alarms: keys that were known to agree, were untouched, and differ."""
    lagging: int = 0
    """Keys that differed and were dirty, or touched meanwhile: no finding."""
    quarantined: int = 0
    waived: int = 0
    passed: bool = False
    reason: str | None = None
    """Why it did not pass."""
    alarm_keys: tuple[Key, ...] = ()
    """The first alarms, for people."""
    columns: dict[str, int] = field(default_factory=dict)
    """In how many of the different records each column differs, by the mirror's names."""
    way: str = "exact"
    """How it was compared: `exact`, `checksums` or `digests`; all come to the same verdict."""
    must_cover: float = 0.0
    """Share of the keys that the next verification must compare to clear an alarm; 0: none."""


def look_verdict(rows: RowsView, entity: str) -> Verdict | None:
    """The entity's last verdict, or None where it was never verified."""
    value = rows.document(VERDICTS, entity)
    return None if value is None else _decoded(entity, value)


def record_alarm(rows: Rows, verdict: Verdict, keys: Sequence[Key], at: float) -> None:
    """Make different keys dirty, and note the alarm before the verification has ended.

    Survives a crash of the verifier: what it has found stops the cut-over, until a verification
    of at least as many keys passes.
    """
    mark_dirty(rows, verdict.entity, keys, DirtyReason.DIFFERENCE, at)
    must_cover = max(verdict.fraction, _must_cover(rows, verdict))
    reason = f"different although known to agree: {counted(verdict.different, 'key')}"
    _write(rows, replace(verdict, passed=False, reason=reason, must_cover=must_cover))


def record_verdict(rows: Rows, verdict: Verdict) -> Verdict:
    """Store a finished verification; it passes if it found nothing and no fuller alarm stands."""
    must_cover = _must_cover(rows, verdict)
    if verdict.different:
        reason = f"different although known to agree: {counted(verdict.different, 'key')}"
        must_cover = max(must_cover, verdict.fraction)
        return _write(rows, replace(verdict, passed=False, reason=reason, must_cover=must_cover))
    if verdict.fraction < must_cover:
        reason = f"the alarm of a verification of {must_cover:.0%} of the keys stands"
        return _write(rows, replace(verdict, passed=False, reason=reason, must_cover=must_cover))
    if verdict.reason is not None:
        return _write(rows, replace(verdict, passed=False, must_cover=must_cover))
    return _write(rows, replace(verdict, passed=True, must_cover=0.0))


def _must_cover(rows: RowsView, verdict: Verdict) -> float:
    """What a standing alarm asks for; a new generation was swept anew, so it asks for nothing."""
    last = look_verdict(rows, verdict.entity)
    if last is None or last.generation != verdict.generation:
        return 0.0
    return last.must_cover


def _write(rows: Rows, verdict: Verdict) -> Verdict:
    value = {one.name: getattr(verdict, one.name) for one in fields(verdict)}
    del value["entity"]
    value["alarm_keys"] = [list(key) for key in verdict.alarm_keys]
    rows.set_document(VERDICTS, verdict.entity, value)
    return verdict


def _decoded(entity: str, value: dict[str, Any]) -> Verdict:
    keys = tuple(tuple(key) for key in value["alarm_keys"])
    return Verdict(entity=entity, **{**value, "alarm_keys": keys})
