"""A store that came back without what was put into it must not be taken for the one that left."""

from functools import partial

from crossfade.errors import ForeignLedgerError
from crossfade.ledger.base import Ledger
from crossfade.ledger.transitions.forgotten import note_store_forgot
from crossfade.ledger.transitions.moves import Decision
from crossfade.model.side import Side
from crossfade.observability.events import StoreForgot
from crossfade.observability.hooks import Hooks
from crossfade.seams.clock import Clock
from crossfade.store.base import StoreEpoch

ACTOR = "crossfade"


class ForgottenStores:
    """Holds what databases remember against what the ledger knows that they had."""

    def __init__(self, ledger: Ledger, hooks: Hooks, clock: Clock) -> None:
        self._ledger = ledger
        self._hooks = hooks
        self._clock = clock

    async def check(self, side: Side, database: str, found: StoreEpoch | None) -> None:
        """Void what was copied, where a database is not the one that it was copied into.

        An undone flip leaves a store behind that did not answer: it is held against the epoch
        that its side is known to have taken, not against the ledger's. Crash behind it: the epoch
        is as low as before, and there is nothing left to void.

        Raises:
            ForeignLedgerError: another ledger, or a later state of this one, fences it.
            LedgerUnavailableError: nothing was changed.

        """
        self._check_ledger(database, found)
        known = self._ledger.migration.confirmed(side)
        if found is not None and found.epoch >= known:
            return
        what = "no epoch" if found is None else f"epoch {found.epoch}, though it had {known}"
        reason = f"{database} has {what}: it was made anew, or restored from a backup"
        decision = Decision(ACTOR, reason, self._clock.now().timestamp())
        note = partial(note_store_forgot, side=side, database=database, decision=decision)
        if await self._ledger.transact(note):
            paused = self._ledger.migration.authority is side
            self._hooks.emit(StoreForgot(database, side.value, paused))

    def _check_ledger(self, database: str, found: StoreEpoch | None) -> None:
        identity = self._ledger.identity
        if found is None:
            return
        if found.ledger_id != identity.ledger_id or found.incarnation > identity.incarnation:
            raise ForeignLedgerError(
                f"{database} is fenced by another ledger, or by a later state of this one. "
                "Bring the right ledger back, or run `crossfade ledger adopt`."
            )
