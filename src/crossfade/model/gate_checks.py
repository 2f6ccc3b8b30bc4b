"""The condition of each gate: a pure look at the evidence, told in plain words."""

from collections.abc import Iterable
from dataclasses import dataclass

from crossfade.model.counted import counted
from crossfade.model.evidence import (
    EntityEvidence,
    Evidence,
    GateOptions,
    OperationEvidence,
)

_NAMES_SHOWN_MAX = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether the condition holds, and what was seen."""

    passed: bool
    words: str


def check_reachable(evidence: Evidence, options: GateOptions) -> Finding:  # noqa: ARG001
    """Both sides answer: services and databases."""
    return _nothing_in(evidence.unreachable, "no answer from {}", "both sides answer")


def check_node(evidence: Evidence, options: GateOptions) -> Finding:  # noqa: ARG001
    """Somebody is there to carry the move out."""
    if evidence.node_alive:
        return Finding(passed=True, words="a node is running")
    return Finding(passed=False, words="no node is running")


def check_prepared(evidence: Evidence, options: GateOptions) -> Finding:  # noqa: ARG001
    """The databases have the two tables that guard their rows."""
    return _nothing_in(
        evidence.unprepared,
        "{} cannot be guarded: tables or rights are missing",
        "stores are ready",
    )


def check_barrier(evidence: Evidence, options: GateOptions) -> Finding:  # noqa: ARG001
    """Writes that carried no intent have certainly ended."""
    if evidence.barrier_passed:
        return Finding(passed=True, words="every write since the barrier was tracked")
    return Finding(passed=False, words="writes without intent may still be under way")


def check_coverage(evidence: Evidence, options: GateOptions) -> Finding:  # noqa: ARG001
    """Every key was copied since a write could last go untracked."""
    missing = [entity.name for entity in evidence.entities if not entity.covered]
    return _nothing_in(missing, "{} is not completely copied", "everything is copied")


def check_quarantine(evidence: Evidence, options: GateOptions) -> Finding:  # noqa: ARG001
    """No key is left behind unless an operator said so by its name."""
    left = [
        f"{counted(entity.quarantined, 'key')} of {entity.name}"
        for entity in evidence.entities
        if entity.quarantined
    ]
    return _nothing_in(left, "{} cannot be copied", "no key is quarantined")


def check_held(evidence: Evidence, options: GateOptions) -> Finding:  # noqa: ARG001
    """No key waits for a side that was lost."""
    if not evidence.held_keys:
        return Finding(passed=True, words="no key is held")
    return Finding(
        passed=False, words=f"{counted(evidence.held_keys, 'key')} held since a forced roll-back"
    )


def check_verification(evidence: Evidence, options: GateOptions) -> Finding:
    """Every entity was compared key by key, in this generation and lately."""
    wanting = [
        f"{entity.name} {problem}"
        for entity in evidence.entities
        if (problem := _unverified(entity, options))
    ]
    return _nothing_in(wanting, "{}", "every entity was verified")


def check_alarms(evidence: Evidence, options: GateOptions) -> Finding:  # noqa: ARG001
    """No key that was known to agree was found to differ, in the last verification or before."""
    raised = [told for entity in evidence.entities if (told := _alarm(entity))]
    return _nothing_in(raised, "{} differed though nothing we know of wrote them", "no alarm")


def check_in_doubt(evidence: Evidence, options: GateOptions) -> Finding:
    """Writes whose end nobody knows are few enough to be settled within the pause."""
    doubtful = evidence.doubtful_intents
    words = f"{counted(doubtful, 'write')} in doubt"
    return _at_most(doubtful, options.doubtful_intents_max, words)


def check_backlog(evidence: Evidence, options: GateOptions) -> Finding:
    """Few keys are dirty; none at all is the flip's own condition, since it needs a pause."""
    words = f"{counted(evidence.dirty_keys, 'dirty key')}"
    return _at_most(evidence.dirty_keys, options.backlog_keys_max, words)


def check_age(evidence: Evidence, options: GateOptions) -> Finding:
    """Nothing has been dirty for long: a key that does not converge would stop the flip."""
    seconds = evidence.oldest_dirty_seconds if evidence.dirty_keys else 0.0
    words = f"the oldest dirty key is {seconds:,.0f} s old"
    return _at_most(seconds, options.oldest_dirty_seconds_max, words, "s")


def check_drain(evidence: Evidence, options: GateOptions) -> Finding:
    """The backlog would converge within the pause that callers are asked to bear."""
    seconds = evidence.drain_seconds
    if seconds is None:
        return Finding(passed=False, words="how fast keys converge is not known yet")
    words = f"the backlog would take {seconds * 1000:,.0f} ms to converge"
    return _at_most(seconds * 1000, options.pause_budget_ms, words, "ms")


def check_sample(evidence: Evidence, options: GateOptions) -> Finding:
    """Every read was compared often enough for a verdict."""
    few = [
        f"{operation.name} ({operation.compared} of {options.compared_min})"
        for operation in evidence.operations
        if operation.compares and operation.compared < options.compared_min
    ]
    return _nothing_in(few, "too few comparisons of {}", "every read was compared often enough")


def check_mismatches(evidence: Evidence, options: GateOptions) -> Finding:
    """The sides answer alike, and the new side's own writes have the effect of legacy's."""
    differing = [
        f"{operation.name} ({operation.mismatched:,} of {operation.compared:,})"
        for operation in evidence.operations
        if _ratio(operation.mismatched, operation.compared) > options.mismatch_ratio_max
    ]
    return _nothing_in(differing, "the sides differ in {}", "no mismatch is open")


def check_refused(evidence: Evidence, options: GateOptions) -> Finding:
    """The mirror does not refuse what the authority did."""
    refusing = [operation for operation in evidence.operations if operation.refused_replays]
    refused = sum(operation.refused_replays for operation in refusing)
    words = f"{counted(refused, 'replay')} refused"
    if refusing:
        words += f" ({_listed(operation.name for operation in refusing)})"
    return _at_most(refused, options.refused_replays_max, words)


def check_errors(evidence: Evidence, options: GateOptions) -> Finding:
    """The side that is asked on the side answers nearly always."""
    failing = [
        f"{operation.name} ({operation.errors:,} of {_asked(operation):,})"
        for operation in evidence.operations
        if _ratio(operation.errors, _asked(operation)) > options.error_ratio_max
    ]
    return _nothing_in(failing, "no answer to compare from {}", "comparisons are answered")


def check_answers(evidence: Evidence, options: GateOptions) -> Finding:
    """Callers met no failure since the stage began."""
    words = f"{counted(evidence.failed_answers, 'failed answer')} since {evidence.current} began"
    return _at_most(evidence.failed_answers, options.failed_answers_max, words)


def check_soak(evidence: Evidence, options: GateOptions) -> Finding:
    """The stage has held long enough for rare callers to show up."""
    words = f"{evidence.current} has held for {evidence.stage_seconds:,.0f} s"
    if evidence.stage_seconds >= options.soak_seconds_min:
        return Finding(passed=True, words=words)
    return Finding(passed=False, words=f"{words} of {options.soak_seconds_min:,.0f} s")


def _unverified(entity: EntityEvidence, options: GateOptions) -> str:
    """Why the entity's verification does not count; empty where it does."""
    verification = entity.verification
    if verification is None:
        return "was never verified"
    if verification.generation != entity.generation:
        return "was verified before it was copied anew"
    if not verification.passed:
        return "did not pass verification"
    if verification.fraction < options.verified_fraction_min:
        share, least = verification.fraction, options.verified_fraction_min
        return f"was verified by {share:.0%} of its keys, at least {least:.0%} asked"
    if verification.age_seconds > options.verification_age_seconds_max:
        return f"was verified {verification.age_seconds / 3600:,.0f} h ago"
    return ""


def _alarm(entity: EntityEvidence) -> str:
    """What stands against the entity; empty where nothing does."""
    verification = entity.verification
    if verification is not None and verification.alarms:
        return f"{counted(verification.alarms, 'key')} of {entity.name}"
    if entity.must_cover:
        return f"keys of {entity.name} (until {entity.must_cover:.0%} of its keys are verified)"
    return ""


def _asked(operation: OperationEvidence) -> int:
    return operation.compared + operation.errors


def _ratio(part: int, whole: int) -> float:
    """The share; something of nothing counts as everything."""
    if part == 0:
        return 0.0
    return part / whole if whole else 1.0


def _at_most(value: float, most: float, words: str, unit: str = "") -> Finding:
    if value <= most:
        return Finding(passed=True, words=words)
    bound = f"{most:,.0f} {unit}".rstrip()
    return Finding(passed=False, words=f"{words}, at most {bound} allowed")


def _nothing_in(names: Iterable[str], against: str, fine: str) -> Finding:
    listed = _listed(names)
    return Finding(passed=False, words=against.format(listed)) if listed else Finding(True, fine)  # noqa: FBT003


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    more = len(every) - _NAMES_SHOWN_MAX
    return ", ".join(every[:_NAMES_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
