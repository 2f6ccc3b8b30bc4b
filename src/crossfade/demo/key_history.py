"""Judges what one key was seen to hold against what was written to it: pure, and exact.

Every write has a value of its own, so a write and the reads of its value form a *cluster*: in any
order of events that explains the history, they stand together. Cluster A certainly precedes B if
something of A ended before something of B began. Two clusters that each precede the other cannot
both be explained; if there are no two such clusters, the history is linearizable (Gibbons and
Korach, 1997). What the key holds at the end is judged as one more read, after everything.

A value that several writes share, as "absent" is shared by all deletes, is judged one read at a
time: wrong only if none of these writes explains it.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate

Value = str | None


@dataclass(frozen=True, slots=True)
class Write:
    """Something that may have set the key to a value."""

    name: str
    value: Value
    start: float
    end: float
    """When it was certainly done; infinity where nobody knows whether it was, or ever will be."""

    @property
    def is_certain(self) -> bool:
        """Whether it was acknowledged."""
        return self.end < math.inf


@dataclass(frozen=True, slots=True)
class Read:
    """Something that saw the key hold a value at some moment from start to end."""

    name: str
    value: Value
    start: float
    end: float

    @property
    def is_final(self) -> bool:
        """Whether this is the look into the database after everything."""
        return self.start == math.inf


class Fault(StrEnum):
    """What is wrong with a read."""

    CORRUPT = "corrupt"
    """Nobody had written that value there."""
    STALE = "stale"
    """It had certainly been overwritten before the read began."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One read that no order of the writes explains."""

    fault: Fault
    read: Read
    reason: str


@dataclass(slots=True)
class KeyHistory:
    """All that is known about one key; the first write is what it held at the start."""

    writes: list[Write]
    reads: list[Read] = field(default_factory=list)


@dataclass(slots=True)
class Cluster:
    """A write with the reads of its value."""

    write: Write
    reads: list[Read] = field(default_factory=list)

    @property
    def first_end(self) -> float:
        """From here on the value had certainly been written."""
        return min([self.write.end, *(read.end for read in self.reads)])

    @property
    def last_start(self) -> float:
        """Up to here the value had certainly not been overwritten, if every read is right."""
        return max([self.write.start, *(read.start for read in self.reads)])


def initially(value: Value) -> Write:
    """What the key held before the first request."""
    return Write("the initial data", value, -math.inf, -math.inf)


def finally_holds(value: Value) -> Read:
    """What the key holds after the last request, and after everything in doubt was settled."""
    return Read("the database at the end", value, math.inf, math.inf)


def judge(history: KeyHistory) -> list[Finding]:
    """Find every read that cannot be explained; an empty list means that all can."""
    if _is_untouched(history):
        return []
    findings: list[Finding] = []
    alone: dict[Value, Cluster] = {}
    shared: dict[Value, list[Write]] = {}
    for write in history.writes:
        shared.setdefault(write.value, []).append(write)
    for value, writes in shared.items():
        if len(writes) == 1:
            alone[value] = Cluster(writes[0])
    ambiguous: list[Read] = []
    for read in history.reads:
        possible = [write for write in shared.get(read.value, []) if write.start <= read.end]
        if not possible:
            findings.append(_corrupt(read, shared))
        elif read.value in alone:
            alone[read.value].reads.append(read)
        else:
            ambiguous.append(read)
    clusters = _certain_clusters(alone, shared)
    findings.extend(_stale_reads(clusters))
    findings.extend(_unexplained(ambiguous, shared, clusters))
    return findings


def _is_untouched(history: KeyHistory) -> bool:
    # Nearly every key is: nobody wrote it, and everybody saw what it held from the start.
    initial = history.writes[0].value
    return len(history.writes) == 1 and all(read.value == initial for read in history.reads)


def _corrupt(read: Read, shared: dict[Value, list[Write]]) -> Finding:
    if read.value in shared:
        return Finding(Fault.CORRUPT, read, "it saw a value before anybody had begun to write it")
    what = "nothing, though nobody deleted it" if read.value is None else "a value nobody wrote"
    return Finding(Fault.CORRUPT, read, f"it saw {what}")


def _certain_clusters(
    alone: dict[Value, Cluster], shared: dict[Value, list[Write]]
) -> list[Cluster]:
    # A write in doubt that nobody, or only the final look, has seen precedes nothing.
    seen = [cluster for cluster in alone.values() if cluster.first_end < math.inf]
    several = [write for writes in shared.values() if len(writes) > 1 for write in writes]
    return seen + [Cluster(write) for write in several if write.is_certain]


def _stale_reads(clusters: list[Cluster]) -> list[Finding]:
    if not _any_two_precede_each_other(clusters):
        return []
    # One after the other: a read that is wrong is no evidence against those that follow.
    findings = []
    for cluster, read in _by_start(clusters):
        other = _certainly_between(cluster, read, clusters)
        if other is None:
            cluster.reads.append(read)
        else:
            findings.append(_stale(read, cluster.write, other))
    return findings


def _by_start(clusters: list[Cluster]) -> list[tuple[Cluster, Read]]:
    reads = [(cluster, read) for cluster in clusters for read in cluster.reads]
    for cluster in clusters:
        cluster.reads = []
    return sorted(reads, key=lambda pair: pair[1].start)


def _any_two_precede_each_other(clusters: list[Cluster]) -> bool:
    ordered = sorted(
        ((cluster.first_end, cluster.last_start) for cluster in clusters), key=lambda ends: ends[0]
    )
    first_ends = [first_end for first_end, _last_start in ordered]
    latest_starts = list(accumulate((last_start for _end, last_start in ordered), max))
    for position, (first_end, last_start) in enumerate(ordered):
        earlier = min(position, bisect_left(first_ends, last_start))
        if earlier > 0 and latest_starts[earlier - 1] > first_end:
            return True
    return False


def _certainly_between(
    cluster: Cluster, read: Read, clusters: Sequence[Cluster]
) -> Cluster | None:
    """A value written after the cluster's and certainly before the read began."""
    for other in clusters:
        if other is cluster or other.first_end >= read.start:
            continue
        if cluster.first_end < other.last_start:
            return other
    return None


def _unexplained(
    reads: list[Read], shared: dict[Value, list[Write]], clusters: list[Cluster]
) -> list[Finding]:
    spans = [(cluster.first_end, cluster.last_start, cluster) for cluster in clusters]
    findings = []
    for read in reads:
        others = [span for span in spans if span[2].write.value != read.value]
        possible = [write for write in shared[read.value] if write.start <= read.end]
        # The latest first: it is nearly always the one.
        possible.sort(key=lambda write: write.start, reverse=True)
        contradictions = (_contradiction(write, read, others) for write in possible)
        between = next(contradictions)
        if between is not None and all(contradictions):
            findings.append(_stale(read, possible[0], between))
    return findings


def _contradiction(
    write: Write, read: Read, others: list[tuple[float, float, Cluster]]
) -> Cluster | None:
    together = Cluster(write, [read])
    together_end, together_start = together.first_end, together.last_start
    for first_end, last_start, other in others:
        if together_end < last_start and first_end < together_start:
            return other
    return None


def _stale(read: Read, write: Write, other: Cluster) -> Finding:
    return Finding(
        Fault.STALE,
        read,
        f"it saw what {write.name} wrote, though {other.write.name} came after that and was "
        "done before",
    )
