"""Every transition leaves the same rows on every backend as on the memory twin."""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from crossfade.errors import CrossfadeError
from crossfade.ledger.adopt import StoresSeen, adopt_ledger
from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.rows import Rows, RowsQueries
from crossfade.ledger.transitions import chunks, flips, held, intents, keys, moves
from crossfade.ledger.transitions.moves import Decision
from crossfade.model.intent import Doubt
from crossfade.model.key import Key, KeyRange
from crossfade.model.key_state import DirtyReason, Lease
from crossfade.model.migration_state import FlipPhase, Hold
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from tests.contract.ledger.conftest import Backend

ENTITIES = ("customer", "order")
KEYS: tuple[Key, ...] = tuple((number,) for number in range(6))
STEPS = 700

Transition = Callable[[Rows], Any]


class Walk:
    """A random walk through the transitions; the same walk for the same seed."""

    def __init__(self, seed: int, look: Callable[[Callable[[RowsQueries], Any]], Any]) -> None:
        self._random = random.Random(seed)
        self._look = look
        self._at = 0.0
        self._grants: list[keys.LeaseGrant] = []
        self._steps: tuple[Callable[[], Transition], ...] = (
            self._open, self._open, self._open, self._create, self._bind, self._doubt,
            self._close, self._close, self._close, self._settle, self._lease, self._lease,
            self._release, self._release, self._release, self._abandon, self._quarantine,
            self._mark, self._waive, self._forget, self._open_chunk, self._close_chunk,
            self._close_chunk, self._abandon_chunk, self._move, self._hold, self._flip,
            self._flip, self._flip, self._held, self._declare, self._adopt, self._refused,
            self._jump,
        )  # fmt: skip

    def next(self) -> Transition:
        """The next transition."""
        self._at += 1.0
        return self._random.choice(self._steps)()

    def note(self, result: object) -> None:
        """Remember what a later step needs."""
        if isinstance(result, keys.LeaseGrant):
            self._grants.append(result)

    def _decision(self) -> Decision:
        return Decision("walker", "a test", self._at)

    def _one(self) -> tuple[str, Key]:
        return self._random.choice(ENTITIES), self._random.choice(KEYS)

    def _intent(self) -> int:
        found = self._look(lambda rows: rows.intents(99))
        return self._random.choice(found).id if found else 0

    def _grant(self) -> keys.LeaseGrant:
        if self._grants:
            return self._random.choice(self._grants[-8:])
        return keys.LeaseGrant("order", (1,), Lease("nobody", 0), 0, Side.LEGACY, 1)

    def _open(self) -> Transition:
        entity = self._random.choice(ENTITIES)
        chosen = tuple(sorted(self._random.sample(KEYS, self._random.randint(1, 3))))
        request = intents.WriteRequest(entity, chosen, "PUT", "node")
        return partial(intents.open_intent, request=request, at=self._at)

    def _create(self) -> Transition:
        request = intents.WriteRequest("order", (), "POST", "node")
        return partial(intents.open_intent, request=request, at=self._at)

    def _bind(self) -> Transition:
        key = self._one()[1]
        return partial(intents.bind_intent, intent_id=self._intent(), key=key, at=self._at)

    def _doubt(self) -> Transition:
        doubt = self._random.choice(list(Doubt))
        return partial(intents.doubt_intent, intent_id=self._intent(), doubt=doubt)

    def _close(self) -> Transition:
        return partial(intents.close_intent, intent_id=self._intent(), at=self._at)

    def _settle(self) -> Transition:
        found = [self._one()[1]]
        return partial(intents.settle_unbound, intent_id=self._intent(), found=found, at=self._at)

    def _lease(self) -> Transition:
        entity, key = self._one()
        return partial(keys.take_lease, entity=entity, key=key, owner="me", at=self._at)

    def _release(self) -> Transition:
        return partial(keys.release_lease, grant=self._grant())

    def _abandon(self) -> Transition:
        return partial(keys.abandon_lease, grant=self._grant())

    def _quarantine(self) -> Transition:
        return partial(keys.quarantine_key, grant=self._grant(), reason="no parent")

    def _mark(self) -> Transition:
        entity, key = self._one()
        reason = DirtyReason.DIFFERENCE
        return partial(keys.mark_dirty, entity=entity, keys=[key], reason=reason, at=self._at)

    def _waive(self) -> Transition:
        entity, key = self._one()
        return partial(keys.waive_key, entity=entity, key=key)

    def _forget(self) -> Transition:
        return partial(
            keys.forget_clean_keys,
            entity=self._random.choice(ENTITIES),
            limit=self._random.randint(1, 3),
        )

    def _open_chunk(self) -> Transition:
        bounds = sorted(self._random.sample(range(-1, 8), 2))
        lower, upper = ((number,) if 0 <= number < 7 else None for number in bounds)
        return partial(
            chunks.open_chunk,
            entity=self._random.choice(ENTITIES),
            range_=KeyRange(lower, upper),
            owner="me",
        )

    def _close_chunk(self) -> Transition:
        found = self._look(lambda rows: rows.open_chunks())
        if not found:
            return self._open_chunk()
        extra = [self._one()[1]] if self._random.random() < 0.3 else []
        return partial(
            chunks.close_chunk, chunk=self._random.choice(found), extra=extra, at=self._at
        )

    def _abandon_chunk(self) -> Transition:
        found = self._look(lambda rows: rows.open_chunks())
        if not found:
            return self._open_chunk()
        return partial(chunks.abandon_chunk, chunk=self._random.choice(found))

    def _move(self) -> Transition:
        wanted = self._random.choice(list(Stage))
        return partial(moves.move_stage, wanted=wanted, decision=self._decision())

    def _hold(self) -> Transition:
        if self._random.random() < 0.7:
            return partial(moves.remove_hold, name="freeze", decision=self._decision())
        hold = Hold("freeze", "a test", self._random.choice((None, "order")))
        return partial(moves.set_hold, hold=hold, decision=self._decision())

    def _flip(self) -> Transition:
        flip = self._look(lambda rows: rows.migration()).flip
        decision = self._decision()
        if flip is None:
            return self._random.choice(
                (
                    partial(flips.begin_barrier, decision=decision),
                    partial(flips.begin_flip, wanted=Stage.LIVE, decision=decision),
                    partial(flips.begin_flip, wanted=Stage.SHADOW, decision=decision, forced=True),
                )
            )
        commit = partial(flips.commit_flip, flip=flip, decision=decision)
        undo = partial(flips.undo_flip, flip=flip, decision=decision)
        by_phase: dict[FlipPhase, list[Transition]] = {
            FlipPhase.HOLDING: [
                partial(flips.force, flip=flip), partial(flips.drained, flip=flip), undo,
            ],
            FlipPhase.FENCING: [commit, commit, commit, undo],
            FlipPhase.UNDOING: [partial(flips.commit_undo, flip=flip, decision=decision)],
        }  # fmt: skip
        if self._random.random() < 0.1:
            return self._random.choice((commit, undo))
        return self._random.choice(by_phase[flip.phase])

    def _held(self) -> Transition:
        entity, key = self._one()
        in_question = self._look(lambda rows: rows.held_keys(None, 9))
        if in_question:
            entity, key = in_question[0].entity, in_question[0].key
        return self._random.choice(
            (
                partial(held.begin_release, entity=entity, key=key),
                partial(held.commit_release, entity=entity, key=key, decision=self._decision()),
                partial(
                    held.take_back,
                    store_epoch=self._random.randint(0, 3),
                    decision=self._decision(),
                ),
            )
        )

    def _declare(self) -> Transition:
        return partial(
            chunks.declare_entity,
            name=self._random.choice(ENTITIES),
            mapping_version=self._random.choice(("v1", "v1", "v2")),
        )

    def _adopt(self) -> Transition:
        name = self._look(lambda rows: rows.identity()).ledger_id
        chosen = name if self._random.random() < 0.3 else "another"
        seen = StoresSeen(token=self._random.randint(0, 5000), epoch=self._random.randint(0, 50))
        stage = self._random.choice((None, Stage.SHADOW, Stage.LIVE))
        return partial(
            adopt_ledger, ledger_id=chosen, seen=seen, decision=self._decision(), stage=stage
        )

    def _jump(self) -> Transition:
        """Begin anew where a random walk seldom comes: live, or copying in shadow."""
        stage = self._random.choice((Stage.LIVE, Stage.SHADOW))
        if self._look(lambda rows: rows.migration()).flip is not None:
            return self._flip()

        def jump(rows: Rows) -> None:
            state = replace(rows.migration(), stage=stage, barrier_passed=True, flip=None)
            rows.set_migration(replace(state, holds=(), retired=False))

        return jump

    def _refused(self) -> Transition:
        """A transition that writes, and reads lists, before it fails."""
        marking = self._mark()

        def fail(rows: Rows) -> None:
            marking(rows)
            rows.counts()
            rows.set_document("kind", "name", 1)
            raise CrossfadeError("refused on purpose")

        return fail


def seen_of(rows: RowsQueries) -> dict[str, Any]:
    """Everything that can be read of a ledger's rows."""
    seen: dict[str, Any] = {
        "migration": rows.migration(),
        "intents": list(rows.intents(99)),
        "open chunks": list(rows.open_chunks()),
        "held": list(rows.held_keys(None, 99)),
        "dirty of all": list(rows.dirty_keys(None, 99)),
        "ready": list(rows.dirty_keys(None, 3, ready=True)),
        "audit": list(rows.audit(2)),
        "documents": list(rows.documents("entities")),
    }
    for entity in (*ENTITIES, None):
        seen[f"counts {entity}"] = rows.counts(entity)
        seen[f"quarantined {entity}"] = list(rows.quarantined_keys(entity, 99))
    for entity in ENTITIES:
        seen[entity] = rows.entity(entity)
        seen[f"keys {entity}"] = [rows.key(entity, key) for key in KEYS]
        seen[f"forgettable {entity}"] = list(rows.forgettable_keys(entity, 2))
        seen[f"chunks {entity}"] = list(rows.chunks_since(entity, 3))
    return seen


async def test_a_random_walk_leaves_the_same_rows(backend: Backend, seed: int) -> None:
    """Seven hundred transitions, refused ones too: equal results, errors and rows after each."""
    twin = MemoryLedger(backend.ledger.identity)
    walk = Walk(seed, twin.look)
    first: list[Transition] = [
        lambda rows: rows.set_document("entities", "declared", list(ENTITIES)),
        partial(moves.move_stage, wanted=Stage.SHADOW, decision=Decision("w", "t", 0.0)),
    ]
    reached: set[Stage] = set()
    for step in range(STEPS):
        transition = first[step] if step < len(first) else walk.next()
        expected = _outcome(twin, transition)
        found = await _outcome_of(backend, transition)
        assert found == expected, f"step {step}: {transition}"
        walk.note(expected)
        reached.add(twin.migration.stage)
        if step % 5 == 0:
            assert backend.ledger.look(seen_of) == twin.look(seen_of), f"step {step}"
        if step % 100 == 99:
            await backend.reopen()

    assert backend.ledger.look(seen_of) == twin.look(seen_of)
    assert await backend.ledger.transact(seen_of) == twin.look(seen_of)
    assert len(reached) > 1, "the walk never moved"


def _outcome(twin: MemoryLedger, transition: Transition) -> object:
    try:
        return twin.apply(transition)
    except CrossfadeError as error:
        return str(error)


async def _outcome_of(backend: Backend, transition: Transition) -> object:
    try:
        return await backend.ledger.transact(transition)
    except CrossfadeError as error:
        return str(error)
