"""Use cases of verification: compare entities in the background of a node, one after the other."""

import asyncio
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import partial

from crossfade.control.documents import Document
from crossfade.control.exit_codes import ExitCode
from crossfade.control.progress import Progress
from crossfade.control.requests import EntitiesAsked, VerifyAsked
from crossfade.control.telling import Telling
from crossfade.errors import ConfigurationError, CrossfadeError, GateError
from crossfade.ledger.base import Ledger
from crossfade.ledger.transitions.moves import Decision, audit
from crossfade.model.verification_way import AskedWay
from crossfade.seams.clock import Clock
from crossfade.seams.tasks import Tasks
from crossfade.verification.verifier import Verifier


class JobState(StrEnum):
    """How a verification that was asked for stands."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(slots=True)
class Job:
    """A verification of several entities; gone with the process, its verdicts are kept."""

    entities: tuple[str, ...]
    fraction: float
    way: AskedWay = AskedWay.BEST
    state: JobState = JobState.RUNNING
    done: list[str] = field(default_factory=list)
    error: str | None = None
    exit_code: int = 0


class Verifying:
    """What an operator asks of the verifier; at most one job at a time."""

    def __init__(
        self, verifier: Verifier, ledger: Ledger, told: Telling, tasks: Tasks, clock: Clock
    ) -> None:
        self._verifier = verifier
        self._ledger = ledger
        self._told = told
        self._clock = clock
        self._tasks = tasks
        self._job: Job | None = None
        self._task: asyncio.Task[None] | None = None

    async def verification(self) -> Document:
        """The last verdict of each entity, and the job under way."""
        told = Progress(self._told).verification()
        progress = {one.entity: asdict(one) for one in self._verifier.progress()}
        for entity in told["entities"]:
            entity["progress"] = progress.get(entity["name"])
        told["job"] = None if self._job is None else asdict(self._job)
        return told

    async def start_verification(self, asked: VerifyAsked) -> Document:
        """Begin to compare entities; returns at once.

        Crash under way: alarms that were raised stand, the rest is as if it had not been.

        Raises:
            ConfigurationError: no such entity, or a share that is none.
            GateError: a verification is under way.

        """
        for name in asked.entities:
            self._told.check_entity(name)
        if not 0 < asked.fraction <= 1:
            raise ConfigurationError(
                f"{asked.fraction:g} is no share of the keys: give a number above 0, up to 1."
            )
        names = asked.entities or tuple(one.name for one in self._told.outline.entities)
        if asked.dry_run:
            share = f"{asked.fraction:.0%} of the keys of {', '.join(names)}"
            return self._answer(f"This would compare {share} on both sides.", dry_run=True)
        if self._job is not None and self._job.state is JobState.RUNNING:
            raise GateError(
                "a verification is under way. Stop it with `crossfade verify --stop`, or wait."
            )
        job = Job(names, asked.fraction, asked.way)
        detail: dict[str, object] = {
            "entities": list(names),
            "fraction": asked.fraction,
            "way": str(asked.way),
        }
        self._job, self._task = job, None
        try:
            await self._note(asked, "verification started", detail)
        except CrossfadeError:
            self._job = None
            raise
        # Crash here: history says that it was asked for; nothing was compared.
        self._task = self._tasks.spawn(self._work(job), name="verification job")
        return self._answer(f"{', '.join(names)}: being compared.")

    async def stop_verification(self, asked: EntitiesAsked) -> Document:
        """End the verification under way; what it found so far stands."""
        job, task = self._job, self._task
        running = job is not None and job.state is JobState.RUNNING
        if asked.dry_run or task is None or job is None or not running:
            what = "would be stopped" if running else "none is under way"
            return self._answer(f"Verification: {what}.", dry_run=asked.dry_run)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        # A task that is cancelled before its first step says nothing itself.
        job.state = JobState.STOPPED
        await self._note(asked, "verification stopped", {"entities": list(job.entities)})
        return self._answer("The verification is stopped; the alarms that it raised stand.")

    async def _note(self, asked: EntitiesAsked, action: str, detail: dict[str, object]) -> None:
        decision = Decision(asked.actor, asked.reason, self._clock.now().timestamp())
        await self._ledger.transact(
            partial(audit, decision=decision, action=action, detail=detail)
        )

    async def _work(self, job: Job) -> None:
        """Compare one entity after the other; a failure ends the job and is kept in it."""
        try:
            for name in job.entities:
                await self._verifier.verify(name, job.fraction, job.way)
                job.done.append(name)
            job.state = JobState.FINISHED
        except asyncio.CancelledError:
            job.state = JobState.STOPPED
            raise
        except CrossfadeError as error:
            job.state, job.error, job.exit_code = JobState.FAILED, str(error), error.exit_code
        except TimeoutError:
            job.state, job.exit_code = JobState.FAILED, ExitCode.UNREACHABLE
            job.error = "a side did not answer in time. See whether both databases run."
        except Exception as error:  # noqa: BLE001 - whoever waits for the job has to be told
            job.state, job.exit_code = JobState.FAILED, ExitCode.ERROR
            job.error = f"{type(error).__name__}. This is a bug of crossfade."

    def _answer(self, summary: str, **content: object) -> Document:
        return self._told.document("verification", summary=summary, **content)
