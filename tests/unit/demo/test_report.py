"""The demo's document and its verdict follow from what the run has shown."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from crossfade.demo.chaos import CutOff
from crossfade.demo.oracle import Verdict
from crossfade.demo.report import (
    WALK,
    PlantedBug,
    Record,
    ShownDifference,
    StageVisit,
    document_of,
    failed_requests,
    is_ok,
    lines_of,
    promises_of,
)

REQUIRED = {
    "schema", "requests", "failed", "cut_by_chaos", "acknowledged_writes", "lost", "diverged",
    "stale_reads", "mismatches_found", "stages", "longest_pause_ms", "seconds", "seed", "ok",
    "promises",
}  # fmt: skip


def verdict(**changed: int) -> dict[str, Any]:
    """What the oracle prints of a run without fault, but for what is named."""
    clean = Verdict(requests=300, acknowledged_reads=200, acknowledged_writes=100, keys_judged=50)
    return {**asdict(clean), **changed}


def make_record() -> Record:
    """A complete run without fault."""
    record = Record(seed=7, verdict=verdict(), mismatches_found=9)
    record.stages = [StageVisit(stage, 1.0) for stage in WALK]
    record.bug = PlantedBug(
        difference=ShownDifference("PUT /orders/{id}", "$.total", '"19.99"', '"19.98"'),
        refused=True,
        reasons=["mismatches: the sides differ"],
        keys_verified=50,
        fixed=True,
    )
    return record


def test_a_run_that_held_every_promise_is_ok() -> None:
    """Then, and only then, the demo exits with 0."""
    record = make_record()

    assert is_ok(record)
    assert all(promise.held for promise in promises_of(record))


def _lose_one(record: Record) -> None:
    record.verdict = verdict(lost=1)


def _diverge(record: Record) -> None:
    record.verdict = verdict(diverged=1)


def _read_stale(record: Record) -> None:
    record.verdict = verdict(stale_reads=1)


def _read_corrupt(record: Record) -> None:
    record.verdict = verdict(corrupt_reads=1)


def _fail(record: Record) -> None:
    record.verdict = verdict(failed=1)


def _leave_unknown(record: Record) -> None:
    record.verdict = verdict(unknown=1)


def _cut_without_kill(record: Record) -> None:
    record.cut_off = CutOff(by_chaos=0, otherwise=1, in_flight=0)


def _skip_a_stage(record: Record) -> None:
    del record.stages[2]


def _miss_the_bug(record: Record) -> None:
    record.bug.difference = None


def _let_the_bug_pass(record: Record) -> None:
    record.bug.refused = False


def _see_the_bug_again(record: Record) -> None:
    record.bug.fixed = False


def _let_the_bug_do_harm(record: Record) -> None:
    record.bug.keys_different = 1


def _verify_nothing(record: Record) -> None:
    record.bug.keys_verified = 0


def _leave_a_key_behind(record: Record) -> None:
    record.quarantined = 1


def _stop_early(record: Record) -> None:
    record.error = "the gateway did not start."


def _judge_nothing(record: Record) -> None:
    record.verdict = None


@pytest.mark.parametrize(
    "broken",
    [
        _lose_one,
        _diverge,
        _read_stale,
        _read_corrupt,
        _fail,
        _leave_unknown,
        _cut_without_kill,
        _skip_a_stage,
        _miss_the_bug,
        _let_the_bug_pass,
        _see_the_bug_again,
        _let_the_bug_do_harm,
        _verify_nothing,
        _leave_a_key_behind,
        _stop_early,
        _judge_nothing,
    ],
)
def test_each_promise_counts(broken: Callable[[Record], None]) -> None:
    """One broken promise is enough for the demo to fail."""
    record = make_record()
    broken(record)

    assert not is_ok(record)
    assert document_of(record)["ok"] is False


def test_what_kills_cut_off_is_no_failure() -> None:
    """With chaos, what was in flight at a kill may be cut; that is said, and is no fault."""
    record = make_record()
    record.kills = 5
    record.cut_off = CutOff(by_chaos=3, otherwise=0, in_flight=8)
    document = document_of(record)

    assert (document["ok"], document["failed"], document["cut_by_chaos"]) == (True, 0, 3)


def test_failures_are_added_up() -> None:
    """Refused by nobody, not cut by a kill, and yet no use to the caller."""
    record = make_record()
    record.verdict = verdict(failed=1, unknown=2)
    record.cut_off = CutOff(by_chaos=5, otherwise=4, in_flight=9)

    assert failed_requests(record) == 7


def test_the_document_has_what_is_promised() -> None:
    """Its schema, its figures, its stages with their durations and pauses."""
    record = make_record()
    record.stages[2] = StageVisit("live", 2.345, pause_ms=41.26)
    document = document_of(record)

    assert document.keys() >= REQUIRED
    assert document["schema"] == "crossfade.demo/1"
    assert document["stages"][2] == {"stage": "live", "seconds": 2.35, "pause_ms": 41.3}
    assert document["stages"][0] == {"stage": "off", "seconds": 1.0}
    assert document["longest_pause_ms"] == 41.3


def test_a_person_reads_every_promise() -> None:
    """A line each, and whether it was held."""
    record = make_record()
    record.verdict = verdict(lost=2)
    lines = list(lines_of(record))

    assert [line for line in lines if line.startswith("BROKEN")] == [
        "BROKEN  no acknowledged write is lost: 100 acknowledged, 2 lost"
    ]
    assert len([line for line in lines if line.startswith("held")]) == 8


def test_of_a_demo_that_came_to_no_end_nothing_is_claimed() -> None:
    """Promises that nobody looked at are neither held nor broken."""
    record = Record(seed=1, error="no port is free.")

    assert list(lines_of(record)) == []
