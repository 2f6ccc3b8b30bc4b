"""`python -m bench [NAME ...]`: run benchmarks, print figures beside their bars."""

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from typing import Any

BENCHMARKS = {
    "ledger": "bench.ledger",
    "gateway": "bench.gateway",
    "backfill": "bench.backfill",
    "bulk": "bench.bulk",
    "library": "bench.library",
    "verify": "bench.verify",
}
"""Name to module; each has `run(quick=...)` and measures both sides in one run."""


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmarks that were named, or all; 1 where a bar was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="one document on stdout a benchmark")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: for a first look")
    asked = parser.parse_args(words)
    unknown = sorted(set(asked.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"unknown benchmark {unknown[0]!r}; there are: {', '.join(BENCHMARKS)}")
    missed = False
    for name in asked.names or BENCHMARKS:
        document = measure(name, quick=asked.quick)
        missed |= not all(bar["ok"] for bar in document["bars"].values())
        text = json.dumps(document) if asked.json else as_lines(document)
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    return 1 if missed else 0


def measure(name: str, *, quick: bool) -> dict[str, Any]:
    """One benchmark's document."""
    result = importlib.import_module(BENCHMARKS[name]).run(quick=quick)
    return {"schema": "crossfade.bench/1", "name": name, **result}


def as_lines(document: dict[str, Any]) -> str:
    """The document for people."""
    lines = [document["name"]]
    for figure, value in document["figures"].items():
        bar = document["bars"].get(figure)
        shown = f"{value:,.3f}" if isinstance(value, float) else str(value)
        lines.append(f"  {figure:<44} {shown:>14}{_verdict(bar)}")
    return "\n".join(lines)


def _verdict(bar: dict[str, Any] | None) -> str:
    """What stands behind a figure: nothing, or its bar and whether it was reached."""
    if bar is None:
        return ""
    return f"   bar {bar['limit']}: {'ok' if bar['ok'] else 'MISSED'}"


if __name__ == "__main__":
    sys.exit(main())
