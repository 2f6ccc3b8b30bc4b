"""One verification of one entity, from its first page to its verdict."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from crossfade.convergence.backlog import Backlog
from crossfade.convergence.pace import Pace
from crossfade.convergence.sides import EntityStores
from crossfade.convergence.throttle import Throttle
from crossfade.errors import ChangedMeanwhileError, GateError, StoreUnreachableError
from crossfade.ledger.base import Ledger
from crossfade.ledger.transitions.keys import mark_dirty
from crossfade.ledger.transitions.sweeps import look_sweep
from crossfade.ledger.transitions.verdicts import Verdict, record_alarm, record_verdict
from crossfade.model.coverage import Coverage, is_complete
from crossfade.model.key import Key
from crossfade.model.key_state import DirtyReason
from crossfade.model.side import Side
from crossfade.model.verification_way import AskedWay
from crossfade.observability.events import AlarmRaised, VerificationFinished
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams
from crossfade.store.digests import pairs_of
from crossfade.verification.judge import Judge, Judgement
from crossfade.verification.options import VerificationOptions
from crossfade.verification.record_pages import Page, RecordPages, RecordPair
from crossfade.verification.report import Findings, VerificationProgress
from crossfade.verification.sampler import Sampler
from crossfade.verification.ways import Chosen, Comparison, choose_way

_SEED_DIGITS = 15


@dataclass(frozen=True, slots=True)
class VerificationAsked:
    """How an entity is to be verified."""

    fraction: float = 1.0
    """Share of the keys, above 0 and up to 1."""
    way: AskedWay = AskedWay.BEST


@dataclass(frozen=True, slots=True)
class _Basis:
    """What must not change while an entity is verified."""

    generation: int
    decision: int
    epoch: int
    authority: Side


class EntityRun:
    """Compares one entity once; cut off at any point, only its alarms are remembered."""

    def __init__(
        self,
        ledger: Ledger,
        stores: EntityStores,
        hooks: Hooks,
        seams: Seams,
        options: VerificationOptions,
        asked: VerificationAsked,
    ) -> None:
        self._ledger = ledger
        self._stores = stores
        self._hooks = hooks
        self._seams = seams
        self._options = options
        self._sampler = Sampler(stores.entity.name, asked.fraction)
        self._asked = asked
        self._judge = Judge(ledger, stores)
        self._backlog = Backlog(ledger, seams.clock)
        self._throttle = Throttle(seams.clock)
        self._throttle.rows_per_second_max = options.rows_per_second_max
        self._pace = Pace(seams.clock)
        self._findings = Findings()
        self._rows_estimate = 0
        self._seen = 0
        """Rows that were read or added up so far."""
        self._waits_for: str | None = None

    async def run(self) -> Verdict:
        """Compare, and store the verdict; raises as `Verifier.verify` does."""
        name = self._stores.entity.name
        basis, coverage = self._begin()
        verdict = Verdict(
            entity=name,
            generation=basis.generation,
            decision=basis.decision,
            epoch=basis.epoch,
            fraction=self._asked.fraction,
            started_at=self._now(),
        )
        self._rows_estimate = await self._estimate(basis)
        chosen = await self._choose(basis)
        for range_ in coverage:
            await self._compare(verdict, basis, chosen.pages(range_))
        self._check_unchanged(basis)
        complete = is_complete(coverage)
        verdict = replace(
            self._findings.added_to(verdict),
            way=chosen.way,
            finished_at=self._now(),
            reason=None if complete else "the entity is not completely copied",
        )
        # Crash here: alarms are stored already; without one the verification did not happen.
        await self._seams.failpoint("verification.compared")
        verdict = await self._ledger.transact(partial(record_verdict, verdict=verdict))
        counts = (verdict.compared, verdict.different, verdict.lagging)
        self._hooks.emit(VerificationFinished(name, *counts))
        return verdict

    def progress(self) -> VerificationProgress:
        """How far it is."""
        pace = self._pace.rows_per_second
        left = max(0, int(self._rows_estimate * self._asked.fraction) - self._done)
        return VerificationProgress(
            entity=self._stores.entity.name,
            compared=self._done,
            rows_estimate=self._rows_estimate,
            different=self._findings.different,
            lagging=self._findings.lagging,
            rows_per_second=pace,
            eta_seconds=left / pace if pace > 0 else None,
            waits_for=self._waits_for or self._throttle.reason,
        )

    @property
    def _done(self) -> int:
        """Keys that were dealt with, for progress: sums are made before they are compared."""
        return max(self._findings.compared, min(self._seen, self._rows_estimate))

    async def _estimate(self, basis: _Basis) -> int:
        """About how many rows there are: as many as were copied, else they are counted."""
        name = self._stores.entity.name
        sweep = self._ledger.look(lambda rows: look_sweep(rows, name))
        if sweep is not None and sweep.finished_at is not None and sweep.rows:
            return sweep.rows
        return await self._stores.side(basis.authority).rows_estimate()

    async def _choose(self, basis: _Basis) -> Chosen:
        """How this entity is compared.

        Raises:
            GateError: it was asked for a way that cannot be taken.

        """
        mirror = basis.authority.other
        comparison = Comparison(
            stores=self._stores,
            authority=basis.authority,
            generation=basis.generation,
            options=self._options,
            sampler=self._sampler,
            differs=lambda pair: bool(self._judge.columns(pair.authority, pair.mirror, mirror)),
            seed=int(self._seams.randomness.identifier()[:_SEED_DIGITS], 16),
        )
        return await choose_way(self._asked.way, comparison)

    def _begin(self) -> tuple[_Basis, Coverage]:
        migration = self._ledger.migration
        name = self._stores.entity.name
        if not migration.copies_allowed or migration.lost_side is not None:
            state = "a side is lost" if migration.lost_side else f"the stage is {migration.stage}"
            raise GateError(
                f"{name} cannot be verified now: {state}. See `crossfade status` for what is open."
            )
        coverage = self._ledger.look(lambda rows: rows.entity(name)).coverage
        if not coverage:
            raise GateError(
                f"nothing of {name} was copied yet. Run `crossfade backfill start` first."
            )
        return self._basis(), coverage

    def _basis(self) -> _Basis:
        migration = self._ledger.migration
        name = self._stores.entity.name
        generation = self._ledger.look(lambda rows: rows.entity(name)).generation
        return _Basis(generation, migration.decision, migration.epoch, migration.authority)

    def _check_unchanged(self, basis: _Basis) -> None:
        now = self._basis()
        if (now.generation, now.epoch, now.authority) != (
            basis.generation,
            basis.epoch,
            basis.authority,
        ):
            raise ChangedMeanwhileError(
                f"the stage or the mapping changed while {self._stores.entity.name} was verified. "
                "Run `crossfade verify` again."
            )

    async def _compare(self, verdict: Verdict, basis: _Basis, pages: RecordPages) -> None:
        while True:
            self._waits_for = self._backlog.full(verdict.entity)
            await self._backlog.room(verdict.entity)
            self._waits_for = None
            await self._throttle.pause()
            began = self._seams.clock.monotonic()
            page = await self._next_page(pages)
            if page is None:
                return
            seconds = self._seams.clock.monotonic() - began
            if page.seen:
                self._throttle.page_read(page.seen, seconds)
            self._check_unchanged(basis)
            suspects = await self._suspects(page.pairs, basis.authority.other)
            self._seen += page.seen
            self._findings.compared += len(page.pairs) + page.equal
            await self._judge_all(verdict, suspects)
            await self._keep_proofs(page, suspects, basis)
            self._pace.count(page.seen)
            self._throttle.worked(page.seen, self._seams.clock.monotonic() - began)

    async def _keep_proofs(self, page: Page, suspects: Sequence[Key], basis: _Basis) -> None:
        """Keep the digests of what was found equal: the next verification need not read it."""
        different = set(suspects)
        proven = {key: pair for key, pair in page.proofs.items() if key not in different}
        kept = pairs_of(self._stores.side(basis.authority.other))
        if kept is not None and proven:
            await kept.keep(proven, basis.epoch)
            # Crash here: what was kept is true for ever; the verification did not happen.
            await self._seams.failpoint("verification.proven")

    async def _next_page(self, pages: RecordPages) -> Page | None:
        """The next page; an unreachable side is asked again, a few times."""
        tries = 1
        while True:
            try:
                async with asyncio.timeout(self._options.store_seconds_max):
                    return await pages.next_page()
            except (StoreUnreachableError, TimeoutError) as error:
                if tries >= self._options.tries_max:
                    raise
                self._waits_for = f"a side does not answer: {error}"
            await self._seams.clock.sleep(self._options.retry_seconds * 2 ** (tries - 1))
            self._waits_for = None
            tries += 1

    async def _suspects(self, page: Sequence[RecordPair], mirror: Side) -> list[Key]:
        """Keys whose records differ at first sight; they were not read in one moment."""
        suspects = []
        for number, pair in enumerate(page, start=1):
            if self._judge.columns(pair.authority, pair.mirror, mirror):
                suspects.append(pair.key)
            if number % self._options.compare_slice_rows == 0:
                await self._seams.clock.sleep(0)
        return suspects

    async def _judge_all(self, verdict: Verdict, keys: Sequence[Key]) -> None:
        """Look at each key again; alarms are stored at once, so that no crash loses them."""
        alarms: list[Key] = []
        touched: list[Key] = []
        for key in keys:
            judgement, columns = await self._judge.judge(key)
            self._findings.add(judgement, key, columns)
            if judgement is Judgement.ALARM:
                alarms.append(key)
            elif judgement is Judgement.TOUCHED:
                touched.append(key)
        at = self._now()
        if touched:
            reason = DirtyReason.DIFFERENCE
            mark = partial(mark_dirty, entity=verdict.entity, keys=touched, reason=reason, at=at)
            await self._ledger.transact(mark)
        if alarms:
            so_far = self._findings.added_to(verdict)
            await self._ledger.transact(partial(record_alarm, verdict=so_far, keys=alarms, at=at))
            # Crash here: the alarm stands, and its keys converge.
            await self._seams.failpoint("verification.alarm")
            self._hooks.emit(AlarmRaised(verdict.entity, len(alarms)))

    def _now(self) -> float:
        return self._seams.clock.now().timestamp()
