"""The two services of tests: functions on one side's rows that answer, fail, hang or vanish."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from enum import Enum

from crossfade.codec import encode
from crossfade.execution.calls import CallFailedError, CallTag
from crossfade.model.comparison import Observed
from crossfade.model.key import Key
from crossfade.store.memory_store import MemoryStore
from tests.fake_seams import Turns


@dataclass(frozen=True, slots=True)
class FakeAnswer:
    """A complete answer; `value` is what it says of the record."""

    status: int
    value: object = None
    made: Key | None = None
    """The key that a create made."""
    too_large: bool = False

    @property
    def acknowledged(self) -> bool:
        """See `Answer.acknowledged`."""
        return 200 <= self.status < 300

    @property
    def failed(self) -> bool:
        """See `Answer.failed`."""
        return self.status >= 500

    @property
    def refused(self) -> bool:
        """See `Answer.refused`."""
        return 400 <= self.status < 500

    @property
    def deferred(self) -> bool:
        """See `Answer.deferred`."""
        return self.status == 202

    @property
    def ambiguous(self) -> bool:
        """See `Answer.ambiguous`."""
        return self.status in (502, 504)

    def observed(self) -> Observed | None:
        """See `Answer.observed`."""
        if self.too_large:
            return None
        return Observed(self.status, "application/json", encode(self.value))

    def created_key(self) -> Key | None:
        """See `Answer.created_key`."""
        return self.made


class Does(Enum):
    """How a service deals with one call."""

    ACT = "acts and answers"
    REFUSE = "answers 409, has not acted"
    FAIL = "answers 500, has not acted"
    FAIL_ACTED = "answers 500, has acted"
    BAD_GATEWAY = "an intermediary answers 502, the service has not acted"
    BAD_GATEWAY_ACTED = "an intermediary answers 502, the service has acted"
    UNREACHABLE = "the call was certainly not sent"
    CUT = "the connection is cut before the answer, the service has acted"
    LOST = "no answer within the deadline, the service never acts"
    LATE = "no answer within the deadline, the service acts when `land` is called"
    HANG = "waits for `go_on`, then acts and answers"
    CRASH = "the transport itself is broken"


ANSWERED_WITHOUT_ACTING = {Does.REFUSE: 409, Does.FAIL: 500, Does.BAD_GATEWAY: 502}
ANSWERED_AFTER_ACTING = {Does.FAIL_ACTED: 500, Does.BAD_GATEWAY_ACTED: 502}


class ServiceRows:
    """One side's rows as its service sees them: a value by key, no tokens, no epochs."""

    def __init__(self, store: MemoryStore, column: str) -> None:
        self._store = store
        self._column = column

    def get(self, key: Key) -> object:
        """The value, or None where there is no row."""
        row = self._store.rows.get(key)
        return None if row is None else row[self._column]

    def set(self, key: Key, value: object) -> None:
        """Update or insert."""
        rows = self._store.rows
        rows[key] = {**rows.get(key, {}), "id": key[0], self._column: value}

    def remove(self, key: Key) -> None:
        """Delete; a missing row is no error."""
        self._store.rows.pop(key, None)

    def keys(self) -> list[Key]:
        """All keys, ascending."""
        return sorted(self._store.rows)

    def values(self) -> dict[Key, object]:
        """Everything."""
        return {key: self.get(key) for key in self.keys()}


Act = Callable[[ServiceRows], FakeAnswer]
"""What a request does to the rows of the side that is asked."""


def put_value(key: Key, value: object) -> Act:
    """`PUT /customers/{id}`."""

    def act(rows: ServiceRows) -> FakeAnswer:
        rows.set(key, value)
        return FakeAnswer(200, value)

    return act


def remove_key(key: Key) -> Act:
    """`DELETE /customers/{id}`."""

    def act(rows: ServiceRows) -> FakeAnswer:
        rows.remove(key)
        return FakeAnswer(204)

    return act


def create_value(value: object, *, says: bool = True) -> Act:
    """`POST /customers`: the service makes the id, and `says` it in its answer."""

    def act(rows: ServiceRows) -> FakeAnswer:
        highest = rows.keys()[-1][0] if rows.keys() else 0
        assert isinstance(highest, int)
        key = (highest + 1,)
        rows.set(key, value)
        return FakeAnswer(201, value, made=key if says else None)

    return act


def read_value(key: Key) -> Act:
    """`GET /customers/{id}`."""

    def act(rows: ServiceRows) -> FakeAnswer:
        value = rows.get(key)
        return FakeAnswer(404) if value is None else FakeAnswer(200, value)

    return act


def read_all(rows: ServiceRows) -> FakeAnswer:
    """`GET /customers`."""
    return FakeAnswer(200, [rows.get(key) for key in rows.keys()])  # noqa: SIM118 - no dict


@dataclass(slots=True)
class FakeService:
    """One side's service; it lives longer than any node of ours."""

    rows: ServiceRows
    turns: Turns
    plan: deque[Does] = field(default_factory=deque)
    """How the next calls are dealt with; beyond the end, `choose` or well."""
    choose: Callable[[CallTag], Does] | None = None
    calls: list[CallTag] = field(default_factory=list)
    late: list[Act] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    before: Callable[[CallTag], object] | None = None
    """Called when a call arrives: something that happens just then."""
    slow: Callable[[], Awaitable[None]] | None = None
    """Awaited before a call is carried out, such as a sleep."""
    after: Callable[[CallTag], object] | None = None
    """Called when a call was carried out and is not answered yet."""

    async def run(self, act: Act, tag: CallTag) -> FakeAnswer:
        """Deal with one call."""
        self.calls.append(tag)
        does = self._next(tag)
        if does is Does.UNREACHABLE:
            raise CallFailedError("connection refused.", sent=False)
        if does is Does.CRASH:
            raise RuntimeError("the transport is broken")
        if self.before is not None:
            self.before(tag)
        await self.turns()
        if self.slow is not None:
            await self.slow()
        if does is Does.HANG:
            await self.gate.wait()
        answer = self._carry_out(does, act)
        if self.after is not None:
            self.after(tag)
        await self.turns()
        if does in (Does.CUT, Does.LOST, Does.LATE):
            raise CallFailedError("no answer.", sent=True)
        return answer

    def go_on(self) -> None:
        """Let every hanging call act and answer."""
        self.gate.set()

    def land(self) -> None:
        """Calls that nobody waits for any more act now."""
        late, self.late = self.late, []
        for act in late:
            act(self.rows)

    def _next(self, tag: CallTag) -> Does:
        if self.plan:
            return self.plan.popleft()
        return self.choose(tag) if self.choose is not None else Does.ACT

    def _carry_out(self, does: Does, act: Act) -> FakeAnswer:
        if does in ANSWERED_WITHOUT_ACTING:
            return FakeAnswer(ANSWERED_WITHOUT_ACTING[does])
        if does is Does.LOST:
            return FakeAnswer(504)
        if does is Does.LATE:
            self.late.append(act)
            return FakeAnswer(504)
        answer = act(self.rows)
        return replace(answer, status=ANSWERED_AFTER_ACTING.get(does, answer.status))
