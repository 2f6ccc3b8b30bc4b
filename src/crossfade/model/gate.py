"""Gates: what a move forward needs, each with its evidence, and in plain words why not yet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from crossfade.model.evidence import Evidence, GateOptions
from crossfade.model.gate_checks import (
    Finding,
    check_age,
    check_alarms,
    check_answers,
    check_backlog,
    check_barrier,
    check_coverage,
    check_drain,
    check_errors,
    check_held,
    check_in_doubt,
    check_mismatches,
    check_node,
    check_prepared,
    check_quarantine,
    check_reachable,
    check_refused,
    check_sample,
    check_soak,
    check_verification,
)
from crossfade.model.stage import Stage

Check: TypeAlias = Callable[[Evidence, GateOptions], Finding]


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition of a move."""

    name: str
    """As an operator names it to waive it."""
    check: Check
    todo: str
    """The next command, or what to do."""
    waivable: bool = True
    """Whether an operator may pass it by name, with a reason; False where data would be lost or
    the move could not succeed anyway."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a gate says now."""

    name: str
    passed: bool
    reason: str
    """The evidence; where the gate did not pass: why not yet."""
    todo: str
    """Empty where the gate passed."""
    waivable: bool
    waived: bool = False
    """Whether an operator passes it all the same."""

    @property
    def blocks(self) -> bool:
        """Whether the move has to wait."""
        return not self.passed and not self.waived


REACHABLE = Gate(
    "reachable", check_reachable, "run `crossfade doctor` and start what is down", waivable=False
)
NODE = Gate("node", check_node, "start it with `crossfade up`", waivable=False)
PREPARED = Gate(
    "prepared",
    check_prepared,
    "run `crossfade doctor` for the tables and grants",
    waivable=False,
)
BARRIER = Gate(
    "barrier", check_barrier, "wait; `crossfade status` shows what is waited for", waivable=False
)
COVERAGE = Gate(
    "coverage",
    check_coverage,
    "run `crossfade backfill start` and wait until it is complete",
    waivable=False,
)
QUARANTINE = Gate(
    "quarantine",
    check_quarantine,
    "run `crossfade quarantine`; mend the records or waive the keys one by one",
    waivable=False,
)
HELD = Gate("held", check_held, "run `crossfade dirty --held`", waivable=False)
VERIFICATION = Gate("verification", check_verification, "run `crossfade verify`")
ALARMS = Gate("alarms", check_alarms, "find the writer that bypasses us, then `crossfade verify`")
IN_DOUBT = Gate("in_doubt", check_in_doubt, "wait; `crossfade status` shows the writes in doubt")
BACKLOG = Gate("backlog", check_backlog, "wait; `crossfade dirty` shows the keys and why")
AGE = Gate("age", check_age, "run `crossfade dirty` to see what keeps the oldest key")
DRAIN = Gate("drain", check_drain, "wait for a smaller backlog, or raise the pause budget")
ANSWERS = Gate("answers", check_answers, "run `crossfade status` to see which side fails")
SAMPLE = Gate("sample", check_sample, "let traffic flow, or raise the share that is compared")
MISMATCHES = Gate(
    "mismatches", check_mismatches, "run `crossfade diffs`, mend the cause, mark it resolved"
)
REFUSED = Gate(
    "refused_replays", check_refused, "run `crossfade diffs`, mend the cause, mark it resolved"
)
ERRORS = Gate("errors", check_errors, "look why new does not answer comparisons")
SOAK = Gate("soak", check_soak, "wait; `crossfade status` shows since when the stage holds")

_READY = (REACHABLE, NODE, PREPARED)

GATES: dict[tuple[Stage, Stage], tuple[Gate, ...]] = {
    (Stage.OFF, Stage.READ_ONLY): _READY,
    (Stage.OFF, Stage.SHADOW): _READY,
    # Nothing has to be copied yet: writes are tracked from here on.
    (Stage.READ_ONLY, Stage.SHADOW): (*_READY, HELD),
    (Stage.SHADOW, Stage.LIVE): (
        *_READY,
        BARRIER,
        COVERAGE,
        QUARANTINE,
        HELD,
        VERIFICATION,
        ALARMS,
        IN_DOUBT,
        BACKLOG,
        AGE,
        DRAIN,
        SAMPLE,
        MISMATCHES,
        REFUSED,
        ERRORS,
    ),
    (Stage.LIVE, Stage.COMPLETED): (
        REACHABLE,
        NODE,
        QUARANTINE,
        HELD,
        IN_DOUBT,
        BACKLOG,
        AGE,
        ANSWERS,
        REFUSED,
        SOAK,
    ),
}
"""The gates of each move forward. A move back has none: it is never blocked by a red gate."""


def gates_of(current: Stage, wanted: Stage) -> tuple[Gate, ...]:
    """The gates of a move; none for a move back, or where the stages are no neighbours."""
    return GATES.get((current, wanted), ())


def evaluate(evidence: Evidence, options: GateOptions) -> tuple[GateResult, ...]:
    """What every gate of the move says; deterministic, the gates that block first."""
    results = [
        _result(gate, evidence, options) for gate in gates_of(evidence.current, evidence.wanted)
    ]
    return tuple(sorted(results, key=lambda result: not result.blocks))


def reasons_against(results: Sequence[GateResult]) -> tuple[str, ...]:
    """Why the move has to wait: one line for each gate that blocks; empty where it may go on."""
    return tuple(f"{result.name}: {result.reason}" for result in results if result.blocks)


def unknown_waivers(names: frozenset[str], current: Stage, wanted: Stage) -> tuple[str, ...]:
    """Names that are no gate of the move, or of one that cannot be waived."""
    waivable = {gate.name for gate in gates_of(current, wanted) if gate.waivable}
    return tuple(sorted(names - waivable))


def _result(gate: Gate, evidence: Evidence, options: GateOptions) -> GateResult:
    finding = gate.check(evidence, options)
    result = GateResult(
        name=gate.name,
        passed=finding.passed,
        reason=finding.words,
        todo="" if finding.passed else gate.todo,
        waivable=gate.waivable,
    )
    waived = gate.waivable and not finding.passed and gate.name in evidence.waived
    return replace(result, waived=waived)
