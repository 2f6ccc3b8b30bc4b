"""Short names for the transitions on a memory ledger, for tests of the protocol's rules."""

from functools import partial

from msgspec import structs

from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.rows import Counts, Rows
from crossfade.ledger.transitions import chunks, flips, intents, keys, moves
from crossfade.ledger.transitions.keys import Agreement, LeaseGrant
from crossfade.ledger.transitions.moves import Decision
from crossfade.model.chunk import Chunk
from crossfade.model.intent import Intent
from crossfade.model.key import EVERY_KEY, Key, KeyRange
from crossfade.model.key_state import DirtyReason, KeyState
from crossfade.model.migration_state import Flip, MigrationState
from crossfade.model.side import Side
from crossfade.model.stage import Stage

ENTITY = "order"
KEY: Key = (1,)
DECISION = Decision("anna", "a test", 5.0)


class Steps:
    """One ledger whose entity `order` is declared; steps are taken one after the other."""

    def __init__(self, stage: Stage = Stage.SHADOW, *, covered: bool = True) -> None:
        self.ledger = MemoryLedger()
        self.apply = self.ledger.apply
        state = MigrationState(stage=stage, barrier_passed=stage is not Stage.OFF)
        self.apply(lambda rows: rows.set_migration(state))
        self.apply(lambda rows: rows.set_document("entities", "declared", [ENTITY]))
        self.apply(partial(chunks.declare_entity, name=ENTITY, mapping_version="v1"))
        if covered:
            assert self.close_chunk(self.open_chunk())

    def open(self, *written: Key, operation: str = "PUT") -> Intent:
        """A write of these keys, or of the one key."""
        request = intents.WriteRequest(ENTITY, written or (KEY,), operation, "node")
        return self.apply(partial(intents.open_intent, request=request, at=1.0)).intent

    def create(self) -> Intent:
        """A create whose id the authority makes."""
        request = intents.WriteRequest(ENTITY, (), "POST", "node")
        return self.apply(partial(intents.open_intent, request=request, at=1.0)).intent

    def close(self, intent: Intent) -> tuple[Key, ...]:
        """The write has ended."""
        return self.apply(partial(intents.close_intent, intent_id=intent.id, at=2.0))

    def write(self) -> None:
        """A whole write of the one key."""
        self.close(self.open())

    def lease(self, owner: str = "me", key: Key = KEY) -> LeaseGrant:
        """Begin to converge; must be possible."""
        grant = self.try_lease(owner, key)
        assert grant is not None
        return grant

    def try_lease(self, owner: str = "me", key: Key = KEY) -> LeaseGrant | None:
        """Begin to converge, if the ledger lets us."""
        return self.apply(partial(keys.take_lease, entity=ENTITY, key=key, owner=owner, at=3.0))

    def release(self, grant: LeaseGrant) -> bool:
        """The put succeeded; whether that cleared the key."""
        return self.apply(partial(keys.release_lease, grant=grant))

    def converge(self, key: Key = KEY) -> bool:
        """Lease and release."""
        return self.release(self.lease(key=key))

    def mark_dirty(self, *dirty: Key) -> None:
        """Something is known to differ."""
        self.apply(
            partial(
                keys.mark_dirty, entity=ENTITY, keys=dirty or (KEY,), reason=DirtyReason.REPAIR,
                at=1.0,
            )
        )  # fmt: skip

    def open_chunk(self, range_: KeyRange = EVERY_KEY) -> Chunk:
        """Begin to copy a range."""
        return self.apply(partial(chunks.open_chunk, entity=ENTITY, range_=range_, owner="worker"))

    def close_chunk(self, chunk: Chunk, extra: tuple[Key, ...] = ()) -> bool:
        """The range was put; whether it counts."""
        return self.apply(partial(chunks.close_chunk, chunk=chunk, extra=extra, at=4.0))

    def move(self, wanted: Stage) -> MigrationState:
        """A plain move."""
        return self.apply(partial(moves.move_stage, wanted=wanted, decision=DECISION))

    def begin_barrier(self) -> Flip:
        """Writes without intent have ended."""
        return self.apply(partial(flips.begin_barrier, decision=DECISION))

    def begin_flip(self, wanted: Stage = Stage.LIVE, *, forced: bool = False) -> Flip:
        """Hold the writers."""
        return self.apply(
            partial(flips.begin_flip, wanted=wanted, decision=DECISION, forced=forced)
        )

    def drained(self, flip: Flip) -> tuple[str, ...]:
        """Go on to fencing, or say what is open."""
        return self.apply(partial(flips.drained, flip=flip))

    def commit(self, flip: Flip) -> MigrationState:
        """The stores are fenced: change the authority."""
        return self.apply(partial(flips.commit_flip, flip=flip, decision=DECISION))

    def undo(self, flip: Flip) -> Flip | None:
        """Give the flip up."""
        return self.apply(partial(flips.undo_flip, flip=flip, decision=DECISION))

    def flip(self) -> MigrationState:
        """A whole flip to live."""
        flip = self.begin_flip()
        assert self.drained(flip) == ()
        return self.commit(flip)

    def force(self) -> MigrationState:
        """From live, a whole forced roll-back while new is dead."""
        flip = self.begin_flip(Stage.SHADOW, forced=True)
        self.apply(partial(flips.force, flip=flip))
        return self.commit(flip)

    def hold_key(self, side: Side) -> KeyState:
        """Make the one key a held one."""
        self.write()

        def hold(rows: Rows) -> KeyState:
            state = structs.replace(rows.key(ENTITY, KEY), held_authority=side)
            rows.set_key(state)
            return state

        return self.apply(hold)

    @property
    def migration(self) -> MigrationState:
        """Where the migration stands."""
        return self.ledger.migration

    def key(self, key: Key = KEY) -> KeyState:
        """What the ledger knows of a key."""
        return self.ledger.look(lambda rows: rows.key(ENTITY, key))

    def agreement(self, key: Key = KEY) -> Agreement:
        """What may be promised of a key."""
        return self.ledger.look(partial(keys.agreement, entity_name=ENTITY, key=key))

    def counts(self) -> Counts:
        """How much is open."""
        return self.ledger.look(lambda rows: rows.counts())
