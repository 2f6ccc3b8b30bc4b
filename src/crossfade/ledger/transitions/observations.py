"""Keeping what comparisons and replays found, and marking mismatches as mended."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

from crossfade.ledger.rows import Rows, RowsQueries, RowsView
from crossfade.model.evidence import OperationEvidence
from crossfade.model.json_difference import Difference, DifferenceKind
from crossfade.model.observation import (
    COUNTERS,
    MismatchGroup,
    MismatchKind,
    MismatchSample,
    ObservationDelta,
    ObservedOperation,
    OperationCounts,
    counted,
    group_in_generation,
    in_generation,
    mended,
)
from crossfade.model.stage import Stage

COMPARISONS = "comparisons"
"""Kind of the documents that hold counts, one by operation."""
MISMATCHES = "mismatches"
"""Kind of the documents that hold groups of mismatches, one by fingerprint."""
ANSWERS, FAILED = "answers", "failed"
"""Kind and name of the document that counts what callers met under the newest stage decision."""
_NONE_FAILED = {"decision": -1, "count": 0}


def merge_observations(rows: Rows, delta: ObservationDelta) -> None:
    """Add what was found since the last flush; all of it is durable afterwards, or none.

    What was found in `off` counts for nothing once `off` is left; a process hears of that only
    after another one has left it.
    """
    if delta.stage is Stage.OFF and rows.migration().stage is not Stage.OFF:
        return
    for found in delta.operations:
        known = operation_in(rows, found.operation, found.entity)
        _keep_operation(rows, counted(known, found.total))
    for newer in delta.groups:
        group = group_in(rows, newer.fingerprint)
        if group is None:
            fresh = replace(newer, generation=rows.entity(newer.entity).generation)
            _keep_group(rows, replace(fresh, samples=newer.samples[: delta.samples_max]))
        else:
            _keep_group(rows, group.plus(newer, delta.samples_max))


def resolve_group(rows: Rows, fingerprint: str, at: float) -> bool:
    """The cause is mended: gates count only what is found from now on; may be repeated.

    The operation's sample begins anew, since comparisons from before the fix prove nothing of it.

    Returns:
        Whether there is such a group.

    """
    group = group_in(rows, fingerprint)
    if group is None:
        return False
    operation = operation_in(rows, group.operation, group.entity)
    _keep_operation(rows, mended(operation, group, at))
    _keep_group(rows, replace(group, open=0, resolved_at=at))
    return True


def add_failed_answers(rows: Rows, decision: int, count: int) -> None:
    """Callers met failures under a stage decision; those of an earlier one count for nothing."""
    document = rows.document(ANSWERS, FAILED)
    known = _NONE_FAILED if document is None else document
    if known["decision"] > decision:
        return
    before = known["count"] if known["decision"] == decision else 0
    rows.set_document(ANSWERS, FAILED, {"decision": decision, "count": before + count})


def failed_answers(rows: RowsView, decision: int) -> int:
    """How many failures callers met under a stage decision."""
    document = rows.document(ANSWERS, FAILED)
    if document is None or document["decision"] != decision:
        return 0
    return int(document["count"])


def observed_operations(rows: RowsQueries) -> tuple[ObservedOperation, ...]:
    """Every operation of which something was found, by name."""
    return tuple(
        _in_present(rows, _operation_of(name, document))
        for name, document in rows.documents(COMPARISONS)
    )


def mismatch_groups(rows: RowsQueries, *, resolved: bool = False) -> tuple[MismatchGroup, ...]:
    """The groups of mismatches, most frequent first; `resolved`: those without open ones too."""
    groups = [
        _group_in_present(rows, _group_of(fingerprint, document))
        for fingerprint, document in rows.documents(MISMATCHES)
    ]
    wanted = [group for group in groups if resolved or group.open]
    return tuple(sorted(wanted, key=lambda group: (-group.open, -group.count, group.fingerprint)))


def operation_evidence(
    rows: RowsView, operation: str, entity: str, *, compares: bool
) -> OperationEvidence:
    """What the gates look at of one operation; zeros where nothing was found yet."""
    since = operation_in(rows, operation, entity).since
    return OperationEvidence(
        name=operation,
        compares=compares,
        compared=since.compared,
        mismatched=since.mismatched,
        errors=since.errors,
        refused_replays=since.refused_replays,
    )


def operation_in(rows: RowsView, operation: str, entity: str) -> ObservedOperation:
    """One operation in the present generation of its entity."""
    document = rows.document(COMPARISONS, operation)
    if document is None:
        known = ObservedOperation(operation=operation, entity=entity)
    else:
        known = _operation_of(operation, document)
    return _in_present(rows, known)


def group_in(rows: RowsView, fingerprint: str) -> MismatchGroup | None:
    """One group in the present generation of its entity, or None."""
    document = rows.document(MISMATCHES, fingerprint)
    return None if document is None else _group_in_present(rows, _group_of(fingerprint, document))


def _in_present(rows: RowsView, operation: ObservedOperation) -> ObservedOperation:
    return in_generation(operation, rows.entity(operation.entity).generation)


def _group_in_present(rows: RowsView, group: MismatchGroup) -> MismatchGroup:
    return group_in_generation(group, rows.entity(group.entity).generation)


def _keep_operation(rows: Rows, operation: ObservedOperation) -> None:
    document = asdict(operation)
    del document["operation"]
    rows.set_document(COMPARISONS, operation.operation, document)


def _keep_group(rows: Rows, group: MismatchGroup) -> None:
    document = asdict(group)
    del document["fingerprint"]
    rows.set_document(MISMATCHES, group.fingerprint, document)


def _operation_of(name: str, document: dict[str, Any]) -> ObservedOperation:
    return ObservedOperation(
        operation=name,
        entity=document["entity"],
        generation=document["generation"],
        total=_counts_of(document["total"]),
        since=_counts_of(document["since"]),
        since_at=document["since_at"],
    )


def _counts_of(document: dict[str, int]) -> OperationCounts:
    """Counts of this release; a counter that another release added is left out."""
    return OperationCounts(**{name: document.get(name, 0) for name in COUNTERS})


def _group_of(fingerprint: str, document: dict[str, Any]) -> MismatchGroup:
    return MismatchGroup(
        fingerprint=fingerprint,
        operation=document["operation"],
        entity=document["entity"],
        kind=MismatchKind(document["kind"]),
        paths=tuple(document["paths"]),
        count=document["count"],
        open=document["open"],
        first_at=document["first_at"],
        last_at=document["last_at"],
        generation=document["generation"],
        refused=document["refused"],
        resolved_at=document["resolved_at"],
        samples=tuple(_samples_of(document["samples"])),
    )


def _samples_of(documents: Iterable[dict[str, Any]]) -> Iterable[MismatchSample]:
    for document in documents:
        differences = tuple(
            Difference(found["path"], DifferenceKind(found["kind"]), found["legacy"], found["new"])
            for found in document["differences"]
        )
        yield MismatchSample(document["at"], document["key"], differences)
