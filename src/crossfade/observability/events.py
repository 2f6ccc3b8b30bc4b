"""The catalogue of events: one frozen dataclass each; their names are API."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events; fields are plain values and never a record's content."""


@dataclass(frozen=True, slots=True)
class StageMoved(Event):
    """The stage changed."""

    current: str
    wanted: str
    decision: int
    epoch: int
    actor: str
    pause_ms: float
    """How long writers waited; 0 where the authority stayed."""


@dataclass(frozen=True, slots=True)
class FlipUndone(Event):
    """A change of authority was given up; nothing changed."""

    wanted: str
    reasons: tuple[str, ...]
    pause_ms: float


@dataclass(frozen=True, slots=True)
class SequencesNotMoved(Event):
    """On the way back, what makes ids on a side stays behind: its first creates may be refused."""

    side: str
    reason: str


@dataclass(frozen=True, slots=True)
class BarrierPassed(Event):
    """Writes without intent have certainly ended: copying may begin."""

    epoch: int


@dataclass(frozen=True, slots=True)
class WriteUnknown(Event):
    """A caller was told that nobody knows the outcome of its write."""

    entity: str
    operation: str
    intent: int
    """The write's number in the ledger; it stays open until its calls have certainly ended."""


@dataclass(frozen=True, slots=True)
class IntentSettled(Event):
    """An intent that was left open was closed by the resolver."""

    entity: str
    intent: int
    doubt: str


@dataclass(frozen=True, slots=True)
class ReplayRefused(Event):
    """The mirror answered a replayed operation differently from the authority."""

    entity: str
    operation: str
    authority_status: int
    mirror_status: int


@dataclass(frozen=True, slots=True)
class ReplaySkipped(Event):
    """An operation was not replayed; convergence copies the state all the same."""

    operation: str
    reason: str


@dataclass(frozen=True, slots=True)
class MismatchFound(Event):
    """The sides answered differently, or a replay had another effect than the authority's."""

    operation: str
    kind: str
    fingerprint: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ComparisonSkipped(Event):
    """A comparison was not made: over the bound, breaker open, or the key changed meanwhile."""

    operation: str
    reason: str


@dataclass(frozen=True, slots=True)
class CanaryFellBack(Event):
    """A read of the canary share was served by the authority after all."""

    operation: str
    reason: str


@dataclass(frozen=True, slots=True)
class KeyConverged(Event):
    """A key's sides agree again."""

    entity: str
    tries: int


@dataclass(frozen=True, slots=True)
class ConvergeFailed(Event):
    """An attempt to converge a key ended without agreement; it is tried again."""

    entity: str
    reason: str


@dataclass(frozen=True, slots=True)
class KeyQuarantined(Event):
    """A key cannot converge until its record or the mapping changes."""

    entity: str
    reason: str


@dataclass(frozen=True, slots=True)
class HotKeyHeld(Event):
    """Writers of one key waited briefly so that it could converge."""

    entity: str
    held_ms: float


@dataclass(frozen=True, slots=True)
class ChunkCopied(Event):
    """A key range was copied and is covered."""

    entity: str
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class SweepFinished(Event):
    """An entity is completely covered."""

    entity: str
    rows: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class VerificationFinished(Event):
    """An entity was compared key by key."""

    entity: str
    compared: int
    different: int
    lagging: int


@dataclass(frozen=True, slots=True)
class AlarmRaised(Event):
    """A key that was known to agree differs: a writer we do not see, or a bug of ours."""

    entity: str
    count: int


@dataclass(frozen=True, slots=True)
class SideReturned(Event):
    """A side that was lost in a forced roll-back answers again."""

    side: str
    older_data: bool


@dataclass(frozen=True, slots=True)
class StoreForgot(Event):
    """A database lost what it knew of the migration: nothing that was copied counts any more."""

    database: str
    side: str
    sweeps_paused: bool
    """Whether it is the authority's: a sweep would delete from the mirror what it lacks."""


@dataclass(frozen=True, slots=True)
class LedgerFailed(Event):
    """The ledger could not commit; writes are refused until it can."""

    reason: str


@dataclass(frozen=True, slots=True)
class WorkerFailed(Event):
    """A background worker met an error that it did not expect; it goes on after a pause."""

    worker: str
    reason: str
