"""The command line that both demo services understand."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ServiceArguments:
    """Where a service keeps its rows and where it listens, always on 127.0.0.1."""

    database: Path
    """SQLite file; made, with its tables, where it is missing."""
    port: int
    """TCP port; 0 lets the system choose, and the first line on stdout tells which."""


def read_service_arguments(
    service: str, arguments: Sequence[str] | None = None
) -> ServiceArguments:
    """Parse ``--database FILE --port N``; a wrong line ends the process with status 2."""
    parser = argparse.ArgumentParser(
        prog=f"python -m crossfade.demo.{service}_service",
        description=f"The demo shop's {service} service, on 127.0.0.1.",
    )
    parser.add_argument("--database", type=Path, required=True, help="SQLite file")
    parser.add_argument("--port", type=int, default=0, help="0: a free port (the default)")
    parsed = parser.parse_args(arguments)
    return ServiceArguments(database=parsed.database, port=parsed.port)
