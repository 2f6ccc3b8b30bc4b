"""What a run of the demo comes to: one document, and whether every promise was held."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from crossfade.demo.chaos import CutOff

SCHEMA = "crossfade.demo/1"

WALK = ("off", "shadow", "live", "shadow", "live", "completed")
"""Every stage that a complete demo stays in, in order."""


@dataclass(slots=True)
class StageVisit:
    """One stay in a stage."""

    stage: str
    seconds: float = 0.0
    pause_ms: float | None = None
    """How long writers waited when it began; None where the authority stayed, or where a kill
    cut off the answer that would have told."""


@dataclass(slots=True)
class Step:
    """One thing that was done, and how long it took."""

    step: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ShownDifference:
    """One field that the two services answered differently."""

    operation: str
    path: str
    legacy: str
    new: str


@dataclass(slots=True)
class PlantedBug:
    """What came out about the bug in new's own write path."""

    difference: ShownDifference | None = None
    refused: bool = False
    """Whether the move to `live` was refused because of it."""
    reasons: list[str] = field(default_factory=list)
    before_the_copy: int = 0
    """Differences that were seen while new had no data yet."""
    keys_verified: int = 0
    keys_different: int = 0
    """Keys in which the two databases differed while the bug was there."""
    fixed: bool = False
    """Whether the difference was marked as mended and did not come back."""


@dataclass(slots=True, kw_only=True)
class Record:
    """Everything that a run has shown so far."""

    seed: int
    data: dict[str, int] = field(default_factory=dict)
    """Customers and orders at the start."""
    stages: list[StageVisit] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    bug: PlantedBug = field(default_factory=PlantedBug)
    mismatches_found: int = 0
    canary_served: int = 0
    quarantined: int = 0
    kills: int = 0
    tally: dict[str, Any] = field(default_factory=dict)
    verdict: dict[str, Any] | None = None
    """What the oracle says; None where it was not asked."""
    cut_off: CutOff = field(default_factory=lambda: CutOff(0, 0, 0))
    seconds: float = 0.0
    error: str | None = None
    """Why the demo did not come to its end."""


@dataclass(frozen=True, slots=True)
class Promise:
    """One thing that crossfade promises, and whether it was held."""

    promise: str
    held: bool
    evidence: str


def failed_requests(record: Record) -> int:
    """Everything that ended neither with an answer that a caller can use nor by a kill."""
    verdict = record.verdict or {}
    return int(verdict.get("failed", 0) + verdict.get("unknown", 0) + record.cut_off.otherwise)


def promises_of(record: Record) -> list[Promise]:
    """Every promise of the demo, in the order of importance."""
    return [*_of_the_oracle(record), *_of_the_play(record)]


def _of_the_oracle(record: Record) -> Iterator[Promise]:
    verdict = record.verdict
    if verdict is None:
        yield Promise("the oracle has judged", held=False, evidence="it was not asked")
        return
    writes, reads = verdict["acknowledged_writes"], verdict["acknowledged_reads"]
    lost, diverged = verdict["lost"], verdict["diverged"]
    stale, corrupt = verdict["stale_reads"], verdict["corrupt_reads"]
    yield Promise(
        "no acknowledged write is lost", lost == 0, f"{writes:,} acknowledged, {lost:,} lost"
    )
    yield Promise(
        "both databases hold the same",
        diverged == 0,
        f"{verdict['keys_judged']:,} keys, {diverged:,} differ",
    )
    yield Promise("no read is stale", stale == 0, f"{reads:,} reads, {stale:,} stale")
    yield Promise(
        "no answer shows what nobody wrote", corrupt == 0, f"{reads:,} reads, {corrupt:,} wrong"
    )
    failed = failed_requests(record)
    yield Promise(
        "no request fails", failed == 0, f"{verdict['requests']:,} requests, {failed:,} failed"
    )


def _of_the_play(record: Record) -> Iterator[Promise]:
    walked = tuple(visit.stage for visit in record.stages)
    yield Promise(
        "every stage is walked, forward and back", walked == WALK, " → ".join(walked) or "none"
    )
    bug = record.bug
    found = bug.difference is not None
    yield Promise(
        "the planted bug is found before anybody depends on it",
        found and bug.refused and bug.fixed,
        f"{record.mismatches_found:,} differences seen; live was "
        f"{'refused' if bug.refused else 'not refused'}",
    )
    yield Promise(
        "the planted bug costs nothing",
        bug.keys_verified > 0 and bug.keys_different == 0,
        f"{bug.keys_verified:,} keys verified while it was there, {bug.keys_different:,} differed",
    )
    yield Promise(
        "every record can be copied", record.quarantined == 0, f"{record.quarantined} quarantined"
    )
    if record.kills:
        cut = record.cut_off
        yield Promise(
            "a crash cuts off at most what is in flight",
            cut.by_chaos <= cut.in_flight,
            f"{record.kills} kills, {cut.in_flight} in flight, {cut.by_chaos} cut off",
        )


def is_ok(record: Record) -> bool:
    """Whether the demo came to its end and every promise was held."""
    return record.error is None and all(one.held for one in promises_of(record))


def document_of(record: Record) -> dict[str, Any]:
    """The run as the document that `--json` prints."""
    verdict = record.verdict or {}
    pauses = [visit.pause_ms for visit in record.stages if visit.pause_ms is not None]
    return {
        "schema": SCHEMA,
        "ok": is_ok(record),
        "error": record.error,
        "seed": record.seed,
        "seconds": round(record.seconds, 1),
        "data": record.data,
        "requests": verdict.get("requests", 0),
        "failed": failed_requests(record),
        "cut_by_chaos": record.cut_off.by_chaos,
        "in_flight_at_kills": record.cut_off.in_flight,
        "kills": record.kills,
        "acknowledged_writes": verdict.get("acknowledged_writes", 0),
        "acknowledged_reads": verdict.get("acknowledged_reads", 0),
        "lost": verdict.get("lost", 0),
        "diverged": verdict.get("diverged", 0),
        "stale_reads": verdict.get("stale_reads", 0),
        "corrupt_reads": verdict.get("corrupt_reads", 0),
        "quarantined": record.quarantined,
        "mismatches_found": record.mismatches_found,
        "canary_served": record.canary_served,
        "longest_pause_ms": round(max(pauses, default=0.0), 1),
        "longest_write_wait_ms": record.tally.get("longest_write_wait_ms", 0),
        "stages": [_visit(visit) for visit in record.stages],
        "steps": [asdict(step) for step in record.steps],
        "bug": asdict(record.bug),
        "promises": [asdict(promise) for promise in promises_of(record)],
        "examples": verdict.get("examples", {}),
    }


def lines_of(record: Record) -> Iterator[str]:
    """The same for people; of a demo that came to no end there is nothing to tell."""
    if record.error is not None:
        return
    for promise in promises_of(record):
        yield f"{'held  ' if promise.held else 'BROKEN'}  {promise.promise}: {promise.evidence}"
    document = document_of(record)
    yield (
        f"{document['requests']:,} requests in {record.seconds:.1f} s; the longest pause of "
        f"writers was {document['longest_pause_ms']:.0f} ms."
    )
    for fault, examples in document["examples"].items():
        for example in examples[:3]:
            yield f"{fault}: {example}"


def _visit(visit: StageVisit) -> dict[str, Any]:
    shown: dict[str, Any] = {"stage": visit.stage, "seconds": round(visit.seconds, 2)}
    if visit.pause_ms is not None:
        shown["pause_ms"] = round(visit.pause_ms, 1)
    return shown
