"""The watch over what moves by itself: the barrier, and changes of epoch that were cut off."""

from crossfade.errors import CrossfadeError
from crossfade.ledger.base import Ledger
from crossfade.ledger.nodes import SINGLE, Nodes
from crossfade.ledger.transitions.moves import Decision
from crossfade.model.migration_state import Flip
from crossfade.observability.events import WorkerFailed
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams
from crossfade.stages.barrier import Barrier
from crossfade.stages.flip import Flipper
from crossfade.stages.options import StageOptions
from crossfade.stages.pace import Pace


class StageWatch:
    """Passes barriers and mends what a dead node left; runs as long as the node does."""

    def __init__(  # noqa: PLR0913 - wired once, by the assembly
        self,
        *,
        ledger: Ledger,
        barrier: Barrier,
        flipper: Flipper,
        pace: Pace,
        hooks: Hooks,
        seams: Seams,
        options: StageOptions,
    ) -> None:
        self._ledger = ledger
        self._barrier = barrier
        self._flipper = flipper
        self._pace = pace
        self._hooks = hooks
        self._seams = seams
        self._options = options
        self._left_over: int | None = None
        self._nodes: Nodes = SINGLE

    def share(self, nodes: Nodes) -> None:
        """Mind the other processes: what one that lives has begun is its own to end."""
        self._nodes = nodes
        self._barrier.share(nodes)

    async def mend(self) -> bool:
        """Complete or undo the change of epoch that was under way when the node started.

        Called before the node serves. False: a store does not answer; `run` tries again, and
        writers wait meanwhile.
        """
        flip = self._ledger.migration.flip
        if flip is None or self._nodes.is_elsewhere(flip.node):
            return True
        self._left_over = flip.id
        return await self._try_to_mend()

    async def run(self) -> None:
        """Watch until cancelled; a failure is told, and tried again after a pause."""
        while True:
            try:
                await self.step()
            except Exception as error:  # noqa: BLE001 - told as an event, never the end of the worker
                self._hooks.emit(WorkerFailed("stage watch", _reason(error)))
            await self._seams.clock.sleep(self._options.watch_seconds)

    async def step(self) -> None:
        """Look once: mend what is left over, then see to the barrier."""
        self._pace.sample()
        flip = self._ledger.migration.flip
        if flip is not None and self._is_left_over(flip):
            await self._try_to_mend()
            return
        try:
            await self._barrier.step()
        except CrossfadeError:
            # The mirror did not take the epoch: what was begun here is left over from now on.
            begun = self._ledger.migration.flip
            self._left_over = begun.id if begun is not None else None
            raise

    def _is_left_over(self, flip: Flip) -> bool:
        """Whether nobody will end the change of epoch but us."""
        if flip.id in (self._left_over, self._flipper.left_behind):
            return True
        mine = flip.node == (self._nodes.name or "")
        return not mine and not self._nodes.is_elsewhere(flip.node)

    async def _try_to_mend(self) -> bool:
        at = self._seams.clock.now().timestamp()
        decision = Decision("crossfade", "a change of epoch was cut off", at)
        try:
            return await self._flipper.recover(decision)
        except CrossfadeError as error:
            self._hooks.emit(WorkerFailed("stage watch", str(error)))
            return False


def _reason(error: Exception) -> str:
    """One of ours says what to do; of any other the kind is what helps."""
    return str(error) if isinstance(error, CrossfadeError) else f"{type(error).__name__}: {error}"
