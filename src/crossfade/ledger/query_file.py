"""Named queries: `queries/*.sql` hold the SQL, `-- name: ...` gives each statement its name."""

import functools
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files

_HEADER = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@functools.cache
def load_queries() -> Mapping[str, str]:
    """Every named statement of the ledger, read once; two of one name are a mistake of ours."""
    queries: dict[str, str] = {}
    for file in sorted(files("crossfade.ledger").joinpath("queries").iterdir(), key=str):
        for name, statement in parse_queries(file.read_text(encoding="utf-8")):
            if name in queries:
                raise ValueError(f"{file.name}: there are two queries named {name}.")
            queries[name] = statement
    return queries


def parse_queries(text: str) -> Iterator[tuple[str, str]]:
    """The (name, statement) pairs of a query file; comments are left out."""
    parts = _HEADER.split(text)
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        lines = (line for line in body.splitlines() if not line.startswith("--"))
        yield name, "\n".join(lines).strip().rstrip(";")
