"""The demo's judge: knows only what callers were told, and reads both databases by itself.

``python -m crossfade.demo.oracle --history FILE --initial SNAPSHOT --legacy-db FILE --new-db FILE
--authority legacy|new`` prints one JSON object; exit status 0 if every promise was held, else 6.
Run it when traffic has stopped, what was in doubt is settled, and nothing is dirty any more.
"""

import argparse
import dataclasses
import heapq
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from crossfade.demo.database_scan import Body, Keyed, scan_legacy, scan_new, stray_lines
from crossfade.demo.history import Kind, Operation, Outcome, read_history, value_of
from crossfade.demo.history_by_key import EntityKey, FinalValues, histories_by_key
from crossfade.demo.key_history import Finding, Value, judge

ENTITIES = ("customer", "order")
EXAMPLES_MAX = 20
DIFFERENCES_FOUND = 6
WRITES = frozenset({Kind.WRITE, Kind.CREATE, Kind.DELETE})


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What was promised to callers, and how much of it was broken."""

    requests: int = 0
    """Attempts that were sent."""
    failed: int = 0
    """Attempts with an answer that no caller should get."""
    cut: int = 0
    """Attempts whose connection ended before the answer."""
    unknown: int = 0
    """Attempts answered 504."""
    refused: int = 0
    """Attempts answered 503 with Retry-After, without effect."""
    acknowledged_reads: int = 0
    acknowledged_writes: int = 0
    lost: int = 0
    """Keys whose content in the authority's database no order of the writes explains."""
    diverged: int = 0
    """Keys that differ between the two databases, in any field."""
    stale_reads: int = 0
    """Reads of a value that had certainly been overwritten before they began."""
    corrupt_reads: int = 0
    """Answers with a value that nobody wrote there."""
    keys_judged: int = 0
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Up to twenty of each kind of fault."""

    @property
    def is_clean(self) -> bool:
        """Whether every promise was held; what chaos cut off was never promised."""
        faults = (self.failed, self.lost, self.diverged, self.stale_reads, self.corrupt_reads)
        return not any(faults)

    def note(self, fault: str, **facts: object) -> None:
        """Count a fault, and keep it as an example while there are few."""
        setattr(self, fault, getattr(self, fault) + 1)
        kept = self.examples.setdefault(fault, [])
        if len(kept) < EXAMPLES_MAX:
            kept.append(facts)

    def as_json(self) -> dict[str, Any]:
        """The verdict as a document."""
        return {"is_clean": self.is_clean, **dataclasses.asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The files that are judged."""

    histories: tuple[Path, ...]
    """What the callers wrote down; one file a traffic process."""
    initial: Path
    """The legacy database as it was before the first request."""
    legacy: Path
    new: Path
    authority: str
    """Whose content must be explained: "legacy" or "new"."""


def judge_demo(evidence: Evidence) -> Verdict:
    """Read everything and judge it; nothing is written.

    Raises:
        ValueError: A history file is no history.
        sqlite3.Error: A database cannot be read.
    """
    verdict = Verdict()
    operations = [each for file in evidence.histories for each in read_history(file)]
    _count(operations, verdict)
    final = _compare_databases(evidence, verdict)
    initial = {
        (entity, key): value_of(body)
        for entity in ENTITIES
        for key, body in scan_legacy(evidence.initial, entity)
    }
    histories, created_twice = histories_by_key(operations, initial, final)
    for entity_key, history in histories.items():
        for finding in judge(history):
            _note_finding(verdict, entity_key, finding, final.get(entity_key))
    for name, keys in created_twice.items():
        verdict.note("lost", operation=name, reason=f"one create became several keys: {keys}")
    verdict.keys_judged = len(histories)
    return verdict


def _count(operations: Iterable[Operation], verdict: Verdict) -> None:
    outcomes = Counter(operation.outcome for operation in operations)
    verdict.requests = sum(outcomes.values()) - outcomes[Outcome.UNSENT]
    verdict.cut = outcomes[Outcome.CUT]
    verdict.unknown = outcomes[Outcome.UNKNOWN]
    verdict.refused = outcomes[Outcome.REFUSED]
    for operation in operations:
        if operation.outcome is Outcome.FAILED:
            verdict.note("failed", operation=operation.name, status=operation.status)
        elif operation.outcome is Outcome.ACKNOWLEDGED:
            is_write = operation.kind in WRITES
            verdict.acknowledged_writes += is_write
            verdict.acknowledged_reads += not is_write
            _check_echo(operation, verdict)


def _check_echo(operation: Operation, verdict: Verdict) -> None:
    if operation.shown not in {None, operation.value}:
        verdict.note(
            "corrupt_reads",
            entity=operation.entity,
            key=operation.key,
            read=operation.name,
            reason="the answer to a write shows something other than what was written",
        )


def _compare_databases(evidence: Evidence, verdict: Verdict) -> FinalValues:
    """Note every difference; returns what the authority holds."""
    final: FinalValues = {}
    for entity in ENTITIES:
        legacy, new = scan_legacy(evidence.legacy, entity), scan_new(evidence.new, entity)
        for key, legacy_body, new_body in _side_by_side(legacy, new):
            if legacy_body != new_body:
                fields = _differing_fields(legacy_body, new_body)
                verdict.note("diverged", entity=entity, key=key, fields=fields)
            body = {"legacy": legacy_body, "new": new_body}[evidence.authority]
            if body is not None:
                final[entity, key] = value_of(body)
    for key, count in stray_lines(evidence.legacy):
        fields = {"lines": f"{count} lines without an order on the legacy side"}
        verdict.note("diverged", entity="order", key=key, fields=fields)
    return final


def _side_by_side(
    legacy: Iterator[Keyed], new: Iterator[Keyed]
) -> Iterator[tuple[int, Body | None, Body | None]]:
    from_legacy = ((key, "legacy", body) for key, body in legacy)
    from_new = ((key, "new", body) for key, body in new)
    merged = heapq.merge(from_legacy, from_new, key=lambda row: row[0])
    for key, rows in groupby(merged, key=lambda row: row[0]):
        bodies = {side: body for _key, side, body in rows}
        yield key, bodies.get("legacy"), bodies.get("new")


def _differing_fields(legacy: Body | None, new: Body | None) -> dict[str, Any]:
    if legacy is None or new is None:
        return {"exists": {"legacy": legacy is not None, "new": new is not None}}
    return {
        name: {"legacy": legacy.get(name), "new": new.get(name)}
        for name in sorted(legacy.keys() | new.keys())
        if legacy.get(name) != new.get(name)
    }


def _note_finding(verdict: Verdict, entity_key: EntityKey, finding: Finding, final: Value) -> None:
    entity, key = entity_key
    if finding.read.is_final:
        verdict.note("lost", entity=entity, key=key, holds=final, reason=finding.reason)
        return
    verdict.note(
        f"{finding.fault}_reads",
        entity=entity,
        key=key,
        read=finding.read.name,
        value=finding.read.value,
        reason=finding.reason,
    )


def main() -> int:
    """Judge what the command line names; returns the exit status."""
    parser = argparse.ArgumentParser(description="Judge a demo run.")
    parser.add_argument("--history", type=Path, action="append", required=True)
    parser.add_argument("--initial", type=Path, required=True, help="snapshot of legacy")
    parser.add_argument("--legacy-db", type=Path, required=True)
    parser.add_argument("--new-db", type=Path, required=True)
    parser.add_argument("--authority", choices=("legacy", "new"), required=True)
    options = parser.parse_args()
    verdict = judge_demo(
        Evidence(
            histories=tuple(options.history),
            initial=options.initial,
            legacy=options.legacy_db,
            new=options.new_db,
            authority=options.authority,
        )
    )
    sys.stdout.write(json.dumps(verdict.as_json(), ensure_ascii=False) + "\n")
    return 0 if verdict.is_clean else DIFFERENCES_FOUND


if __name__ == "__main__":
    sys.exit(main())
