"""Leasing, clearing and marking keys (PROTOCOL.md `converge`)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from msgspec import structs

from crossfade.ledger.rows import Rows, RowsView
from crossfade.model.chunk import opened_since
from crossfade.model.coverage import covers
from crossfade.model.key import Key, RecordName
from crossfade.model.key_state import (
    NEEDS_OTHERS,
    DirtyReason,
    KeyState,
    Lease,
    abandoned,
    leased,
    quarantined,
    released,
    touched,
)
from crossfade.model.migration_state import FlipPhase
from crossfade.model.plan import KeyStanding
from crossfade.model.side import Side

_KEYS_AT_ONCE = 100_000


@dataclass(frozen=True, slots=True)
class LeaseGrant:
    """What a converger must know for one attempt; valid until a higher token is taken."""

    entity: str
    key: Key
    lease: Lease
    epoch: int
    authority: Side
    tries: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the ledger says of one key at one moment; equal values mean that nothing happened."""

    standing: KeyStanding
    seq: int
    generation: int
    covered: bool
    authority: Side
    epoch: int


def take_lease(rows: Rows, entity: str, key: Key, owner: str, at: float) -> LeaseGrant | None:
    """Begin to converge a key; supersedes any other lease. None: the key needs nothing now.

    A key with an open intent may be converged, though not cleared; a quarantined one is left
    alone until it changes or is repaired by name, and so are the keys of an entity that is held
    as a whole.
    """
    state = rows.key(entity, key)
    if not state.dirty or state.quarantine is not None or state.releasing:
        return None
    if rows.entity(entity).held_authority is not None:
        return None
    migration = rows.migration()
    lease = Lease(owner, rows.next_sequence())
    rows.set_key(leased(state, lease, at))
    return LeaseGrant(
        entity=entity,
        key=key,
        lease=lease,
        epoch=migration.epoch,
        authority=state.held_authority or migration.authority,
        tries=state.tries + 1,
    )


def take_leases(
    rows: Rows, names: Sequence[RecordName], owner: str, at: float
) -> tuple[LeaseGrant, ...] | None:
    """Begin to converge several keys at once, clean ones too: they are dirty from now on.

    Each gets a token of its own and supersedes any other lease, as `take_lease` does; each is
    cleared by its own rule 4. A quarantined key stays so until it is cleared. None: one of them
    is held after a forced roll-back, or a flip has drained all keys already; nothing was changed.
    """
    flip = rows.migration().flip
    if flip is not None and flip.phase is not FlipPhase.HOLDING:
        return None
    states = [rows.key(name.entity, name.key) for name in names]
    held = [state.held_authority is not None or state.releasing for state in states]
    held += [rows.entity(name.entity).held_authority is not None for name in names]
    if any(held):
        return None
    migration = rows.migration()
    grants = []
    for name, state in zip(names, states, strict=True):
        lease = Lease(owner, rows.next_sequence())
        rows.set_key(leased(state, lease, at))
        tries = state.tries + 1
        grants.append(LeaseGrant(*name, lease, migration.epoch, migration.authority, tries))
    return tuple(grants)


def release_leases(rows: Rows, grants: Sequence[LeaseGrant]) -> tuple[bool, ...]:
    """A fenced put of several keys succeeded: which of them are clean now (rule 4, each)."""
    return tuple([release_lease(rows, grant) for grant in grants])


def abandon_leases(rows: Rows, grants: Sequence[LeaseGrant]) -> None:
    """The attempt on several keys certainly changed nothing."""
    for grant in grants:
        abandon_lease(rows, grant)


def release_lease(rows: Rows, grant: LeaseGrant) -> bool:
    """A fenced put succeeded: clear the key if nothing has happened since (rule 4)."""
    before = rows.key(grant.entity, grant.key)
    chunks = rows.chunks_since(grant.entity, grant.lease.token)
    chunk_since = opened_since(chunks, grant.key, grant.lease.token)
    state, cleared = released(before, grant.lease, chunk_since=chunk_since)
    if cleared and state.held_authority is not None:
        state = structs.replace(state, held_authority=None)
    _write_changed(rows, before, state)
    return cleared


def abandon_lease(rows: Rows, grant: LeaseGrant) -> None:
    """The attempt certainly changed nothing; the key stays dirty and may be leased again."""
    before = rows.key(grant.entity, grant.key)
    _write_changed(rows, before, abandoned(before, grant.lease))


def quarantine_key(rows: Rows, grant: LeaseGrant, reason: str) -> None:
    """The mirror refuses the record, or it cannot be mapped: visible until it changes."""
    before = rows.key(grant.entity, grant.key)
    _write_changed(rows, before, quarantined(before, grant.lease, reason))


def quarantine_chunk_row(rows: Rows, entity: str, key: Key, reason: str, at: float) -> None:
    """A row of a chunk cannot be copied: its key is dirty and quarantined before it is covered."""
    state = touched(rows.key(entity, key), rows.next_sequence(), DirtyReason.CHUNK, at)
    rows.set_key(structs.replace(state, quarantine=reason, lease=None))


def mark_dirty(
    rows: Rows, entity: str, keys: Iterable[Key], reason: DirtyReason, at: float
) -> int:
    """Make keys dirty so that they are converged; a quarantined one gets another chance."""
    count = 0
    for key in keys:
        state = touched(rows.key(entity, key), rows.next_sequence(), reason, at)
        rows.set_key(structs.replace(state, quarantine=None, waived=False))
        count += 1
    return count


def retry_blocked_keys(rows: Rows, at: float) -> int:
    """More was copied: keys that were quarantined for want of other rows get another chance.

    Those that an operator waived are left alone. Returns how many.
    """
    count = 0
    for state in rows.quarantined_keys(None, _KEYS_AT_ONCE):
        if not state.waived and (state.quarantine or "").startswith(NEEDS_OTHERS):
            count += mark_dirty(rows, state.entity, [state.key], DirtyReason.CHUNK, at)
    return count


def retry_waiting_key(rows: Rows, name: RecordName, at: float) -> bool:
    """What a quarantined key waits for has moved: it gets another chance, unless waived."""
    state = rows.key(name.entity, name.key)
    if state.waived or not (state.quarantine or "").startswith(NEEDS_OTHERS):
        return False
    mark_dirty(rows, name.entity, [name.key], DirtyReason.CONVERGE, at)
    return True


def waive_key(rows: Rows, entity: str, key: Key) -> bool:
    """Let the cut-over pass a quarantined key, by name; False where it is not quarantined."""
    state = rows.key(entity, key)
    if state.quarantine is None:
        return False
    rows.set_key(structs.replace(state, waived=True))
    return True


def forget_clean_keys(rows: Rows, entity: str, limit: int) -> int:
    """Remove rows of quiet keys; the floor rises, so whoever compares seqs sees a change."""
    forgettable: list[KeyState] = list(rows.forgettable_keys(entity, limit))
    if not forgettable:
        return 0
    state = rows.entity(entity)
    highest = max(key_state.seq for key_state in forgettable)
    rows.set_entity(replace(state, floor=max(state.floor, highest)))
    for key_state in forgettable:
        rows.forget_key(entity, key_state.key)
    return len(forgettable)


def agreement(rows: RowsView, entity_name: str, key: Key) -> Agreement:
    """What may be promised of a key now (rule 11)."""
    migration = rows.migration()
    entity = rows.entity(entity_name)
    state = rows.key(entity_name, key)
    covered = covers(entity.coverage, key)
    agrees = covered and state.quiet and not entity.unbound_creates and migration.flip is None
    held = state.held_authority or entity.held_authority
    if held is not None:
        standing = KeyStanding.HELD
    else:
        standing = KeyStanding.AGREES if agrees else KeyStanding.UNSURE
    return Agreement(
        standing=standing,
        seq=state.seq,
        generation=entity.generation,
        covered=covered,
        authority=held or migration.authority,
        epoch=migration.epoch,
    )


def _write_changed(rows: Rows, before: KeyState, after: KeyState) -> None:
    """A superseded lease changes nothing: a key that was forgotten meanwhile gets no row again."""
    if after is not before:
        rows.set_key(after)
