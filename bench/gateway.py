"""The gateway: pass-through beside others, then reads and dual writes through a whole node."""

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import gateway_pass
from bench.node_load_services import different_rows, make_databases

CONNECTIONS = 32
LOAD_SECONDS_OVER_MAX = 30.0
"""How much longer than asked for a load may take before it is a failure."""
SETTLE_SECONDS_MAX = 60.0
"""Longest wait until everything that was written has converged."""
LOOK_SECONDS = 0.2

State = dict[str, Any]
"""See `bench.node_load_process.state_of`."""


@dataclass(slots=True)
class Deployment:
    """Two services and, in front of them, one node."""

    folder: Path
    ports: tuple[int, int]
    """Of legacy and new."""
    gateway_port: int
    node: "subprocess.Popen[str]"

    def state(self) -> State:
        """What the node has in hand now."""
        assert self.node.stdin is not None
        assert self.node.stdout is not None
        self.node.stdin.write("\n")
        self.node.stdin.flush()
        state: State = json.loads(self.node.stdout.readline())
        return state


@dataclass(slots=True)
class Loaded:
    """One load: what its callers saw, and what the node had in hand meanwhile."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    requests: int
    states: list[State] = field(default_factory=list)


def run(*, quick: bool) -> dict[str, Any]:
    """Pass-through, which has bars; then the node, whose figures are reported."""
    document = gateway_pass.run(quick=quick)
    rounds, seconds = (1, 1.0) if quick else (3, 1.5)
    document["figures"] |= _reads(rounds, seconds)
    document["figures"] |= _writes(2.0 if quick else 8.0)
    return document


def _reads(rounds: int, seconds: float) -> dict[str, Any]:
    """Keyed reads in `off`, without comparison and with all of them compared, in turns."""
    speeds: dict[str, list[float]] = {"0": [], "1": []}
    requests = 0
    with contextlib.ExitStack() as stack:
        nodes = {fraction: stack.enter_context(_deployed("off", fraction)) for fraction in speeds}
        for node in nodes.values():
            _loaded("get", 0.5, node.gateway_port)
        before = nodes["1"].state()
        for _ in range(rounds):
            for fraction, node in nodes.items():
                loaded = _loaded("get", seconds, node.gateway_port)
                speeds[fraction].append(loaded.requests_per_second)
                requests += loaded.requests if fraction == "1" else 0
        after = nodes["1"].state()
    assert after["mismatched"] == 0, "both services answer the same"
    plain, compared = speeds["0"], speeds["1"]
    ratio = statistics.median(one / other for one, other in zip(compared, plain, strict=True))
    return {
        "reads_off_per_second": round(statistics.median(plain)),
        "reads_compared_per_second": round(statistics.median(compared)),
        "reads_compared_ratio": round(ratio, 3),
        "reads_compared_fraction": round((after["compared"] - before["compared"]) / requests, 3),
    }


def _writes(seconds: float) -> dict[str, Any]:
    """Keyed writes in `shadow`, copied and not replayed, beside two calls made by the caller."""
    with _deployed("shadow", "0") as node:
        pair = _loaded("pair", min(seconds, 2.0), *node.ports)
        _loaded("put", 1.0, node.gateway_port)
        _settled(node)
        before = node.state()
        written = _loaded("put", seconds, node.gateway_port, watch=node)
        seconds_to_settle, after = _settled(node)
        assert different_rows(node.folder) == 0, "the sides differ though every key is clean"
    half = len(written.states) // 2
    return {
        "dual_writes_per_second": round(written.requests_per_second),
        "dual_writes_p50_ms": round(written.p50_ms, 2),
        "dual_writes_p99_ms": round(written.p99_ms, 2),
        "two_calls_per_second": round(pair.requests_per_second),
        "two_calls_p50_ms": round(pair.p50_ms, 2),
        "two_calls_p99_ms": round(pair.p99_ms, 2),
        "dirty_keys_max_first_half": max(one["dirty"] for one in written.states[: half + 1]),
        "dirty_keys_max_second_half": max(one["dirty"] for one in written.states[half:]),
        "seconds_to_converge_all": round(seconds_to_settle, 2),
        "dual_writes_memory_growth_bytes": after["memory_bytes"] - before["memory_bytes"],
    }


def _settled(node: Deployment) -> tuple[float, State]:
    """Wait until every key is clean; how long that took, and what the node says then."""
    started = time.perf_counter()
    while time.perf_counter() - started < SETTLE_SECONDS_MAX:
        state = node.state()
        if not state["dirty"] and not state["open_intents"]:
            return time.perf_counter() - started, state
        time.sleep(LOOK_SECONDS / 4)
    raise TimeoutError("what was written does not converge")


def _loaded(kind: str, seconds: float, *ports: int, watch: Deployment | None = None) -> Loaded:
    """Load the servers on the ports; looks at the node meanwhile where it is to be watched."""
    words = [kind, str(CONNECTIONS), str(seconds), *map(str, ports)]
    states: list[State] = []
    with _process("bench.node_load", *words) as load:
        until = time.perf_counter() + seconds + LOAD_SECONDS_OVER_MAX
        while load.poll() is None:
            assert time.perf_counter() < until, "the load does not end"
            time.sleep(LOOK_SECONDS)
            if watch is not None:
                states.append(watch.state())
        assert load.stdout is not None
        result: dict[str, float] = json.loads(load.stdout.read())
    assert result["failed"] == 0, f"{result['failed']} requests failed"
    return Loaded(
        requests_per_second=result["requests"] / result["seconds"],
        p50_ms=result["p50_ms"],
        p99_ms=result["p99_ms"],
        requests=int(result["requests"]),
        states=states,
    )


@contextlib.contextmanager
def _deployed(stage: str, fraction: str) -> Iterator[Deployment]:
    """Fresh databases, two services over them, and a node in that stage."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crossfade-bench-")))
        make_databases(folder)
        services = stack.enter_context(_process("bench.node_load_services", str(folder)))
        legacy, new = _first_numbers(services)
        words = [str(folder), stage, fraction, str(legacy), str(new)]
        node = stack.enter_context(_process("bench.node_load_process", *words))
        (port,) = _first_numbers(node)
        yield Deployment(folder, (legacy, new), port, node)


@contextlib.contextmanager
def _process(*words: str) -> Iterator["subprocess.Popen[str]"]:
    """A process of the benchmark; ended when the block ends, if it has not by then."""
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=gateway_pass.PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _first_numbers(process: "subprocess.Popen[str]") -> list[int]:
    """The ports that a process says first."""
    assert process.stdout is not None
    ports = [int(word) for word in process.stdout.readline().split()]
    if not ports:
        raise RuntimeError("a process of the benchmark ended before it listened")
    return ports
