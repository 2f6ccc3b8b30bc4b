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
from crossfade.ledger.transitions.verdicts import Verdict, record_alarm, record_verdict
from crossfade.model.coverage import Coverage, is_complete
from crossfade.model.key import Key
from crossfade.model.key_state import DirtyReason
from crossfade.model.side import Side
from crossfade.observability.events import AlarmRaised, VerificationFinished
from crossfade.observability.hooks import Hooks
from crossfade.seams.bundle import Seams
from crossfade.verification.judge import Judge, Judgement
from crossfade.verification.options import VerificationOptions
from crossfade.verification.record_pages import RecordPages, RecordPair, record_pages
from crossfade.verification.report import Findings, VerificationProgress
from crossfade.verification.sampler import Sampler


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
        fraction: float,
    ) -> None:
        self._ledger = ledger
        self._stores = stores
        self._hooks = hooks
        self._seams = seams
        self._options = options
        self._sampler = Sampler(stores.entity.name, fraction)
        self._fraction = fraction
        self._judge = Judge(ledger, stores)
        self._backlog = Backlog(ledger, seams.clock)
        self._throttle = Throttle(seams.clock)
        self._throttle.rows_per_second_max = options.rows_per_second_max
        self._pace = Pace(seams.clock)
        self._findings = Findings()
        self._rows_estimate = 0
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
            fraction=self._fraction,
            started_at=self._now(),
        )
        authority = self._stores.side(basis.authority)
        mirror = self._stores.side(basis.authority.other)
        self._rows_estimate = await authority.rows_estimate()
        for range_ in coverage:
            rows_max = self._options.page_rows
            pages = record_pages(authority, mirror, range_, rows_max, self._sampler)
            await self._compare(verdict, basis, pages)
        self._check_unchanged(basis)
        complete = is_complete(coverage)
        verdict = replace(
            self._findings.added_to(verdict),
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
        left = max(0, int(self._rows_estimate * self._fraction) - self._findings.compared)
        return VerificationProgress(
            entity=self._stores.entity.name,
            compared=self._findings.compared,
            rows_estimate=self._rows_estimate,
            different=self._findings.different,
            lagging=self._findings.lagging,
            rows_per_second=pace,
            eta_seconds=left / pace if pace > 0 else None,
            waits_for=self._waits_for or self._throttle.reason,
        )

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
            self._throttle.page_read(len(page), seconds)
            self._check_unchanged(basis)
            suspects = await self._suspects(page, basis.authority.other)
            self._findings.compared += len(page)
            await self._judge_all(verdict, suspects)
            self._pace.count(len(page))
            self._throttle.worked(len(page), self._seams.clock.monotonic() - began)

    async def _next_page(self, pages: RecordPages) -> Sequence[RecordPair] | None:
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
