"""A ledger, two sides that answer as told, and a comparer between them, all on a manual clock."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from msgspec import structs

from crossfade.execution.calls import CallTag, Request
from crossfade.execution.comparing import ReadComparer
from crossfade.execution.comparison_options import ComparisonOptions
from crossfade.execution.observations import Observations
from crossfade.execution.standing import Standing, look_at, look_at_entity
from crossfade.ledger.memory import MemoryLedger
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.keys import Agreement
from crossfade.ledger.transitions.observations import mismatch_groups, operation_in
from crossfade.model.comparison import Compare, Observed
from crossfade.model.coverage import Coverage
from crossfade.model.key import EVERY_KEY, Key
from crossfade.model.key_state import KeyState, Lease
from crossfade.model.migration_state import MigrationState
from crossfade.model.observation import MismatchGroup, OperationCounts
from crossfade.model.operation import KeyFrom, KeyPlace, Operation
from crossfade.model.plan import OperationKind
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import Event
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams
from crossfade.seams.failpoint import unarmed
from crossfade.seams.randomness import SeededRandomness
from crossfade.seams.tasks import TaskOwner
from crossfade.testing.manual_clock import ManualClock

KEY: Key = (7,)
READ = Operation(
    name="GET /orders/{id}",
    kind=OperationKind.READ,
    entity="order",
    method="GET",
    template="/orders/{id}",
    key=KeyFrom(KeyPlace.PATH, ("id",)),
    compare=Compare(show=["$"]),
)
LIST = replace(READ, name="GET /orders", template="/orders", key=None)


@dataclass(frozen=True, slots=True)
class FakeAnswer:
    """An answer as a transport would hold it."""

    body: bytes
    status: int = 200
    kept: bool = True

    acknowledged = True
    failed = False
    refused = False
    deferred = False
    ambiguous = False

    def observed(self) -> Observed | None:
        """See `Answer.observed`."""
        return Observed(self.status, "application/json", self.body) if self.kept else None

    def created_key(self) -> Key | None:
        """See `Answer.created_key`."""
        return None


def says(value: object, **rest: Any) -> FakeAnswer:  # noqa: ANN401
    """An answer with a JSON body."""
    return FakeAnswer(json.dumps(value).encode(), **rest)


Behaviour = Callable[[], Awaitable[FakeAnswer]]


@dataclass
class Sides:
    """What each side does when it is asked, and how often it was."""

    does: dict[Side, Behaviour] = field(default_factory=dict)
    asked: list[Side] = field(default_factory=list)

    async def call(self, side: Side, tag: CallTag) -> FakeAnswer:
        """See `Call`."""
        assert tag.role == "compare"
        self.asked.append(side)
        return await self.does[side]()

    def answer(self, side: Side, *answers: FakeAnswer) -> None:
        """Let a side give these answers in turn, the last one for ever."""
        left = list(answers)

        async def behave() -> FakeAnswer:
            return left.pop(0) if len(left) > 1 else left[0]

        self.does[side] = behave


class Bench:
    """Everything around one comparer."""

    def __init__(self, *, stage: Stage = Stage.SHADOW, **options: Any) -> None:  # noqa: ANN401
        self.clock = ManualClock()
        self.tasks = TaskOwner()
        self.ledger = MemoryLedger()
        self.events: list[Event] = []
        self.options = ComparisonOptions(**options)
        self.sides = Sides()
        self.seams = Seams(self.clock, SeededRandomness(1), self.tasks, unarmed)
        hooks = Hooks(self.events.append)
        self.observations = Observations(self.ledger, hooks, self.clock, self.options)
        self.comparer: ReadComparer[FakeAnswer] = ReadComparer(
            self.ledger, self.observations, self.seams, self.options
        )
        self.set_stage(stage)
        self.cover((EVERY_KEY,))

    def set_stage(self, stage: Stage) -> None:
        """As if somebody had moved."""
        decision = self.ledger.migration.decision + 1
        state = MigrationState(stage=stage, decision=decision, barrier_passed=True)
        self.ledger.apply(lambda rows: rows.set_migration(state))

    def cover(self, coverage: Coverage) -> None:
        """Say what was copied."""

        def transition(rows: Rows) -> None:
            rows.set_entity(replace(rows.entity("order"), coverage=coverage))

        self.ledger.apply(transition)

    def touch(self, key: Key = KEY) -> None:
        """Something wrote the key, and it has converged since."""

        def transition(rows: Rows) -> None:
            seq = rows.next_sequence() + 100
            rows.set_key(KeyState("order", key, seq=seq, clean_seq=seq))

        self.ledger.apply(transition)

    def lease(self, **changes: Any) -> None:  # noqa: ANN401
        """Somebody converges the key now."""
        state = KeyState("order", KEY, seq=5, lease=Lease("node", 5))
        self.ledger.apply(lambda rows: rows.set_key(structs.replace(state, **changes)))

    def request(self, operation: Operation = READ, **changes: Any) -> Request[FakeAnswer]:  # noqa: ANN401
        """A read of the one key, or of the list."""
        keys = (KEY,) if operation.key else ()
        return Request(operation, keys, self.sides.call, **changes)

    def agreement(self) -> Agreement:
        """What the ledger says of the one key now."""
        return look_at(self.ledger, "order", KEY)

    def offer(
        self,
        answer: FakeAnswer,
        operation: Operation = READ,
        side: Side = Side.LEGACY,
        **changes: Any,  # noqa: ANN401
    ) -> None:
        """Offer a read that was just answered, as the reader does."""
        request = self.request(operation, **changes)
        before: Standing | None = None
        if self.comparer.samples(request):
            before = self.agreement() if request.keys else look_at_entity(self.ledger, "order")
        self.comparer.offer(request, side, answer, before)

    async def counts(self, operation: Operation = READ) -> OperationCounts:
        """What was counted of the operation, once everything that can run now has run."""
        await self.clock.settle()
        await self.observations.flush()
        return self.ledger.look(lambda rows: operation_in(rows, operation.name, "order")).total

    def groups(self) -> tuple[MismatchGroup, ...]:
        """The open groups of mismatches as last flushed."""
        return self.ledger.look(mismatch_groups)

    def heard(self, kind: type[Event]) -> list[Event]:
        """The events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]
