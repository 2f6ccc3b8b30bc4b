"""The barrier behind `off`: nothing is copied before writes without intent have ended (rule 9)."""

from functools import partial

from crossfade.execution.untracked import UntrackedWrites
from crossfade.ledger.base import Ledger
from crossfade.ledger.nodes import SINGLE, Nodes
from crossfade.ledger.transitions.flips import begin_barrier, commit_flip
from crossfade.ledger.transitions.moves import Decision
from crossfade.model.stage import Stage
from crossfade.observability.events import BarrierPassed
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams
from crossfade.stages.epochs import Epochs

ENDED_POLL_SECONDS = 0.05
"""How often a barrier that was begun looks whether writes without intent have ended."""


class Barrier:
    """Passes the barrier as soon as it may be passed."""

    def __init__(
        self, ledger: Ledger, untracked: UntrackedWrites, epochs: Epochs, hooks: Hooks,
        seams: Seams,
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._untracked = untracked
        self._epochs = epochs
        self._hooks = hooks
        self._seams = seams
        self._nodes: Nodes = SINGLE
        self._dead = 0

    def share(self, nodes: Nodes) -> None:
        """Mind the other processes from now on; called when this one begins.

        Raises:
            LedgerUnavailableError: the ledger does not answer.

        """
        self._nodes = nodes
        self._dead = nodes.dead()

    def waits_for(self) -> str | None:
        """What the barrier waits for, in words; None where there is none to pass."""
        migration = self._ledger.migration
        if migration.stage is Stage.OFF or migration.barrier_passed:
            return None
        if not self._untracked.ended():
            seconds = self._untracked.seconds_left()
            return f"writes without intent have not certainly ended (at most {seconds:.1f} s more)"
        lagging = self._lagging()
        if lagging:
            return f"other processes have not left off yet: {', '.join(lagging)}"
        return "the mirror's epoch is being raised"

    async def step(self) -> bool:
        """Pass the barrier if nothing is in its way; returns whether it was passed now.

        Raises:
            UnreachableError: the mirror does not answer; what was begun is left to `recover`.
            StoreError: likewise.
            GateError: the stage was moved meanwhile.

        """
        migration = self._ledger.migration
        if self.waits_for() is None or not self._ended() or migration.flip is not None:
            return False
        # A mirror that is down for hours must not leave a change of epoch behind at every step.
        if not await self._epochs.answers(migration.mirror):
            return False
        node = self._nodes.name or ""
        reason = "all writes without intent have ended"
        decision = Decision("crossfade", reason, self._at(), node=node)
        flip = await self._ledger.transact(partial(begin_barrier, decision=decision))
        # The row drops out if `off` is entered from here on; before it, `off` may have been
        # entered and left again while the transaction waited in the queue.
        while self._ledger.migration.flip == flip and not self._ended():
            await self._seams.clock.sleep(ENDED_POLL_SECONDS)
        # Crash here: the flip row says that the mirror's epoch may have been raised.
        await self._seams.failpoint("barrier.begun")
        await self._epochs.raise_to(flip.epoch + 1, [migration.mirror])
        # Crash here: the mirror refuses copies until the ledger's epoch follows.
        await self._seams.failpoint("barrier.fenced")
        commit = partial(commit_flip, flip=flip, decision=decision, raised=(migration.mirror,))
        committed = await self._ledger.transact(commit)
        self._hooks.emit(BarrierPassed(committed.epoch))
        return True

    def _ended(self) -> bool:
        """Whether every write without intent has certainly ended, in every process.

        One that was found dead may have left some under way: they end within their time, which
        counts from when this process hears of it.
        """
        # In this order: a process that is found dead in between must be in one of the two.
        lagging = self._lagging()
        dead = self._nodes.dead()
        if dead != self._dead:
            self._untracked.doubt()
            self._dead = dead
        return self._untracked.ended() and not lagging

    def _lagging(self) -> tuple[str, ...]:
        """Other processes that may still send writes without intent, or have some under way."""
        return tuple(one.node for one in self._nodes.others() if one.behind or one.untracked)

    def _at(self) -> float:
        return self._seams.clock.now().timestamp()
