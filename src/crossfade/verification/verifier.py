"""Verify entities: compare every key on both sides, tell lag from difference, raise the alarm."""

from crossfade.convergence.sides import Sides
from crossfade.errors import DefinitionError, GateError
from crossfade.ledger.base import Ledger
from crossfade.ledger.transitions.verdicts import Verdict
from crossfade.model.verification_way import AskedWay
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams
from crossfade.verification.entity_run import EntityRun, VerificationAsked
from crossfade.verification.options import VerificationOptions
from crossfade.verification.report import VerificationProgress


class Verifier:
    """Starts verifications, at most one of each entity at a time; what they find is dirty."""

    def __init__(
        self,
        ledger: Ledger,
        sides: Sides,
        hooks: Hooks,
        seams: Seams,
        options: VerificationOptions | None = None,
    ) -> None:
        self.options = options or VerificationOptions()
        self._ledger = ledger
        self._sides = sides
        self._hooks = hooks
        self._seams = seams
        self._running: dict[str, EntityRun] = {}

    async def verify(
        self, entity: str, fraction: float = 1.0, way: AskedWay = AskedWay.BEST
    ) -> Verdict:
        """Compare a share of the entity's keys, and store the verdict.

        May be cancelled, and may die: an alarm that was raised by then stands, the rest is as if
        it had not been.

        Args:
            entity: the entity's name.
            fraction: share of the keys, above 0 and up to 1; the same share is the same keys.
            way: how to compare; the verdict says which way was taken. All ways come to the same
                verdict: digests only spare reading what is equal.

        Raises:
            DefinitionError: there is no such entity.
            GateError: nothing was copied yet, a side is lost, a verification runs already, or
                the way cannot be taken.
            ChangedMeanwhileError: the authority or the generation changed under way.
            StoreError, TimeoutError: a side did not answer several times.

        """
        stores = self._sides.entities.get(entity)
        if stores is None:
            known = ", ".join(self._sides.entities)
            raise DefinitionError(f'there is no entity "{entity}". There are: {known}.')
        if entity in self._running:
            raise GateError(f"{entity} is being verified already. See `crossfade status`.")
        asked = VerificationAsked(fraction, way)
        run = EntityRun(self._ledger, stores, self._hooks, self._seams, self.options, asked)
        self._running[entity] = run
        try:
            return await run.run()
        finally:
            del self._running[entity]

    def progress(self) -> tuple[VerificationProgress, ...]:
        """The verifications under way."""
        return tuple(run.progress() for run in self._running.values())
