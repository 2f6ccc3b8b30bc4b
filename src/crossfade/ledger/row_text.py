"""Rows of the SQLite ledger as model values, and back; the only place that knows their columns."""

from typing import Any

import msgspec

from crossfade.codec import decode, encode
from crossfade.ledger.key_shelf import DIRTY_SHELVES, shelf_of
from crossfade.ledger.rows import AuditEntry
from crossfade.model.chunk import Chunk
from crossfade.model.coverage import ranges_from
from crossfade.model.entity_state import EntityState
from crossfade.model.intent import Doubt, Intent
from crossfade.model.key import Key, KeyRange
from crossfade.model.key_state import DirtyReason, KeyState, Lease
from crossfade.model.migration_state import MigrationState
from crossfade.model.side import Side

# `str()` and `int()` of an enum's member give the plain value, faster than its `.value` does.
Row = tuple[Any, ...]


def key_text(key: Key) -> str:
    """The key as JSON text; equal keys give equal text."""
    return encode(key).decode()


def key_of_text(text: str) -> Key:
    """The key of a text that `key_text` made."""
    return tuple(decode(text))


def key_row(state: KeyState) -> Row:
    """A key's columns, in the order of `put_key`."""
    lease = state.lease
    held = state.held_authority
    shelf = shelf_of(state)
    return (
        state.entity,
        key_text(state.key),
        state.seq,
        state.clean_seq,
        state.open_intents,
        None if lease is None else lease.owner,
        None if lease is None else lease.token,
        str(state.reason),
        state.dirty_since,
        state.tries,
        state.quarantine,
        1 if state.waived else 0,
        None if held is None else str(held),
        1 if state.releasing else 0,
        int(shelf),
        1 if shelf in DIRTY_SHELVES else 0,
    )


def touched_key_row(state: KeyState) -> Row:
    """A key's columns, in the order of `touch_key`: without its age."""
    row = key_row(state)
    return (*row[2:8], *row[9:15], *row[:2])


def has_same_age(before: KeyState | None, after: KeyState) -> bool:
    """Whether the age of a key that has a row is as it was."""
    if before is None or before.dirty_since != after.dirty_since:
        return False
    return (shelf_of(before) in DIRTY_SHELVES) == (shelf_of(after) in DIRTY_SHELVES)


def key_of_row(row: Row) -> KeyState:
    """The key of `get_key` and of the lists of keys."""
    (entity, key, seq, clean_seq, open_intents, owner, token, reason, *rest) = row
    (dirty_since, tries, quarantine, waived, held, releasing) = rest
    return KeyState(
        entity=entity,
        key=key_of_text(key),
        seq=seq,
        clean_seq=clean_seq,
        open_intents=open_intents,
        lease=None if owner is None else Lease(owner, token),
        reason=DirtyReason(reason),
        dirty_since=dirty_since,
        tries=tries,
        quarantine=quarantine,
        waived=waived == 1,
        held_authority=None if held is None else Side(held),
        releasing=releasing == 1,
    )


def intent_row(intent: Intent) -> Row:
    """An intent's columns, in the order of `put_intent`."""
    return (
        intent.id,
        intent.entity,
        encode(intent.keys).decode(),
        1 if intent.unbound else 0,
        intent.epoch,
        str(intent.authority),
        intent.node,
        intent.operation,
        str(intent.doubt),
    )


def intent_of_row(row: Row) -> Intent:
    """The intent of `get_intent`."""
    (number, entity, keys, unbound, epoch, authority, node, operation, doubt) = row
    return Intent(
        id=number,
        entity=entity,
        keys=tuple(tuple(key) for key in decode(keys)),
        unbound=unbound == 1,
        epoch=epoch,
        authority=Side(authority),
        node=node,
        operation=operation,
        doubt=Doubt(doubt),
    )


def chunk_row(chunk: Chunk) -> Row:
    """A chunk's columns, in the order of `put_chunk`."""
    lower, upper = chunk.range.lower, chunk.range.upper
    return (
        chunk.entity,
        chunk.token,
        None if lower is None else key_text(lower),
        None if upper is None else key_text(upper),
        chunk.generation,
        chunk.epoch,
        chunk.owner,
        1 if chunk.open else 0,
    )


def chunk_of_row(row: Row) -> Chunk:
    """The chunk of `get_chunk` and of the lists of chunks."""
    (entity, token, lower, upper, generation, epoch, owner, is_open) = row
    return Chunk(
        token=token,
        entity=entity,
        range=KeyRange(
            None if lower is None else key_of_text(lower),
            None if upper is None else key_of_text(upper),
        ),
        generation=generation,
        epoch=epoch,
        owner=owner,
        open=is_open == 1,
    )


def entity_row(state: EntityState) -> Row:
    """An entity's columns, in the order of `put_entity`."""
    held = state.held_authority
    return (
        state.name,
        state.generation,
        state.mapping_version,
        encode([(covered.lower, covered.upper) for covered in state.coverage]).decode(),
        state.unbound_creates,
        state.floor,
        state.covered_at,
        None if held is None else str(held),
    )


def entity_of_row(row: Row) -> EntityState:
    """The entity of `get_entity`."""
    (name, generation, version, coverage, unbound, floor, covered_at, held) = row
    return EntityState(
        name=name,
        generation=generation,
        mapping_version=version,
        coverage=ranges_from(
            (None if lower is None else tuple(lower), None if upper is None else tuple(upper))
            for lower, upper in decode(coverage)
        ),
        unbound_creates=unbound,
        floor=floor,
        covered_at=covered_at,
        held_authority=None if held is None else Side(held),
    )


def migration_row(state: MigrationState) -> Row:
    """The migration's one column."""
    return (encode(state).decode(),)


def migration_of_row(row: Row) -> MigrationState:
    """The migration of `get_migration`; what a newer release adds to it is left out."""
    return msgspec.convert(decode(row[0]), type=MigrationState)


def audit_row(entry: AuditEntry) -> Row:
    """An audit entry's columns, in the order of `put_audit`."""
    detail = encode(entry.detail).decode()
    return (entry.number, entry.at, entry.actor, entry.action, detail)


def audit_of_row(row: Row) -> AuditEntry:
    """The audit entry of `newest_audit`."""
    (at, actor, action, detail, number) = row
    return AuditEntry(at, actor, action, decode(detail), number)
