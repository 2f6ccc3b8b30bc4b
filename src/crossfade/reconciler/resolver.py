"""Settle intents that nobody will end: of dead nodes, or in doubt (PROTOCOL.md `resolve`)."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from crossfade.convergence.sides import Sides
from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import Rows
from crossfade.ledger.transitions.intents import close_intent
from crossfade.model.intent import Doubt, Intent
from crossfade.observability.events import IntentSettled
from crossfade.observability.hooks import Hooks
from crossfade.reconciler.options import ReconcilerOptions
from crossfade.reconciler.unbound import UnboundCreates
from crossfade.seams.bundle import Seams


class Resolver:
    """Closes an intent once its calls have certainly ended, by this process's own clock.

    Restarting settles nothing (PROTOCOL.md case 38): what was seen is forgotten with the process,
    and the waiting begins anew.
    """

    def __init__(
        self,
        ledger: Ledger,
        sides: Sides,
        hooks: Hooks,
        seams: Seams,
        is_alive: Callable[[int], bool],
        options: ReconcilerOptions,
    ) -> None:
        """Begin with no intent seen.

        Args:
            ledger: where intents are.
            sides: the stores, and how long each service may take to answer.
            hooks: who is told.
            seams: clock and failpoints.
            is_alive: whether the intent's task runs in this process; such a one is left alone.
            options: limits.

        """
        self._ledger = ledger
        self._sides = sides
        self._hooks = hooks
        self._seams = seams
        self._is_alive = is_alive
        self.is_elsewhere: Callable[[str], bool] = _nowhere
        """Whether another process looks after the intents of a node; set by the assembly."""
        self._options = options
        self._first_seen: dict[int, float] = {}
        self._unbound = UnboundCreates(ledger, sides, seams, options)

    async def step(self) -> int:
        """Close every intent that is settled by now; returns how many.

        Raises:
            StoreError: a side cannot be searched for a record without a known id; those intents
                stay open, the others are closed.

        """
        orphans = self._orphans()
        settled = [intent for intent in orphans if self._settled(intent)]
        count = await self._close([intent for intent in settled if not intent.unbound])
        by_entity: dict[str, list[Intent]] = {}
        for intent in settled:
            if intent.unbound:
                by_entity.setdefault(intent.entity, []).append(intent)
        for entity, intents in by_entity.items():
            if entity in self._sides.entities and await self._unbound.settle(entity, intents):
                count += len(intents)
                self._tell(intents)
        return count

    def _orphans(self) -> list[Intent]:
        """Open intents without a task in any process; since when is counted from here on."""
        intents = self._ledger.look(lambda rows: rows.intents(self._options.intents_at_once))
        orphans = [
            intent
            for intent in intents
            if not self._is_alive(intent.id) and not self.is_elsewhere(intent.node)
        ]
        now = self._seams.clock.monotonic()
        self._first_seen = {intent.id: self._first_seen.get(intent.id, now) for intent in orphans}
        return orphans

    def _settled(self, intent: Intent) -> bool:
        """Whether no call of the intent can still be under way."""
        waited = self._seams.clock.monotonic() - self._first_seen[intent.id]
        return waited >= self._wait_seconds(intent)

    def _wait_seconds(self, intent: Intent) -> float:
        answers_within = self._sides.answers_within_seconds
        authority = answers_within[intent.authority]
        mirror = answers_within[intent.authority.other]
        if intent.doubt is Doubt.AUTHORITY:
            return authority
        if intent.doubt is Doubt.MIRROR:
            return mirror
        # Its node died without a word: it may have been calling either side.
        return max(authority, mirror)

    async def _close(self, intents: Sequence[Intent]) -> int:
        for begin in range(0, len(intents), self._options.closes_at_once):
            some = intents[begin : begin + self._options.closes_at_once]
            at = self._seams.clock.now().timestamp()
            numbers = [intent.id for intent in some]
            await self._ledger.transact(partial(_close_all, intent_ids=numbers, at=at))
            # Crash here: their keys are dirty, and converge like any other.
            await self._seams.failpoint("resolver.closed")
            self._tell(some)
        return len(intents)

    def _tell(self, intents: Iterable[Intent]) -> None:
        for intent in intents:
            self._hooks.emit(IntentSettled(intent.entity, intent.id, intent.doubt.value))


def _close_all(rows: Rows, intent_ids: Iterable[int], at: float) -> None:
    for intent_id in intent_ids:
        close_intent(rows, intent_id, at)


def _nowhere(node: str) -> bool:  # noqa: ARG001 - there are no others where nobody said so
    return False
