"""Opening and closing chunks, coverage and generations (PROTOCOL.md `chunk`)."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from crossfade.errors import GateError
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.model.chunk import Chunk
from crossfade.model.coverage import NOTHING, add_range, is_complete
from crossfade.model.entity_state import EntityState
from crossfade.model.key import Key, KeyRange
from crossfade.model.key_state import DirtyReason


def open_chunk(rows: Rows, entity: str, range_: KeyRange, owner: str) -> Chunk:
    """Register a key range before its first row is read (rules 3, 9).

    Raises:
        GateError: the barrier behind `off` has not passed, a flip is under way, or the entity is
            held as a whole.

    """
    migration = rows.migration()
    if not migration.copies_allowed:
        raise GateError(
            f"nothing is copied in stage {migration.stage} before writes without intent have "
            "ended. Run `crossfade status` to see the barrier."
        )
    if migration.flip is not None:
        raise GateError("no chunk opens while the authority changes. Try again afterwards.")
    state = rows.entity(entity)
    if state.held_authority is not None:
        raise GateError(
            f"every key of {entity} is held since a forced roll-back. Let go of them with "
            f"`crossfade dirty release {entity} --all`, then copy."
        )
    chunk = Chunk(
        token=rows.next_sequence(),
        entity=entity,
        range=range_,
        generation=state.generation,
        epoch=migration.epoch,
        owner=owner,
    )
    rows.set_chunk(chunk)
    return chunk


def close_chunk(rows: Rows, chunk: Chunk, extra: Iterable[Key], at: float) -> bool:
    """Every row of the range was put, or its key is dirty: the range is covered from now on.

    A close clears no key: keys without a row are clean by being covered, dirty ones wait for
    converge (rule 8 in its strictest form). Open chunks of others over the same range are removed.

    Args:
        rows: the ledger's rows.
        chunk: the chunk as it was opened.
        extra: keys that the mirror has and the authority does not; they become dirty.
        at: wall-clock seconds.

    Returns:
        Whether the range counts; False where the chunk was superseded, the epoch changed
        (its puts were refused, PROTOCOL.md case 87) or the generation is over.

    """
    entity = rows.entity(chunk.entity)
    current = [one for one in rows.open_chunks(chunk.entity) if one.token == chunk.token]
    if not current:
        return False
    counts = entity.generation == chunk.generation and rows.migration().epoch == chunk.epoch
    if not counts:
        rows.delete_chunk(chunk.entity, chunk.token)
        return False
    mark_dirty(rows, chunk.entity, extra, DirtyReason.EXTRA, at)
    for left_behind in rows.open_chunks(chunk.entity):
        older = left_behind.token < chunk.token
        if older and _within(left_behind.range, chunk.range):
            rows.delete_chunk(chunk.entity, left_behind.token)
    rows.set_chunk(replace(chunk, open=False))
    coverage = add_range(entity.coverage, chunk.range)
    covered_at = rows.next_sequence() if is_complete(coverage) else 0
    rows.set_entity(replace(entity, coverage=coverage, covered_at=covered_at))
    return True


def abandon_chunk(rows: Rows, chunk: Chunk) -> None:
    """The chunk's puts were refused or never sent; it covers nothing and is run again."""
    rows.delete_chunk(chunk.entity, chunk.token)


def void_coverage(rows: Rows, entity: EntityState) -> EntityState:
    """Begin a new generation: what was copied counts for nothing (rules 9, 12).

    Closed chunks of the old generation are removed; open ones stay until their worker closes
    them, and then cover nothing.
    """
    for chunk in rows.chunks_since(entity.name, 0):
        if not chunk.open:
            rows.delete_chunk(entity.name, chunk.token)
    state = replace(entity, generation=entity.generation + 1, coverage=NOTHING, covered_at=0)
    rows.set_entity(state)
    return state


def declare_entities(rows: Rows, versions: Mapping[str, str]) -> tuple[str, ...]:
    """Make a definition's entities known; returns those that need a new sweep (rule 12).

    `versions`: the version of the mapping of each entity, in the order of their declaration.
    """
    rows.set_document("entities", "declared", list(versions))
    return tuple(name for name, version in versions.items() if declare_entity(rows, name, version))


def declare_entity(rows: Rows, name: str, mapping_version: str) -> bool:
    """Make an entity known; True where its mapping changed and a new sweep is needed (rule 12)."""
    state = rows.entity(name)
    if state.mapping_version == mapping_version:
        return False
    changed = state.mapping_version != ""
    if changed:
        state = void_coverage(rows, state)
    rows.set_entity(replace(state, mapping_version=mapping_version))
    return changed


def _within(inner: KeyRange, outer: KeyRange) -> bool:
    lower_holds = outer.lower is None or (inner.lower is not None and inner.lower >= outer.lower)
    upper_holds = outer.upper is None or (inner.upper is not None and inner.upper <= outer.upper)
    return lower_holds and upper_holds
