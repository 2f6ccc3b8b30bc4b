"""Opening, binding, doubting and closing intents (PROTOCOL.md `write` and `resolve`)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from msgspec import structs

from crossfade.errors import KeyHeldError, WritesHeldError
from crossfade.ledger.rows import Rows
from crossfade.model.coverage import covers
from crossfade.model.intent import Doubt, Intent
from crossfade.model.key import Key
from crossfade.model.key_state import DirtyReason, KeyState, closed, opened, touched
from crossfade.model.side import Side
from crossfade.model.stage import STAGE_RULES, WriteMode

HOLD_RETRY_SECONDS = 1.0
"""What a held writer is told to wait before it tries again."""


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """What the ledger must know of a write before any side is touched."""

    entity: str
    keys: tuple[Key, ...]
    """Sorted, at least one; empty for a create whose id the authority makes."""
    operation: str
    node: str


@dataclass(frozen=True, slots=True)
class OpenedIntent:
    """An intent, and whether its keys were known to agree just before it."""

    intent: Intent
    agreed: bool
    """All keys were covered and quiet: a replay on the mirror can be judged."""
    decision: int
    """Number of the stage decision when it was opened."""
    seqs: tuple[int, ...] = ()
    """The number that each key took; unchanged at the end if nothing else touched the key."""


def open_intent(rows: Rows, request: WriteRequest, at: float) -> OpenedIntent:
    """Record a write before any side is touched (rule 1); every key takes a new seq (rule 3).

    Raises:
        WritesHeldError: the stage takes no tracked writes, or a flip or a hold is in the way.
        KeyHeldError: a key's newest value is on a side that does not answer.

    """
    migration = rows.migration()
    if migration.retired:
        raise WritesHeldError("the migration was retired just now", HOLD_RETRY_SECONDS)
    if STAGE_RULES[migration.stage].writes is not WriteMode.TRACKED:
        raise WritesHeldError(f"the stage is {migration.stage}", HOLD_RETRY_SECONDS)
    held = migration.hold_for(request.entity, request.keys)
    if held is not None:
        raise WritesHeldError(held, HOLD_RETRY_SECONDS)
    agreed = bool(request.keys)
    entity = rows.entity(request.entity)
    if entity.held_authority is not None:
        raise KeyHeldError(request.entity, HOLD_RETRY_SECONDS)
    intent_id = rows.next_sequence()
    seqs = []
    for key in request.keys:
        state = rows.key(request.entity, key)
        if state.held_authority is not None:
            raise KeyHeldError(request.entity, HOLD_RETRY_SECONDS)
        agreed = agreed and state.quiet and covers(entity.coverage, key)
        seqs.append(rows.next_sequence())
        rows.set_key(opened(state, seqs[-1], at))
    if not request.keys:
        rows.set_entity(replace(entity, unbound_creates=entity.unbound_creates + 1))
    intent = Intent(
        id=intent_id,
        entity=request.entity,
        keys=request.keys,
        unbound=not request.keys,
        epoch=migration.epoch,
        authority=migration.authority,
        node=request.node,
        operation=request.operation,
    )
    rows.set_intent(intent)
    return OpenedIntent(intent, agreed, migration.decision, tuple(seqs))


def note_written(rows: Rows, request: WriteRequest, at: float) -> OpenedIntent:
    """Record a write in the very transaction that makes it: its keys are dirty once it commits.

    For a ledger in the authority's database. No intent is left open: the write has certainly
    happened where this row is seen, and certainly not where it is not. Raises as `open_intent`.
    """
    noted = open_intent(rows, request, at)
    close_intent(rows, noted.intent.id, at)
    return noted


def bind_intent(rows: Rows, intent_id: int, key: Key, at: float) -> Intent | None:
    """The authority made the id of a create: the intent now has its key. None: it was settled.

    A forced roll-back holds every key that is open at that moment; it cannot know this one. It is
    held now, unless the side that answers has taken a write of it since: that one was promised.
    """
    intent = rows.intent(intent_id)
    if intent is None or not intent.unbound:
        return intent
    entity = rows.entity(intent.entity)
    rows.set_entity(replace(entity, unbound_creates=entity.unbound_creates - 1))
    before = rows.key(intent.entity, key)
    state = opened(before, rows.next_sequence(), at)
    if before.held_authority is not None:
        # Two records of one id, if the other side made one: no lease may choose between them.
        contested = before.held_authority is not intent.authority
        state = structs.replace(state, releasing=before.releasing or contested)
    elif intent.authority is not rows.migration().authority and not before.dirty:
        state = _held(rows, state, intent.authority)
    rows.set_key(state)
    intent = structs.replace(intent, keys=(key,), unbound=False)
    rows.set_intent(intent)
    return intent


def _held(rows: Rows, state: KeyState, authority: Side) -> KeyState:
    """The key's newest value is on a side that has lost its authority."""
    migration = rows.migration()
    if not migration.holds_keys:
        rows.set_migration(replace(migration, holds_keys=True))
    return structs.replace(state, held_authority=authority, lease=None)


def doubt_intent(rows: Rows, intent_id: int, doubt: Doubt) -> None:
    """A call of the write has no complete answer; the intent stays open (rule 7)."""
    intent = rows.intent(intent_id)
    if intent is not None:
        rows.set_intent(structs.replace(intent, doubt=doubt))


def close_intent(rows: Rows, intent_id: int, at: float) -> tuple[Key, ...]:
    """The write has ended, or is settled: its keys take a new seq and are dirty (rules 2, 3).

    Returns the keys to converge; an unknown or closed intent has none.
    """
    intent = rows.intent(intent_id)
    if intent is None:
        return ()
    for key in intent.keys:
        rows.set_key(closed(rows.key(intent.entity, key), rows.next_sequence(), at))
    if intent.unbound:
        entity = rows.entity(intent.entity)
        rows.set_entity(replace(entity, unbound_creates=entity.unbound_creates - 1))
    rows.delete_intent(intent_id)
    return intent.keys


def close_replayed(rows: Rows, opened: OpenedIntent, at: float) -> tuple[tuple[Key, ...], bool]:
    """Like `close_intent`; also tells whether nothing else has touched the keys since they opened.

    Only then do the two sides' answers, and what the replay left on the mirror, mean anything.
    """
    intent = opened.intent
    seqs = tuple(rows.key(intent.entity, key).seq for key in intent.keys)
    undisturbed = seqs == opened.seqs
    return close_intent(rows, intent.id, at), undisturbed


def settle_unbound(rows: Rows, intent_id: int, found: Iterable[Key], at: float) -> tuple[Key, ...]:
    """Close a create whose id was never learned, with the records that it may have made.

    Args:
        rows: the ledger's rows.
        intent_id: the intent.
        found: keys that the authority has and the ledger did not know; all become dirty.
        at: wall-clock seconds.

    """
    intent = rows.intent(intent_id)
    if intent is None:
        return ()
    keys = tuple(found)
    for key in keys:
        state = rows.key(intent.entity, key)
        rows.set_key(touched(state, rows.next_sequence(), DirtyReason.UNBOUND, at))
    close_intent(rows, intent_id, at)
    return keys
