"""Versioned documents: what every use case returns and `--json` prints."""

from dataclasses import asdict
from typing import Any

from crossfade.ledger.rows import AuditEntry, Counts
from crossfade.model.key_state import KeyState
from crossfade.model.migration_state import Flip, Hold

Document = dict[str, Any]
"""A JSON object whose `schema` names its form and version."""

VERSION = 1


def document(name: str, **content: object) -> Document:
    """A document of the form `crossfade.<name>/1`; a new meaning asks for a new version."""
    return {"schema": f"crossfade.{name}/{VERSION}", **content}


def of_counts(counts: Counts) -> Document:
    """How much is open, of one entity or of all."""
    return asdict(counts)


def of_flip(flip: Flip | None) -> Document | None:
    """A change of epoch under way."""
    if flip is None:
        return None
    return {
        "id": flip.id,
        "kind": str(flip.kind),
        "phase": str(flip.phase),
        "wanted": str(flip.wanted),
        "actor": flip.actor,
        "reason": flip.reason,
    }


def of_hold(hold: Hold) -> Document:
    """Writes that wait."""
    return {
        "name": hold.name,
        "reason": hold.reason,
        "entity": hold.entity,
        "key": None if hold.key is None else list(hold.key),
    }


def of_key(state: KeyState) -> Document:
    """One key that is dirty, quarantined or held; never a value of its record."""
    return {
        "entity": state.entity,
        "key": list(state.key),
        "reason": str(state.reason),
        "dirty_since": state.dirty_since,
        "open_intents": state.open_intents,
        "tries": state.tries,
        "quarantine": state.quarantine,
        "waived": state.waived,
        "held_authority": None if state.held_authority is None else str(state.held_authority),
        "releasing": state.releasing,
    }


def of_audit(entry: AuditEntry) -> Document:
    """Who did what, when, and why."""
    return {
        "number": entry.number,
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "detail": entry.detail,
    }
