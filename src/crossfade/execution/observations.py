"""What comparisons and replays found, gathered in memory and flushed to the ledger."""

from dataclasses import replace
from functools import partial

from crossfade.convergence.converge import Effect
from crossfade.errors import LedgerUnavailableError
from crossfade.execution.comparison_options import ComparisonOptions
from crossfade.execution.failures import Failures
from crossfade.ledger.base import Ledger
from crossfade.ledger.rows import RowsView
from crossfade.ledger.transitions.observations import (
    merge_observations,
    mismatch_groups,
    resolve_group,
)
from crossfade.model.comparison import (
    UNAVAILABLE,
    Comparison,
    Observed,
    Outcome,
    compare_answers,
    compare_records,
    judged,
)
from crossfade.model.intent import Intent
from crossfade.model.json_difference import Difference, DifferenceKind
from crossfade.model.key import Key, encode_key
from crossfade.model.observation import (
    MismatchGroup,
    MismatchKind,
    MismatchSample,
    ObservationDelta,
    ObservedOperation,
    OperationCounts,
    group_fingerprint,
)
from crossfade.model.operation import Operation
from crossfade.model.redaction import short_hash
from crossfade.model.side import Side
from crossfade.model.stage import Stage
from crossfade.observability.events import (
    ComparisonSkipped,
    MismatchFound,
    ReplayRefused,
    WorkerFailed,
)
from crossfade.observability.hooks import Hooks
from crossfade.seams.clock import Clock

_MATCHED = OperationCounts(matched=1)
_ERROR = OperationCounts(errors=1)
_REPLAY = OperationCounts(replays=1)
_REFUSED = OperationCounts(refused_replays=1)
_MISMATCHED = OperationCounts(mismatched=1)


class Observations:
    """Counts and groups of mismatches; one per node. Judges replays (`ReplaySink`).

    Nothing here raises into a request, but for `flush`, `load` and the operator's calls. A crash
    loses what was found since the last flush, at most `flush_seconds` of it: evidence, no data.
    """

    def __init__(
        self, ledger: Ledger, hooks: Hooks, clock: Clock, options: ComparisonOptions
    ) -> None:
        self._ledger = ledger
        self._hooks = hooks
        self._clock = clock
        self._options = options
        self._stage = ledger.migration.stage
        self.failures = Failures(ledger)
        """Failed answers, kept along with the rest."""
        self._operations: dict[str, ObservedOperation] = {}
        self._groups: dict[str, MismatchGroup] = {}
        self._known: dict[str, bool] = {}
        """Fingerprints of all groups -> whether its listeners were told since it was resolved."""

    def load(self) -> None:
        """Learn the groups that the ledger knows: they are not told of again."""
        for group in self._ledger.look(partial(mismatch_groups, resolved=True)):
            self._known[group.fingerprint] = group.open > 0

    # What was found; called on the way of requests.

    def compared(
        self, operation: Operation, kind: MismatchKind, comparison: Comparison, key: Key | None
    ) -> None:
        """A comparison was judged."""
        match comparison.outcome:
            case Outcome.MATCH:
                self._count(operation, _MATCHED)
            case Outcome.ERROR:
                self._count(operation, _ERROR)
            case Outcome.MISMATCH:
                self._count(operation, _MISMATCHED)
                shape = comparison.fingerprint
                group = self._group(operation, kind, comparison, key, shape)
                if self._add(operation, group):
                    fingerprint, paths = group.fingerprint, group.paths
                    event = MismatchFound(operation.name, kind.value, fingerprint, paths)
                    self._hooks.emit(event)

    def skipped(self, operation: Operation, reason: str, *, told: bool = True) -> None:
        """A comparison was not made, or its result says nothing; `told`: listeners are told."""
        self._count(operation, OperationCounts(skipped=1))
        if told:
            self._hooks.emit(ComparisonSkipped(operation.name, reason))

    def canary_served(self, operation: Operation) -> None:
        """New served a read of the canary share."""
        self._count(operation, OperationCounts(canary_served=1))

    def canary_fell_back(self, operation: Operation) -> None:
        """The authority served a read of the canary share; the reader tells why."""
        self._count(operation, OperationCounts(canary_fell_back=1))

    def replay_answered(
        self, operation: Operation, intent: Intent, answers: dict[Side, Observed]
    ) -> None:
        """See `ReplaySink.replay_answered`."""
        self._count(operation, _REPLAY)
        legacy, new = answers[Side.LEGACY], answers[Side.NEW]
        comparison = compare_answers(legacy, new, operation.compare)
        key = intent.keys[0] if intent.keys else None
        self.compared(operation, MismatchKind.REPLAY_ANSWER, comparison, key)

    def replay_refused(self, operation: Operation, authority_status: int, status: int) -> None:
        """See `ReplaySink.replay_refused`; a mirror that is not available has refused nothing."""
        self._count(operation, _REPLAY)
        if status in UNAVAILABLE:
            self._count(operation, _ERROR)
            return
        texts = [str(authority_status), str(status)]
        if self._ledger.migration.authority is Side.NEW:
            texts.reverse()
        comparison = judged((Difference("status", DifferenceKind.STATUS, *texts),))
        self._count(operation, _REFUSED)
        shape = f"refused {authority_status} {status}"
        kind = MismatchKind.REPLAY_ANSWER
        group = self._group(operation, kind, comparison, None, shape)
        if self._add(operation, replace(group, refused=True)):
            event = ReplayRefused(operation.entity, operation.name, authority_status, status)
            self._hooks.emit(event)

    def replay_effect(self, operation: Operation, mirror: Side, effect: Effect) -> None:
        """See `ReplaySink.replay_effect`; another write of the key would look like an effect."""
        if not self._ledger.look(partial(_is_undisturbed, effect=effect)):
            self.skipped(operation, "another write of the key was under way", told=False)
            return
        try:
            comparison = compare_records(
                effect.wanted, effect.found, operation.compare, mirror=mirror
            )
        except Exception as error:  # noqa: BLE001 - a store's values may do anything when compared
            self.skipped(operation, f"records cannot be compared: {type(error).__name__}")
            return
        self.compared(operation, MismatchKind.REPLAY_EFFECT, comparison, effect.key)

    # Keeping it; called by workers and by operators.

    async def run(self) -> None:
        """Flush again and again until cancelled; a failure is told, and tried again."""
        while True:
            await self._clock.sleep(self._options.flush_seconds)
            try:
                await self.flush()
            except LedgerUnavailableError:
                # Told by the ledger. What was found is kept in memory, added up, and flushed when
                # the ledger can.
                continue
            except Exception as error:  # noqa: BLE001 - told as an event, never the end of the worker
                reason = f"{type(error).__name__}: {error}"
                self._hooks.emit(WorkerFailed("observations", reason))

    async def flush(self) -> None:
        """Add what was found to the ledger; what cannot be written is kept for the next time.

        Raises:
            LedgerUnavailableError: nothing was written.

        """
        await self.failures.flush()
        delta = self._taken()
        if not delta:
            return
        try:
            await self._ledger.transact(partial(merge_observations, delta=delta))
        except BaseException:
            # After a failed commit of unknown outcome the ledger refuses everything until it is
            # opened anew, so that nothing is counted twice by this process.
            self._put_back(delta)
            raise

    async def resolve_group(self, fingerprint: str) -> bool:
        """An operator has mended the cause: gates count from now on; False: no such group.

        Raises:
            LedgerUnavailableError: nothing was changed.

        """
        await self.flush()
        at = self._clock.now().timestamp()
        resolve = partial(resolve_group, fingerprint=fingerprint, at=at)
        resolved = await self._ledger.transact(resolve)
        if resolved:
            self._known[fingerprint] = False
        return resolved

    def _count(self, operation: Operation, counts: OperationCounts) -> None:
        self._drop_what_off_found()
        known = self._operations.get(operation.name)
        if known is None:
            known = ObservedOperation(operation=operation.name, entity=operation.entity)
        self._operations[operation.name] = replace(known, total=known.total.plus(counts))

    def _group(
        self,
        operation: Operation,
        kind: MismatchKind,
        comparison: Comparison,
        key: Key | None,
        shape: str,
    ) -> MismatchGroup:
        """A group of this one mismatch."""
        at = self._clock.now().timestamp()
        text = "" if key is None else encode_key(key)
        if text and not self._options.keys_shown:
            text = f"#{short_hash(text)}"
        return MismatchGroup(
            fingerprint=group_fingerprint(operation.name, kind, shape),
            operation=operation.name,
            entity=operation.entity,
            kind=kind,
            paths=comparison.paths,
            count=1,
            open=1,
            first_at=at,
            last_at=at,
            samples=(MismatchSample(at, text, comparison.differences),),
        )

    def _add(self, operation: Operation, group: MismatchGroup) -> bool:
        """Keep the group, or only count it; whether listeners have to be told of it."""
        self._drop_what_off_found()
        fingerprint = group.fingerprint
        told = self._known.get(fingerprint)
        if told is None and len(self._known) >= self._options.groups_max:
            self._count(operation, OperationCounts(ungrouped=1))
            reason = "too many kinds of mismatches: counted without a sample"
            self._hooks.emit(ComparisonSkipped(operation.name, reason))
            return False
        self._known[fingerprint] = True
        self._keep(group)
        return not told

    def _keep(self, group: MismatchGroup) -> None:
        pending = self._groups.get(group.fingerprint)
        samples_max = self._options.samples_max
        kept = group if pending is None else pending.plus(group, samples_max)
        self._groups[group.fingerprint] = kept

    def _taken(self) -> ObservationDelta:
        """What waits for the ledger, which is no longer kept here."""
        self._drop_what_off_found()
        delta = ObservationDelta(
            operations=tuple(self._operations.values()),
            groups=tuple(self._groups.values()),
            samples_max=self._options.samples_max,
            stage=self._stage,
        )
        self._operations, self._groups = {}, {}
        return delta

    def _drop_what_off_found(self) -> None:
        """Forget what was found in `off` and not flushed when `off` is left.

        A new generation has begun; before it nothing was copied, so both sides had to differ.
        """
        stage = self._ledger.migration.stage
        if self._stage is Stage.OFF and stage is not Stage.OFF:
            self._operations, self._groups = {}, {}
            self._known.clear()
        self._stage = stage

    def _put_back(self, delta: ObservationDelta) -> None:
        """Add what could not be written to what was found meanwhile."""
        newer = self._taken()
        for found in (*delta.operations, *newer.operations):
            known = self._operations.get(found.operation)
            total = found.total if known is None else known.total.plus(found.total)
            self._operations[found.operation] = replace(found, total=total)
        for group in (*delta.groups, *newer.groups):
            self._keep(group)


def _is_undisturbed(rows: RowsView, effect: Effect) -> bool:
    """Whether no write of the key is open, and none began or ended since its lease was taken.

    An open create whose id is not known yet may have made this very key: databases give the
    highest id anew once its record is deleted.
    """
    state = rows.key(effect.entity, effect.key)
    untouched = state.seq == effect.token and state.open_intents == 0
    return untouched and rows.entity(effect.entity).unbound_creates == 0
