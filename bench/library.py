"""What one call of a decorated function costs, beside LaunchDarkly's migrator in the same run.

No-op functions on both sides, a SQLite ledger, and LaunchDarkly's client offline with its test
data source, its reads one after the other (its default, in parallel, is ten times slower) and no
comparison. Both run in turns; a ratio is the median of the rounds' ratios.
"""

import asyncio
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ldclient import Config, Context, LDClient, Result
from ldclient import Stage as Step
from ldclient.integrations.test_data import TestData
from ldclient.migrations import ExecutionOrder, MigratorBuilder

from bench.library_stages import STAGES, Process
from crossfade.model.stage import Stage

BARS = {Stage.OFF: 8, Stage.LIVE: 5, Stage.COMPLETED: 8}
"""Stage -> how many times cheaper a read must be."""

STEPS = {
    Stage.OFF: Step.OFF,
    Stage.READ_ONLY: Step.OFF,
    Stage.SHADOW: Step.SHADOW,
    Stage.LIVE: Step.LIVE,
    Stage.COMPLETED: Step.COMPLETE,
}
"""LaunchDarkly's stage that is most like ours."""


class Migrator:
    """LaunchDarkly's migrator over no-op functions."""

    def __init__(self) -> None:
        logging.getLogger("ldclient").setLevel(logging.ERROR)
        data = TestData.data_source()
        for step in Step:
            data.update(
                data.flag(step.value)
                .variations(*(one.value for one in Step))
                .variation_for_all(list(Step).index(step))
            )
        config = Config("offline", update_processor_class=data, send_events=False)
        self._client = LDClient(config)
        self._context = Context.create("somebody")
        built = (
            MigratorBuilder(self._client)
            .read_execution_order(ExecutionOrder.SERIAL)
            .read(_success, _success, None)
            .write(_success, _success)
            .build()
        )
        assert not isinstance(built, str), built
        self._migrator = built

    def reads(self, step: Step) -> Callable[[], object]:
        """One read in a stage."""
        read, context, key = self._migrator.read, self._context, step.value
        assert read(key, context, Step.OFF, 7).is_success()
        return lambda: read(key, context, Step.OFF, 7)

    def writes(self, step: Step) -> Callable[[], object]:
        """One write in a stage."""
        write, context, key = self._migrator.write, self._context, step.value
        assert write(key, context, Step.OFF, 7).authoritative.is_success()
        return lambda: write(key, context, Step.OFF, 7)

    def close(self) -> None:
        """End its threads."""
        self._client.close()  # type: ignore[no-untyped-call] # the peer has no types


def run(*, quick: bool) -> dict[str, Any]:
    """Measure both in turns, every stage; medians of the rounds."""
    rounds, calls, writes = (3, 2_000, 50) if quick else (9, 10_000, 300)
    theirs = Migrator()
    figures: dict[str, float] = {}
    bars: dict[str, dict[str, Any]] = {}
    try:
        for stage in STAGES:
            with tempfile.TemporaryDirectory() as folder, Process(Path(folder), stage) as ours:
                reads = _in_turns(ours.read, theirs.reads(STEPS[stage]), rounds, calls)
                _note_reads(figures, bars, stage, reads)
                figures[f"{stage}_async_read_us"] = _async_us(ours, rounds, calls)
                if stage is not Stage.READ_ONLY:
                    written = _in_turns(ours.write, theirs.writes(STEPS[stage]), 2, writes)
                    figures[f"{stage}_write_us"] = written[0]
                    figures[f"{stage}_write_launchdarkly_us"] = written[1]
        with (
            tempfile.TemporaryDirectory() as folder,
            Process(Path(folder), Stage.OFF, 0.01) as one,
        ):
            sampled = _median_us(one.read, rounds, calls)
            figures["off_read_with_1_percent_compared_us"] = sampled
    finally:
        theirs.close()
    return {"figures": figures, "bars": bars}


def _note_reads(
    figures: dict[str, float],
    bars: dict[str, dict[str, Any]],
    stage: Stage,
    measured: tuple[float, float, float],
) -> None:
    mine, other, ratio = measured
    figures[f"{stage}_read_us"] = mine
    figures[f"{stage}_read_launchdarkly_us"] = other
    name = f"{stage}_read_times_cheaper"
    figures[name] = ratio
    if stage in BARS:
        bars[name] = {"limit": BARS[stage], "ok": ratio >= BARS[stage]}


def _in_turns(
    mine: Callable[[], object], other: Callable[[], object], rounds: int, calls: int
) -> tuple[float, float, float]:
    """Microseconds a call of each, and how many times cheaper mine is."""
    pairs = []
    for number in range(rounds + 1):
        pair = _us(mine, calls), _us(other, calls)
        if number > 0:  # The first round warms up.
            pairs.append(pair)
    return (
        statistics.median(one for one, _ in pairs),
        statistics.median(one for _, one in pairs),
        # Each round's pair ran within the same second, so that noise of the machine cancels out.
        statistics.median(other / mine for mine, other in pairs),
    )


def _median_us(call: Callable[[], object], rounds: int, calls: int) -> float:
    return statistics.median(_us(call, calls) for _ in range(rounds))


def _us(call: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls * 1e6


def _async_us(ours: Process, rounds: int, calls: int) -> float:
    async def measure() -> float:
        start = time.perf_counter()
        for _ in range(calls):
            await ours.read_async()
        return (time.perf_counter() - start) / calls * 1e6

    return statistics.median(asyncio.run(measure()) for _ in range(rounds))


def _success(payload: object) -> Result:
    return Result.success(payload)
