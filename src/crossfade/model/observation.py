"""What comparisons and replays found: counts, groups of like mismatches, and how they add up."""

import hashlib
from dataclasses import dataclass, fields, replace
from enum import StrEnum

from crossfade.model.json_difference import Difference
from crossfade.model.stage import Stage


class MismatchKind(StrEnum):
    """What was compared."""

    READ = "read"
    CANARY = "canary"
    REPLAY_ANSWER = "replay_answer"
    REPLAY_EFFECT = "replay_effect"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationCounts:
    """How often what happened to one operation."""

    matched: int = 0
    mismatched: int = 0
    errors: int = 0
    """Comparisons without an answer that could be judged."""
    skipped: int = 0
    """Comparisons that were not made, or whose result says nothing."""
    replays: int = 0
    refused_replays: int = 0
    canary_served: int = 0
    canary_fell_back: int = 0
    ungrouped: int = 0
    """Mismatches and refused replays of a new kind when there were too many kinds already."""

    @property
    def compared(self) -> int:
        """Comparisons that were judged."""
        return self.matched + self.mismatched

    def plus(self, other: "OperationCounts") -> "OperationCounts":
        """The sums."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in COUNTERS}
        return OperationCounts(**sums)


COUNTERS = tuple(field.name for field in fields(OperationCounts))
NO_COUNTS = OperationCounts()


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedOperation:
    """What was found of one operation, in all and since it was last called mended."""

    operation: str
    entity: str
    generation: int = 0
    total: OperationCounts = NO_COUNTS
    since: OperationCounts = NO_COUNTS
    """Since the last mismatch was resolved, in the entity's present generation; for gates."""
    since_at: float = 0.0
    """Wall-clock seconds at which `since` begins; 0 is the beginning."""


@dataclass(frozen=True, slots=True)
class MismatchSample:
    """One mismatch as it was met; redacted when it was made."""

    at: float
    """Wall-clock seconds."""
    key: str
    """The key, or its short hash; empty for a read without a key."""
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MismatchGroup:
    """Mismatches of one operation that differ at the same places in the same way."""

    fingerprint: str
    operation: str
    entity: str
    kind: MismatchKind
    paths: tuple[str, ...]
    count: int
    """In all."""
    open: int
    """Since the group was last resolved, in the entity's present generation."""
    first_at: float
    last_at: float
    generation: int = 0
    refused: bool = False
    """Whether this is a refused replay, counted apart from mismatches."""
    resolved_at: float | None = None
    samples: tuple[MismatchSample, ...] = ()

    def plus(self, newer: "MismatchGroup", samples_max: int) -> "MismatchGroup":
        """The group with the newer counts; samples from before a fix make way."""
        kept = self.samples if self.open else ()
        return replace(
            self,
            count=self.count + newer.count,
            open=self.open + newer.open,
            last_at=max(self.last_at, newer.last_at),
            samples=(*kept, *newer.samples)[:samples_max],
        )


@dataclass(frozen=True, slots=True)
class ObservationDelta:
    """What was found since the last flush; `generation` of these values means nothing yet."""

    operations: tuple[ObservedOperation, ...]
    groups: tuple[MismatchGroup, ...]
    samples_max: int
    stage: Stage | None = None
    """The stage that it was found in, as far as the process that found it knew."""

    def __bool__(self) -> bool:
        """Whether there is anything to keep."""
        return bool(self.operations or self.groups)


def group_fingerprint(operation: str, kind: MismatchKind, shape: str) -> str:
    """What identifies a group: operation, kind of comparison, and the shape of the differences."""
    text = f"{operation}\n{kind}\n{shape}"
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=8).hexdigest()


def counted(operation: ObservedOperation, delta: OperationCounts) -> ObservedOperation:
    """The operation with more found."""
    return replace(operation, total=operation.total.plus(delta), since=operation.since.plus(delta))


def in_generation(operation: ObservedOperation, generation: int) -> ObservedOperation:
    """Another generation of the entity begins: what was found in an earlier one proves nothing."""
    if operation.generation == generation:
        return operation
    return replace(operation, generation=generation, since=NO_COUNTS)


def group_in_generation(group: MismatchGroup, generation: int) -> MismatchGroup:
    """The same for a group of mismatches."""
    if group.generation == generation:
        return group
    return replace(group, generation=generation, open=0)


def mended(operation: ObservedOperation, group: MismatchGroup, at: float) -> ObservedOperation:
    """A group was resolved: its mismatches no longer count, and the sample begins anew."""
    remaining = {"refused_replays" if group.refused else "mismatched": group.open}
    left = {
        name: max(0, getattr(operation.since, name) - remaining.get(name, 0))
        for name in ("mismatched", "refused_replays", "ungrouped")
    }
    return replace(operation, since=OperationCounts(**left), since_at=at)
